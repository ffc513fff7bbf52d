"""How good a ranking of sources was, held against what they brought once they were trained.

Scores that are equal say nothing of the order among their sources: both measures are then the mean over all orders.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from adapter_stilts.select.train_set import Floats


def ndcg(scores: Sequence[float], truth: Sequence[float]) -> float:
    """Normalised discounted cumulative gain over all sources, 1 where they are in the true order.

    DCG = sum over ranks i from 1 of (2^relevance - 1) / log2(i + 1), over the DCG of the true order (Järvelin and
    Kekäläinen 2002, with the gain that Vu et al. 2020 and Poth et al. 2021 take). A source's relevance is its true
    value on a scale on which the target's worst source has 0 and its best 1, so that targets of different spread count
    alike; this scale is ours. 1 where all sources are equally good.
    """
    gains, discounts = _gains(truth), _discounts(len(truth))
    ideal = float(np.sort(gains)[::-1] @ discounts)
    if not ideal:
        return 1.0
    values = np.asarray(scores, dtype=np.float64)
    expected = np.asarray([gains[values == value].mean() for value in values])
    order = np.argsort(-values, kind="stable")
    return float(expected[order] @ discounts) / ideal


def chance_ndcg(truth: Sequence[float]) -> float:
    """What `ndcg` is in the mean over all orders."""
    return ndcg([0.0] * len(truth), truth)


def regret(scores: Sequence[float], truth: Sequence[float], picks: int) -> float:
    """What is lost by training only the first so many: the best true value less the best of theirs, in points.

    Poth et al. 2021 and Renggli et al. 2020 divide it by the best value; in points it is told as gains are.
    """
    values, true = np.asarray(scores, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if picks >= len(true):
        return 0.0
    last = np.sort(values)[::-1][picks - 1]
    sure = true[values > last]
    drawn = combinations(true[values == last], picks - len(sure))
    best = np.mean([max([*sure, *some]) for some in drawn])
    return float(true.max() - best)


def _gains(truth: Sequence[float]) -> Floats:
    values = np.asarray(truth, dtype=np.float64)
    spread = values.max() - values.min()
    relevance = (values - values.min()) / spread if spread else np.zeros_like(values)
    return np.asarray(2.0**relevance - 1.0)


def _discounts(count: int) -> Floats:
    return np.asarray(1.0 / np.log2(np.arange(count) + 2.0))
