"""What a store holds, and which plans it is for; no weights are read.

Which cells a stage answers stands in plan files alone: a stage does not know its cells (`stages/plans.py`).
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from adapter_stilts.errors import StoreError, UnknownNameError, UsageError
from adapter_stilts.io import bytes_below
from adapter_stilts.model.bundle import read_info
from adapter_stilts.stages.graph import KEY_DIGITS, LEAST_DIGITS, few_digits
from adapter_stilts.stages.parts import ComposePart, EvaluatePart, TrainPart
from adapter_stilts.stages.plans import PLANS, PlanFile, plans_of, read_plan
from adapter_stilts.stages.record import METRICS, STAGE, read_metrics, read_stage
from adapter_stilts.stages.store import MARKER, Store

NAME = re.compile(rf"(?P<kind>[a-z]+)-(?P<task>.+)-(?P<key>[0-9a-f]{{{KEY_DIGITS}}})")
MANY, NEAREST = 20, 5
"""Above so many choices an error names the nearest alone."""


@dataclass(frozen=True)
class Kept:
    """A finished stage, and what it is for.

    Args:
        bytes: of all its files.
        finished: seconds of the epoch.
        title: what a plan says it does; None where no plan of the store has it.
        cells: names of the cells that it answers; of an evaluate stage alone.
        plans: digests of the plans that it is a stage of.
    """

    path: Path
    kind: str
    task: str
    bytes: int
    finished: float
    title: str | None = None
    cells: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def told(self) -> str:
        """What it is for, in words: its cells, or what it does for others."""
        return "; ".join(self.cells) or self.title or "of no plan"

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind,
            "task": self.task,
            "title": self.title,
            "cells": list(self.cells),
            "plans": list(self.plans),
            "bytes": self.bytes,
            "finished": datetime.fromtimestamp(self.finished, timezone.utc).isoformat(timespec="seconds"),
            "dir": str(self.path),
        }


@dataclass(frozen=True)
class Description:
    """All that is known of a finished stage.

    Args:
        record: its stage.json.
        metrics: of an evaluation.
        commands: each makes the stage again, or finds it; none where neither a plan nor a bundle tells, and in exported
            results, which run nothing.
        exported: whether it lies in these.
    """

    kept: Kept
    record: Mapping[str, Any]
    metrics: Mapping[str, Any] | None
    commands: tuple[str, ...]
    exported: bool = False

    def to_json(self) -> dict[str, Any]:
        told = {**self.kept.to_json(), **self.record}
        return {**told, "metrics": self.metrics, "commands": list(self.commands)}


@dataclass
class _Use:
    """What plans say of a stage."""

    title: str | None = None
    cells: dict[str, None] = field(default_factory=dict)
    plans: dict[str, None] = field(default_factory=dict)


def open_store(folder: Path) -> Store:
    """A store that is there.

    Raises:
        UsageError: the folder is none.
        StoreError: a newer version wrote it.
    """
    store = Store(folder)
    if not (folder / MARKER).is_file():
        why = "it has no store.json" if folder.is_dir() else "there is no such folder"
        raise UsageError(f"{folder}: {why}: name a store, the folder after --store of `train` and `matrix`")
    return store


def cell_name(cell: Mapping[str, Any]) -> str:
    """The name of a plan file's cell: ``tydiqa after hellaswag (lora, 8bit, miniature, seed 0)``.

    Args:
        cell: as plan files have it; older ones lack some of what is told.
    """
    combine, base, seed = cell.get("combine", "continue"), cell.get("base"), cell.get("seed")
    told = [cell.get("mode"), cell.get("precision"), None if combine == "continue" else combine]
    told += [None if base is None else Path(base).name, None if seed is None else f"seed {seed}"]
    told += [cell["split"]] if cell.get("split", "test") != "test" else []
    label = cell.get("label", cell["inter"])
    known = ", ".join(str(one) for one in told if one)
    return f"{cell['target']} after {label}" + (f" ({known})" if known else "")


def kept_stages(folder: Path) -> tuple[Kept, ...]:
    """The finished stages of a store, by name.

    Raises:
        UsageError: the folder is no store.
        StoreError: a plan cannot be read, or a newer version wrote it.
    """
    open_store(folder)
    uses = _uses(plans_of(folder))
    return tuple(kept(path, uses.get(path.name)) for path in finished_in(folder))


def finished_in(folder: Path) -> list[Path]:
    """The directories of a store's finished stages, by name."""
    found = (path for path in folder.iterdir() if NAME.fullmatch(path.name))
    return sorted(path for path in found if (path / STAGE).is_file())


def kept(directory: Path, use: _Use | None = None) -> Kept:
    """A finished stage by its directory, with what plans say of it."""
    named = NAME.fullmatch(directory.name)
    assert named is not None
    finished = (directory / STAGE).stat().st_mtime
    use = use or _Use()
    about = (named["kind"], named["task"], bytes_below(directory), finished)
    return Kept(directory, *about, use.title, tuple(use.cells), tuple(use.plans))


