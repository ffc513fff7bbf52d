"""What no saved plan of a store needs, and its removal.

A stage is needed where a plan has it, where a stage that a plan has starts from it, and where a plan names its bundle
by a path. What is not certain is kept: a plan that cannot be read, and work on a stage of no plan, end the search.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter_stilts.errors import StoreError, UsageError
from adapter_stilts.io import bytes_below, disk_errors, remove_whole
from adapter_stilts.stages.keeping import NAME, find_plan, finished_in, open_store
from adapter_stilts.stages.locking import read_held, take
from adapter_stilts.stages.plans import PLANS, PlanFile, read_plan
from adapter_stilts.stages.record import read_stage
from adapter_stilts.stages.store import FAILED, WORK, lock_path

ANOTHER = "another STORE"
"""Of one that cannot be written: in its stead."""


@dataclass(frozen=True)
class Unneeded:
    """What may go.

    Args:
        kind: ``plan``, ``stage``, ``work`` (checkpoints of a stage) or ``failure`` (why one failed).
        name: of the stage; the digest of a plan.
    """

    kind: str
    name: str
    path: Path
    bytes: int

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "path": str(self.path), "bytes": self.bytes}


def unneeded(folder: Path, forget: Sequence[str] = ()) -> tuple[Unneeded, ...]:
    """What no plan of a store needs. Nothing is removed.

    Args:
        forget: plans that are no longer wanted, as `find_plan` takes them; they go with what only they need.

    Raises:
        UsageError: the folder is no store, or has no plan at all; a plan to forget is being worked on.
        UnknownNameError: there is no such plan to forget.
        StoreError: a plan cannot be read, or it cannot be told what one needs.
    """
    open_store(folder)
    forgotten = _forgotten(folder, forget)
    plans = [path for path in _plan_files(folder) if path not in forgotten]
    if not plans and not forgotten:
        raise UsageError(
            f"{folder}: the store has no plan, so that nothing says what is wanted of it; run the commands again whose "
            "results are, which answers from the store and keeps their plans, or remove the folder"
        )
    finished = {path.name: path for path in finished_in(folder)}
    needed = _needed(folder, plans, finished)
    _refuse_unknown_work(folder, needed, finished)
    return (
        *(Unneeded("plan", path.stem, path, bytes_below(path)) for path in forgotten),
        *_of_no_plan(folder, needed, finished),
    )


def collect(folder: Path, items: Iterable[Unneeded]) -> tuple[Unneeded, ...]:
    """Remove what `unneeded` found, and half-written files; returns what went.

    What somebody works on by now, or a plan that came meanwhile needs, stays.

    Raises:
        StoreError: a plan cannot be read, or the store cannot be written; what went until then is gone.
    """
    store = open_store(folder)
    removed = []
    known: object = None
    needed: set[str] = set()
    finished: dict[str, Path] = {}
    for item in sorted(items, key=lambda item: item.kind != "plan"):  # a kill leaves too much, not too little
        if item.kind == "plan":
            with disk_errors(item.path, ANOTHER):
                item.path.unlink(missing_ok=True)
            removed.append(item)
            continue
        plans = _plan_files(folder)
        state = [(path.name, path.stat().st_mtime_ns) for path in plans]
        if state != known:
            finished = {path.name: path for path in finished_in(folder)}
            needed, known = _needed(folder, plans, finished), state
        if _removed(folder, item, needed, finished):
            removed.append(item)
    store.sweep()
    return tuple(removed)


def _removed(folder: Path, item: Unneeded, needed: set[str], finished: dict[str, Path]) -> bool:
    """Remove one thing, unless it is wanted or worked on by now."""
    if item.name in needed and (item.kind == "stage" or item.name not in finished):
        return False
    lock = take(lock_path(folder, item.name), ANOTHER)
    if lock is None:
        return False
    try:
        with disk_errors(item.path, ANOTHER):
            if item.kind == "stage" and item.path.is_dir():
                remove_whole(item.path, ANOTHER)
            elif item.kind == "work":
                shutil.rmtree(item.path, ignore_errors=True)
            elif item.kind == "failure":
                item.path.unlink(missing_ok=True)
                if not any(item.path.parent.iterdir()):
                    item.path.parent.rmdir()
    finally:
        lock.release()
    return True


def _plan_files(folder: Path) -> list[Path]:
    return sorted((folder / PLANS).glob("*.json"))


def _forgotten(folder: Path, forget: Sequence[str]) -> list[Path]:
    """The files of plans that nobody works on any more."""
    every = {path.resolve(): path for path in _plan_files(folder)}
    found = []
    for name in forget:
        path = find_plan(name, folder)
        if path.resolve() not in every:
            raise UsageError(f"--forget {name}: a plan of another store than {folder}: name that store")
        for stage in read_plan(path).stages:
            if read_held(lock_path(folder, stage.name)) is not None:
                raise UsageError(
                    f"--forget {name}: a process works on {stage.name} of it: stop that first, or wait for it"
                )
        found.append(every[path.resolve()])
    return list(dict.fromkeys(found))


def _needed(folder: Path, plans: Iterable[Path], finished: dict[str, Path]) -> set[str]:
    """Names of stages that plans need, finished or not."""
    needed: set[str] = set()
    unknown: list[str] = []  # whose parents no plan tells
    for path in plans:
        plan = read_plan(path)
        own = {stage.name for stage in plan.stages} | {str(cell["evaluate"]) for cell in plan.cells}
        needed |= own
        if not plan.recipes:
            unknown += _of_an_older_plan(plan, own, finished)
        unknown += [name for name in _named_in(plan) if name in finished]
    while unknown:
        name = unknown.pop()
        needed.add(name)
        if name in finished:
            unknown += [parent for parent in read_stage(finished[name])["parents"] if parent not in needed]
    return needed


def _of_an_older_plan(plan: PlanFile, own: set[str], finished: dict[str, Path]) -> Iterator[str]:
    """Its evaluations, which tell what they start from where they are finished."""
    for name in sorted(own):
        if name not in finished:
            raise StoreError(
                f"{plan.path} was written by an older version and {name} of it is not finished, so that it cannot be "
                f"told which stages it needs: run the command that made it again, or forget it with --forget "
                f"{plan.path.stem}"
            )
        yield name


def _named_in(plan: PlanFile) -> Iterator[str]:
    """Names of stages in the paths that a plan's recipes, and the bundle it evaluates, name."""
    for text in _texts([*plan.recipes, plan.bundle]):
        yield from (part for part in re.split(r"[,+/\\]", text) if NAME.fullmatch(part))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif value is not None and not isinstance(value, (int, float)):
        for inner in value.values() if hasattr(value, "values") else value:
            yield from _texts(inner)


