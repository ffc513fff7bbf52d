"""Whether gains in points can be told beforehand, from stored features and stored truth: nothing is trained."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from adapter_stilts.select.ridge import standardised

ROOT = Path(__file__).resolve().parents[2]
STORED = json.loads((ROOT / "benchmarks" / "results" / "predicted_gain.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def benchmark(benchmarks: None) -> ModuleType:
    return importlib.import_module("predicted_gain")


def planted(noise: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Gains of ten targets that are twice what the first of five estimators says, and noise; and what they say."""
    generator = np.random.default_rng(0)
    columns = {f"target{at}": standardised(generator.normal(size=(5, 9))) for at in range(10)}
    gains = {name: 2 * said[:, 0] + noise * generator.normal(size=9) for name, said in columns.items()}
    return gains, columns


def test_a_gain_that_can_be_told_is_told(benchmark: ModuleType) -> None:
    found = benchmark.judged(*planted(0.1))
    assert found["ridge"]["error"] < 0.15
    assert found["ridge"]["clear"] > 0.7
    assert found["ridge"]["error"] < found["zero"]["error"] / 5


def test_intervals_hold_nine_in_ten_gains(benchmark: ModuleType) -> None:
    found = benchmark.judged(*planted(1.0))
    assert all(0.82 <= one["coverage"] <= 0.98 for one in found.values())
    assert found["ridge"]["half_width"] == pytest.approx(1.7, abs=0.4)


def test_of_noise_nothing_is_told(benchmark: ModuleType) -> None:
    generator = np.random.default_rng(1)
    _, columns = planted(0)
    gains = {name: 3 + generator.normal(size=9) for name in columns}
    found = benchmark.judged(gains, columns)
    assert found["ridge"]["error"] == pytest.approx(found["mean"]["error"], rel=0.1)
    assert found["mean"]["error"] < found["zero"]["error"] / 2


def test_what_is_stored_is_what_the_truth_says(benchmark: ModuleType) -> None:
    suggest = benchmark.suggest
    assert benchmark.results(suggest.truth(), suggest.read_features()) == STORED["results"]


def test_the_page_says_what_was_measured(benchmark: ModuleType) -> None:
    """After a change: paste what `benchmarks/predicted_gain.py --markdown` prints between the marks."""
    page = (ROOT / "docs" / "suggest.md").read_text(encoding="utf-8")
    shown = page.partition("<!-- predicted gain -->\n")[2].partition("<!-- /predicted gain -->")[0]
    assert shown == benchmark.markdown(STORED["results"])
    assert all(one["clear"] == 0 for row in STORED["results"] for one in row["ways"].values())
