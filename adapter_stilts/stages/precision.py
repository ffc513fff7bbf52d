"""Under which precision a bundle is gone on with or evaluated: its own, unless the command says another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from adapter_stilts.errors import AdapterStiltsError, UsageError
from adapter_stilts.hub.address import is_address
from adapter_stilts.hub.transfer import describe
from adapter_stilts.model.bundle_info import BundleInfo
from adapter_stilts.recipe import Precision, Recipe

SAY = "--precision takes another"


def precision_of(info: BundleInfo) -> str | None:
    """What a bundle was trained under, or its weights are in; None of a merge of several, or where it is not told."""
    export = info.settings.get("export")
    found = export.get("precision") if isinstance(export, Mapping) else info.settings.get("precision", "fp32")
    return found if isinstance(found, str) and found in get_args(Precision) else None


def of_bundle(recipe: Recipe, name: str, info: BundleInfo, said: bool) -> tuple[Recipe, str | None]:
    """A recipe to evaluate a bundle by, and what to tell of its precision; nothing where all say the same.

    Args:
        name: the bundle's.
        said: whether the command names a precision.
    """
    theirs = precision_of(info)
    if theirs is None:
        known = str(info.settings.get("precision", "nothing that is known"))
        return recipe, f"precision {recipe.precision}: {name} was made under {known}"
    if theirs == recipe.precision:
        return recipe, None
    if said:
        return recipe, f"precision {recipe.precision}, as asked for; {name} was trained under {theirs}"
    told = f"precision {theirs}, as {name} was trained; {SAY}"
    return recipe.model_copy(update={"precision": theirs}), told


def of_intermediates(recipe: Recipe, said: bool) -> tuple[Recipe, str | None]:
    """The same for training that goes on from bundles. What is wrong with one is told when the plan fetches it.

    Raises:
        UsageError: they were trained under several, and the command names none.
    """
    found: dict[str, str] = {}
    for entry in recipe.intermediate.tasks:
        if is_address(entry) and "," not in entry:
            try:
                theirs = precision_of(describe(entry).info)
            except AdapterStiltsError:
                continue
            if theirs is not None:
                found[entry] = theirs
    several = list(dict.fromkeys(found.values()))
    if not several or several == [recipe.precision]:
        return recipe, None
    told = ", ".join(f"{name} was trained under {theirs}" for name, theirs in found.items())
    if said:
        return recipe, f"precision {recipe.precision}, as asked for; {told}"
    if len(several) > 1:
        raise UsageError(f"{told}: say with --precision under which one training goes on")
    return recipe.model_copy(update={"precision": several[0]}), f"precision {several[0]}: {told}; {SAY}"
