"""`hub` on folders, and addresses where `train`, `evaluate` and `compose` take bundles, on the tiny world."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.io import sha256_file

pytestmark = pytest.mark.slow

Cli = Callable[..., Any]
Tiny = Callable[..., list[str]]
SMALL = {
    "full": (),
    "adapter": ("--set", "tuning.adapter.reduction_factor=4"),
    "lora": ("--set", "tuning.lora.r=4"),
}


def trained(store: Path, task: str) -> Path:
    return next(store.glob(f"train-{task}-*")) / "bundle"


@pytest.fixture(scope="module")
def shelf(tiny_base: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bundles of HellaSwag and SNLI in three modes. Do not write there."""
    from adapter_stilts.cli.main import run

    root = tmp_path_factory.mktemp("shared")
    for mode, settings in SMALL.items():
        store = root / f"store-{mode}"
        arguments = ["train", "--base", tiny_base, "--data", tiny_data, "--store", store, "--device", "cpu"]
        arguments += [
            "--inter",
            "hellaswag",
            "--inter",
            "snli",
            "--target",
            "tatoeba",
            "--mode",
            mode,
            *settings,
        ]
        arguments += ["--set", "intermediate.max_steps=4", "--limit-eval", "2"]
        assert run([str(argument) for argument in arguments]) == 0
        for task in ("hellaswag", "snli"):
            assert (
                run(["hub", "push", str(trained(store, task)), str(root / "shelf" / f"{task}-{mode}")]) == 0
            )
    return root / "shelf"


def digests(folder: Path) -> None:
    """Make the listing true again after a change."""
    names = sorted(path.name for path in folder.iterdir() if path.name != "SHA256SUMS")
    (folder / "SHA256SUMS").write_text("".join(f"{sha256_file(folder / n)}  {n}\n" for n in names))


def test_list_show_verify(cli: Cli, shelf: Path) -> None:
    listed = cli("hub", "list", shelf, "--json")
    assert listed.code == 0, listed.err
    rows = {Path(row["address"]).name: row for row in listed.json["bundles"]}
    assert set(rows) == {f"{task}-{mode}" for task in ("hellaswag", "snli") for mode in SMALL}
    row = rows["snli-lora"]
    assert (row["tuning"], row["task"], row["format"]) == ("lora", "snli", "pair_classification")
    assert row["bytes"] == sum(path.stat().st_size for path in (shelf / "snli-lora").iterdir())
    assert str(shelf / "hellaswag-adapter") in cli("hub", "list", shelf).out
    shown = cli("hub", "show", shelf / "snli-lora")
    assert "# snli (lora)" in shown.out
    assert "adapter_model.safetensors" in shown.out
    assert cli("hub", "show", shelf / "snli-lora", "--json").json["tuning"] == "lora"
    verified = cli("hub", "verify", shelf)
    assert (verified.code, verified.out.count(": whole, ")) == (0, 6)


@pytest.mark.parametrize("mode", SMALL)
def test_an_address_stands_for_an_intermediate_task(
    cli: Cli, tiny: Tiny, shelf: Path, tmp_path: Path, mode: str
) -> None:
    address = shelf / f"hellaswag-{mode}"
    arguments = tiny("--inter", address, "--target", "xquad,tatoeba", "--mode", mode, *SMALL[mode])
    ran = cli(*arguments)
    assert ran.code == 0, ran.err
    assert [(stage["kind"], stage["task"]) for stage in ran.json["stages"]] == [
        ("fetch", "hellaswag"), ("train", "squad_v1"), ("evaluate", "xquad"), ("evaluate", "tatoeba"),
    ]  # fmt: skip
    # Training goes on as it does from a stage of one's own.
    own = cli(*tiny("--inter", "hellaswag", "--target", "xquad,tatoeba", "--mode", mode, *SMALL[mode]))
    assert own.scores() == ran.scores()
    # The key holds the digest, not the place.
    moved = Path(shutil.copytree(address, tmp_path / "elsewhere"))
    again = cli(*tiny("--inter", moved, "--target", "xquad,tatoeba", "--mode", mode, *SMALL[mode]))
    assert set(again.statuses()) == {"cached"}


