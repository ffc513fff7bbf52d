"""What estimators know of a task: its English train set, measured on a sample of it without any training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TrainSet:
    """A task's train set in numbers.

    Args:
        format: its format's name.
        examples: of the whole train set.
        pieces: (vocabulary,) how often each piece stands in an example, in the mean; special tokens left out.
        length: tokens of a sequence as the encoder sees it, in the mean; special tokens included.
        embedding: (hidden size,) the mean of its examples' vectors, see `embedding.embed`; None where no encoder ran.
        fisher: layer -> (weights,) see `fisher.fisher`; None where nothing was trained.
    """

    format: str
    examples: int
    pieces: Floats
    length: float
    embedding: Floats | None = None
    fisher: Mapping[str, Floats] | None = None


class Estimator(Protocol):
    """The interface of a module in `select/estimators/`."""

    WHAT: str
    """What it compares, in a few words."""
    NEEDS_ENCODER: bool
    """Whether it reads `TrainSet.embedding`."""

    def score(self, source: TrainSet, target: TrainSet) -> float:
        """How much the source should help the target; only the order of sources counts."""


def union(parts: Sequence[TrainSet]) -> TrainSet:
    """One train set made of several, as a stage draws from them: each in proportion to its examples.

    The cap of `mixture.cap` is not regarded. Its embedding is None where a part has none, and so is what was trained.
    """
    weights = np.asarray([part.examples for part in parts], dtype=np.float64)
    weights /= weights.sum()
    embeddings = [part.embedding for part in parts if part.embedding is not None]
    fishers = [part.fisher for part in parts if part.fisher is not None]
    trained = len(fishers) == len(parts)
    return TrainSet(
        parts[0].format,
        sum(part.examples for part in parts),
        np.asarray(weights @ np.stack([part.pieces for part in parts])),
        float(weights @ np.asarray([part.length for part in parts])),
        np.asarray(weights @ np.stack(embeddings)) if len(embeddings) == len(parts) else None,
        {layer: np.asarray(weights @ np.stack([one[layer] for one in fishers])) for layer in fishers[0]}
        if trained
        else None,
    )


def cosine(one: Floats, other: Floats) -> float:
    """The cosine of two vectors; 0 where one of them is all zeros."""
    norms = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / norms if norms else 0.0
