"""The tasks: one file each, found by their file.

Every module of this package that has a `TASK` is a task; there is no list to edit. Other packages add theirs as entry
points of `adapter_stilts.tasks`, each a module with a `TASK` or the `TASK` itself; `add_folder` adds those of a folder.
"""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable
from pathlib import Path

from adapter_stilts.errors import UnknownNameError
from adapter_stilts.registry import TASKS
from adapter_stilts.tasks.base import Task
from adapter_stilts.tasks.outside import declared_tasks, tasks_in

__all__ = ["Task", "add_folder", "all_tasks", "get_task", "is_added", "own_tasks"]

_log = logging.getLogger(__name__)

_added: dict[Path, Task] = {}
"""Tasks of folders, by their files."""


def get_task(name: str) -> Task:
    """The task called ``name``.

    Raises:
        UnknownNameError: there is none; names the nearest.
        UsageError: another package's tasks cannot be loaded.
    """
    tasks = _registry()
    if name not in tasks:
        raise UnknownNameError("task", name, [task.name for task in all_tasks()])
    return tasks[name]


def all_tasks() -> tuple[Task, ...]:
    """Every task, intermediate ones first, then targets, each sorted by name."""
    return tuple(sorted(_registry().values(), key=lambda task: (task.role, task.name)))


def own_tasks() -> tuple[Task, ...]:
    """The tasks of this package."""
    return tuple(_own().values())


def add_folder(folder: str | Path, notice: Callable[[str], None] = _log.warning) -> tuple[Task, ...]:
    """Make the tasks of a folder known in this process: those of its ``*.py`` files that have a `TASK`.

    A folder that was added before is read anew, and its tasks take the place of what they were. `tasks/outside.py`
    says what of them enters the keys of stages; their code does not, and `Task.schema` is there for it.

    Args:
        notice: told of each file that holds no task.

    Raises:
        UsageError: a file cannot be loaded, or a name is taken; nothing is added then.
    """
    root = Path(folder).expanduser().absolute()
    found = dict(tasks_in(root, notice))
    kept = {path: task for path, task in _added.items() if path.parent != root}
    places = {task.name: place for place, task in _known().values()}
    places |= {task.name: str(path) for path, task in kept.items()}
    for path, task in found.items():
        if task.name in places:
            raise TASKS.taken(task.name, str(path), places[task.name])
        places[task.name] = str(path)
    _added.clear()
    _added.update(kept | found)
    return tuple(found.values())


def is_added(name: str) -> bool:
    """Whether a task is one of `add_folder`."""
    return any(task.name == name for task in _added.values())


@functools.cache
def _own() -> dict[str, Task]:
    tasks: dict[str, Task] = {}
    for module in TASKS.modules():
        task = getattr(importlib.import_module(f"{__name__}.{module}"), "TASK", None)
        if isinstance(task, Task):
            assert task.name not in tasks, f"two task files name {task.name!r}"
            tasks[task.name] = task
    return tasks


@functools.cache
def _known() -> dict[str, tuple[str, Task]]:
    """Ours and other packages' by name, each with its place."""
    ours = {name: (f"adapter_stilts/tasks/{name}.py", task) for name, task in _own().items()}
    return ours | {task.name: (place, task) for place, task in declared_tasks()}


def _registry() -> dict[str, Task]:
    return {name: task for name, (_, task) in _known().items()} | {
        task.name: task for task in _added.values()
    }
