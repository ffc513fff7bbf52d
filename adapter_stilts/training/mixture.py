"""The task that each step trains on, where a stage has several: a seeded draw, known without the steps before.

A step is one task's batch. `Portion` is one task (or one kind of text) with its order of items; `Mixture` draws a
portion for each step. A stage of one task is a mixture of one portion.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from adapter_stilts.formats.base import Format
from adapter_stilts.formats.features import Features, Indices, item_lengths
from adapter_stilts.model.robust import Perturbation
from adapter_stilts.recipe import MixtureSettings, TrainingSettings
from adapter_stilts.training.order import Order, SmoothedOrder

Refresh: TypeAlias = Callable[[Features, np.random.Generator], Features]


@dataclass(frozen=True)
class Drawn:
    """The items that one optimizer step trains on.

    Args:
        items: of the features.
        lengths: tokens of each item of the features.
        head: the one that answers, of a model with several.
        task: for the log; None in a stage of one task.
    """

    features: Features
    items: Indices
    lengths: Indices
    format: Format
    head: str | None = None
    task: str | None = None
    perturb: Perturbation | None = None


@dataclass(frozen=True)
class Portion:
    """One task of a mixture, or its text.

    Args:
        share: how often it is drawn; the shares of a mixture add up to 1.
        refresh: makes a step's features anew (text hides other pieces each time).
        perturb: perturbs the input embeddings (robust training).
    """

    name: str
    features: Features
    format: Format
    order: Order | SmoothedOrder
    share: float
    head: str | None = None
    refresh: Refresh | None = None
    perturb: Perturbation | None = None

    def step(self, number: int, task: str | None) -> Drawn:
        """Its own step of this number."""
        items, features, lengths = self.order.step(number), self.features, self.order.lengths
        if self.refresh is not None:
            features = self.refresh(
                _sequences(features, items), np.random.default_rng([self.order.seed, number, 2])
            )
            lengths, items = features.input_ids.lengths, np.arange(len(items))
        return Drawn(features, items, lengths, self.format, self.head, task, self.perturb)


@dataclass(frozen=True)
class Mixture:
    """Several portions, one drawn for each step.

    Args:
        steps_per_pass: steps in which the tasks' items (as many as count) are trained on once.
        seed: of the draws.
    """

    portions: tuple[Portion, ...]
    steps_per_pass: float
    seed: int
    _drawn: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    def total_steps(self, epochs: float, max_steps: int | None) -> int:
        return max_steps if max_steps is not None else max(1, math.ceil(epochs * self.steps_per_pass))

    def step(self, number: int) -> Drawn:
        """The items that a step (0-based) trains on: a pure function of the seed and its number."""
        if len(self.portions) == 1:
            return self.portions[0].step(number, None)
        which, place = self._draws(number + 1)
        portion = self.portions[int(which[number])]
        return portion.step(int(place[number]), portion.name)

    def counts(self, steps: int) -> dict[str, int]:
        """How many of the first so many steps each portion takes."""
        if len(self.portions) == 1:
            return {self.portions[0].name: steps}
        drawn = np.bincount(self._draws(steps)[0][:steps], minlength=len(self.portions))
        return {portion.name: int(count) for portion, count in zip(self.portions, drawn, strict=True)}

    def _draws(self, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Portion of each of at least `count` steps, and how many earlier steps drew the same one."""
        if not self._drawn or len(self._drawn[0][0]) < count:
            # A longer row of random numbers begins with the shorter one.
            rolls = np.random.default_rng([self.seed, 0, 1]).random(max(1024, 2 * count))
            bounds = np.cumsum([portion.share for portion in self.portions])
            which = np.minimum(np.searchsorted(bounds, rolls, side="right"), len(bounds) - 1)
            place = np.zeros(len(which), dtype=np.int64)
            for row in range(len(bounds)):
                mine = which == row
                place[mine] = np.arange(mine.sum())
            self._drawn[:] = [(which, place)]
        return self._drawn[0]


def alone(
    features: Features,
    format: Format,
    settings: TrainingSettings,
    seed: int,
    name: str = "",
    perturb: Perturbation | None = None,
) -> Mixture:
    """A mixture of one task."""
    order = Order(item_lengths(features, format.ITEMS), settings.batch_size, settings.step_order, seed)
    portion = Portion(name, features, format, order, share=1.0, perturb=perturb)
    return Mixture((portion,), order.steps_per_epoch, seed)


def task_shares(sizes: Sequence[int], settings: MixtureSettings) -> list[float]:
    """How often each task is drawn, by the number of its training items."""
    counted = [min(size, settings.cap) if settings.cap is not None else size for size in sizes]
    power = {"proportional": 1.0, "temperature": 1 / settings.temperature, "uniform": 0.0}[settings.sampling]
    weights = [count**power for count in counted]
    return [weight / sum(weights) for weight in weights]


def mix(
    tasks: Sequence[Portion],
    texts: Sequence[tuple[Portion, float]],
    settings: MixtureSettings,
    batch_size: int,
    seed: int,
) -> Mixture:
    """Tasks by their sizes, texts by their weights.

    Args:
        tasks: their shares are computed here.
        texts: with steps for each step of the tasks; without tasks, the weights relate the texts to one another.
    """
    sizes = [len(portion.order.lengths) for portion in tasks]
    weight = sum(weight for _, weight in texts)
    whole = weight + (1.0 if tasks else 0.0)
    shares = [share / whole for share in (task_shares(sizes, settings) if tasks else [])]
    shares += [own / whole for _, own in texts]
    portions = [*tasks, *(portion for portion, _ in texts)]
    if tasks:
        counted = [min(size, settings.cap) if settings.cap is not None else size for size in sizes]
        # One task alone is passed over as ever; a cap is about its share among others.
        alone = tasks[0].order.steps_per_epoch if len(tasks) == 1 else sum(counted) / batch_size
        steps = alone * whole
    else:
        steps = sum(portion.order.steps_per_epoch for portion in portions)
    drawn = tuple(replace(portion, share=share) for portion, share in zip(portions, shares, strict=True))
    return Mixture(drawn, steps, seed)


def _sequences(features: Features, rows: Indices) -> Features:
    """The given sequences as features of their own, each an example."""
    whole = Features(
        features.input_ids,
        np.arange(features.num_sequences + 1),
        features.token_types,
        features.per_sequence,
    )
    return whole.select(rows)
