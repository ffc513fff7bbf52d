"""`report --watch`: the page is written anew as cells are finished; between two looks these tests are the matrix."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from adapter_stilts.cli import report_watch

Cli = Callable[..., Any]
FEW = ("--resamples", 200, "--by", "total")


class UnderWay:
    """A store whose evaluations appear one by one."""

    def __init__(self, making: ModuleType, root: Path) -> None:
        making.matrix(root, inters=("none", "mnli"), targets=("xnli",), modes=("lora",), seeds=2)
        self.root = root
        self.cells = [one["evaluate"] for one in json.loads(self.plan.read_text(encoding="utf-8"))["cells"]]
        for name in self.cells:
            (root / name).rename(root.parent / name)

    @property
    def plan(self) -> Path:
        return self.root / "plans" / "made.json"

    def finish(self, name: str) -> None:
        (self.root.parent / name).rename(self.root / name)

    def fail(self, name: str) -> None:
        (self.root / "failed").mkdir(exist_ok=True)
        (self.root / "failed" / f"{name}.json").write_text('{"error": "no memory"}', encoding="utf-8")


@pytest.fixture
def store(making: ModuleType, tmp_path: Path) -> UnderWay:
    return UnderWay(making, tmp_path / "runs")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No rest between two reports."""
    monkeypatch.setattr(report_watch, "SHARE", float("inf"))


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Iterable[Callable[[], None]]], list[float]]:
    """What happens in each pause, and then Ctrl-C; how long the pauses were to be."""

    def call(events: Iterable[Callable[[], None]]) -> list[float]:
        left, pauses = iter(events), []

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            event = next(left, None)
            if event is None:
                raise KeyboardInterrupt
            event()

        monkeypatch.setattr(report_watch.time, "sleep", sleep)
        return pauses

    return call


def page(folder: Path) -> str:
    return (folder / "index.html").read_text(encoding="utf-8")


def test_it_is_written_as_cells_are_finished_and_ends_with_the_plan(
    cli: Cli, store: UnderWay, meanwhile: Any, tmp_path: Path
) -> None:
    first, second, third, fourth = store.cells
    seen = []

    def look() -> None:
        seen.append(page(tmp_path / "out"))

    pauses = meanwhile(
        [
            lambda: store.finish(first),
            look,  # nothing new
            lambda: (store.finish(second), store.finish(third)),
            look,
            lambda: store.finish(fourth),
        ]
    )
    ran = cli("report", store.root, "--plan", "made", *FEW, "--out", tmp_path / "out", "--watch")
    assert ran.code == 0, ran.err
    told = [line for line in ran.err.splitlines() if line.startswith(("waiting:", "written:"))]
    shown = tmp_path / "out" / "index.html"
    assert told[0].startswith(
        f"waiting: {store.root}: nothing to report: none of 4 planned cells is finished"
    )
    assert told[1:4] == [f"written: {shown}, {count} of 4 planned cells" for count in (1, 3, 4)]
    assert told[4].startswith(f"written: {shown} and ")
    assert len(told) == 5
    assert [text.count('http-equiv="refresh"') for text in seen] == [1, 1]
    assert "1 of 4 planned cells. Being renewed" in seen[0]
    assert "refresh" not in page(tmp_path / "out")
    assert "Being renewed" not in page(tmp_path / "out")
    assert ran.out.splitlines()[0] == f"4 of 4 planned cells of {store.root}"
    assert set(pauses) == {report_watch.PAUSE}


def test_it_rests_after_a_report_but_not_after_the_last_cell(
    cli: Cli, store: UnderWay, meanwhile: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_watch, "SHARE", 1e-6)
    first, *others = store.cells
    store.finish(first)
    meanwhile([lambda name=name: store.finish(name) for name in others])
    ran = cli("report", store.root, "--plan", "made", *FEW, "--out", tmp_path / "out", "--watch")
    written = [line.rpartition(", ")[2] for line in ran.err.splitlines() if line.endswith("planned cells")]
    assert written == ["1 of 4 planned cells", "4 of 4 planned cells"]


