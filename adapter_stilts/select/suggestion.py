"""Sources in the order in which they should help a target, by what estimators say of their train sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import UsageError
from adapter_stilts.select.clock import Clock, OutOfTime
from adapter_stilts.select.estimators import ESTIMATORS, WITH_TRAINING
from adapter_stilts.select.ranks import mean_reciprocal_rank, ranks_of
from adapter_stilts.select.reading import TrainSets
from adapter_stilts.select.ridge import Ridge
from adapter_stilts.select.train_set import union
from adapter_stilts.tasks.base import Task

if TYPE_CHECKING:
    from adapter_stilts.select.short import Short


@dataclass(frozen=True)
class Source:
    """An intermediate entry: a task, or several that one stage trains on."""

    name: str
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Row:
    """What is said of a source.

    Args:
        examples: of its train set; None where that was not looked at.
        rank: among all sources, 1 the first; equal ones share the mean of the ranks they take up.
        mean_reciprocal: of its ranks by the estimators, which `rank` goes by unless weights were asked for.
        scores, ranks: by each estimator.
        weighted: what fitted weights make of its scores, which `rank` goes by then.
    """

    source: str
    examples: int | None
    rank: float
    mean_reciprocal: float
    scores: Mapping[str, float]
    ranks: Mapping[str, float]
    weighted: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        rounded = {name: round(score, 4) for name, score in self.scores.items()}
        told = {**vars(self), "mean_reciprocal": round(self.mean_reciprocal, 4), "scores": rounded}
        return told if self.weighted is None else {**told, "weighted": round(self.weighted, 4)}


@dataclass(frozen=True)
class Ranking:
    """Sources, the first one first; those of equal rank in the order in which they were named.

    Args:
        seconds: that measuring took, by what was done.
        estimators: what each compares, by name.
        notices: what was left out, and why.
    """

    rows: tuple[Row, ...]
    seconds: Mapping[str, float]
    estimators: Mapping[str, str]
    notices: tuple[str, ...] = ()


def rank(
    sources: Sequence[Source],
    target: Task,
    sets: TrainSets,
    limits: tuple[int | None, int | None],
    clock: Clock,
    short: Short | None = None,
    ridge: Ridge | None = None,
) -> Ranking:
    """The ranking of sources for a target.

    Args:
        target: the task whose train set trains it.
        limits: of the sources' train sets and of the target's.
        short: the training of each of them that estimators of `WITH_TRAINING` ask for; None leaves these out.

        ridge: weights of the estimators, of those of `ESTIMATORS`; None gives each one vote.

    Raises:
        UsageError: the budget leaves no time to read the train sets, or to run an estimator that has a weight.
        DataError: one of them cannot be read.
    """
    tasks = {task.name: task for source in sources for task in source.tasks}
    wanted = [(target, limits[1]), *((task, limits[0]) for task in tasks.values())]
    notices: list[str] = []
    estimators = dict(ESTIMATORS)

    def made() -> int:
        return sets.made

    def load() -> object:
        return sets.tokenizer_fingerprint

    try:
        found = list(clock.each("reading", wanted, lambda one: sets.measure(*one), made, load))
    except OutOfTime as error:
        raise UsageError(_too_short(clock, error, len(wanted))) from None
    try:
        found = list(clock.each("embedding", wanted, lambda one: sets.embedded(*one), made))
    except OutOfTime as error:
        left = [name for name, one in ESTIMATORS.items() if one.NEEDS_ENCODER]
        estimators = {name: one for name, one in ESTIMATORS.items() if name not in left}
        notices.append(_left_out(clock, error, len(wanted), left, "run the encoder on"))
    if short is not None:
        several = [(before, *one) for before, one in zip(found, wanted, strict=True)]
        try:
            found = list(clock.each("training", several, lambda one: sets.trained(*one, short), made))
            estimators |= WITH_TRAINING
        except OutOfTime as error:
            notices.append(_left_out(clock, error, len(wanted), list(WITH_TRAINING), "train on"))
    own, by_name = found[0], dict(zip(tasks, found[1:], strict=True))
    measured = [union([by_name[task.name] for task in source.tasks]) for source in sources]
    scores = {name: [estimator.score(one, own) for one in measured] for name, estimator in estimators.items()}
    if ridge is not None and (left := [name for name in ridge.weights if name not in scores]):
        raise UsageError(
            f"--weights fitted: {', '.join(left)} has a weight, and --budget {clock.budget:g}s left no time for it; "
            "give more, or leave out --weights"
        )
    weighted = None if ridge is None else ridge.combined(scores)
    rows = rows_of([source.name for source in sources], [one.examples for one in measured], scores, weighted)
    what = {name: estimator.WHAT for name, estimator in estimators.items()}
    return Ranking(rows, dict(clock.seconds), what, tuple(notices))


def rows_of(
    sources: Sequence[str],
    examples: Sequence[int | None],
    scores: Mapping[str, Sequence[float]],
    weighted: Sequence[float] | None = None,
) -> tuple[Row, ...]:
    """A row a source, the first one first: by the mean of one over its ranks, or by what weights make of its scores."""
    ranks = {name: ranks_of(values) for name, values in scores.items()}
    combined = mean_reciprocal_rank(ranks)
    places = ranks_of(combined if weighted is None else weighted)
    rows = [
        Row(
            source,
            examples[number],
            places[number],
            combined[number],
            {name: values[number] for name, values in scores.items()},
            {name: values[number] for name, values in ranks.items()},
            None if weighted is None else weighted[number],
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


def _left_out(clock: Clock, error: OutOfTime, of: int, names: Sequence[str], doing: str) -> str:
    needs = "" if error.whole is None else f", which takes about {error.whole:.0f}s in all"
    return (
        f"{', '.join(names)} left out: --budget {clock.budget:g}s leaves no time to {doing} {of} train sets{needs}. "
        "What was measured is kept for the next time"
    )
