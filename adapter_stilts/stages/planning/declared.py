"""Declared tasks in a plan: files in the place of names, and a look at their data before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

from adapter_stilts.errors import UsageError
from adapter_stilts.recipe import Recipe
from adapter_stilts.stages.planning.request import Request
from adapter_stilts.tasks import add_file, all_tasks, is_file
from adapter_stilts.tasks.base import Task
from adapter_stilts.tasks.declared_data import look_at


def with_files(recipe: Recipe) -> Recipe:
    """The recipe with the names of tasks where it names TOML files, which are read.

    Raises:
        UsageError: a file cannot be read or used, or two of them declare one task.
        DataError: the data that it names are not there.
    """
    read: dict[str, str] = {}

    def named(name: str) -> str:
        if not is_file(name):
            return name
        if name not in read:
            task = add_file(name).name
            if task in read.values():
                first = next(file for file, other in read.items() if other == task)
                raise UsageError(f"{first} and {name} both declare {task!r}: say another name in one of them")
            read[name] = task
        return read[name]

    inter = tuple(
        ",".join(named(name.strip()) for name in entry.split(",")) for entry in recipe.intermediate.tasks
    )
    targets = tuple(named(name) for name in recipe.target.tasks)
    trains = recipe.target.train_task and named(recipe.target.train_task)
    if not read:
        return recipe
    return recipe.model_copy(
        update={
            "intermediate": recipe.intermediate.model_copy(update={"tasks": inter}),
            "target": recipe.target.model_copy(update={"tasks": targets, "train_task": trains}),
        }
    )


def looked_at(request: Request, targets: Sequence[Task]) -> tuple[str, ...]:
    """What is to be told of the data of the declared tasks of a recipe: every row is read before anything runs.

    Raises:
        DataError: a row cannot be used.
    """
    recipe = request.recipe
    names = {name.strip() for entry in recipe.intermediate.tasks for name in entry.split(",")}
    names |= {task.name for task in targets} | {recipe.target.train_task or ""}
    names |= {task.train_task or "" for task in targets}
    declared = [task for task in all_tasks() if task.declared and task.name in names]
    return tuple(notice for task in declared for notice in look_at(task, request.source).notices)
