"""The estimators: one module each, whose `score` says how much a source should help a target, the more the higher."""

from __future__ import annotations

from collections.abc import Mapping

from adapter_stilts.select.estimators import (
    lengths,
    same_format,
    size,
    task_embedding,
    text_embedding,
    vocabulary,
)
from adapter_stilts.select.train_set import Estimator

ESTIMATORS: Mapping[str, Estimator] = {
    "size": size,
    "same_format": same_format,
    "vocabulary": vocabulary,
    "lengths": lengths,
    "text_embedding": text_embedding,
}
"""By name, in the order of tables. All have one vote in the combined rank: none was chosen by how well it did."""

WITH_TRAINING: Mapping[str, Estimator] = {"task_embedding": task_embedding}
"""Those that a short training of each train set comes before: asked for by name of its steps, never by themselves."""
