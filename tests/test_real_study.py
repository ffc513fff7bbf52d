"""The table of the study on a real encoder is that of its exported results."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adapter_stilts.report.making import make_report

ROOT = Path(__file__).resolve().parents[1]
NAMES = {"UDPOS": "udpos", "UNER": "uner", "Tatoeba": "tatoeba", "LAReQA": "lareqa"}


def test_scores_and_gains_are_those_of_the_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADAPTER_STILTS_CACHE", str(tmp_path))
    page = (ROOT / "docs" / "miniature.md").read_text(encoding="utf-8")
    section = page.partition("### A study on a real encoder")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\w+), .*? \| ([\d.]+) \| (\S+) .*? \| (\S+) ", section, re.MULTILINE)
    told = {NAMES[name]: [float(cell.replace("−", "-")) for cell in cells] for name, *cells in rows}
    found = make_report(ROOT / "benchmarks" / "results" / "real_small.zip", resamples=100)
    assert (found.finished, found.cells) == (24, 24)
    records = [
        record for table in found.tables if table.name.startswith("summary") for record in table.records
    ]
    ours = {(record["target"], record["inter"]): record for record in records}
    assert told.keys() == {target for target, _ in ours}
    for target, (score, *gains) in told.items():
        assert score == pytest.approx(ours[target, "none"]["score"], abs=0.051)
        for inter, gain in zip(("hellaswag", "snli"), gains, strict=True):
            assert gain == pytest.approx(ours[target, inter]["gain"], abs=0.051)