@pytest.mark.parametrize(("mode", "how"), [("lora", "fuse"), ("adapter", "stack"), ("lora", "merge:ties")])
def test_addresses_combine(cli: Cli, tiny: Tiny, shelf: Path, tmp_path: Path, mode: str, how: str) -> None:
    """Two bundles of one task and a task trained here."""
    more = ("--inter", shelf / f"snli-{mode}", "--inter", "snli", "--inter", shelf / f"hellaswag-{mode}")
    ran = cli(*tiny(*more, "--target", "xquad", "--mode", mode, "--combine", how, *SMALL[mode]))
    assert ran.code == 0, ran.err
    kinds = [stage["kind"] for stage in ran.json["stages"]]
    assert kinds.count("fetch") == 2
    trained_here = [stage for stage in ran.json["stages"] if stage["task"] == "squad_v1"]
    bundle = Path(trained_here[0]["dir"]) / "bundle"
    # What it makes, folders and all, is shared and gone on with like any other.
    shared = tmp_path / "made"
    assert cli("hub", "push", bundle, shared).code == 0
    if how == "stack":
        names = {path.name for path in bundle.iterdir() if path.is_dir()}
        assert names == {"snli", "snli_again1", "hellaswag", "squad_v1"}
    more = ("--target", "xquad,tatoeba", "--mode", mode, *SMALL[mode])
    on = cli(*tiny("--inter", shared, *more))
    assert on.code == 0, on.err


def test_a_shape_of_its_own_is_gone_on_with(cli: Cli, tiny: Tiny, shelf: Path, tmp_path: Path) -> None:
    ran = cli(*tiny("--inter", shelf / "hellaswag-lora", "--target", "xquad", "--mode", "lora"))
    assert ran.code == 0, ran.err
    assert "has r = 4, and training goes on with that" in ran.err
    config = json.loads((trained(tmp_path / "store", "squad_v1") / "adapter_config.json").read_text())
    assert config["r"] == 4


def test_evaluate_and_compose_take_addresses(cli: Cli, shelf: Path, tiny_data: Path, tmp_path: Path) -> None:
    more = ("--data", tiny_data, "--store", tmp_path / "store", "--device", "cpu", "--json")
    assert cli("evaluate", shelf / "snli-lora", "--target", "xnli", *more).code == 0
    out = tmp_path / "mixed"
    ran = cli("compose", f"0.5*{shelf / 'snli-lora'} + 0.5*{shelf / 'hellaswag-lora'}", "--out", out)
    assert ran.code == 0, ran.err
    assert cli("hub", "verify", out).code == 0
    assert "adapter-stilts compose '0.5*" in (out / "README.md").read_text()


@pytest.mark.parametrize("mode", SMALL)
def test_the_cards_command_makes_the_bundle(cli: Cli, shelf: Path, tiny_data: Path, mode: str) -> None:
    """Its stages are those that are there already."""
    card = (shelf / f"snli-{mode}" / "README.md").read_text()
    words = shlex.split(next(line for line in card.splitlines() if line.startswith("adapter-stilts train")))
    assert "ADDRESS" not in words
    words[words.index("DIR")] = str(tiny_data)
    store = shelf.parent / f"store-{mode}"
    ran = cli(*words[1:], "--store", store, "--dry-run", "--json")
    assert ran.code == 0, ran.err
    stages = {stage["task"]: stage for stage in ran.json["stages"] if stage["kind"] == "train"}
    assert stages["snli"]["status"] == "cached"


def test_the_card_of_a_target_names_its_chain(
    cli: Cli, tiny: Tiny, shelf: Path, tiny_data: Path, tmp_path: Path
) -> None:
    chains = (
        ["--inter", "hellaswag", "--mode", "lora"],
        ["--inter", shelf / "hellaswag-lora", "--mode", "lora"],
        ["--inter", "hellaswag", "--inter", "snli", "--mode", "lora", "--combine", "fuse"],
        ["--inter", "hellaswag", "--inter", "snli", "--mode", "lora", "--combine", "merge:ties"],
        ["--inter", "hellaswag,snli", "--mode", "full"],
    )  # fmt: skip
    for chain in chains:
        ran = cli(*tiny(*chain, "--target", "xquad", "--set", "target.learning_rate=2e-5"))
        assert ran.code == 0, ran.err
        stage = next(stage for stage in ran.json["stages"] if stage["task"] == "squad_v1")
        command = json.loads((Path(stage["dir"]) / "bundle" / "bundle.json").read_text())["command"]
        words = shlex.split(command)
        # A bundle's own precision would be taken, were none named.
        assert ("--precision fp32" in command) == (chain[1] == shelf / "hellaswag-lora")
        words[words.index("DIR")] = str(tiny_data)
        again = cli(*words[1:], "--store", tmp_path / "store", "--dry-run", "--json")
        assert again.code == 0, again.err
        assert stage["key"] in {other["key"] for other in again.json["stages"]}, command