def _refuse_unknown_work(folder: Path, needed: set[str], finished: dict[str, Path]) -> None:
    for name in _names_in_work(folder):
        known = name in needed or name in finished
        if not known and read_held(lock_path(folder, name)) is not None:
            raise UsageError(
                f"a process works on {name}, which is of no plan, so that it cannot be told what it starts from: stop "
                "that first, or wait for it"
            )


def _of_no_plan(folder: Path, needed: set[str], finished: dict[str, Path]) -> Iterator[Unneeded]:
    """Stages, and what is left beside them of stages that are finished, or of no plan."""

    def is_held(name: str) -> bool:
        return read_held(lock_path(folder, name)) is not None

    for name, path in finished.items():
        if name not in needed and not path.is_symlink() and not is_held(name):
            yield Unneeded("stage", name, path, bytes_below(path))
    for name in _names_in_work(folder):
        if (name not in needed or name in finished) and not is_held(name):
            path = folder / WORK / name
            yield Unneeded("work", name, path, bytes_below(path))
    for path in sorted((folder / FAILED).glob("*.json")):
        if path.stem not in needed or path.stem in finished:
            yield Unneeded("failure", path.stem, path, bytes_below(path))


def _names_in_work(folder: Path) -> list[str]:
    """Stages with checkpoints, or with a lock that somebody holds or was killed with."""
    names = {path.name.removesuffix(".lock") for path in (folder / WORK).glob("*")}
    return sorted(name for name in names if NAME.fullmatch(name))
