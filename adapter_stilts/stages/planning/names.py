"""From names to tasks, and what the data hold of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from adapter_stilts.errors import DataError, UnknownNameError, UsageError
from adapter_stilts.recipe_sections import EACH
from adapter_stilts.stages.planning.request import Request
from adapter_stilts.tasks import all_tasks, file_hint, get_task
from adapter_stilts.tasks.base import Task, language_names
from adapter_stilts.tasks.groups import ALL, TEXTS, UNIONS

NONE = "none"


def intermediate_task(name: str) -> Task:
    """A task that may be trained on first: it has a train split of its own. Raises UnknownNameError."""
    extra = (NONE, ALL, EACH, *UNIONS, *TEXTS)
    return _known_task(name, "intermediate task", extra, lambda task: task.train_task == task.name)


def target_task(name: str) -> Task:
    """A task that is evaluated. Raises UnknownNameError."""
    return _known_task(name, "target task", (ALL,), lambda task: task.role == "target")


def train_task(request: Request, target: Task) -> Task:
    """The task whose train split trains a target.

    Raises:
        UsageError: the recipe names one of another head.
        DataError: it is trained in its own language, most often English, and the train split is not at hand.
    """
    name = request.recipe.target.train_task or target.train_task
    assert name is not None
    task = get_task(name)
    if task.format != target.format or task.labels != target.labels:
        choices = ", ".join(other.name for other in same_head(target))
        raise UsageError(
            f"target.train_task = {name!r} cannot train {target.name!r}: another format or label set. "
            f"Choices: {choices}"
        )
    # Of other languages, what is at hand is asked where they are chosen.
    asked = request.recipe.target.languages or task.trained_in
    return trainable(request, task, target) if set(asked) & set(task.trained_in) else task


def trainable(request: Request, task: Task, target: Task | None = None) -> Task:
    """The task, if a train split in its own languages, most often English, is at hand. Raises DataError."""
    source = request.source
    if source.languages(task, "train"):
        return task
    message = f"holds no {language_names(task.trained_in)} train split of {task.name!r}"
    others = [other.name for other in same_head(target or task) if source.languages(other, "train")]
    if target is not None and others:
        trains = f", which trains {target.name!r}" if target.name != task.name else ""
        message += f"{trains}; it holds {', '.join(others)}: --set target.train_task={others[0]}"
    elif task.declared:
        message += "; give it one ([files] train in the task's file), or a task to train on (train_task)"
    else:
        message += f"; get it ({task.dataset}), or leave out --data to read the hub (--fill-from-hub: what is lacking)"
    raise DataError(source.place if task.home is None else task.home, None, message)


def held_languages(request: Request, task: Task) -> tuple[str, ...]:
    """Of the languages asked for, those in which an intermediate task has a train split."""
    languages = request.recipe.intermediate.languages
    if languages is None:
        return request.source.languages(task, "train")
    held = request.source.training_languages(task)
    return tuple(sorted(language for language in set(languages) if language in held))


def where_translations_lie(request: Request, task: Task) -> str:
    """What to do about a train split in another language than its own."""
    if task.declared:
        return "Its languages stand in the task's file (train_languages)"
    if request.source.constructed:
        return "The miniature's languages are constructed: name one of these"
    return (
        f"Translated train sets are read from {task.folder or task.name}/translated/<language>/, under the release's "
        "file names"
    )


def same_head(task: Task) -> Sequence[Task]:
    """Tasks whose head fits: the same format and label set."""
    return [
        other
        for other in all_tasks()
        if (other.format, other.labels) == (task.format, task.labels)
        and other.train_task in (None, other.name)
        and (other.role == "intermediate" or other.train_task is not None)
    ]


def _known_task(name: str, kind: str, extra: tuple[str, ...], wanted: Callable[[Task], bool]) -> Task:
    choices = [task.name for task in all_tasks() if wanted(task)]
    if name in choices:
        return get_task(name)
    known = {task.name for task in all_tasks()}
    hint = "`adapter-stilts tasks` lists all."
    if name in known and get_task(name).role == "intermediate":
        hint = f"{name!r} is trained on, not evaluated: --inter {name}."
    elif name in known:
        hint = f"{name!r} has no train set of its own; it is evaluated: --target {name}."
    raise UnknownNameError(kind, name, [*extra, *choices], file_hint(name) or hint)
