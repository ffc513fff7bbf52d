"""Evaluate stages: in which languages, and what is looked at beside their test splits."""

from __future__ import annotations

from collections.abc import Sequence

from adapter_stilts.errors import DataError, UnknownNameError
from adapter_stilts.evaluation.judging import beside
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.parts import EvaluatePart
from adapter_stilts.stages.planning.reading import options_of, reading
from adapter_stilts.stages.planning.request import Added, Request
from adapter_stilts.stages.planning.targets import miniature_notice, wanted_languages
from adapter_stilts.tasks.base import Task


def plan_evaluating(
    request: Request,
    task: Task,
    languages: Sequence[str],
    parents: tuple[Stage, ...],
    bundle: str | None = None,
) -> Added:
    """The stage that evaluates a target.

    Args:
        parents: the stage whose bundle is evaluated; none evaluates the base, or `bundle`.
        bundle: digest of a bundle of no stage.
    """
    options, source, split = options_of(request, task), request.source, request.recipe.evaluation.split
    held = held_in(request, task)
    others = beside(task, languages, held, split)
    absent = [language for language in task.languages if language not in held]
    notices: tuple[str, ...] = ()
    if absent and any(other == split for other, _ in others):
        notices = (f"{task.name}: the pool that is searched lacks the candidates of {', '.join(absent)}",)
    part = EvaluatePart(
        request.base.fingerprint,
        request.recipe.precision,
        reading(request, task, trains=False),
        request.recipe.evaluation.limit,
        {language: source.fingerprint(task, split, language, options) for language in languages},
        {(other, language): source.fingerprint(task, other, language, options) for other, language in others},
        bundle,
        split,
    )
    return Added((Stage(task.name, part, parents),), notices)


def held_in(request: Request, task: Task) -> tuple[str, ...]:
    """The languages that the data hold the evaluated split in."""
    if request.recipe.evaluation.split == "dev":
        return request.source.dev_languages(task)
    return request.source.languages(task, "test")


def evaluation_languages(
    request: Request, targets: Sequence[Task]
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """The languages of each target, and what is to be told of them.

    Raises:
        UnknownNameError: a language that no target has.
        DataError: one that the data lack.
    """
    recipe, source = request.recipe, request.source
    asked = recipe.evaluation.languages
    told = miniature_notice(recipe, source)
    notices: tuple[str, ...] = () if told is None else (told,)
    notices += tuple(f"{task.name}: {task.remark}" for task in targets if task.remark)
    known = dict.fromkeys(language for task in targets for language in source.offered(task))
    for language in asked or ():
        if language not in known and not any(source.further(task, language) for task in targets):
            names = ", ".join(task.name for task in targets)
            hint = (
                "The miniature's languages are constructed." if source.constructed
                else "A test set of another language is found under the task's own file names with its code in them "
                "(docs/tasks.md, Other languages)."
            )  # fmt: skip
            raise UnknownNameError(f"language of {names}", language, known, hint)
    found = {}
    for task in targets:
        found[task.name], more = _languages_of(request, task, asked)
        notices += more
    return found, notices


def _languages_of(
    request: Request, task: Task, asked: tuple[str, ...] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    source, split = request.source, request.recipe.evaluation.split
    held = held_in(request, task)
    wanted = wanted_languages(task, request.recipe, source)
    notices: tuple[str, ...] = ()
    if asked is not None:
        # Whichever benchmark has them: what is asked for by name counts.
        further = tuple(language for language in asked if source.further(task, language))
        wanted = (*(each for each in source.offered(task) if each in asked), *further)
        if further and split == "test":
            held += further
            notices = (
                f"{task.name}: {', '.join(further)} in no benchmark: evaluated, and no part of the average",
            )
    absent = [language for language in wanted if language not in held]
    found = tuple(language for language in wanted if language in held)
    if absent and asked is not None:
        raise DataError(
            source.place,
            None,
            f"holds no {task.name} {split} split in {', '.join(absent)}; it holds {', '.join(held) or 'none'}",
        )
    if not found:
        step = "" if split == "test" else "; leave out --split to evaluate on test"
        raise DataError(
            source.place, None, f"holds no {split} split of {task.name!r} in any of its languages{step}"
        )
    if absent:
        notices += (
            f"{task.name}: {len(found)} of {len(wanted)} languages are at hand and averaged; "
            f"missing: {', '.join(absent)}",
        )
    return found, notices
