"""One task's page: what it is, and what a user needs to get its data."""

from __future__ import annotations

from adapter_stilts.tasks.base import Files, Hub, Split, Task
from adapter_stilts.tasks.rows import alternatives

_SHOWN = 60
"""Longest name of files joined by `` + `` that is shown whole."""


def where(task: Task) -> dict[str, object]:
    """Where a task's data are: address, folder, the names of its files as they are looked for, the hub's data sets."""
    found: dict[str, object] = {
        "address": task.address,
        "folder": f"{task.folder or task.name}/ in the folder after --data, or that folder itself"
        if task.home is None
        else str(task.home),
        "files": {split: _names(split, task) for split in task.files},
        "hub": {split: _data_sets(split, task) for split in task.hub} or f"no: {task.no_hub or 'not known'}",
    }
    if "{code}" in str(found["files"]):
        found["codes"] = dict(task.codes)
    return found


def lines(task: Task) -> list[str]:
    """The same for a terminal, a name a line."""
    shown = []
    for key, value in where(task).items():
        if key == "files" or (key == "hub" and isinstance(value, dict)):
            assert isinstance(value, dict)
            for split, names in value.items():
                for number, name in enumerate(names):
                    title = f"{key}, {split}" if number == 0 else ""
                    shown.append(f"{title:<16} {'or ' if number else ''}{_short(name)}")
        elif isinstance(value, dict):
            shown.append(f"{key:<16} {', '.join(f'{language}: {code}' for language, code in value.items())}")
        elif value:
            shown.append(f"{key:<16} {value}")
    return shown


def _names(split: Split, task: Task) -> list[str]:
    specs: tuple[Files, ...] = alternatives(task.files[split])
    named = [
        " and ".join((pattern, *spec.beside)) + _only(spec) for spec in specs for pattern in spec.patterns
    ]
    return list(dict.fromkeys(named))


def _data_sets(split: Split, task: Task) -> list[str]:
    specs: tuple[Hub, ...] = alternatives(task.hub[split])
    named = [
        f"{spec.dataset}{f', config {spec.config}' if spec.config else ''}, split {spec.split}" + _only(spec)
        for spec in specs
    ]
    return list(dict.fromkeys(named))


def _only(spec: Files | Hub) -> str:
    """For which values of the task's options they serve, where not for all."""
    return "".join(f", with {option} = {' or '.join(values)}" for option, values in spec.only.items())


def _short(name: str) -> str:
    """A name of many files by the first and the last of them."""
    files, comma, more = name.partition(", with ")
    parts = files.split(" + ")
    if len(parts) < 3 or len(files) <= _SHOWN:
        return name
    return f"{parts[0]} ... {parts[-1]} (all {len(parts)}){comma}{more}"
