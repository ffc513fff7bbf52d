"""Sources in the order in which they should help a target, by estimators that need no training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from adapter_stilts.errors import UsageError
from adapter_stilts.select.estimators import ESTIMATORS
from adapter_stilts.select.ranks import mean_reciprocal_rank, ranks_of
from adapter_stilts.select.reading import TrainSets
from adapter_stilts.select.train_set import TrainSet, union
from adapter_stilts.tasks.base import Task

Measure: TypeAlias = Callable[[Task, int | None], TrainSet]
Wanted: TypeAlias = tuple[Task, int | None]
"""A task, and how many examples its train set is limited to."""


@dataclass(frozen=True)
class Source:
    """An intermediate entry: a task, or several that one stage trains on."""

    name: str
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Row:
    """What is said of a source.

    Args:
        rank: among all sources, 1 the first; equal ones share the mean of the ranks they take up.
        mean_reciprocal: of its ranks by the estimators, which `rank` goes by.
        scores, ranks: by each estimator.
    """

    source: str
    examples: int
    rank: float
    mean_reciprocal: float
    scores: Mapping[str, float]
    ranks: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        rounded = {name: round(score, 4) for name, score in self.scores.items()}
        return {**vars(self), "mean_reciprocal": round(self.mean_reciprocal, 4), "scores": rounded}


@dataclass(frozen=True)
class Ranking:
    """Sources, the first one first; those of equal rank in the order in which they were named.

    Args:
        seconds: what was measured took: ``reading`` (with encoding and counting pieces) and ``embedding``.
        notices: what was left out, and why.
    """

    rows: tuple[Row, ...]
    seconds: Mapping[str, float]
    notices: tuple[str, ...] = ()


@dataclass
class Clock:
    """How long was taken, and how long there is; None is without end."""

    budget: float | None
    seconds: dict[str, float] = field(default_factory=dict)
    _begun: float = field(default_factory=time.perf_counter)

    @property
    def taken(self) -> float:
        """Seconds since it was made."""
        return time.perf_counter() - self._begun

    def each(self, what: str, items: Sequence[Wanted], measure: Measure) -> Iterator[TrainSet]:
        """Measure train sets one after another, as long as the budget lasts; their seconds are counted.

        Raises:
            OutOfTime: it will not last for all, as far as those that were measured tell.
        """
        ends = [self.taken]
        for done, (task, limit) in enumerate(items):
            # What is loaded for the first one says nothing of the others.
            later = (ends[-1] - ends[1]) / (done - 1) if done > 1 else 0.0
            whole = ends[-1] + later * (len(items) - done)
            if self.budget is not None and whole > self.budget:
                raise OutOfTime(done, whole if done > 1 else None)
            found = measure(task, limit)
            ends.append(self.taken)
            self.seconds[what] = ends[-1] - ends[0]
            yield found


class OutOfTime(Exception):
    """A budget that does not last.

    Args:
        done: how many were measured.
        whole: seconds that all would take, where that can be told.
    """

    def __init__(self, done: int, whole: float | None) -> None:
        super().__init__()
        self.done, self.whole = done, whole


def rank(
    sources: Sequence[Source],
    target: Task,
    sets: TrainSets,
    limits: tuple[int | None, int | None],
    clock: Clock,
) -> Ranking:
    """The ranking of sources for a target.

    Args:
        target: the task whose train set trains it.
        limits: of the sources' train sets and of the target's.

    Raises:
        UsageError: the budget leaves no time to read the train sets.
        DataError: one of them cannot be read.
    """
    tasks = {task.name: task for source in sources for task in source.tasks}
    wanted = [(target, limits[1]), *((task, limits[0]) for task in tasks.values())]
    notices: tuple[str, ...] = ()
    try:
        found = list(clock.each("reading", wanted, sets.measure))
    except OutOfTime as error:
        raise UsageError(_too_short(clock, error, len(wanted))) from None
    try:
        found = list(clock.each("embedding", wanted, sets.embedded))
    except OutOfTime as error:
        notices = (_left_out(clock, error, len(wanted)),)
    names = [name for name, one in ESTIMATORS.items() if not (notices and one.NEEDS_ENCODER)]
    own, by_name = found[0], dict(zip(tasks, found[1:], strict=True))
    measured = [union([by_name[task.name] for task in source.tasks]) for source in sources]
    scores = {name: [ESTIMATORS[name].score(one, own) for one in measured] for name in names}
    return Ranking(rows_of(sources, measured, scores), dict(clock.seconds), notices)


def rows_of(
    sources: Sequence[Source], measured: Sequence[TrainSet], scores: Mapping[str, Sequence[float]]
) -> tuple[Row, ...]:
    """A row a source, the first one first."""
    ranks = {name: ranks_of(values) for name, values in scores.items()}
    combined = mean_reciprocal_rank(ranks)
    places = ranks_of(combined)
    rows = [
        Row(
            source.name,
            measured[number].examples,
            places[number],
            combined[number],
            {name: values[number] for name, values in scores.items()},
            {name: values[number] for name, values in ranks.items()},
        )
        for number, source in enumerate(sources)
    ]
    return tuple(sorted(rows, key=lambda row: row.rank))


def _too_short(clock: Clock, error: OutOfTime, of: int) -> str:
    needs = "give more" if error.whole is None else f"give about {error.whole + 1:.0f}s"
    return (
        f"--budget {clock.budget:g}s is too short for any estimator: in {clock.taken:.1f} s {error.done} of {of} train "
        f"sets were read; {needs}, or name fewer sources (--among). What was read is kept for the next time"
    )


def _left_out(clock: Clock, error: OutOfTime, of: int) -> str:
    left = ", ".join(name for name, one in ESTIMATORS.items() if one.NEEDS_ENCODER)
    needs = "" if error.whole is None else f", which takes about {error.whole:.0f}s in all"
    return (
        f"{left} left out: --budget {clock.budget:g}s leaves no time to run the encoder on {of} train sets{needs}. "
        "What was measured is kept for the next time"
    )
