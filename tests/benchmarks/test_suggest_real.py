"""How well `suggest` ranked on a real encoder, from stored scores and stored truth: nothing is trained."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
STORED = json.loads((ROOT / "benchmarks" / "results" / "suggest_real.json").read_text(encoding="utf-8"))
KINDS = ("tasks", "bundles")


@pytest.fixture(scope="module")
def benchmark(benchmarks: None) -> ModuleType:
    return importlib.import_module("suggest_real")


def test_what_is_stored_is_what_the_truth_says(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADAPTER_STILTS_CACHE", str(tmp_path))
    sources, gains = benchmark.truth()
    assert list(sources) == STORED["sources"]
    assert {target: list(by_seed) for target, by_seed in gains.items()} == {"udpos": [0], "uner": [0]}
    assert gains["uner"][0]["squad_v1"] == pytest.approx(-18.85, abs=0.01)
    for kind in KINDS:
        assert benchmark.judged(sources, gains, STORED[kind]["scores"]) == STORED[kind]["results"]


def test_a_ranking_by_the_truth_is_whole_and_its_reverse_loses_most(benchmark: ModuleType) -> None:
    sources = ("a", "b", "c")
    gains = {"uner": {0: {"a": -1.0, "b": 3.0, "c": 0.0}}}
    scores = {"right": [0.1, 0.9, 0.5], "wrong": [0.9, 0.1, 0.5]}
    (row,) = benchmark.judged(sources, gains, {"uner": scores})
    assert (row["quality"]["right"]["ndcg"], row["quality"]["right"]["regret1"]) == (1, 0)
    assert row["quality"]["wrong"]["regret1"] == 4
    assert row["quality"]["wrong"]["ndcg"] < row["quality"]["chance"]["ndcg"] < 1


def test_the_page_says_what_was_measured(benchmark: ModuleType) -> None:
    """After a change: paste what `benchmarks/suggest_real.py --markdown` prints between the marks."""
    page = (ROOT / "docs" / "suggest.md").read_text(encoding="utf-8")
    shown = page.partition("<!-- real -->\n")[2].partition("<!-- /real -->")[0]
    assert shown == benchmark.markdown(STORED)
