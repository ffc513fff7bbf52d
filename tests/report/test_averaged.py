"""Cells whose weights are a mean stand apart from those that dev chose, and say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapter_stilts.report.making import make_report
from adapter_stilts.report.pairing import compare

Right = Callable[[str], Any]


def filled(made: Any, right: Right) -> None:
    made.cell("none", "xnli", {"de": right("1100"), "es": right("1010")})
    made.cell("mnli", "xnli", {"de": right("1110"), "es": right("1010")})
    about = {"dev": None, "averaged_steps": 10, "epochs": 2.0}
    made.cell("none", "xnli", {"de": right("1101"), "es": right("1011")}, **about)
    made.cell("mnli", "xnli", {"de": right("1111"), "es": right("1111")}, **about)
    made.plan()


def test_gains_are_over_the_baseline_that_was_averaged_alike(made: Any, right: Right) -> None:
    filled(made, right)
    report = make_report(made.root, resamples=200)
    first, second = (table for table in report.tables if table.kind == "summary")
    assert (report.notes, report.finished) == ((), 4)
    assert first.title == "Intermediate tasks by targets (lora, fp32, made): means over languages"
    assert "(lora, fp32, made, mean of 10 steps)" in second.title
    gains = [{row["inter"]: row["gain"] for row in table.records} for table in (first, second)]
    assert gains == [{"none": None, "mnli": 12.5}, {"none": None, "mnli": 25.0}]
    assert [{row["averaged_steps"] for row in table.records} for table in (first, second)] == [{None}, {10}]
    assert "Checkpoint chosen on English dev." in first.captions
    assert "Mean of the weights at 10 steps of each run, none chosen on dev." in second.captions
    costs = next(table for table in report.tables if table.kind == "costs")
    assert [row[2].text for row in costs.rows] == [
        "lora",
        "lora",
        "lora, mean of 10 steps",
        "lora, mean of 10 steps",
    ]


def test_averaging_on_and_off_are_compared_by_name(made: Any, right: Right) -> None:
    filled(made, right)
    found = compare(made.root, "mnli, average 10", "mnli, average none", "xnli", resamples=200)
    assert [row["difference"] for row in found.records] == [25.0, 50.0, 37.5]
    assert "a: mnli, lora, fp32, made, average 10." in found.captions
