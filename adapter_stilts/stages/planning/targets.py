"""Which targets a recipe means, and in which languages: what the chosen benchmark decides."""

from __future__ import annotations

from collections.abc import Sequence

from adapter_stilts.errors import DataError, UsageError
from adapter_stilts.evaluation.membership import BENCHMARKS
from adapter_stilts.recipe import Recipe
from adapter_stilts.recipe_sections import EACH
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.base import Task
from adapter_stilts.tasks.groups import ALL
from adapter_stilts.tasks.sources import Source


def wanted_languages(task: Task, recipe: Recipe, source: Source) -> tuple[str, ...]:
    """The languages of a target that the benchmark averages, held or not.

    Under ``xtreme``, tasks of other benchmarks or none come in their own languages. The miniature's are its own.

    Raises:
        UsageError: another benchmark is asked for, and the task is not in it.
    """
    if source.constructed or recipe.benchmark == "xtreme":
        return source.wanted(task)
    members = BENCHMARKS[recipe.benchmark].languages
    if task.name not in members:
        raise UsageError(
            f"{task.name!r} is no task of {recipe.benchmark}, whose tasks are: {', '.join(members)}. "
            "Leave out --benchmark to evaluate it in XTREME's languages, or its own"
        )
    return tuple(language for language in task.all_languages if language in members[task.name])


def miniature_notice(recipe: Recipe, source: Source) -> str | None:
    """Where a benchmark is named beside data that have languages of their own."""
    if not source.constructed or "benchmark" not in recipe.model_fields_set:
        return None
    return (
        f"benchmark {recipe.benchmark}: the miniature is evaluated in its own constructed languages, not in the "
        "benchmark's; only --target all follows it"
    )


def expanded(recipe: Recipe, source: Source) -> tuple[list[str], tuple[str, ...]]:
    """The names of the targets, ``all`` as the benchmark's tasks that the data hold, and what is left out of them.

    Raises:
        DataError: ``all``, and the data hold none.
    """
    names: list[str] = []
    notices: tuple[str, ...] = ()
    for name in recipe.target.tasks:
        if name != ALL:
            names.append(name)
            continue
        members = BENCHMARKS[recipe.benchmark].languages
        lost = {member: _lacking(get_task(member), recipe, source) for member in members}
        held = [member for member in members if lost[member] is None]
        told = ", ".join(f"{member} ({why})" for member, why in lost.items() if why is not None)
        if not held:
            raise DataError(source.place, None, f"can serve no target of {recipe.benchmark}: {told}")
        if told:
            count = f"{len(held)} of the {len(members)} targets of {recipe.benchmark}"
            notices += (f"{count}: left out {told}",)
        names += held
    return list(dict.fromkeys(names)), notices


def _lacking(task: Task, recipe: Recipe, source: Source) -> str | None:
    """Why a task cannot be trained and evaluated here, None where it can."""
    split = recipe.evaluation.split
    try:
        held = source.languages(task, "test") if split == "test" else source.dev_languages(task)
    except UsageError as error:  # the hub cannot serve it
        return str(error)
    if not held:
        return f"no {split} split at hand"
    asked = recipe.evaluation.languages
    if asked is not None and not set(asked) & set(source.offered(task)):
        return f"not in {_or(asked)}"
    if task.train_task is None:
        return None
    name = recipe.target.train_task or task.train_task
    trained = recipe.target.languages
    if trained is None:
        has = bool(source.languages(get_task(name), "train"))
    else:
        at_hand = source.training_languages(get_task(name))
        has = bool(at_hand) if trained == (EACH,) else bool(set(trained) & set(at_hand))
    return None if has else f"no train split of {name} at hand"


def _or(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
