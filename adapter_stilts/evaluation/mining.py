"""Margin mining: which sentences of two large texts translate each other.

Every sentence's nearest neighbours on the other side are found by cosine, and a candidate is scored by the *ratio
margin*: its cosine over the mean cosine of both sentences to their neighbours (Artetxe and Schwenk 2019, arXiv
1811.01136). That is what XTREME and the study do for BUCC (four neighbours, best candidates of both directions
taken greedily, a threshold chosen on the sample pairs).

Similarities exist a block at a time and both directions are read off the same block, so that time is about that of
one matrix product and memory does not grow with its size:

    similarity block  (ROWS, COLUMNS)        of unit vectors, on the model's device
    neighbours        (sentences, k)         a side: cosines and indices
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

Strategy: TypeAlias = Literal["max", "intersect", "forward", "backward"]
Array: TypeAlias = npt.NDArray[np.float32]
Floats: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.int64]

NEIGHBOURS = 4


class Vectors(Protocol):
    """Sentence vectors (sentences, dimensions), read a slice at a time: an array, mapped or not, or `Chosen`."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> Array: ...


@dataclass(frozen=True)
class Chosen:
    """Some rows of an array, copied a slice at a time: a million vectors take 4 GB."""

    vectors: Array
    rows: Indices

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: slice, /) -> Array:
        return self.vectors[self.rows[rows]]


@dataclass(frozen=True)
class Blocks:
    """How many vectors meet at once.

    Args:
        held: of the first side, kept as unit vectors while the second side passes.
        rows, columns: of one similarity block. On a CPU a block should stay in its caches.
    """

    held: int
    rows: int
    columns: int


BLOCKS = {"cpu": Blocks(8192, 1024, 4096), "cuda": Blocks(32768, 8192, 32768)}


@dataclass(frozen=True)
class Neighbours:
    """For each vector its nearest ones on the other side, nearest first: (vectors, k) each."""

    cosines: Floats
    indices: Indices


@dataclass(frozen=True)
class Mined:
    """Pairs (first[i], second[i]) by index, best score first."""

    first: Indices
    second: Indices
    scores: Floats

    def take(self, rows: Indices) -> Mined:
        return Mined(self.first[rows], self.second[rows], self.scores[rows])


def mine(
    first: Vectors,
    second: Vectors,
    strategy: Strategy = "max",
    neighbours: int = NEIGHBOURS,
    device: str = "cpu",
    blocks: Blocks | None = None,
) -> Mined:
    """Candidate translation pairs of two sets of sentence vectors, scored by ratio margin.

    Args:
        first, second: (sentences, dimensions), vectors of any length; read by blocks.
        strategy: ``forward`` gives every first sentence its best second one, ``backward`` the reverse,
            ``intersect`` the pairs that are best both ways, ``max`` the best of all these, greedily by score,
            each sentence once (the choice of XTREME's script and of jiant).
        neighbours: how many of them make the mean a candidate's cosine is divided by.
        device: where products are computed.
    """
    forward, backward = both_ways(first, second, neighbours, device, blocks)
    means = forward.cosines.mean(axis=1), backward.cosines.mean(axis=1)
    ahead = _margins(forward, means[0], means[1])
    behind = _margins(backward, means[1], means[0])
    to_second, ahead_best = _best(forward, ahead)
    to_first, behind_best = _best(backward, behind)
    one_way = Mined(np.arange(len(first)), to_second, ahead_best)
    other_way = Mined(to_first, np.arange(len(second)), behind_best)
    pairs = _CHOOSE[strategy](one_way, other_way)
    return pairs.take(np.argsort(-pairs.scores, kind="stable"))


def both_ways(
    first: Vectors,
    second: Vectors,
    k: int,
    device: str = "cpu",
    blocks: Blocks | None = None,
) -> tuple[Neighbours, Neighbours]:
    """The k nearest (all, where there are fewer) of each vector on the other side, in both directions."""
    rows = _Running(len(first), min(k, len(second)), device)
    columns = _Running(len(second), min(k, len(first)), device)
    for row, column, similarity in similarity_blocks(first, second, device, blocks):
        rows.merge(row, column, similarity)
        # Along rows the search is several times quicker; one copy pays for that.
        columns.merge(column, row, similarity.t().contiguous())
    return rows.found(), columns.found()


def nearest(
    queries: Vectors, pool: Vectors, k: int, device: str = "cpu", blocks: Blocks | None = None
) -> Neighbours:
    """The k nearest of the pool for each query."""
    rows = _Running(len(queries), min(k, len(pool)), device)
    for row, column, similarity in similarity_blocks(queries, pool, device, blocks):
        rows.merge(row, column, similarity)
    return rows.found()


