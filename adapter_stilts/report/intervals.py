"""Intervals, and p-values that agree with them: a value lies outside the 95 % interval where p is below 0.05."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Literal, TypeAlias

import numpy as np

from adapter_stilts.errors import UsageError
from adapter_stilts.report.counts import Floats
from adapter_stilts.report.libraries import scipy_part

LEVEL = 0.95

LEAST_P_VALUE = 1e-12
"""Told where all seeds and examples agree."""

Basis: TypeAlias = Literal["examples", "seeds and examples"]
"""What would be drawn anew if the study were repeated: other examples for the same models, or other seeds, too."""

Method: TypeAlias = Literal["percentile", "expanded percentile", "t"]


@dataclass(frozen=True)
class Interval:
    """Where the true value lies.

    Args:
        low, high: in points.
        level: in how many of repeated studies such an interval holds the true value, e.g. 0.95.
        basis: what repeated studies would draw anew.
        method: quantiles of bootstrap resamples (``percentile``, ``expanded percentile``), or ``t``: estimated
            variances and Student's quantile.
    """

    low: float
    high: float
    level: float
    basis: Basis
    method: Method

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Estimate:
    """A score or a gain, and how well it is known.

    Args:
        value: as observed, in points.
        p_value: two-sided, of the true value being 0; of a gain alone it says something.
        seeds: that `value` is the mean of.
        examples: of the languages it is counted from, each once.
    """

    value: float
    interval: Interval
    p_value: float
    seeds: int
    examples: int


_OVER_EXAMPLES = "an interval over examples"


def check_level(level: float) -> None:
    """Raises UsageError where a level is no share between 0 and 1."""
    if not 0 < level < 1:
        raise UsageError(f"level {level} is no share between 0 and 1: choose one such as {LEVEL}")


def percentile(values: Floats, level: float) -> tuple[float, float]:
    """The quantiles of resampled values that leave out as many on each side.

    Efron and Tibshirani 1993, section 13.3.
    """
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def percentile_p_value(values: Floats) -> float:
    """Twice the lesser share of resampled values on one side of 0; 0 itself counts on both.

    The observed sample counts as one more resample on either side, so that no p-value is below 2 / (resamples + 1)
    (Davison and Hinkley 1997, section 4.2.5).
    """
    below, above = int((values <= 0).sum()), int((values >= 0).sum())
    return min(1.0, 2 * (min(below, above) + 1) / (len(values) + 1))


def expanded(level: float, examples: int) -> float:
    """The level at which a percentile interval holds the true value about as often as `level` says.

    A resample of n varies by (n - 1) / n less than a sample, and quantiles of the normal distribution stand where
    Student's should: plain percentile intervals are too narrow, most of all of few examples (Hesterberg 2015, arXiv
    1411.5279, section 5.2).

    Args:
        examples: at least two.

    Raises:
        UsageError: scipy is not installed.
    """
    t = float(scipy_part("special", _OVER_EXAMPLES).stdtrit(examples - 1, (1 + level) / 2))
    return 2 * NormalDist().cdf(t * math.sqrt(examples / (examples - 1))) - 1


def expanded_p_value(values: Floats, examples: int) -> float:
    """The p-value that agrees with a percentile interval at the level of `expanded`.

    Raises:
        UsageError: scipy is not installed.
    """
    return _expanded(percentile_p_value(values), examples)


@cache
def least_p_value(resamples: int, examples: int) -> float:
    """The least that `expanded_p_value` gives, where no resample falls on the other side.

    Raises:
        UsageError: scipy is not installed.
    """
    return _expanded(2 / (resamples + 1), examples)


def _expanded(p_value: float, examples: int) -> float:
    normal = -NormalDist().inv_cdf(p_value / 2)
    t = normal / math.sqrt(examples / (examples - 1))
    return float(2 * scipy_part("special", _OVER_EXAMPLES).stdtr(examples - 1, -t))


@dataclass(frozen=True)
class Variances:
    """Estimates of the variance of a mean over seeds whose models all met the same examples.

    Each stands beside what it holds in terms of the two-way layout ``seed + example + seed × example``.

    Args:
        seeds: of the seeds' spread: seed + seed × example.
        examples: of resampled examples: example + seed × example.
        both: seed × example alone, which is in either.
        number: of seeds.
        drawn: examples, at least two.
    """

    seeds: float
    examples: float
    both: float
    number: int
    drawn: int

    def half(self, level: float) -> float:
        """How far the interval reaches to either side.

        Of the error two parts are independent: that of the seeds, whose variance few seeds estimate, and that of the
        examples, which many do. Student's bounds of the one and of the other are added as squares (Howe 1974, Journal
        of the American Statistical Association 69). One quantile for the sum of the variances, with Satterthwaite's
        degrees of freedom, misses the true value too often where three seeds happen to agree, above all at the small
        levels that Holm's adjustment asks for. Never less than for these seeds on other examples.

        Raises:
            UsageError: scipy is not installed.
        """
        quantile = scipy_part("special", "an interval over seeds").stdtrit
        of_seeds = float(quantile(self.number - 1, (1 + level) / 2)) ** 2
        of_examples = float(quantile(self.drawn - 1, (1 + level) / 2)) ** 2
        added = of_seeds * self.seeds + of_examples * max(self.examples - self.both, 0.0)
        return math.sqrt(max(added, of_examples * self.examples))


def variances(observed: Floats, resampled: Floats, examples: int) -> Variances:
    """Variances from what each seed scored, and would have on resampled examples.

    Args:
        observed: (seeds,), at least two.
        resampled: (resamples, seeds), of the same examples for all seeds.
        examples: that were drawn from.
    """
    number = len(observed)
    means = resampled.mean(axis=1)
    # A resample of n varies by (n - 1) / n less than a sample of n.
    unbiased = examples / (examples - 1)
    both = (resampled - means[:, None]).var(axis=0).sum() / (number - 1) / number
    return Variances(
        float(observed.var(ddof=1)) / number,
        unbiased * float(means.var()),
        unbiased * float(both),
        number,
        examples,
    )


def student(value: float, found: Variances, level: float) -> tuple[float, float, float]:
    """Low, high and p-value by Student's distribution.

    Raises:
        UsageError: scipy is not installed.
    """
    half = found.half(level)
    return value - half, value + half, _student_p_value(abs(value), found)


def _student_p_value(value: float, found: Variances) -> float:
    """The p at which the interval of level 1 - p just reaches 0; found by halving, to a part in a million."""
    low, high = math.log(LEAST_P_VALUE), 0.0
    if not value:
        return 1.0
    if found.half(1 - LEAST_P_VALUE) <= value:
        return LEAST_P_VALUE
    while high - low > 1e-6:
        middle = (low + high) / 2
        if found.half(1 - math.exp(middle)) > value:
            low = middle
        else:
            high = middle
    return math.exp(high)
