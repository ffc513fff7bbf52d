"""A bundle, or a plain adapter, in place of an intermediate task: the stage that brings it into the store."""

from __future__ import annotations

from collections.abc import Sequence

from adapter_stilts.errors import BundleError, UsageError
from adapter_stilts.hub.address import is_address
from adapter_stilts.model.bundle_info import BundleInfo
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.stages.adopting import fetch_any, is_plain_at
from adapter_stilts.stages.graph import LONGEST_NAME, Stage
from adapter_stilts.stages.parts import FetchPart
from adapter_stilts.stages.planning.request import Added, Request


def plan_fetching(request: Request, names: Sequence[str]) -> Added:
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
    adopted = fetch_any(names[0], lambda: request.base, _trained_on(request, names[0]))
    found = adopted.found
    _check_fits(request, names[0], found.info)
    tuning = get_tuning(request.recipe.mode)
    tuning.check_bundles("continue", [found.directory], request.tuning, request.base.config)
    task = found.info.task
    if len(task) > LONGEST_NAME:
        task = f"{task.count('+') + 1}_tasks"
    stage = Stage(task, FetchPart(found.digest))
    told = () if adopted.notice is None else (adopted.notice,)
    notices = told + _notices(request, names[0], found.info)
    return Added((stage,), notices, {found.digest: found.directory})


def _trained_on(request: Request, address: str) -> str | None:
    """What the recipe says a plain adapter was trained on; the n-th name is the n-th plain one's.

    Raises:
        UsageError: it says more than there are plain adapters.
    """
    named = request.recipe.intermediate.trained_on
    if not named:
        return None
    plain = [each for each in request.recipe.intermediate.tasks if is_address(each) and is_plain_at(each)]
    if len(named) > len(plain):
        raise UsageError(
            f"--inter-task {','.join(named)}: says what {len(named)} plain adapters of PEFT or AdapterHub were trained "
            f"on; after --inter there {'is' if len(plain) == 1 else 'are'} {len(plain)}, as bundles say it themselves"
        )
    return dict(zip(plain, named, strict=False)).get(address)


def _check_fits(request: Request, address: str, info: BundleInfo) -> None:
    recipe, base = request.recipe, request.base
    if info.tuning != recipe.mode:
        raise BundleError(
            f"{address} was trained with --mode {info.tuning}, the recipe's is {recipe.mode}: add --mode {info.tuning}"
        )
    if info.base_fingerprint != base.fingerprint:
        raise BundleError(
            f"{address} was trained on the base {info.base!r} (fingerprint {info.base_fingerprint[:12]}), this is "
            f"{base.id!r} ({base.fingerprint[:12]}): on another base its numbers mean nothing. Give its own: "
            f"--base {info.base}"
        )


def _notices(request: Request, address: str, info: BundleInfo) -> tuple[str, ...]:
    """What of a bundle's tuning the recipe says otherwise."""
    theirs = info.settings.get("tuning", {})
    other = {
        key: theirs[key] for key, value in request.tuning.part().items() if theirs.get(key, value) != value
    }
    if request.recipe.combine != "continue" or not other:
        return ()
    told = ", ".join(f"{key} = {value!r}" for key, value in other.items())
    return (f"{address} has {told}, and training goes on with that; the recipe says otherwise",)
