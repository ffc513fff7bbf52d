"""Intervals and p-values by hand and against simulation; what is told where scipy is missing."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from adapter_stilts.errors import UsageError
from adapter_stilts.report import libraries
from adapter_stilts.report.counts import Floats
from adapter_stilts.report.intervals import (
    LEAST_P_VALUE,
    Interval,
    Variances,
    expanded,
    expanded_p_value,
    percentile,
    percentile_p_value,
    student,
    variances,
)


def test_percentiles_by_hand() -> None:
    values = np.arange(101.0)
    assert percentile(values, 0.9) == pytest.approx((5.0, 95.0))
    interval = Interval(5.0, 95.0, 0.9, "examples", "percentile")
    assert [interval.holds(value) for value in (4.9, 5.0, 95.0, 95.1)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("values", "p_value"),
    [
        ([1.0] * 99, 2 * 1 / 100),
        ([-1.0] * 99, 2 * 1 / 100),
        ([1.0] * 95 + [-1.0] * 4, 2 * 5 / 100),
        ([0.0] * 99, 1.0),
        ([1.0] * 90 + [0.0] * 9, 2 * 10 / 100),
    ],
)
def test_p_values_by_hand(values: list[float], p_value: float) -> None:
    assert percentile_p_value(np.asarray(values)) == pytest.approx(p_value)


@given(st.integers(2, 2000), st.floats(0.5, 0.99))
def test_expanded_is_wider_and_nears_the_level(examples: int, level: float) -> None:
    found = expanded(level, examples)
    assert level < found <= 1
    assert expanded(level, 10**7) == pytest.approx(level, abs=1e-6)


def test_expanded_of_a_normal_sample_is_students() -> None:
    """Resamples of the mean of ten that are normal: the quantiles at the expanded level are Student's bounds."""
    deviation = math.sqrt(0.9)  # of a resample's mean, where the sample's standard error is 1
    low = scipy.stats.norm.ppf((1 - expanded(0.95, 10)) / 2, scale=deviation)
    assert low == pytest.approx(scipy.stats.t.ppf(0.025, 9))
    # And the p-value of resamples whose quantile at that level is 0 is 0.05.
    values = scipy.stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000, loc=-low, scale=deviation)
    assert expanded_p_value(values, 10) == pytest.approx(0.05, abs=1e-4)


def crossed(generator: np.random.Generator, spreads: tuple[float, float, float]) -> Floats:
    """Five seeds' scores on two hundred examples: seed + example + seed × example."""
    seed, example, both = spreads
    return (
        seed * generator.standard_normal((5, 1))
        + example * generator.standard_normal(200)
        + both * generator.standard_normal((5, 200))
    )


@pytest.mark.parametrize("spreads", [(1.0, 0.0, 0.0), (0.0, 5.0, 0.0), (0.0, 0.0, 5.0), (0.5, 4.0, 3.0)])
def test_variances_are_those_of_the_layout(spreads: tuple[float, float, float]) -> None:
    """In the mean over 200 tables; the expected value of each is known."""
    generator = np.random.default_rng(0)
    found = np.zeros(3)
    for _ in range(200):
        table = crossed(generator, spreads)
        drawn = generator.multinomial(200, np.full(200, 1 / 200), size=100) / 200
        estimated = variances(table.mean(axis=1), drawn @ table.T, 200)
        found += [estimated.seeds, estimated.examples, estimated.both]
    seed, example, both = (spread**2 for spread in spreads)
    wanted = [seed / 5 + both / 1000, example / 200 + both / 1000, both / 1000]
    assert found / 200 == pytest.approx(wanted, rel=0.12, abs=1e-12)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.995])
def test_half_by_hand(level: float) -> None:
    """Seeds alone: Student's of two degrees of freedom; examples alone: of 399; both: squares are added."""
    t = scipy.stats.t.ppf((1 + level) / 2, [2, 399])
    assert Variances(4.0, 0.0, 0.0, 3, 400).half(level) == pytest.approx(2 * t[0])
    assert Variances(0.0, 9.0, 0.0, 3, 400).half(level) == pytest.approx(3 * t[1])
    both = Variances(4.0, 9.0, 1.0, 3, 400).half(level)
    assert both == pytest.approx(math.sqrt(4 * t[0] ** 2 + 8 * t[1] ** 2))
    # Seeds that happen to agree leave no less than the examples' own.
    assert Variances(0.0, 9.0, 5.0, 3, 400).half(level) == pytest.approx(3 * t[1])


@given(st.floats(0, 5), st.floats(0, 5), st.floats(0.01, 8))
def test_p_value_and_interval_of_seeds_agree(seeds: float, examples: float, value: float) -> None:
    found = Variances(seeds, examples, examples / 3, 3, 400)
    low, high, p_value = student(value, found, 0.95)
    assert (low + high) / 2 == pytest.approx(value)
    assert student(-value, found, 0.95)[2] == p_value
    if 1e-9 < p_value < 0.999:
        assert student(value, found, 1 - p_value)[0] == pytest.approx(0.0, abs=1e-3 * value)


def test_student_of_seeds_alone_is_the_t_test() -> None:
    scores = np.asarray([1.0, 3.0, 4.0])
    low, high, p_value = student(scores.mean(), variances(scores, np.tile(scores, (50, 1)), 30), 0.95)
    wanted = scipy.stats.ttest_1samp(scores, 0)
    assert (low, high) == pytest.approx(tuple(wanted.confidence_interval(0.95)))
    assert p_value == pytest.approx(wanted.pvalue, rel=1e-4)


def test_errors_are_no_more_frequent_than_the_level_says() -> None:
    """Three seeds of several spreads, as normal errors: also at the level that Holm asks for of ten languages."""
    generator = np.random.default_rng(0)
    for seed, example, both in ((0.0, 0.6, 0.4), (1.0, 0.6, 0.4), (4.0, 0.6, 0.4), (0.0, 0.0, 1.0)):
        error = generator.standard_normal(4000) * math.sqrt(seed + example + both)
        estimated = (seed + both) * generator.chisquare(2, 4000) / 2
        halves = [
            [Variances(each, example + both, both, 3, 10_000).half(level) for each in estimated]
            for level in (0.95, 0.995)
        ]
        assert (abs(error) > halves[0]).mean() < 0.055
        assert (abs(error) > halves[1]).mean() < 0.0085


def test_student_where_all_agree() -> None:
    nothing = variances(np.asarray([2.0, 2.0]), np.full((10, 2), 2.0), 30)
    assert student(2.0, nothing, 0.95) == (2.0, 2.0, LEAST_P_VALUE)
    assert student(0.0, nothing, 0.95) == (0.0, 0.0, 1.0)


def test_without_scipy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    libraries.scipy_part.cache_clear()
    with pytest.raises(UsageError, match=r"an interval over examples needs scipy .*adapter-stilts\[report\]"):
        expanded(0.95, 10)
    with pytest.raises(UsageError, match="a rank needs scipy"):
        libraries.scipy_part("special", "a rank")


def test_nothing_heavy_is_imported() -> None:
    code = """
import sys
from adapter_stilts.report import comparison, dominance, interquartile, multiplicity, ranking, scores
print(sorted({'torch', 'transformers', 'scipy', 'pandas', 'matplotlib'} & set(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
