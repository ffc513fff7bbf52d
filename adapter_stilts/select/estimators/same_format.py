"""Whether source and target have one format: a baseline, after the task types of Poth et al. 2021."""

from __future__ import annotations

from adapter_stilts.select.train_set import TrainSet

WHAT = "1 where source and target have one format, else 0"
NEEDS_ENCODER = False


def score(source: TrainSet, target: TrainSet) -> float:
    """1 or 0."""
    return float(source.format == target.format)
