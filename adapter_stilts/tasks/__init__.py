"""The tasks: one file each, found by their file.

Every module of this package that has a `TASK` is a task; there is no list to edit. Other packages add theirs as entry
points of `adapter_stilts.tasks`, each a module with a `TASK` or the `TASK` itself; `add_folder` adds those of a folder,
`add_file` that of a TOML file.
"""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from adapter_stilts.axes import DECLARED
from adapter_stilts.errors import UnknownNameError
from adapter_stilts.registry import TASKS
from adapter_stilts.tasks.base import Task
from adapter_stilts.tasks.declaration import Where
from adapter_stilts.tasks.declared import check_files, declaration_of, task_of
from adapter_stilts.tasks.outside import check_usable, declared_tasks, task_in, tasks_in

__all__ = [
    "Task",
    "add_bundled",
    "add_file",
    "add_files",
    "add_folder",
    "added_files",
    "all_tasks",
    "get_task",
    "is_added",
    "is_file",
    "own_tasks",
]

_log = logging.getLogger(__name__)

_added: dict[Path, Task] = {}
"""Tasks of folders and files, by their files."""
_named: set[Path] = set()
"""Of these, those named one by one: another file of the same task takes the place of the last one."""
_noticed: set[str] = set()
"""What was told of files that hold no task, once however often their folder is read."""


def get_task(name: str) -> Task:
    """The task called ``name``.

    Raises:
        UnknownNameError: there is none; names the nearest.
        UsageError: another package's tasks cannot be loaded.
    """
    tasks = _registry()
    if name not in tasks:
        raise UnknownNameError("task", name, [task.name for task in all_tasks()], file_hint(name))
    return tasks[name]


def file_hint(name: str) -> str:
    """What to do about an unknown task that is the name of a file here, or of a TOML file without its end."""
    if Path(f"{name}.toml").is_file():
        return f"A task's file is named with its end: {name}.toml."
    if Path(name).is_file():
        return f"{name} is a file: what it holds is said in a TOML file beside it, which is named (docs/own-tasks.md)."
    return ""


def all_tasks() -> tuple[Task, ...]:
    """Every task, intermediate ones first, then targets, each sorted by name."""
    return tuple(sorted(_registry().values(), key=lambda task: (task.role, task.name)))


def own_tasks() -> tuple[Task, ...]:
    """The tasks of this package."""
    return tuple(_own().values())


def add_folder(folder: str | Path, notice: Callable[[str], None] = _log.warning) -> tuple[Task, ...]:
    """Make the tasks of a folder known in this process: of its ``*.py`` files with a `TASK`, and its ``*.toml``.

    A folder that was added before is read anew, and its tasks take the place of what they were. `tasks/outside.py`
    says what of them enters the keys of stages; their code does not, and `Task.schema` is there for it.

    Args:
        notice: told of each file that holds no task, once.

    Raises:
        UsageError: a file cannot be loaded, or a name is taken; nothing is added then.
    """

    def once(text: str) -> None:
        if text not in _noticed:
            _noticed.add(text)
            notice(text)

    root = Path(folder).expanduser().absolute()
    found = dict(tasks_in(root, once))
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


def is_file(name: str) -> bool:
    """Whether what stands in the place of a task's name is a TOML file's."""
    return name.endswith(DECLARED)


def add_file(file: str | Path) -> Task:
    """Make the task of a TOML file known in this process.

    A task of the same name that was added from another TOML file makes room for it.

    Raises:
        UsageError: there is no such file, it says what cannot be, or its name is taken.
        DataError: a file that it names is not there.
    """
    path = Path(file).expanduser().absolute()
    task = task_in(path)
    check_files(task, str(path))
    return _take(path, task)


def added_files(names: Collection[str]) -> list[str]:
    """The files that some tasks were added from, sorted; those of bundles are read again with the bundles."""
    return sorted(
        str(path) for path, task in _added.items() if task.name in names and path.suffix in (DECLARED, ".py")
    )


def add_files(files: Iterable[str]) -> None:
    """Make tasks known as `added_files` told of them. Raises UsageError, DataError as `add_file`, `add_folder`."""
    for file in files:
        if is_file(file):
            add_file(file)
        elif Path(file) not in _added:
            add_folder(Path(file).parent)


def add_bundled(values: Mapping[str, Any], bundle: str | Path) -> Task:
    """Make a task known by the declaration that a bundle carries; its files are looked for where other tasks' are.

    Raises:
        UsageError: it says what cannot be, or its name is taken.
    """
    place = Path(bundle) / "bundle.json"
    task = task_of(declaration_of(values, Where(str(place))), None)
    check_usable(task)
    return _take(place, task)


def _take(path: Path, task: Task) -> Task:
    places = {known.name: place for place, known in _known().values()}
    places |= {known.name: str(other) for other, known in _added.items() if other not in {path, *_named}}
    if task.name in places:
        raise TASKS.taken(task.name, str(path), places[task.name])
    for other in [other for other in _named if other in _added and _added[other].name == task.name]:
        del _added[other]
    _added[path] = task
    _named.add(path)
    return task


def is_added(name: str) -> bool:
    """Whether a task is one of `add_folder`'s Python files."""
    return any(task.name == name and not task.declared for task in _added.values())


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