def similarity_blocks(
    first: Vectors, second: Vectors, device: str = "cpu", blocks: Blocks | None = None
) -> Iterator[tuple[int, int, Tensor]]:
    """First row, first column and cosines (rows, columns) of every block, computed when asked for."""
    import torch

    from adapter_stilts.model.cpu_linear import product

    sizes = blocks or BLOCKS[torch.device(device).type]
    with torch.inference_mode():
        for held in range(0, len(first), sizes.held):
            group = _unit(first[held : held + sizes.held], device)
            for column in range(0, len(second), sizes.columns):
                others = _unit(second[column : column + sizes.columns], device)
                for row in range(0, len(group), sizes.rows):
                    yield held + row, column, product(group[row : row + sizes.rows], others)


def _unit(vectors: Array, device: str) -> Tensor:
    import torch

    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float32))
    unit = np.divide(vectors, np.maximum(lengths, np.float32(1e-12))[:, None], dtype=np.float32)
    return torch.from_numpy(unit).to(device)


class _Running:
    """The best k of each row so far."""

    def __init__(self, rows: int, k: int, device: str) -> None:
        import torch

        self.k = k
        self.values = torch.full((rows, k), -torch.inf, device=device)
        self.indices = torch.zeros((rows, k), dtype=torch.long, device=device)

    def merge(self, row: int, column: int, similarity: Tensor) -> None:
        """A block of cosines (rows from `row`, columns from `column`)."""
        import torch

        best: Any = similarity.topk(min(self.k, similarity.shape[1]), dim=1)
        rows = slice(row, row + len(similarity))
        values = torch.cat([self.values[rows], best.values], dim=1)
        indices = torch.cat([self.indices[rows], best.indices + column], dim=1)
        chosen: Any = values.topk(self.k, dim=1)
        self.values[rows] = chosen.values
        self.indices[rows] = indices.gather(1, chosen.indices)

    def found(self) -> Neighbours:
        return Neighbours(self.values.double().cpu().numpy(), self.indices.cpu().numpy())


def _margins(found: Neighbours, own_mean: Floats, other_mean: Floats) -> Floats:
    """Ratio margins (vectors, k); 0 where the neighbours' mean is not positive and a ratio says nothing."""
    mean = (own_mean[:, None] + other_mean[found.indices]) / 2
    return np.divide(found.cosines, mean, out=np.zeros_like(mean), where=mean > 0)


def _best(found: Neighbours, margins: Floats) -> tuple[Indices, Floats]:
    """The candidate of the greatest margin for each vector, and that margin."""
    rows, best = np.arange(len(margins)), margins.argmax(axis=1)
    return found.indices[rows, best], margins[rows, best]


def _mutual(forward: Mined, backward: Mined) -> Mined:
    return forward.take(np.flatnonzero(backward.first[forward.second] == forward.first))


def _greedy(forward: Mined, backward: Mined) -> Mined:
    left = np.concatenate([forward.first, backward.first])
    right = np.concatenate([forward.second, backward.second])
    every = Mined(left, right, np.concatenate([forward.scores, backward.scores]))
    order = np.argsort(-every.scores, kind="stable")
    order = order[: int((every.scores > 0).sum())]
    free_left, free_right = [True] * len(forward.first), [True] * len(backward.second)
    kept = []
    for row, i, j in zip(order.tolist(), left[order].tolist(), right[order].tolist(), strict=True):
        if free_left[i] and free_right[j]:
            free_left[i] = free_right[j] = False
            kept.append(row)
    return every.take(np.asarray(kept, dtype=np.int64))


_CHOOSE: Mapping[Strategy, Callable[[Mined, Mined], Mined]] = {
    "max": _greedy,
    "intersect": _mutual,
    "forward": lambda forward, backward: forward,
    "backward": lambda forward, backward: backward,
}


@dataclass(frozen=True)
class Threshold:
    """The least score a pair needs, and the F1 (percent) it gives where it was chosen."""

    value: float
    f1: float


def choose_threshold(scores: npt.ArrayLike, correct: npt.ArrayLike, gold: int) -> Threshold:
    """The threshold of the best F1 on pairs whose truth is known: half-way to the next lower score.

    Pairs of equal score stand or fall together (official: one by one in an arbitrary order). Where no pair is
    correct the threshold is 0, as in the official script.

    Args:
        scores, correct: of every candidate pair.
        gold: number of true pairs, found or not.
    """
    values = np.asarray(scores, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    values = values[order]
    hits = np.cumsum(np.asarray(correct, dtype=np.int64)[order])
    if not len(values) or not hits[-1]:
        return Threshold(0.0, 0.0)
    ends = np.append(np.flatnonzero(values[1:] < values[:-1]), len(values) - 1)
    f1 = 2 * hits[ends] / (ends + 1 + gold)
    best = int(f1.argmax())
    score = float(values[ends[best]])
    below = float(values[ends[best] + 1]) if best + 1 < len(ends) else score
    half = (score + below) / 2
    return Threshold(half if half > below else score, 100.0 * float(f1[best]))
