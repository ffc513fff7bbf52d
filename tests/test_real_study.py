"""The table of the study on a real encoder is that of its exported results."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import fmean

import pytest

from adapter_stilts.report.collect import collect

ROOT = Path(__file__).resolve().parents[1]
NAMES = {"UDPOS": "udpos", "UNER": "uner", "Tatoeba": "tatoeba", "LAReQA": "lareqa"}
NONE = "none"


def numbers(cell: str) -> list[float]:
    """Of each seed, in their order."""
    return [float(number.replace("−", "-")) for number in cell.split(", ")]


def test_scores_and_gains_of_each_seed_are_those_of_the_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADAPTER_STILTS_CACHE", str(tmp_path))
    page = (ROOT / "docs" / "miniature.md").read_text(encoding="utf-8")
    section = page.partition("### A study on a real encoder")[2].partition("\n## ")[0]
    head, _, *rows = [line.strip("| ").split(" | ") for line in re.findall(r"^\|.*", section, re.MULTILINE)]
    inters = head[1:]
    told = {
        (NAMES[name.partition(",")[0]], inter): numbers(cell)
        for name, *cells in rows
        for inter, cell in zip(inters, cells, strict=True)
    }
    found = collect(ROOT / "benchmarks" / "results" / "real_small.zip")
    assert (len(found.found), len(found.planned)) == (40, 40)
    scores: dict[tuple[str, str], dict[int, float]] = {}
    for one in found.found:
        assert (one.cell.setting.mode, one.cell.setting.evaluation_limit) == ("lora", 100)
        assert one.cell.seed is not None
        by_seed = scores.setdefault((one.cell.setting.target, one.cell.system.inter), {})
        by_seed[one.cell.seed] = fmean(one.metrics["average"].values())
    assert told.keys() == scores.keys()
    for (target, inter), by_seed in scores.items():
        less = dict.fromkeys(by_seed, 0.0) if inter == NONE else scores[target, NONE]
        ours = [by_seed[seed] - less[seed] for seed in sorted(by_seed)]
        assert told[target, inter] == pytest.approx(ours, abs=0.051)
