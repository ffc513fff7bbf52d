"""In which languages a target is trained: English, others, or a few examples of them; one model, or one a language."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from adapter_stilts.errors import DataError, UsageError
from adapter_stilts.recipe_sections import EACH, SAME
from adapter_stilts.stages.cells import Taught
from adapter_stilts.stages.planning.names import train_task, where_translations_lie
from adapter_stilts.stages.planning.reading import options_of
from adapter_stilts.stages.planning.request import Added, Request, together
from adapter_stilts.stages.planning.training import TaughtTask, plan_few_shot, plan_training
from adapter_stilts.tasks.base import Task


def teachings(
    request: Request, target: Task, evaluated: Sequence[str]
) -> tuple[tuple[Taught, ...], tuple[str, ...]]:
    """The models of a target, and what is to be told of them.

    Args:
        evaluated: the languages it is evaluated in, which ``each`` goes through.

    Raises:
        UsageError: more examples are asked for than there are.
        DataError: the data hold no train split of the target in a language asked for.
    """
    asked = request.recipe.target
    if target.train_task is None:
        keys = {
            "languages": asked.languages,
            "few_shot": asked.few_shot,
            "dev_languages": asked.dev_languages,
        }
        idle = [f"target.{key}" for key, value in keys.items() if value]
        return (Taught(()),), tuple(f"{target.name} trains nothing: {key} is without effect" for key in idle)
    task = train_task(request, target)
    if asked.languages is None and not asked.few_shot:
        return (Taught(tuple(task.trained_in)),), ()
    held = _trains(request, task, target)
    if asked.languages == (EACH,):
        found, notices = _held_of(request, task, target, evaluated, held, "trained in")
        return tuple(Taught((language,)) for language in found), notices
    languages, notices = _languages(request, task, held)
    if EACH in asked.few_shot:
        others = [language for language in evaluated if language not in languages]
        found, more = _held_of(request, task, target, others, held, "few-shot in")
        count = asked.few_shot[EACH]
        sizes = {language: _size(request, held[language], language) for language in found}
        lacking = {language: size for language, size in sizes.items() if size < count}
        if len(lacking) == len(found):
            raise UsageError(_too_many(request, task, lacking, count))
        if lacking:
            told = ", ".join(f"{language} ({size})" for language, size in lacking.items())
            more += (f"{target.name}: fewer than {count} examples, left out: {told}",)
        few = [{language: count} for language in found if language not in lacking]
        return tuple(Taught(languages, one, asked.few_shot_when) for one in few), notices + more
    _check_few(request, task, held)
    few_shot = {language: asked.few_shot[language] for language in sorted(asked.few_shot)}
    return (Taught(languages, few_shot, asked.few_shot_when),), notices


def plan_teaching(
    request: Request, target: Task, taught: Taught, before: Added, combine: str | None
) -> Added:
    """The stages that train a target, the last of which is evaluated.

    Args:
        before: the stages they start from, and what they added.
        combine: ``stack`` or ``fuse``: how they take their parents' modules together.
    """
    recipe = request.recipe
    task, settings = train_task(request, target), recipe.target
    after = taught.few_shot if taught.when == "after" else {}
    mixed = taught.few_shot if taught.when == "mixed" else {}
    if after and combine is not None:
        raise UsageError(
            f"target.few_shot_when = 'after' goes on from one bundle's modules, and this combines several ({combine}): "
            "set target.few_shot_when=mixed, or combine otherwise"
        )
    first = _taught_task(request, task, target, sorted({*taught.languages, *mixed}), mixed)
    trained = plan_training(request, first, settings, before, combine)
    if not after:
        return trained
    shown = _taught_task(request, task, target, sorted(after), after)
    last = plan_few_shot(request, shown, trained, taught.languages)
    return together([Added(notices=trained.notices), last])


def _taught_task(
    request: Request, task: Task, target: Task, languages: Sequence[str], drawn: Mapping[str, int]
) -> TaughtTask:
    """What one stage trains: the train task in some languages, or the target's own splits in those that it lacks."""
    trains = _trained_by(request, task, target, languages)
    other = target if trains == task else task
    return TaughtTask(trains, languages, _dev(request, task, languages), drawn, other)


