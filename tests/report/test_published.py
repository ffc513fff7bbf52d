"""Published rows: the page of docs lists them as the data file has them."""

from __future__ import annotations

import re
from pathlib import Path

from adapter_stilts.report.published import published_rows

PAGE = Path(__file__).parents[2] / "docs" / "report.md"


def test_the_page_lists_every_published_row() -> None:
    """After a change of `published.json`: change the table of docs/report.md."""
    (section,) = re.findall(
        r"## Published rows\n(.*?)(?=\n## |\Z)", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    head, _, *lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    shown = {
        (name, task, value)
        for (label, *values) in lines
        for name, value in zip(head[-len(values) :], values, strict=True)
        for task in [label]
    }
    names = {"accuracy": "accuracy", "f1": "F1"}
    expected = {
        (row.name, f"{row.task}, {names[row.metric]}", f"{row.value:.1f}") for row in published_rows()
    }
    assert shown == expected
    for row in published_rows():
        assert f"--inter none --target {row.task} --mode full" in section
