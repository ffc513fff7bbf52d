"""From scores to ranks, and the ranks of several estimators together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np


def ranks_of(scores: Sequence[float]) -> list[float]:
    """The rank of each score, 1 the highest; equal scores share the mean of the ranks they take up."""
    values = np.asarray(scores, dtype=np.float64)
    above = (values[None] > values[:, None]).sum(axis=1)
    equal = (values[None] == values[:, None]).sum(axis=1)
    return [float(rank) for rank in above + (equal + 1) / 2]


def mean_reciprocal_rank(ranks: Mapping[str, Sequence[float]]) -> list[float]:
    """Of each source the mean over estimators of one over its rank: 1 where all put it first.

    Sources of the same ranks have the same mean to the last bit, whichever estimator gives them which.

    Args:
        ranks: of each estimator, the rank of each source.
    """
    return [
        math.fsum(1.0 / rank for rank in of_source) / len(ranks)
        for of_source in zip(*ranks.values(), strict=True)
    ]
