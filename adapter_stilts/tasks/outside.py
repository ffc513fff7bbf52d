"""Tasks from outside this package: what other packages declare, and files of somebody's own, of Python or TOML.

What enters the keys of their stages is what enters those of ours: the bytes of the release files that are read (or the
hub's fingerprint of its data set), what is taken of them (the task's name and `Task.schema`, split, language, options),
and the settings of the recipe. The code of a task file does not, nor does its place: whoever changes what it makes of
the same rows raises `Task.schema`. Of a TOML file what it says is hashed instead.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from adapter_stilts.axes import DECLARED
from adapter_stilts.errors import AdapterStiltsError, UnknownNameError, UsageError
from adapter_stilts.formats import format_names
from adapter_stilts.registry import TASKS, place_of
from adapter_stilts.tasks.base import Task, judged_of
from adapter_stilts.tasks.declared import is_declaration, read_declared
from adapter_stilts.tasks.groups import ALL, TEXTS, UNIONS

RESERVED = ("none", ALL, *TEXTS, *UNIONS)
"""Names after ``--inter`` and ``--target`` that are no task's."""


def declared_tasks() -> Iterator[tuple[str, Task]]:
    """The tasks that other packages declare, each with its place. Raises UsageError where one is of no use."""
    for name in TASKS.names():
        if name not in TASKS.declared():
            continue
        loaded = TASKS.load(name)
        task = getattr(loaded, "TASK", loaded)
        if not isinstance(task, Task):
            raise TASKS.unfit(name, f"is {type(task).__name__}, no Task and no module with a TASK")
        if task.name != name:
            raise TASKS.unfit(name, f"is a task called {task.name!r}: both should have one name")
        try:
            check_usable(task)
        except UsageError as error:
            raise TASKS.unfit(name, f"cannot be used: {error}") from error
        yield place_of(TASKS.declared()[name]), task


def tasks_in(folder: Path, notice: Callable[[str], None]) -> Iterator[tuple[Path, Task]]:
    """The tasks of a folder's ``*.py`` files, each loaded as a module of its own, and of its ``*.toml``, by file.

    Args:
        notice: told of each file that holds no task.

    Raises:
        UsageError: there is no such folder or no task in it, or a file cannot be loaded or used; names it.
    """
    if not folder.is_dir():
        raise UsageError(
            f"{folder}: no such folder; --tasks names one of task files (*.py, each with a TASK, and *.toml)"
        )
    found = 0
    for path in sorted([*folder.glob("*.py"), *folder.glob(f"*{DECLARED}")]):
        task = _declared_in(path, notice) if path.suffix == DECLARED else _coded_in(path, notice)
        if task is not None:
            found += 1
            yield path, task
    if not found:
        raise UsageError(f"{folder}: holds no task file (*.py with a TASK, or *.toml that says a format)")


def _coded_in(path: Path, notice: Callable[[str], None]) -> Task | None:
    task = getattr(_module(path), "TASK", None)
    if task is None:
        notice(f"{path} has no TASK, and is passed over")
        return None
    if not isinstance(task, Task):
        raise UsageError(f"{path}: TASK is {type(task).__name__}, no adapter_stilts.tasks.Task")
    try:
        check_usable(task)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return task


def _declared_in(path: Path, notice: Callable[[str], None]) -> Task | None:
    if not is_declaration(path):
        notice(f"{path} says no format, and is passed over")
        return None
    return task_in(path)


def task_in(path: Path) -> Task:
    """The task of a TOML file. Raises UsageError as `read_declared`, or where a task cannot be called or judged so."""
    task = read_declared(path)
    try:
        check_usable(task)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return task


def check_usable(task: Task) -> None:
    """Raises UsageError where a task is named as none can be, or says of itself what is not so."""
    if not re.fullmatch(r"[A-Za-z0-9_]+", task.name):
        raise UsageError(f"a task cannot be called {task.name!r}: letters, digits and underscores")
    if task.name in RESERVED:
        raise UsageError(f"a task cannot be called {task.name!r}, which stands for others or for none")
    if task.format not in format_names():
        raise UnknownNameError(f"format of task {task.name!r}:", task.format, format_names())
    judged_of(task)
    if task.benchmarks:
        names = ", ".join(task.benchmarks)
        raise UsageError(
            f"task {task.name!r} says it is in {names}, whose tasks are known: leave benchmarks out"
        )


def _module(path: Path) -> ModuleType:
    """A file's module, always read anew: an edited file must not be answered by bytecode of its last state."""
    module = ModuleType(
        f"adapter_stilts_tasks_{sha256(str(path.parent).encode()).hexdigest()[:8]}_{path.stem}"
    )
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except AdapterStiltsError:
        raise
    except Exception as error:  # whatever the file's own code raises
        lines = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
        ]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        where = str(path) if line is None else f"{path}:{line}"
        raise UsageError(f"{where}: cannot be loaded as a task: {type(error).__name__}: {error}") from error
    return module
