"""The interquartile mean against scipy's trimmed mean and rliable's numbers; its interval against all draws."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from adapter_stilts.errors import UsageError
from adapter_stilts.report.interquartile import interquartile_interval, interquartile_mean

SCORES = [[82.5, 71.8, 65.5], [53.4, 55.3, 42.0], [43.7, 40.8, 48.7], [80.6, 72.4, 85.6], [65.1, 70.3, 88.5]]


@pytest.mark.parametrize(("seeds", "wanted"), [(5, 64.78888888888889), (4, 61.18333333333334)])
def test_as_rliable(seeds: int, wanted: float) -> None:
    """rliable 1.2.0: metrics.aggregate_iqm of (seeds, tasks)."""
    assert interquartile_mean(SCORES[:seeds]) == pytest.approx(wanted)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30))
def test_as_scipys_trimmed_mean(scores: list[float]) -> None:
    assert interquartile_mean(scores) == pytest.approx(scipy.stats.trim_mean(scores, 0.25), abs=1e-9)


def test_the_interval_draws_seeds_within_each_task() -> None:
    scores = np.asarray([[10.0, 50.0], [20.0, 80.0]])
    every = [
        interquartile_mean([[scores[a, 0], scores[c, 1]], [scores[b, 0], scores[d, 1]]])
        for a, b, c, d in product(range(2), repeat=4)
    ]
    for level in (0.5, 0.8, 0.95):
        wanted = np.quantile(every, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
        assert interquartile_interval(scores.tolist(), level=level) == pytest.approx(tuple(wanted), abs=0.01)


def test_refused() -> None:
    with pytest.raises(UsageError, match="no scores"):
        interquartile_mean([])
    with pytest.raises(UsageError, match="no finite number"):
        interquartile_mean([1.0, float("nan")])
    with pytest.raises(UsageError, match=r"shape \(1, 2\)"):
        interquartile_interval([[1.0, 2.0]])
