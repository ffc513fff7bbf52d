"""How alike in length the sequences of source and target are."""

from __future__ import annotations

import math

from adapter_stilts.select.train_set import TrainSet

WHAT = "shorter over longer mean length of a sequence"
NEEDS_ENCODER = False


def score(source: TrainSet, target: TrainSet) -> float:
    """The ratio of mean tokens a sequence, the shorter over the longer: 1 where they are equal, towards 0 apart."""
    return math.exp(-abs(math.log(source.length / target.length)))
