"""Almost stochastic order: whether one system's scores over seeds are greater than another's, but for a small part.

Dror, Shlomov and Reichart 2019 (ACL P19-1266), after del Barrio, Cuesta-Albertos and Matrán 2018 (arXiv 1705.01788).
A system is stochastically greater where its quantile function nowhere lies below the other's. The violation ratio is
the share of their squared distance in which it does: 0 where it is greater throughout, 1 where the other is, 0.5 where
neither. Its upper confidence bound below 0.5 says: almost stochastically greater.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from adapter_stilts.errors import UsageError
from adapter_stilts.report.counts import Floats
from adapter_stilts.report.intervals import LEVEL, check_level
from adapter_stilts.report.resampling import RESAMPLES

LEAST_SEEDS = 5
"""With fewer, the bound follows from the very few orders that the seeds can have."""


@dataclass(frozen=True)
class Dominance:
    """Of one system over another.

    Args:
        violation: the violation ratio as observed.
        minimal_epsilon: its upper confidence bound: the least part that has to be left out.
        level: of the confidence.
    """

    violation: float
    minimal_epsilon: float
    level: float

    @property
    def almost_greater(self) -> bool:
        return self.minimal_epsilon < 0.5


def almost_stochastic_order(
    system: Sequence[float],
    baseline: Sequence[float],
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Dominance:
    """Whether a system is almost stochastically greater than a baseline.

    The bound is ε − Φ⁻¹(1 − level) · σ, with σ the standard deviation of ε over bootstrap resamples of either side's
    scores; the factors √(nm / (n + m)) of the paper's σ and bound cancel.

    Args:
        system, baseline: scores by seed; their numbers may differ.
        seed: of the draws.

    Raises:
        UsageError: fewer than five seeds, a score that is no finite number, a level that is no share.
    """
    check_level(level)
    sides = [np.sort(np.asarray(side, dtype=np.float64)) for side in (system, baseline)]
    for side in sides:
        if len(side) < LEAST_SEEDS:
            raise UsageError(
                f"{len(side)} seeds; almost stochastic order needs {LEAST_SEEDS} of each system (--seeds {LEAST_SEEDS})"
            )
        if not np.isfinite(side).all():
            raise UsageError(f"scores {side.tolist()} hold one that is no finite number: evaluate again")
    generator = np.random.default_rng(seed)
    drawn = [np.sort(side[generator.integers(len(side), size=(resamples, len(side)))]) for side in sides]
    observed = float(_violation(sides[0][None], sides[1][None])[0])
    deviation = float(_violation(drawn[0], drawn[1]).std(ddof=1))
    bound = observed - NormalDist().inv_cdf(1 - level) * deviation
    return Dominance(observed, min(1.0, max(0.0, bound)), level)


def _violation(system: Floats, baseline: Floats) -> Floats:
    """Violation ratios of sorted scores: (samples, n) and (samples, m) -> (samples,); 0.5 where all are equal.

    Quantile functions of samples are steps, so that the integral over (0, 1) is a sum over where either has one.
    """
    n, m = system.shape[1], baseline.shape[1]
    ends = np.union1d(np.arange(1, n + 1) / n, np.arange(1, m + 1) / m)
    widths = np.diff(ends, prepend=0.0)
    middles = ends - widths / 2
    difference = system[:, (middles * n).astype(int)] - baseline[:, (middles * m).astype(int)]
    squared = widths * difference**2
    whole = squared.sum(axis=1)
    below = np.where(difference < 0, squared, 0.0).sum(axis=1)
    return np.asarray(np.divide(below, whole, out=np.full_like(whole, 0.5), where=whole > 0))
