"""`adapter-stilts store` on a finished run: what it prints, asks and refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.cli.store_text import age, counted, size
from adapter_stilts.stages.collecting import Unneeded

Cli = Callable[..., Any]
Listing = Callable[[Path], list[str]]
LABEL = "xquad after hellaswag (full, fp32, tiny_base0, seed 0)"


def plan_of(store: Path) -> Path:
    (path,) = (store / "plans").iterdir()
    return path


@pytest.fixture
def loose(copy: Callable[[], Path]) -> Path:
    """The finished store with one more stage, which no plan has."""
    store = copy()
    evaluation = next(store.glob("evaluate-udpos-*"))
    shutil.copytree(evaluation, store / f"evaluate-udpos-{'0' * 12}")
    return store


def test_a_line_a_stage(cli: Cli, finished: Any) -> None:
    ran = cli("store", "ls", finished.store)
    *rows, total = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    names = {Path(stage["dir"]).name for stage in finished.printed["stages"]}
    assert len(rows) == len(names) == 5
    assert names == {name for row in rows for name in row.split() if "-" in name}
    (row,) = (row for row in rows if "evaluate-xquad-" in row)
    assert row.endswith(f"  {LABEL}")
    assert any(row.endswith("  train squad_v1 after hellaswag") for row in rows)
    assert total.startswith(f"{finished.store}: 5 finished stages, ")
    told = cli("store", "ls", finished.store, "--json").json
    assert told["bytes"] == sum(stage["bytes"] for stage in told["stages"]) > 10_000
    assert [stage["cells"] for stage in told["stages"] if stage["task"] == "xquad"] == [[LABEL]]
    assert {stage["dir"] for stage in told["stages"]} == {
        stage["dir"] for stage in finished.printed["stages"]
    }


def test_what_no_plan_has_is_marked(cli: Cli, loose: Path) -> None:
    ran = cli("store", "ls", loose)
    assert [row.endswith("  of no plan") for row in ran.out.splitlines()].count(True) == 1
    assert ran.out.splitlines()[-1].startswith("of no plan: 1, ")
    assert f"`adapter-stilts store gc {loose}`" in ran.out


def test_a_stage_of_training(cli: Cli, finished: Any) -> None:
    directory = finished.directory("train", "squad_v1")
    ran = cli("store", "show", directory)
    lines = ran.out.splitlines()
    assert (ran.code, lines[0]) == (0, str(directory))
    assert lines[1].startswith("train squad_v1 after hellaswag; ")
    parent = finished.directory("train", "hellaswag").name
    assert f"starts from: {parent}" in lines
    assert "  training.max_steps = 4" in lines
    assert any(line.startswith("  hardware.device = cpu") for line in lines)
    assert any(line.startswith("  seconds = ") for line in lines)
    *_, train, stage = lines
    command = json.loads((directory / "bundle" / "bundle.json").read_text())["command"]
    assert train == f"  {command}"
    assert stage == f"  adapter-stilts stage {plan_of(finished.store)} {directory.name}"
    for asked in (directory.name, directory.name[-12:], directory.name[-12:-6]):
        assert cli("store", "show", asked, "--store", finished.store).out == ran.out


def test_an_evaluation(cli: Cli, finished: Any) -> None:
    directory = finished.directory("evaluate", "xquad")
    told = cli("store", "show", directory.name, "--store", finished.store, "--json").json
    metrics = json.loads((directory / "metrics.json").read_text())
    assert told["metrics"] == metrics
    assert told["cells"] == [LABEL]
    assert told["parents"] == [finished.directory("train", "squad_v1").name]
    # The command that made the bundle may have evaluated another target.
    assert [command.split()[1] for command in told["commands"]] == ["stage"]
    shown = cli("store", "show", directory.name, "--store", finished.store).out.splitlines()
    assert f"cell: {LABEL}" in shown
    assert f"  de.f1 = {metrics['languages']['de']['f1']:.2f}" in shown


def test_the_command_that_is_shown_finds_the_stage(
    cli: Cli, finished: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path.cwd())  # `stage` goes to the plan's directory
    told = cli("store", "show", finished.directory("evaluate", "xquad"), "--json").json
    ran = cli(*told["commands"][-1].split()[1:])
    assert ran.code == 0, ran.err


def test_nothing_to_remove(cli: Cli, finished: Any, listing: Listing) -> None:
    before = listing(finished.store)
    ran = cli("store", "gc", finished.store)
    assert (ran.code, ran.out) == (0, f"{finished.store}: nothing to remove\n")
    assert listing(finished.store) == before


def test_removal_is_refused_where_nobody_can_be_asked(cli: Cli, loose: Path, listing: Listing) -> None:
    before = listing(loose)
    ran = cli("store", "gc", loose)
    assert ran.code == 2
    assert "1 stage (" in ran.err
    assert "--yes removes them, --dry-run lists them" in ran.err
    dry = cli("store", "gc", loose, "--dry-run")
    assert dry.code == 0
    assert dry.out.splitlines()[0].split()[-1] == f"evaluate-udpos-{'0' * 12}"
    assert dry.out.splitlines()[1].endswith("would go")
    assert listing(loose) == before


@pytest.mark.parametrize("answer", [True, False])
def test_it_asks_first(cli: Cli, loose: Path, monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    asked: list[str] = []

    def confirm(question: str, err: bool) -> bool:
        asked.append(question)
        return answer

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("click.confirm", confirm)
    ran = cli("store", "gc", loose)
    assert ran.code == (0 if answer else 1)
    assert ("removed 1 stage" in ran.out) is answer
    assert (loose / f"evaluate-udpos-{'0' * 12}").exists() is not answer
    (question,) = asked
    assert question.startswith("Remove 1 stage (")


def test_removal_and_a_forgotten_plan(cli: Cli, loose: Path, finished: Any, listing: Listing) -> None:
    removed = cli("store", "gc", loose, "--yes", "--json").json
    assert [item["name"] for item in removed["removed"]] == [f"evaluate-udpos-{'0' * 12}"]
    assert removed["removed"] == removed["unneeded"]
    assert removed["bytes"] > 0
    assert listing(loose) == listing(finished.store)
    ran = cli("store", "gc", loose, "--forget", plan_of(loose).stem[:6], "--yes")
    assert "removed 1 plan and 5 stages" in ran.out
    assert listing(loose) == ["store.json"]
    again = cli("store", "gc", loose)
    assert again.code == 2
    assert "the store has no plan" in again.err


def test_an_export_answers_as_the_store_does(
    cli: Cli, finished: Any, tmp_path: Path, listing: Listing
) -> None:
    out = tmp_path / "results"
    ran = cli("store", "export", plan_of(finished.store).stem, out, "--store", finished.store)
    assert ran.code == 0, ran.err
    assert ran.out.startswith(f"{out}: 5 stages, ")
    before = {name: (out / name).read_bytes() for name in listing(out)}
    assert not any("bundle/" in name or "predictions/" in name for name in before)
    again = cli(*finished.arguments, "--store", out)
    assert again.code == 0, again.err
    assert again.statuses() == ["cached"] * 5
    assert again.json["results"] == finished.printed["results"]
    assert {name: (out / name).read_bytes() for name in listing(out)} == before
    # What it does not hold is refused, and nothing is left of the attempt.
    more = cli(*finished.arguments, "--store", out, "--seed", "1")
    assert more.code == 1
    assert "exported without weights" in more.err
    assert {name: (out / name).read_bytes() for name in listing(out)} == before
    # It runs nothing, and so tells no command that would.
    asked = ("store", "show", finished.directory("train", "squad_v1").name, "--store", out)
    assert cli(*asked, "--json").json["commands"] == []
    assert "exported results run nothing" in cli(*asked).out
    assert "exported without weights" in cli("stage", out / "plans" / plan_of(out).name, asked[2]).err


def test_a_matrix_leaves_an_export_as_it_was_sealed(
    cli: Cli, finished: Any, listing: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From another directory, whose plan would be another file's text; and where a stage would have to run."""
    out = tmp_path / "results"
    assert cli("store", "export", plan_of(finished.store), out).code == 0
    before = {name: (out / name).read_bytes() for name in listing(out)}
    monkeypatch.chdir(tmp_path)
    words = ["matrix", *finished.arguments[1:], "--store", out]
    again = cli(*words)
    assert again.code == 0, again.err
    assert again.json["plan"] == str(out / "plans" / plan_of(finished.store).name)
    assert set(again.statuses()) == {"cached"}
    for more in ((), ("--executor", "slurm", "--slurm", "time=60", "--dry-run")):
        ran = cli(*words, "--seed", "1", *more)
        assert (ran.code, "exported without weights" in ran.err) == (1, True)
    assert {name: (out / name).read_bytes() for name in listing(out)} == before


