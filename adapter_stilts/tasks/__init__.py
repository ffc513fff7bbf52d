"""The tasks: one file each, found by their file.

Every module of this package that has a `TASK` is a task; there is no list to edit.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil

from adapter_stilts.errors import UnknownNameError
from adapter_stilts.tasks.base import Task

__all__ = ["Task", "all_tasks", "get_task"]


def get_task(name: str) -> Task:
    """The task called ``name``.

    Raises:
        UnknownNameError: there is none; names the nearest.
    """
    tasks = _registry()
    if name not in tasks:
        raise UnknownNameError("task", name, [task.name for task in all_tasks()])
    return tasks[name]


def all_tasks() -> tuple[Task, ...]:
    """Every task, intermediate ones first, then targets, each sorted by name."""
    return tuple(sorted(_registry().values(), key=lambda task: (task.role, task.name)))


@functools.cache
def _registry() -> dict[str, Task]:
    tasks: dict[str, Task] = {}
    for module in pkgutil.iter_modules(__path__):
        task = getattr(importlib.import_module(f"{__name__}.{module.name}"), "TASK", None)
        if isinstance(task, Task):
            assert task.name not in tasks, f"two task files name {task.name!r}"
            tasks[task.name] = task
    return tasks
