"""Which items make an optimizer step: a seeded order, known for every step without having run the ones before."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from adapter_stilts.formats.features import Indices
from adapter_stilts.recipe import StepOrder

# Transformers' LengthGroupedSampler sorts within 50 batches; the same here, so that the two compare.
GROUPED_BATCHES = 50


@dataclass(frozen=True)
class Order:
    """The order of a whole training run.

    Args:
        lengths: tokens of each item.
        batch_size: items of an optimizer step; the last of an epoch may have fewer.
        kind: ``shuffled``, or ``length_grouped`` (neighbours in length share a step; steps are shuffled).
        seed: of the shuffle.
    """

    lengths: Indices
    batch_size: int
    kind: StepOrder
    seed: int
    _epochs: dict[int, Indices] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.lengths) / self.batch_size)

    def total_steps(self, epochs: float, max_steps: int | None) -> int:
        return max_steps if max_steps is not None else max(1, math.ceil(epochs * self.steps_per_epoch))

    def step(self, number: int) -> Indices:
        """Items of one optimizer step (0-based)."""
        epoch, place = divmod(number, self.steps_per_epoch)
        permutation = self._epoch(epoch)
        return permutation[place * self.batch_size : (place + 1) * self.batch_size]

    def _epoch(self, epoch: int) -> Indices:
        if epoch not in self._epochs:
            self._epochs.clear()
            self._epochs[epoch] = self._permutation(epoch)
        return self._epochs[epoch]

    def _permutation(self, epoch: int) -> Indices:
        random = np.random.default_rng([self.seed, epoch])
        shuffled = random.permutation(len(self.lengths))
        if self.kind == "shuffled":
            return shuffled
        width = self.batch_size * GROUPED_BATCHES
        pools = [shuffled[start : start + width] for start in range(0, len(shuffled), width)]
        ordered = np.concatenate([pool[np.argsort(-self.lengths[pool], kind="stable")] for pool in pools])
        steps = [ordered[s : s + self.batch_size] for s in range(0, len(ordered), self.batch_size)]
        # A short last step stays last, so that every other step is full.
        places = [*random.permutation(len(steps) - 1).tolist(), len(steps) - 1]
        return np.concatenate([steps[place] for place in places])


@dataclass(frozen=True)
class SmoothedOrder:
    """Text of several languages: each item of a step draws its language, then one of the language's items.

    Items are drawn with replacement, so that a step needs to know of no other.

    Args:
        lengths: tokens of each item.
        bounds: items ``[bounds[i], bounds[i + 1])`` are of language i.
        batch_size: items of an optimizer step.
        smoothing: a language is drawn by its number of items to this power.
        seed: of the draws.
    """

    lengths: Indices
    bounds: Indices
    batch_size: int
    smoothing: float
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(len(self.lengths) / self.batch_size)

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """How often each language is drawn."""
        sizes = np.diff(self.bounds)
        weights = np.where(sizes > 0, sizes.astype(np.float64) ** self.smoothing, 0.0)
        return weights / weights.sum()  # type: ignore[no-any-return]

    def step(self, number: int) -> Indices:
        """Items of one optimizer step (0-based)."""
        random = np.random.default_rng([self.seed, number, 3])
        languages = random.choice(len(self.bounds) - 1, self.batch_size, p=self.shares)
        sizes = np.diff(self.bounds)[languages]
        return self.bounds[:-1][languages] + random.integers(0, sizes)


def share(items: Indices, lengths: Indices, process: int, processes: int) -> Indices:
    """One process's part of a step: items dealt longest first, so that shares take about the same time."""
    if processes == 1:
        return items
    order = np.argsort(-lengths[items], kind="stable")
    return items[np.sort(order[process::processes])]
