"""Overlap of what source and target are written in: the cosine of how often each piece stands in them.

Frequencies and not sets of pieces, because a set grows with the sample and with the length of its examples.
"""

from __future__ import annotations

from adapter_stilts.select.train_set import TrainSet, cosine

WHAT = "cosine of the frequencies of tokenised pieces"
NEEDS_ENCODER = False


def score(source: TrainSet, target: TrainSet) -> float:
    """0 where no piece is shared, 1 where all stand in the same proportions."""
    return cosine(source.pieces, target.pieces)
