"""What `print` says of results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapter_stilts.results import CellResult, Results, Trained
from adapter_stilts.stages.cells import Cell, Limits, Taught

WHOLE: Any = {"average": {"exact_match": 14.354, "f1": 21.7}, "languages": {}}


def result(
    inter: str, metrics: Any, seed: int | None = 0, languages: tuple[str, ...] = ("en",)
) -> CellResult:
    stage: Any = None  # of which nothing is told
    cell = Cell(inter, "tydiqa", stage, "lora", "fp32", "miniature", seed, Limits(), taught=Taught(languages))
    return CellResult(cell, metrics, Path("runs"), None)


def test_a_line_a_cell_and_a_note() -> None:
    cells = (
        result("none", WHOLE, languages=("sw",)),
        result("hellaswag", WHOLE, seed=None),
        result("mnli", None),
    )
    assert str(Results("xtreme", cells, (), ("one cell is left out",))).splitlines() == [
        "none, trained in sw, tydiqa (lora, fp32, seed 0): exact_match 14.35, f1 21.70",
        "hellaswag, tydiqa (lora, fp32): exact_match 14.35, f1 21.70",
        "mnli, tydiqa (lora, fp32, seed 0): not finished",
        "note: one cell is left out",
    ]


def test_a_line_of_what_no_target_follows() -> None:
    trained = [
        Trained("mnli", "mnli", Path("bundle"), {"accuracy": 54.0}, ("en",)),
        Trained("tlm", "tlm", Path("bundle"), {}, ()),
        Trained("qqp", "qqp", Path("bundle"), None, ("en",)),
    ]
    assert str(Results("xtreme", (), (), trained=tuple(trained))).splitlines() == [
        "mnli, trained: accuracy 54.00 on dev",
        "tlm, trained: no dev split",
        "qqp, trained: not finished",
    ]
