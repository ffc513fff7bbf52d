"""The miniature's matrix has a report: every exported cell stands in it, on a page that is small enough to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapter_stilts.report.making import make_report
from adapter_stilts.report.writing import write_report

ROOT = Path(__file__).resolve().parents[1]
STORE = ROOT / "benchmarks" / "results" / "miniature_matrix.zip"
LARGEST = 2 * 1000**2
"""Bytes of a page."""

pytestmark = pytest.mark.slow


def test_every_cell_stands_in_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADAPTER_STILTS_CACHE", str(tmp_path / "cache"))
    found = make_report(STORE, resamples=100)
    assert found.finished == found.cells == (3 * 11 + 1) * 9
    assert not found.notes
    summaries = [table for table in found.tables if table.name.startswith("summary")]
    assert sum(len(table.records) for table in summaries) == found.cells
    write_report(found, tmp_path / "report", pdfs=False)
    assert (tmp_path / "report" / "index.html").stat().st_size <= LARGEST
