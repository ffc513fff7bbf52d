"""Trained sources in the order in which they should help a target, by their states, and by short trainings if asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapter_stilts.errors import UsageError
from adapter_stilts.select.bundles import TrainedSource
from adapter_stilts.select.clock import Clock, OutOfTime
from adapter_stilts.select.reading import Sample, TrainSets
from adapter_stilts.select.short_runs import SHORT_RUNS
from adapter_stilts.select.suggestion import Ranking, rows_of
from adapter_stilts.select.trained import TRAINED
from adapter_stilts.select.trained.rows import ROWS
from adapter_stilts.select.updates import UPDATES
from adapter_stilts.tasks.base import Task

if TYPE_CHECKING:
    from adapter_stilts.select.short import Short
    from adapter_stilts.select.trained.labelled import Labelled
    from adapter_stilts.select.updates.update import Update

Scores = dict[str, list[float]]
"""Of each estimator, a score for each source."""


@dataclass(frozen=True)
class Further:
    """What bundles are ranked by beside their states.

    Args:
        short: a short training in their mode; None trains nothing.
        own: a bundle that was trained on the target, whose update stands for the target's; None trains one.
    """

    short: Short | None = None
    own: TrainedSource | None = None


def rank_trained(
    sources: Sequence[TrainedSource],
    target: Task,
    sets: TrainSets,
    limit: int | None,
    clock: Clock,
    further: Further,
) -> Ranking:
    """The ranking of bundles for a target.

    Args:
        target: the task whose train set trains it.
        limit: of its train set.

    Raises:
        UsageError: the target's format has no classes, its sample only one, or the budget is too short.
        BundleError, DataError: a bundle or the train set cannot be read.
    """
    if target.format not in ROWS:
        *most, last = TRAINED
        raise UsageError(
            f"{target.name} is of format {target.format}: {', '.join(most)} and {last} tell how well a bundle's states "
            f"separate labels, which it has not; they do for {', '.join(ROWS)}. Name tasks after --among in their place"
        )
    try:
        (sample,) = clock.each("reading", [target], lambda task: sets.sample(task, limit))
    except OutOfTime:
        raise UsageError(
            f"--budget {clock.budget:g}s is too short: in {clock.taken:.1f} s the train set of {target.name} was not "
            "read; give more"
        ) from None
    scores = _by_states(sources, target, sample, sets, clock)
    what = {name: one.WHAT for name, one in TRAINED.items()}
    notices: list[str] = []
    if further.short is not None or further.own is not None:
        try:
            found, told = _by_updates(sources, target, sample, sets, clock, further)
            scores |= found
            notices += told
        except OutOfTime as error:
            notices.append(_left_out(clock, error, len(sources), list(UPDATES)))
        what |= {name: one.WHAT for name, one in UPDATES.items() if name in scores}
    if further.short is not None:
        found, told = _by_short_runs(sources, target, sets, limit, clock, further.short)
        scores |= found
        notices += told
        what |= {name: SHORT_RUNS[name].WHAT for name in found}
    rows = rows_of([source.address for source in sources], [None] * len(sources), scores)
    return Ranking(rows, dict(clock.seconds), what, tuple(notices))


def _by_states(
    sources: Sequence[TrainedSource], target: Task, sample: Sample, sets: TrainSets, clock: Clock
) -> Scores:
    rows = ROWS[target.format](sample.features)
    if len(set(rows.labels[rows.labels >= 0].tolist())) < 2:
        raise UsageError(
            f"{target.name}: the {sample.features.num_examples} examples that were drawn have fewer than two labels; "
            "measure more (--examples)"
        )

    def run(source: TrainedSource) -> Labelled:
        from adapter_stilts.select.trained.states import labelled_states, load_source

        model = load_source(source.directory, source.info, sets.request.base, sets.device)
        return labelled_states(model, sample.features, rows)

    try:
        states = list(clock.each("running bundles", sources, run))
    except OutOfTime as error:
        needs = "give more" if error.whole is None else f"give about {error.whole + 1:.0f}s"
        raise UsageError(
            f"--budget {clock.budget:g}s is too short: in {clock.taken:.1f} s {error.done} of {len(sources)} bundles "
            f"were run; {needs}, or name fewer (--among)"
        ) from None
    return {name: [one.score(each) for each in states] for name, one in TRAINED.items()}


def _by_updates(
    sources: Sequence[TrainedSource],
    target: Task,
    sample: Sample,
    sets: TrainSets,
    clock: Clock,
    further: Further,
) -> tuple[Scores, list[str]]:
    """What estimators between updates say, and what to tell. Raises OutOfTime."""
    from adapter_stilts.model.tuning import get_tuning
    from adapter_stilts.select.updates.update import update_of, update_of_bundle

    tuning, base = get_tuning(sources[0].info.tuning), sets.request.base
    try:
        tuning.check_fold()
    except UsageError as error:
        return {}, [f"{', '.join(UPDATES)} left out: {error}"]
    seeds = {source.address: _seed(source) for source in (*sources, *filter(None, [further.own]))}
    notices = _of_several_seeds(seeds)

    def train_own(task: Task) -> Update:
        from adapter_stilts.select.short import new_model, train_short

        assert further.short is not None
        model = new_model(sets.labelled(task), base, further.short, sets.device, seeds[sources[0].address])
        train_short(model, sample.features, further.short, sets.device)
        return update_of(model, tuning, sets.encoder)

    def read(source: TrainedSource) -> Update:
        return update_of_bundle(source.directory, source.info, base, sets.encoder, sets.device)

    if further.own is None:
        (own,) = clock.each("training", [target], train_own)
    else:
        (own,) = clock.each("reading updates", [further.own], read)
    compared = clock.each(
        "comparing updates",
        sources,
        lambda source: {
            name: one.score(update, own) for update in [read(source)] for name, one in UPDATES.items()
        },
    )
    by_source = list(compared)
    return {name: [one[name] for one in by_source] for name in UPDATES}, notices


def _by_short_runs(
    sources: Sequence[TrainedSource],
    target: Task,
    sets: TrainSets,
    limit: int | None,
    clock: Clock,
    short: Short,
) -> tuple[Scores, list[str]]:
    """What estimators of short runs say, and what to tell."""
    from adapter_stilts.select.short_runs.short_run import dev_of, short_run

    dev = dev_of(target, sets)
    named = {name: one for name, one in SHORT_RUNS.items() if dev is not None or not one.NEEDS_DEV}
    without = [name for name in SHORT_RUNS if name not in named]
    notices = [f"{', '.join(without)} left out: {target.name} has no dev split at hand"] if without else []
    try:
        runs = list(
            clock.each(
                "short runs",
                sources,
                lambda source: short_run(source, target, dev, sets, limit, short),
                lambda: sets.made,
            )
        )
    except OutOfTime as error:
        return {}, [*notices, _left_out(clock, error, len(sources), list(named))]
    return {name: [one.score(run) for run in runs] for name, one in named.items()}, notices


def _seed(source: TrainedSource) -> int | None:
    """The seed that a bundle was trained with; None where it does not say."""
    seed = source.info.settings.get("seed")
    return seed if isinstance(seed, int) else None


def _of_several_seeds(seeds: Mapping[str, int | None]) -> list[str]:
    """A notice where updates begin at different factors."""
    if len(set(seeds.values())) == 1 and None not in seeds.values():
        return []
    told = ", ".join(f"{address}: {'not told' if seed is None else seed}" for address, seed in seeds.items())
    return [
        f"{', '.join(UPDATES)}: bundles of several seeds ({told}), whose updates begin in different directions; "
        "compare those of one seed"
    ]


def _left_out(clock: Clock, error: OutOfTime, of: int, names: Sequence[str]) -> str:
    needs = "" if error.whole is None else f", which takes about {error.whole:.0f}s in all"
    return f"{', '.join(names)} left out: --budget {clock.budget:g}s leaves no time for {of} bundles{needs}"
