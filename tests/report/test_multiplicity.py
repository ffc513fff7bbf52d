"""Holm's adjustment against statsmodels' numbers and its definition."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_stilts.errors import UsageError
from adapter_stilts.report.multiplicity import holm

# statsmodels 0.15.0, statsmodels.stats.multitest.multipletests(p, method="holm")[1]
STATSMODELS = [
    ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
    ([0.5, 0.5, 0.5], [1.0, 1.0, 1.0]),
    ([0.001, 0.0125, 0.0125, 0.2, 0.9, 1.0, 0.0], [0.006, 0.0625, 0.0625, 0.6, 1.0, 1.0, 0.0]),
]


@pytest.mark.parametrize(("p_values", "wanted"), STATSMODELS)
def test_as_statsmodels(p_values: list[float], wanted: list[float]) -> None:
    found = holm({str(place): p for place, p in enumerate(p_values)})
    assert list(found) == [str(place) for place in range(len(p_values))]
    assert list(found.values()) == pytest.approx(wanted)


@given(st.lists(st.floats(0, 1), max_size=8), st.randoms(use_true_random=False))
def test_an_order_does_not_matter_and_none_becomes_less(p_values: list[float], order: random.Random) -> None:
    named = {str(place): p for place, p in enumerate(p_values)}
    shuffled = list(named.items())
    order.shuffle(shuffled)
    found = holm(named)
    assert holm(dict(shuffled)) == found
    assert all(named[name] <= found[name] <= 1 for name in named)
    # The least is found significant where Bonferroni's is.
    if p_values:
        assert min(found.values()) == pytest.approx(min(1.0, min(p_values) * len(p_values)))


def test_refused() -> None:
    with pytest.raises(UsageError, match=r"p-value 1.5 of de is no probability"):
        holm({"de": 1.5})
    with pytest.raises(UsageError, match="p-value nan of de"):
        holm({"de": float("nan")})