REFUSED: dict[str, tuple[list[str], int, str]] = {
    "misspelt": (["SHELF/helaswag-lora"], 2, "did you mean"),
    "nowhere": (["./nowhere/at-all"], 2, "nowhere/at-all: no such folder"),
    "beside a task": (["SHELF/snli-lora,hellaswag"], 2, "stands alone; repeat --inter"),
    "scheme": (["hff://org/name"], 2, "hff: is no kind of address. An address is a folder, or hf://ORG/NAME"),
    "web address": (["https://huggingface.co/org/name"], 2, "https: is no kind of address"),
    "one slash": (["hf:/org/name"], 2, "hf: is no kind of address"),
    "no name": (["hf://org"], 2, "'org' is no hub repository"),
    "no revision": (["hf://org/name@"], 2, "'' is no branch, tag or commit"),
    "odd revision": (["hf://org/name@../../x"], 2, "'../../x' is no branch, tag or commit"),
    "mode": (
        ["SHELF/snli-adapter"],
        1,
        "was trained with --mode adapter, the recipe's is lora: add --mode adapter",
    ),
}


@pytest.mark.parametrize(("inter", "code", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_before_anything_runs(
    cli: Cli, tiny: Tiny, shelf: Path, tmp_path: Path, inter: list[str], code: int, message: str
) -> None:
    named = [text.replace("SHELF", str(shelf)) for text in inter]
    ran = cli(*tiny("--inter", *named, "--target", "xquad", "--mode", "lora"))
    assert (ran.code, ran.out) == (code, "")
    assert message in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "store").exists()


def test_another_base_is_refused_before_anything_runs(
    cli: Cli, tiny: Tiny, shelf: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    for mode in ("lora", "full"):
        inter = shelf / f"snli-{mode}"
        ran = cli(*tiny("--inter", inter, "--target", "xquad", "--mode", mode, "--base", tiny_bert))
        assert (ran.code, ran.out) == (1, "")
        assert "was trained on the base" in ran.err
    assert not (tmp_path / "store").exists()


def test_pull_is_whole_or_nothing(cli: Cli, shelf: Path, tmp_path: Path, listing: Any) -> None:
    source = shelf / "snli-lora"
    pulled = cli("hub", "pull", source, tmp_path / "mine", "--json")
    assert pulled.code == 0, pulled.err
    assert pulled.json["digest"] == sha256_file(source / "SHA256SUMS")
    assert listing(tmp_path / "mine") == listing(source)
    again = cli("hub", "pull", source, tmp_path / "mine")
    assert (again.code, "is there already; name a new folder" in again.err) == (2, True)
    pushed = cli("hub", "push", source, tmp_path / "mine")
    assert (pushed.code, "is there already; name a new folder" in pushed.err) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_damaged_bundle_among_others_is_told(cli: Cli, shelf: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copytree(shelf, tmp_path / "mine"))
    with (mine / "snli-lora" / "adapter_model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    (mine / "snli-full" / "bundle.json").write_text("{")
    ran = cli("hub", "verify", mine, "--json")
    assert ran.code == 1
    assert sum("digest" in row for row in ran.json["bundles"]) == 4
    assert "adapter_model.safetensors: its digest differs from SHA256SUMS" in ran.err
    assert "cannot be read" in cli("hub", "list", mine).out


def test_wrong_commands(cli: Cli, tmp_path: Path) -> None:
    misspelt = cli("hub", "psuh", "a", "b")
    assert (misspelt.code, "unknown hub command 'psuh'; did you mean 'push'?" in misspelt.err) == (2, True)
    assert cli("hub", "verify").code == 2
    assert "no such folder; `hub push" in cli("hub", "list", tmp_path / "nowhere").err
    assert "takes hf://ORG" in cli("hub", "list", "hf://org/name").err
