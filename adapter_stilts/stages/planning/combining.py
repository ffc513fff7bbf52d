"""All intermediate tasks as one start: combined in target training, or merged before it."""

from __future__ import annotations

from collections.abc import Mapping

from adapter_stilts.errors import UnknownNameError, UsageError
from adapter_stilts.model.bundle import read_bundle
from adapter_stilts.model.combinations import WAYS
from adapter_stilts.model.merge import Merge, equal_weights
from adapter_stilts.model.soup import check_soup
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.parts import ComposePart, FetchPart
from adapter_stilts.stages.planning.names import NONE
from adapter_stilts.stages.planning.request import Added, Request, together


def plan_combination(request: Request, starts: Mapping[str, Added]) -> dict[str, Added]:
    """All intermediate stages as one start, by its name, beside the baseline where that is asked for.

    Args:
        starts: the stage of each intermediate entry, by the entry; none of ``none``.

    Raises:
        UsageError: an unknown way to combine, too few tasks, or a tuning that has no such way.
        BundleError: bundles that do not go together.
    """
    recipe = request.recipe
    alone = {name: Added() for name in starts if name == NONE}
    kind, _, method = recipe.combine.partition(":")
    if kind not in WAYS or (method and kind != "merge"):
        raise UnknownNameError("way to combine", recipe.combine, WAYS, "As in merge:ties.")
    before = together(starts.values())
    names = [name for name, added in starts.items() if added.stages]
    least = 1 if kind == "stack" else 2
    if len(before.stages) < least:
        raise UsageError(
            f"--combine {recipe.combine} takes {least} or more intermediate tasks, e.g. --inter mnli --inter "
            f"squad_v1; got {', '.join(names) or 'none'}"
        )
    tuning = get_tuning(recipe.mode)
    if recipe.frozen_under is not None:
        tuning.check_combine(recipe.frozen_under, request.tuning)
    if any(isinstance(stage.part, FetchPart) for stage in before.stages):
        fetched = [
            before.bundles[stage.part.bundle] if isinstance(stage.part, FetchPart) else None
            for stage in before.stages
        ]
        tuning.check_bundles(kind, fetched, request.tuning, request.base.config)
    if kind != "merge":
        return {**alone, f"{kind} of {', '.join(names)}": before}
    how = _merge(request, method or "linear", len(before.stages))
    tuning.check_merge(how)
    if how.method == "soup":
        _check_one_task(before)
    part = ComposePart(request.base.fingerprint, recipe.mode, how)
    merged = Stage("+".join(stage.task for stage in before.stages), part, before.stages)
    stacked = ", under a stack" if recipe.merge.then == "stack" else ""
    notices = before.notices if how.has_mean else (*before.notices, _headless(how))
    added = Added((merged,), notices, before.bundles, before.texts)
    return {**alone, f"{how.method} of {', '.join(names)}{stacked}": added}


def _merge(request: Request, method: str, count: int) -> Merge:
    settings = request.recipe.merge
    weights = settings.weights or equal_weights(count)
    if len(weights) != count:
        raise UsageError(f"merge.weights names {len(weights)} weights for {count} intermediate tasks")
    return Merge(method, weights, settings.density, settings.rank, request.recipe.seed)


def _check_one_task(before: Added) -> None:
    """Raises UsageError where a soup would be of several tasks, BundleError where fetched runs have no mean."""
    tasks = list(dict.fromkeys(stage.task for stage in before.stages))
    if len(tasks) > 1:
        raise UsageError(
            f"merge:soup is the mean of several runs of one task, e.g. --inter seed0.bundle --inter seed1.bundle; got "
            f"{', '.join(tasks)}: merge:linear takes different tasks"
        )
    fetched = [
        before.bundles[stage.part.bundle] for stage in before.stages if isinstance(stage.part, FetchPart)
    ]
    if len(fetched) > 1:
        check_soup(fetched, [read_bundle(bundle) for bundle in fetched], with_head=False)


def _headless(how: Merge) -> str:
    return (
        f"merge.weights sum to {sum(how.weights):g}: the merge has no head, as heads have no such mean; a target's "
        "training makes its own"
    )