def test_the_page_is_in_the_end_what_report_writes(
    cli: Cli, store: UnderWay, meanwhile: Any, tmp_path: Path
) -> None:
    meanwhile([lambda name=name: store.finish(name) for name in store.cells])
    assert cli("report", store.root, "--plan", "made", *FEW, "--out", tmp_path / "a", "--watch").code == 0
    assert cli("report", store.root, "--plan", "made", *FEW, "--out", tmp_path / "b").code == 0
    files = {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == files


def test_without_a_plan_it_looks_on_until_ctrl_c(
    cli: Cli, store: UnderWay, meanwhile: Any, tmp_path: Path
) -> None:
    pauses = meanwhile([lambda name=name: store.finish(name) for name in store.cells] + [lambda: None] * 3)
    ran = cli("report", store.root, *FEW, "--out", tmp_path / "out", "--watch")
    assert (ran.code, ran.out) == (0, "")
    assert len(pauses) == 8
    assert ran.err.splitlines()[-1] == (
        f"stopped: {tmp_path / 'out' / 'index.html'} shows 4 of 4 planned cells; the same command goes on"
    )
    assert "refresh" not in page(tmp_path / "out")


def test_ctrl_c_before_anything_is_finished(
    cli: Cli, store: UnderWay, meanwhile: Any, tmp_path: Path
) -> None:
    meanwhile([])
    ran = cli("report", store.root, *FEW, "--out", tmp_path / "out", "--watch")
    assert ran.code == 0
    assert ran.err.splitlines()[-1] == "stopped: no cell is finished, and no page written"
    assert not (tmp_path / "out").exists()


def test_what_failed_is_told_in_the_end(cli: Cli, store: UnderWay, meanwhile: Any, tmp_path: Path) -> None:
    *good, bad = store.cells
    meanwhile([*(lambda name=name: store.finish(name) for name in good), lambda: store.fail(bad)])
    ran = cli("report", store.root, "--plan", "made", *FEW, "--out", tmp_path / "out", "--watch")
    assert ran.code == 0
    assert "failed: xnli: no memory" in ran.err
    assert f"retry:  adapter-stilts stage {store.plan} {bad}" in ran.err
    assert "3 of 4 planned cells." in page(tmp_path / "out")


def test_where_all_failed_there_is_nothing_to_report(
    cli: Cli, store: UnderWay, meanwhile: Any, tmp_path: Path
) -> None:
    for name in store.cells:
        store.fail(name)
    ran = cli("report", store.root, "--plan", "made", *FEW, "--out", tmp_path / "out", "--watch")
    assert ran.code == 2
    assert ran.err.count("retry:") == 4
    assert "nothing to report: none of 4 planned cells is finished" in ran.err.splitlines()[-1]


def test_files_that_a_later_report_does_not_have_go(
    cli: Cli,
    making: ModuleType,
    store: UnderWay,
    meanwhile: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second mode's summary is numbered, and so is the first one's then."""
    out = tmp_path / "out"
    names: list[set[str]] = []

    def another_mode() -> None:
        names.append({path.name for path in out.iterdir()})
        making.matrix(store.root, inters=("none", "mnli"), targets=("xnli",), modes=("full",), seeds=2)

    def look() -> None:
        names.append({path.name for path in out.iterdir()})

    for name in store.cells:
        store.finish(name)
    first = store.plan.read_text(encoding="utf-8")
    meanwhile([another_mode, lambda: (store.root / "plans" / "one.json").write_text(first), look])
    ran = cli("report", store.root, *FEW, "--out", out, "--watch")
    assert ran.code == 0
    assert "summary.csv" in names[0]
    assert "summary-1.csv" in names[1]
    assert "summary.csv" not in names[1]


def test_a_page_is_needed(cli: Cli, store: UnderWay) -> None:
    ran = cli("report", store.root, "--watch")
    assert ran.code == 2
    assert "--watch renews a page: name its folder with --out DIR" in ran.err


def test_what_is_not_there_is_told_at_once(cli: Cli, store: UnderWay, tmp_path: Path) -> None:
    asked = ("--out", tmp_path / "out", "--watch")
    nowhere = cli("report", tmp_path / "nowhere", *asked)
    assert (nowhere.code, nowhere.out) == (2, "")
    assert nowhere.err.startswith(f"error: {tmp_path / 'nowhere'}: no such store")
    (tmp_path / "results.zip").write_bytes(b"")
    export = cli("report", tmp_path / "results.zip", *asked)
    assert export.code == 2
    assert f"{tmp_path / 'results.zip'}: exported results do not change; name the folder" in export.err
    unknown = cli("report", store.root, "--plan", "0123abcd", *asked)
    assert unknown.code == 2
    assert "unknown plan '0123abcd'. Choices: made" in unknown.err
