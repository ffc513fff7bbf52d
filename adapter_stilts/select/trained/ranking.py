"""Trained sources in the order in which they should help a target, without any further training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from adapter_stilts.errors import UsageError
from adapter_stilts.select.clock import Clock, OutOfTime
from adapter_stilts.select.reading import TrainSets
from adapter_stilts.select.suggestion import Ranking, rows_of
from adapter_stilts.select.trained import TRAINED
from adapter_stilts.select.trained.bundles import TrainedSource
from adapter_stilts.select.trained.rows import ROWS
from adapter_stilts.tasks.base import Task

if TYPE_CHECKING:
    from adapter_stilts.select.trained.labelled import Labelled


def rank_trained(
    sources: Sequence[TrainedSource], target: Task, sets: TrainSets, limit: int | None, clock: Clock
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
        raise UsageError(
            f"{target.name} is of format {target.format}: {' and '.join(TRAINED)} tell how well a bundle's states "
            f"separate labels, which it has not; they do for {', '.join(ROWS)}. Name tasks after --among in their place"
        )
    try:
        (sample,) = clock.each("reading", [target], lambda task: sets.sample(task, limit))
    except OutOfTime:
        raise UsageError(
            f"--budget {clock.budget:g}s is too short: in {clock.taken:.1f} s the train set of {target.name} was not "
            "read; give more"
        ) from None
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
    scores = {name: [one.score(each) for each in states] for name, one in TRAINED.items()}
    found = rows_of([source.address for source in sources], [None] * len(sources), scores)
    return Ranking(found, dict(clock.seconds), {name: one.WHAT for name, one in TRAINED.items()})
