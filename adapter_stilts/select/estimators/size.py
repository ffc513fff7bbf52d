"""The size of the source's train set: a baseline that knows nothing of the target."""

from __future__ import annotations

from adapter_stilts.select.train_set import TrainSet

WHAT = "examples of the source's train set"
NEEDS_ENCODER = False


def score(source: TrainSet, target: TrainSet) -> float:
    """Examples of the source."""
    return float(source.examples)
