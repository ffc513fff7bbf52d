"""Several systems over several targets: ranks and what may be said of them.

Demšar 2006 (Journal of Machine Learning Research 7) for the Friedman test, its F by Iman and Davenport 1980, and
Nemenyi's critical difference. All take scores of (targets, systems), higher being better, without gaps: each target
ranks the systems, and its scores are compared with no other target's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from adapter_stilts.errors import UsageError
from adapter_stilts.report.counts import Floats
from adapter_stilts.report.intervals import check_level
from adapter_stilts.report.libraries import scipy_part


@dataclass(frozen=True)
class Friedman:
    """Whether the systems differ at all.

    Args:
        average_ranks: by system; 1 is best.
        chi_square, p_value: Friedman's, corrected for ties.
        f, f_p_value: Iman and Davenport's, which Demšar recommends as the less conservative; f is infinite where every
            target ranks alike.
    """

    average_ranks: tuple[float, ...]
    chi_square: float
    p_value: float
    f: float
    f_p_value: float


def ranks(scores: npt.ArrayLike) -> Floats:
    """Ranks within each target, (targets, systems): 1 is best, equal scores share the mean of their ranks.

    Raises:
        UsageError: no scores of (targets, systems), fewer than two systems, or one that is no finite number.
    """
    values = _checked(scores)
    better, equal = _compared(values)
    return np.asarray(1 + better.sum(axis=1) + (equal.sum(axis=1) - 1) / 2)


def friedman(scores: npt.ArrayLike) -> Friedman:
    """The Friedman test that all systems are equal.

    Raises:
        UsageError: as `ranks`; fewer than two targets or three systems (compare two by their gains); scipy is not
            installed.
    """
    given = ranks(scores)
    targets, systems = given.shape
    if targets < 2 or systems < 3:
        raise UsageError(
            f"{systems} systems on {targets} targets: the Friedman test needs three and two; "
            "compare two systems by their gains"
        )
    special = scipy_part("special", "the Friedman test")
    average = given.mean(axis=0)
    # The variance that ranks have, with ties, takes the place of that without, k (k + 1) / 12.
    variance = ((given - (systems + 1) / 2) ** 2).sum() / (targets * (systems - 1))
    deviations = float(((average - (systems + 1) / 2) ** 2).sum())
    chi_square = targets * deviations / float(variance) if variance else 0.0
    p_value = float(special.chdtrc(systems - 1, chi_square))
    room = targets * (systems - 1) - chi_square
    f = (targets - 1) * chi_square / room if room > 1e-9 else math.inf
    f_p_value = float(special.fdtrc(systems - 1, (systems - 1) * (targets - 1), f))
    return Friedman(tuple(average.tolist()), chi_square, p_value, f, f_p_value)


def critical_difference(systems: int, targets: int, alpha: float = 0.05) -> float:
    """By how much average ranks must differ for two systems to differ, all pairs being looked at (Nemenyi 1963).

    q · √(k (k + 1) / 6N), with q the quantile of the studentised range for infinitely many degrees of freedom, over √2.

    Raises:
        UsageError: fewer than two systems or one target, `alpha` is no share, or scipy is not installed.
    """
    check_level(1 - alpha)
    if systems < 2 or targets < 1:
        raise UsageError(f"{systems} systems on {targets} targets: nothing to compare")
    distribution = scipy_part("stats", "Nemenyi's critical difference").studentized_range
    quantile = float(distribution.ppf(1 - alpha, systems, math.inf)) / math.sqrt(2)
    return quantile * math.sqrt(systems * (systems + 1) / (6 * targets))


def indistinct(average_ranks: tuple[float, ...], difference: float) -> tuple[tuple[int, ...], ...]:
    """The largest groups of systems within the critical difference, which the diagram joins by a bar.

    Args:
        average_ranks: by system.

    Returns:
        Groups of at least two systems, by number, each best first; none that lies within another.
    """
    order = sorted(range(len(average_ranks)), key=lambda system: average_ranks[system])
    groups: list[tuple[int, ...]] = []
    reached = 0
    for start, system in enumerate(order):
        end = start
        while end < len(order) and average_ranks[order[end]] - average_ranks[system] < difference:
            end += 1
        if end - start > 1 and end > reached:
            groups.append(tuple(order[start:end]))
        reached = max(reached, end)
    return tuple(groups)


def borda(scores: npt.ArrayLike) -> tuple[float, ...]:
    """Borda points by system: over all targets, how many systems it beats there, an equal one counting half.

    Raises:
        UsageError: as `ranks`.
    """
    given = ranks(scores)
    return tuple((given.shape[1] - given).sum(axis=0).tolist())


def borda_ranks(scores: npt.ArrayLike) -> tuple[float, ...]:
    """Ranks by Borda points; 1 is best, equal points share the mean of their ranks."""
    return tuple(ranks([borda(scores)])[0].tolist())


def win_rates(scores: npt.ArrayLike) -> Floats:
    """The share of targets on which a system (row) beats another (column), an equal score counting half.

    The diagonal is 0.5. A row's mean without it is the system's win rate.

    Raises:
        UsageError: as `ranks`.
    """
    better, equal = _compared(_checked(scores))
    # `better` has those that beat along axis 1, those beaten along axis 2.
    return np.asarray((better + equal / 2).mean(axis=0))


def _compared(values: Floats) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Whether a system beats, or equals, another: (targets, the one, the other)."""
    one, other = values[:, :, None], values[:, None, :]
    return one > other, one == other


def _checked(scores: npt.ArrayLike) -> Floats:
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2 or not values.size or values.shape[1] < 2:
        raise UsageError(
            f"scores of shape {values.shape}: ranks need (targets, systems), and two systems at least"
        )
    if not np.isfinite(values).all():
        place = np.argwhere(~np.isfinite(values))[0].tolist()
        raise UsageError(
            f"the score of system {place[1]} on target {place[0]} is {values[tuple(place)]}: leave out the target "
            "or the system, or run the missing cell"
        )
    return values