def _dev(request: Request, task: Task, trained: Sequence[str]) -> Sequence[str]:
    asked = request.recipe.target.dev_languages
    if asked is None:
        return task.trained_in[:1]
    return trained if asked == (SAME,) else asked


def _languages(
    request: Request, task: Task, held: Collection[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The languages of whole train splits; those that this target lacks are told."""
    asked = request.recipe.target.languages or task.trained_in
    lacking = [language for language in dict.fromkeys(asked) if language not in held]
    found = tuple(sorted(set(asked) - set(lacking)))
    if not found:
        raise DataError(request.source.place, None, _absent(request, task, asked, held))
    told = f"{task.name}: no train split in {', '.join(lacking)} at hand; trained in {', '.join(found)}"
    return found, (told,) if lacking else ()


def _held_of(
    request: Request, task: Task, target: Task, wanted: Sequence[str], held: Collection[str], how: str
) -> tuple[list[str], tuple[str, ...]]:
    """Of the languages that ``each`` means, those with a train split."""
    found = [language for language in wanted if language in held]
    if not found:
        raise DataError(request.source.place, None, _absent(request, task, wanted, held))
    lacking = [language for language in wanted if language not in held]
    told = f"{target.name}: no train split of {task.name} in {', '.join(lacking)} at hand; {how} {', '.join(found)}"
    return found, (told,) if lacking else ()


def _trains(request: Request, task: Task, target: Task) -> dict[str, Task]:
    """Languages with a train split -> whose it is: the train task's, or in languages that it lacks the target's own."""
    found = dict.fromkeys(request.source.training_languages(task), task)
    for language in request.source.training_languages(target):
        if language not in task.trained_in:
            found.setdefault(language, target)
    return found


def _trained_by(request: Request, task: Task, target: Task, languages: Sequence[str]) -> Task:
    """The task whose train splits a stage takes. Raises UsageError where languages have splits of two tasks."""
    if set(languages) <= set(task.trained_in):
        return task  # as most often; nothing is looked for
    trains = _trains(request, task, target)
    found = list({trains[language].name: trains[language] for language in languages}.values())
    if len(found) > 1:
        told = "; ".join(
            f"{one.name}: {', '.join(lang for lang in languages if trains[lang] == one)}" for one in found
        )
        raise UsageError(
            f"one stage trains on one task's splits, and these are of several ({told}): name languages of one of them, "
            "or let the others follow with target.few_shot (--few-shot LANG=N) and target.few_shot_when=after"
        )
    return found[0]


def _check_few(request: Request, task: Task, held: Mapping[str, Task]) -> None:
    """Raises where a language has no train split, or fewer examples than are asked for."""
    for language, count in request.recipe.target.few_shot.items():
        if language not in held:
            raise DataError(request.source.place, None, _absent(request, task, (language,), held))
        size = _size(request, held[language], language)
        if size < count:
            raise UsageError(_too_many(request, task, {language: size}, count))


def _size(request: Request, task: Task, language: str) -> int:
    return len(request.source.examples(task, "train", language, options_of(request, task)))


def _too_many(request: Request, task: Task, sizes: dict[str, int], count: int) -> str:
    told = ", ".join(f"{language} holds {size}" for language, size in sizes.items())
    language = max(sizes, key=lambda language: sizes[language])
    named = EACH if EACH in request.recipe.target.few_shot else language
    return (
        f"target.few_shot takes {count} examples of the train split of {task.name}, and {told}: "
        f"--few-shot {named}={sizes[language]}, or train on all of them with --train-languages"
    )


def _absent(request: Request, task: Task, wanted: Sequence[str], held: Collection[str]) -> str:
    return (
        f"holds no train split of {task.name} in {', '.join(wanted)}; it holds: {', '.join(held) or 'none'}. "
        f"{where_translations_lie(request, task)}"
    )
