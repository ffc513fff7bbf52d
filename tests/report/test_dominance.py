"""Almost stochastic order against deepsig's numbers, and by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_stilts.errors import UsageError
from adapter_stilts.report.dominance import almost_stochastic_order

SCORES = st.lists(st.integers(0, 100).map(float), min_size=5, max_size=8)

# deepsig 1.2.8: aso(system, baseline, confidence_level=0.95, num_bootstrap_iterations=1000, seed=0). It integrates on
# a grid of 0.005 and draws of its own, for which the tolerance is.
DEEPSIG = {
    "shifted": ([71.2, 69.8, 72.5, 70.1, 73.0], [68.9, 70.3, 69.1, 67.7, 70.8], 0.075),
    "near": ([71.2, 69.8, 72.5, 70.1, 73.0], [70.9, 70.3, 72.1, 68.7, 73.4], 0.746),
    "worse": ([60.0, 61.5, 59.2, 62.2, 60.7], [63.0, 61.4, 64.8, 62.9, 63.3], 1.0),
    "unlike numbers": ([71.2, 69.8, 72.5, 70.1, 73.0, 70.7, 71.9], [69.9, 70.3, 71.1, 68.7, 72.8], 0.477),
    "greater throughout": ([80.0, 81.0, 82.0, 83.0, 84.0], [70.0, 71.0, 72.0, 73.0, 74.0], 0.0),
    "wide against narrow": (
        [60.0, 65.0, 70.0, 75.0, 80.0, 85.0, 62.0, 78.0], [70.0, 71.0, 70.5, 69.5, 70.2, 70.8, 69.9, 71.1], 0.697
    ),
}  # fmt: skip


@pytest.mark.parametrize(("system", "baseline", "epsilon"), DEEPSIG.values(), ids=DEEPSIG)
def test_as_deepsig(system: list[float], baseline: list[float], epsilon: float) -> None:
    assert almost_stochastic_order(system, baseline).minimal_epsilon == pytest.approx(epsilon, abs=0.03)


def test_by_hand() -> None:
    """Sorted, the differences are 2, 2, 2, 2 and -1: squared 17 in all, 1 of it below."""
    found = almost_stochastic_order([2.0, 3.0, 4.0, 5.0, 6.0], [0.0, 1.0, 2.0, 3.0, 7.0])
    assert found.violation == pytest.approx(1 / 17)
    assert found.violation < found.minimal_epsilon <= 1


def test_steps_of_unlike_numbers_by_hand() -> None:
    """Five scores against six: the quantile functions have their steps at fifths and sixths."""
    found = almost_stochastic_order([1.0, 1.0, 1.0, 1.0, 3.0], [0.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    # 1 above up to 1/6, then 1 below up to 4/5, then 1 above.
    assert found.violation == pytest.approx(4 / 5 - 1 / 6)


@given(SCORES, SCORES)
def test_one_ratio_is_what_the_other_leaves(system: list[float], baseline: list[float]) -> None:
    ahead = almost_stochastic_order(system, baseline, resamples=50)
    behind = almost_stochastic_order(baseline, system, resamples=50)
    assert ahead.violation + behind.violation == pytest.approx(1.0)
    assert not (ahead.almost_greater and behind.almost_greater)
    assert ahead == almost_stochastic_order(system[::-1], sorted(baseline), resamples=50)


def test_equal_scores_say_nothing() -> None:
    found = almost_stochastic_order([50.0] * 5, [50.0] * 5)
    assert (found.violation, found.minimal_epsilon, found.almost_greater) == (0.5, 0.5, False)


@pytest.mark.parametrize(
    ("system", "told"),
    [
        ([1.0, 2.0, 3.0, 4.0], "4 seeds; almost stochastic order needs 5 of each system"),
        ([1.0, 2.0, 3.0, 4.0, float("nan")], "no finite number"),
    ],
)
def test_refused(system: list[float], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        almost_stochastic_order(system, [1.0] * 5)