def describe(stage: str, folder: Path) -> Description:
    """What a stage was made of, came to, and what makes it again.

    Args:
        stage: its directory, its name, its key, or the first digits of that.
        folder: the store, where no directory is named.

    Raises:
        UnknownNameError: the store has none, or several.
        UsageError: the folder is no store, or the directory no stage.
        StoreError: its record, or a plan of its store, cannot be read.
    """
    directory = find_stage(stage, folder)
    plans = tuple(plans_of(directory.parent))
    found = kept(directory, _uses(plans).get(directory.name))
    record = read_stage(directory)
    try:
        metrics = read_metrics(directory) if (directory / METRICS).is_file() else None
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(
            f"{directory / METRICS} cannot be read ({error}): run the command that made it again"
        ) from error
    exported = Store(directory.parent).exported
    commands = () if exported else tuple(_commands(directory, record, plans))
    return Description(found, record, metrics, commands, exported)


def find_stage(stage: str, folder: Path) -> Path:
    """The directory of a finished stage; as `describe`."""
    place = Path(stage)
    if (place / STAGE).is_file():
        if not NAME.fullmatch(place.absolute().name):
            raise UsageError(f"{place}: no stage's name, KIND-TASK-KEY: name the stage in its store")
        return place.absolute()
    open_store(folder)
    every = {path.name: path for path in finished_in(folder)}
    found = [name for name in every if _is_meant(stage, name)]
    if len(found) == 1 and _has_key(every[found[0]], stage):
        return every[found[0]].absolute()
    raise _unknown(
        "stage", stage, every, found, folder, f"adapter-stilts store ls {shlex.quote(str(folder))}"
    )


def find_plan(plan: str, folder: Path) -> Path:
    """A plan file: a path, or the first digits of the name of one in the store.

    Raises:
        UnknownNameError: the store has none, or several.
    """
    if Path(plan).is_file():
        return Path(plan)
    every = {path.stem: path for path in sorted((folder / PLANS).glob("*.json"))}
    digits = plan.removesuffix(".json")
    found = [name for name in every if len(digits) >= LEAST_DIGITS and name.startswith(digits)]
    if len(found) == 1:
        return every[found[0]]
    raise _unknown("plan", plan, every, found, folder, f"ls {shlex.quote(str(folder / PLANS))}")


def read_found_plan(plan: str, folder: Path) -> PlanFile:
    """The plan that `find_plan` finds. Raises also StoreError."""
    return read_plan(find_plan(plan, folder))


def _unknown(
    kind: str, name: str, every: Iterable[str], found: Sequence[str], folder: Path, listing: str
) -> UnknownNameError:
    """An error that names few choices: a store may hold thousands. It names the store, which may be another's.

    Args:
        found: of `every` one, those that begin so.
    """
    choices = found or list(every)
    total = len(choices)
    what = f"{total} that begin so" if found else str(total)
    told = f"That is what the store {folder} has{' that begins so' if found else ''}."
    if not total:
        told = f"The store {folder} has none."
    elif total > MANY:
        choices = difflib.get_close_matches(name, choices, n=NEAREST, cutoff=0.4)
        told = f"The store {folder} has {what}: `{listing}` lists them."
    return UnknownNameError(kind, name, choices, " ".join(filter(None, (few_digits(name, found), told))))


def _is_meant(asked: str, name: str) -> bool:
    key = name[-KEY_DIGITS:]
    digits = len(asked) >= LEAST_DIGITS and re.fullmatch("[0-9a-f]+", asked) is not None
    return asked == name or (digits and (key.startswith(asked) or asked.startswith(key)))


def _has_key(directory: Path, asked: str) -> bool:
    """Whether more digits than a name has are those of the stage's key."""
    if asked == directory.name or len(asked) <= KEY_DIGITS:
        return True
    return str(read_stage(directory)["key"]).startswith(asked)


def _uses(plans: Iterable[PlanFile]) -> dict[str, _Use]:
    """What plans say of their stages, by name; the cells in the order of the plans' names."""
    found: dict[str, _Use] = {}
    for plan in sorted(plans, key=lambda plan: plan.path):
        for stage in plan.stages:
            use = found.setdefault(stage.name, _Use())
            use.title = use.title or stage.title
            use.plans[plan.path.stem] = None
        for cell in plan.cells:
            found.setdefault(str(cell["evaluate"]), _Use()).cells[cell_name(cell)] = None
    return found


def _commands(directory: Path, record: Mapping[str, Any], plans: Sequence[PlanFile]) -> Iterable[str]:
    """The command in a bundle's account, and one for each plan.

    Of an evaluation that no plan names, the command in its parent's account, which made the bundle, and perhaps this.
    """
    planned = [
        plan for plan in plans if plan.recipes and any(stage.name == directory.name for stage in plan.stages)
    ]
    trained = [directory]
    if record["kind"] == EvaluatePart.KIND:
        trained = [] if planned else [directory.parent / name for name in record["parents"]]
    for one in trained:
        kind = one.name.partition("-")[0]
        # What a bundle from elsewhere says of itself makes no stage of this store.
        if kind in (TrainPart.KIND, ComposePart.KIND) and (one / "bundle").is_dir():
            command = read_info(one / "bundle").command
            if command is not None:
                yield command
    for plan in planned:
        yield shlex.join(["adapter-stilts", "stage", str(plan.path), directory.name])