def test_an_export_without_rows(cli: Cli, finished: Any, tmp_path: Path) -> None:
    out = tmp_path / "results"
    ran = cli("store", "export", plan_of(finished.store), out, "--without-rows", "--json")
    assert ran.json["missing"] == []
    assert len(ran.json["stages"]) == 5
    assert not list(out.rglob("scores"))
    assert list(out.rglob("metrics.json"))
    assert cli("store", "export", plan_of(finished.store), out).code == 0
    assert list(out.rglob("scores"))
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    refused = cli("store", "export", plan_of(finished.store), other)
    assert refused.code == 2
    assert "holds files already, and was not exported: name a new folder" in refused.err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("ls", "nowhere"), 2, "there is no such folder"),
        (("ls", "s3://bucket/x"), 2, "this machine has no mirror of it yet"),
        (("gc", "nowhere"), 2, "there is no such folder"),
        (("show", "train-x-0123456789ab", "--store", "nowhere"), 2, "there is no such folder"),
        (("show", "train-hellaswag", "--store", "STORE"), 2, "did you mean 'train-hellaswag-"),
        (("export", "ffffff", "out", "--store", "STORE"), 2, "unknown plan 'ffffff'. Choices: "),
        (("export", "ffffff", "out", "--store", "STORE"), 2, ". That is what the store STORE has."),
        (("gc", "STORE", "--forget", "ffffff"), 2, "unknown plan 'ffffff'"),
        (("remove", "STORE"), 2, "unknown store command 'remove'"),
        (("ls", "STORE", "more"), 2, "unexpected extra argument"),
    ],
)
def test_what_is_refused(
    cli: Cli,
    finished: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: int,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = cli("store", *(str(finished.store) if word == "STORE" else word for word in words))
    assert (ran.code, ran.out) == (code, "")
    assert told.replace("STORE", str(finished.store)) in ran.err
    assert list(tmp_path.iterdir()) == []


def test_listing_and_showing_load_no_torch(finished: Any) -> None:
    script = (
        "import sys; from adapter_stilts.cli.main import run; "
        f"assert run(['store', 'ls', {str(finished.store)!r}]) == 0; "
        f"assert run(['store', 'show', {str(finished.directory('train', 'hellaswag'))!r}]) == 0; "
        f"assert run(['store', 'gc', {str(finished.store)!r}]) == 0; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_250_000, "1.2 MB"),
        (5 * 10**12, "5.0 TB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_sizes(count: int, told: str) -> None:
    assert size(count) == told


@pytest.mark.parametrize(
    ("seconds", "told"), [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (7199, "1 h"), (86400 * 3.9, "3 d")]
)
def test_ages(seconds: float, told: str) -> None:
    assert age(1000.0, 1000.0 + seconds) == told


def test_counts() -> None:
    def some(kind: str, count: int) -> list[Unneeded]:
        return [Unneeded(kind, "x", Path("x"), 500)] * count

    assert counted(some("stage", 1)) == "1 stage (500 B)"
    assert counted([*some("failure", 1), *some("plan", 2), *some("work", 1)]) == (
        "2 plans, 1 work folder and 1 record of failure (2.0 kB)"
    )
