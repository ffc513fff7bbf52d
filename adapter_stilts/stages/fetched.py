"""A bundle in place of an intermediate task: the stage that brings it into the store.

Its key holds the bundle's digest alone, so that it does not matter where the bundle came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from adapter_stilts.errors import BundleError, UsageError
from adapter_stilts.hub.transfer import fetch
from adapter_stilts.model.bundle import BundleInfo
from adapter_stilts.model.tuning import get_tuning, tuning_settings
from adapter_stilts.stages.graph import LONGEST_NAME, Stage

if TYPE_CHECKING:
    from adapter_stilts.stages.plan import _Planner


def lay_out_fetched(planner: _Planner, names: Sequence[str]) -> Stage:
    """The stage of a bundle named after ``--inter`` by its address.

    Raises:
        UsageError: there is none, or it stands beside other names.
        BundleError: it may not be read, or belongs to another mode or base than the recipe's.
        SourceUnavailableError: neither the hub nor its cache has it.
    """
    if len(names) > 1:
        raise UsageError(
            f"--inter {','.join(names)}: a bundle is trained already and stands alone; repeat --inter, with --combine "
            "where they should come together"
        )
    found = fetch(names[0])
    _check_fits(planner, names[0], found.info)
    own = tuning_settings(planner.recipe.mode, planner.recipe.tuning)
    get_tuning(planner.recipe.mode).check_bundles("continue", [found.directory], own, planner.base.config)
    planner.bundles[found.digest] = found.directory
    task = found.info.task
    if len(task) > LONGEST_NAME:
        task = f"{task.count('+') + 1}_tasks"
    return Stage("fetch", task, {"bundle": found.digest})


def _check_fits(planner: _Planner, address: str, info: BundleInfo) -> None:
    recipe = planner.recipe
    if info.tuning != recipe.mode:
        raise BundleError(
            f"{address} was trained with --mode {info.tuning}, the recipe's is {recipe.mode}: add --mode {info.tuning}"
        )
    base = planner.base
    if info.base_fingerprint != base.fingerprint:
        raise BundleError(
            f"{address} was trained on the base {info.base!r} (fingerprint {info.base_fingerprint[:12]}), this is "
            f"{base.id!r} ({base.fingerprint[:12]}): on another base its numbers mean nothing. Give --base with its own"
        )
    theirs = info.settings.get("tuning", {})
    other = {
        key: theirs[key] for key, value in planner.tuning_part.items() if theirs.get(key, value) != value
    }
    if recipe.combine == "continue" and other:
        told = ", ".join(f"{key} = {value!r}" for key, value in other.items())
        planner.notice(f"{address} has {told}, and training goes on with that; the recipe says otherwise")
