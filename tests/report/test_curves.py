"""Learning curves of a store: whose they are, what their tables say, what their figures draw."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from adapter_stilts.report import page as page_module
from adapter_stilts.report.drawing import Drawing, Label, Marks, Strokes, svg
from adapter_stilts.report.figures import figures
from adapter_stilts.report.making import Report, make_report
from adapter_stilts.report.page import page
from adapter_stilts.report.tables import Table
from adapter_stilts.report.writing import write_report
from adapter_stilts.stages.exporting import export_results
from adapter_stilts.stages.plans import read_plan

STEPS = 60


@pytest.fixture(scope="module")
def store(making: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trainings of 60 steps with ten dev evaluations, the last but one of which is the best."""
    root: Path = tmp_path_factory.mktemp("learnt") / "runs"
    making.matrix(root, steps=STEPS, modes=("lora",), targets=("xnli", "xquad", "tatoeba"), examples=20)
    return root


@pytest.fixture(scope="module")
def report(store: Path) -> Report:
    return make_report(store, resamples=200, by=(), curves=True)


def table(report: Report, name: str) -> Table:
    (found,) = [one for one in report.tables if one.name == name]
    return found


def test_logs_are_not_read_unasked(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter_stilts.report.learning._steps", lambda log: pytest.fail("a log was read"))
    found = make_report(store, resamples=200, by=())
    assert not [one for one in found.tables if one.kind == "curves"]


def test_each_target_has_its_trainings_and_what_comes_before_stands_once(report: Report) -> None:
    names = [one.name for one in report.tables if one.kind == "curves"]
    assert names == ["curves-1-xnli", "curves-1-xquad", "curves-before-1"]  # nothing is trained for Tatoeba
    rows = [row[0].text for row in table(report, "curves-1-xquad").rows]
    assert rows == ["none", "mnli", "hellaswag"]
    before = table(report, "curves-before-1")
    assert [row[0].text for row in before.rows] == ["mnli", "hellaswag"]
    assert {str(row["stage"]).rsplit("-", 1)[0] for row in before.records} == {
        "train-mnli",
        "train-hellaswag",
    }
    trained = {str(row["stage"]).rsplit("-", 1)[0] for row in table(report, "curves-1-xquad").records}
    assert trained == {"train-squad_v1"}
    assert len({row["stage"] for row in table(report, "curves-1-xquad").records}) == 3 * 3


def test_a_row_tells_steps_scores_and_losses_over_seeds(report: Report) -> None:
    cells = [cell.text for cell in table(report, "curves-1-xquad").rows[0]]
    kept, last = [67.0, 68.0, 69.0], [65.5, 66.5, 67.5]  # as `made_store` writes them, by seed
    first = [fmean((1 + seed / 10) / step for step in (1, 2)) for seed in range(3)]
    assert cells[:6] == [
        "none",
        "3",
        "60",
        "54",
        f"{fmean(kept):.2f} ± {stdev(kept):.2f}",
        f"{fmean(last):.2f} ± {stdev(last):.2f}",
    ]
    assert cells[6] == f"{fmean(first):.3f} ± {stdev(first):.3f}"


def test_the_file_has_a_row_a_point(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path, pdfs=False)
    with (tmp_path / "curves-1-xquad.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    one = [row for row in rows if (row["of"], row["seed"]) == ("mnli", "1")]
    dev = [(int(row["step"]), float(row["value"])) for row in one if row["curve"] == "dev"]
    assert dev == [(6 * place, 41.0 + 3 * (8.5 if place == 10 else place)) for place in range(1, 11)]
    assert [row["step"] for row in one if row["kept"] == "True"] == ["54"]
    assert len([row for row in one if row["curve"] == "loss"]) == 30


def test_a_panel_draws_a_line_a_seed_and_the_baseline_behind(report: Report) -> None:
    drawing = figures(report.tables)["curves-1-xquad"]
    strokes = [shape for shape in drawing.shapes if isinstance(shape, Strokes)]
    faint = [shape for shape in strokes if shape.kind == "faint"]
    assert [len(shape.lines) for shape in faint] == [27, 27]  # of three seeds, behind the two other panels
    ink = [shape for shape in strokes if shape.kind == "ink"]
    assert [len(shape.lines) for shape in ink] == [27, 87] * 3
    marks = [shape for shape in drawing.shapes if isinstance(shape, Marks) and shape.title]
    assert [mark.title for mark in marks][:2] == [
        "seed 0: 67.00 on dev at step 54, the weights that were kept",
        "seed 1: 68.00 on dev at step 54, the weights that were kept",
    ]
    # A higher score stands higher, a later step further right.
    (x, y, to, down), *_ = ink[0].lines
    assert to > x
    assert down < y
    texts = [shape.text for shape in drawing.shapes if isinstance(shape, Label)]
    assert {"none", "mnli", "hellaswag", "seed 0", "seed 1", "seed 2"} <= set(texts)


def test_lines_that_go_on_are_one_path() -> None:
    lines = ((0.0, 0.0, 1.0, 1.0), (1.0, 1.0, 2.0, 1.0), (5.0, 5.0, 6.0, 6.0))
    shown = svg(Drawing("a", "a", "a", 9, 9, (Strokes(lines, "ink"),)), inline=True)
    assert 'd="M0 0L1 1H2M5 5L6 6"' in shown


def test_an_exported_store_has_dev_scores_and_says_that_losses_are_missing(
    store: Path, report: Report, tmp_path: Path
) -> None:
    export_results(read_plan(store / "plans" / "made.json"), tmp_path / "out")
    found = table(make_report(tmp_path / "out", resamples=200, by=(), curves=True), "curves-1-xquad")
    assert found.captions[-1] == "Loss where there is log.jsonl, which an exported store lacks."
    assert [cell.text for cell in found.rows[0]][-2:] == ["–", "–"]
    whole = [row for row in table(report, "curves-1-xquad").records if row["curve"] == "dev"]
    assert list(found.records) == whole
    assert "curves-1-xquad" in figures([found])


def test_a_store_of_an_older_version_has_losses_and_says_that_scores_are_missing(
    made: Any, right: Callable[[str], Any]
) -> None:
    for inter in ("none", "mnli"):
        made.cell(inter, "xnli", {"de": right("1100")})
    path = made.plan()
    for directory in path.parent.parent.glob("train-*"):
        (directory / "log.jsonl").write_text('{"step": 1, "loss": 2.5}\n', encoding="utf-8")
    found = make_report(made.root, resamples=200, by=(), curves=True)
    curves = table(found, "curves-1-xnli")
    assert [cell.text for cell in curves.rows[0]][-2:] == ["2.500", "2.500"]
    drawing = figures([curves])["curves-1-xnli"]
    assert not [shape for shape in drawing.shapes if isinstance(shape, Marks)]


def test_without_logs_and_scores_there_is_no_figure_and_a_note(
    made: Any, right: Callable[[str], Any]
) -> None:
    for inter in ("none", "mnli"):
        made.cell(inter, "xnli", {"de": right("1100")})
    made.plan()
    found = make_report(made.root, resamples=200, by=(), curves=True)
    assert not [one for one in found.tables if one.kind == "curves"]
    assert [note for note in found.notes if note.startswith("no learning curves of 3 train stages: there is")]


def test_the_page_has_them_and_leaves_them_out_first_for_want_of_room(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = figures(report.tables)
    text = page(report, drawn)
    assert 'id="curves-before-1"' in text
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(re.findall(r'id="([^"]+)"', text))
    monkeypatch.setattr(page_module, "LARGEST", len(text.encode()) - 1)
    smaller = page(report, drawn)
    assert "For want of room learning curves stand in the files beside this page alone." in smaller
    assert 'id="curves-before-1"' not in smaller
    assert 'id="gains"' in smaller


def test_a_page_that_is_renewed_loads_itself_anew(report: Report) -> None:
    renewed, plain = (page(report, {}, renewed) for renewed in (True, False))
    assert '<meta http-equiv="refresh" content="60">' in renewed
    assert "this page loads itself anew every 60 seconds" in renewed
    assert "refresh" not in plain
