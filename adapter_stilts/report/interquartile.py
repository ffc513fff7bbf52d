"""The interquartile mean: of the middle half of all scores, which one lucky seed does not move.

Agarwal et al. 2021 (arXiv 2108.13264): over all seeds and tasks together; its interval by bootstrap of the seeds within
each task.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from adapter_stilts.errors import UsageError
from adapter_stilts.report.counts import Floats
from adapter_stilts.report.intervals import LEVEL, check_level, percentile
from adapter_stilts.report.resampling import RESAMPLES


def interquartile_mean(scores: npt.ArrayLike) -> float:
    """The mean of what is left once a quarter of the scores, rounded down, is cut off at either end.

    Raises:
        UsageError: no scores, or one that is no finite number.
    """
    return float(_middle(_checked(scores).reshape(1, -1))[0])


def interquartile_interval(
    scores: Sequence[Sequence[float]], *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """The percentile interval of the interquartile mean, seeds being drawn within each task.

    With three to five seeds it is too narrow, as every bootstrap of so few.

    Args:
        scores: (seeds, tasks).
        seed: of the draws.

    Raises:
        UsageError: as `interquartile_mean`; one seed, or a level that is no share.
    """
    check_level(level)
    values = _checked(scores)
    if values.ndim != 2 or len(values) < 2:
        raise UsageError(
            f"scores of shape {values.shape}: an interval needs (seeds, tasks), and two seeds at least"
        )
    seeds, tasks = values.shape
    drawn = np.random.default_rng(seed).integers(seeds, size=(resamples, seeds, tasks))
    return percentile(_middle(values[drawn, np.arange(tasks)].reshape(resamples, -1)), level)


def _middle(values: Floats) -> Floats:
    """Interquartile means of (samples, scores)."""
    cut = values.shape[1] // 4
    return np.asarray(np.sort(values, axis=1)[:, cut : values.shape[1] - cut].mean(axis=1))


def _checked(scores: npt.ArrayLike) -> Floats:
    values = np.asarray(scores, dtype=np.float64)
    if not values.size:
        raise UsageError("no scores: nothing can be said of none")
    if not np.isfinite(values).all():
        raise UsageError("a score is no finite number: evaluate again, or leave its cell out")
    return values
