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
    Interval,
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


def test_the_variance_of_the_mean() -> None:
    generator = np.random.default_rng(1)
    means, totals = [], []
    for _ in range(600):
        table = crossed(generator, (0.5, 4.0, 3.0))
        drawn = generator.multinomial(200, np.full(200, 1 / 200), size=60) / 200
        means.append(table.mean())
        totals.append(variances(table.mean(axis=1), drawn @ table.T, 200).total)
    assert np.mean(totals) == pytest.approx(np.var(means), rel=0.15)


def test_degrees_of_freedom_lie_between_seeds_and_examples() -> None:
    values = np.random.default_rng(0).standard_normal((1000, 3))
    apart = variances(np.asarray([0.0, 50.0, 100.0]), values, 500)
    assert apart.freedom == pytest.approx(2.0, abs=0.01)
    alike = variances(np.asarray([1.0, 1.0, 1.0]), np.repeat(values[:, :1], 3, axis=1), 500)
    assert alike.freedom == pytest.approx(499.0)


def test_student_where_all_agree() -> None:
    nothing = variances(np.asarray([2.0, 2.0]), np.full((10, 2), 2.0), 30)
    assert student(2.0, nothing, 0.95) == (2.0, 2.0, 0.0)
    assert student(0.0, nothing, 0.95) == (0.0, 0.0, 1.0)


def test_without_scipy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.special", None)
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
