"""Plan files: what was planned, so that another process runs a stage of it, and a store tells what it is for.

<store>/plans/<digest>.json
    recipes     resolved, as they were planned; the plan is made from them again where a stage is to run
    bundle      the folder of the bundle that is evaluated; null trains
    inputs      what the recipes do not hold: the working directory, where data and tasks of one's own lie
    cells       what was asked for, each with the stage that answers it
    ends        of a plan without a target, the intermediate stages by their name
    stages      every stage once, parents first: name, key, kind, task, title, parents

A stage does not know its cells: equal stages have one key, whatever they were asked for as. So the name of a cell is
written as it was planned, and never guessed from a stage's parents.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter_stilts.errors import AdapterStiltsError, StoreError, UnknownNameError, UsageError
from adapter_stilts.io import INSTEAD, digest_of, disk_errors, write_json
from adapter_stilts.stages.cells import Cell
from adapter_stilts.stages.graph import KEY_DIGITS, LEAST_DIGITS, Stage, few_digits
from adapter_stilts.stages.planning.plan import Plan

PLANS = "plans"
SCHEMA = 2
"""1 held the cells alone."""
SHOWN_NAMES = 10
"""Of a plan's stages, where one is not found."""


@dataclass(frozen=True)
class PlannedStage:
    """A stage as a plan file tells of it.

    Args:
        name: its directory in the store.
        parents: names of stages before it in the file.
    """

    name: str
    key: str
    kind: str
    task: str
    title: str
    parents: tuple[str, ...]


@dataclass(frozen=True)
class PlanFile:
    """A plan file, read.

    Args:
        recipes, inputs: empty of one written by an older version, which is not run again.
        cells: JSON of each cell, with ``target`` and ``evaluate``, its stage's name.
        stages: parents first; of one written by an older version the evaluate stages alone.
    """

    path: Path
    recipes: tuple[Mapping[str, Any], ...]
    bundle: str | None
    inputs: Mapping[str, Any]
    cells: tuple[Mapping[str, Any], ...]
    ends: Mapping[str, str]
    stages: tuple[PlannedStage, ...]

    @property
    def store(self) -> Path:
        """The store it lies in."""
        return self.path.parent.parent

    def stage(self, key: str) -> PlannedStage:
        """The stage with a key, its first digits, or a name.

        Raises:
            UnknownNameError: the plan has none, or several; tells some of the nearest.
        """
        found = [
            stage
            for stage in self.stages
            if key in (stage.key, stage.name) or (len(key) >= LEAST_DIGITS and stage.key.startswith(key))
        ]
        if len(found) != 1:
            names = [stage.name for stage in found or self.stages]
            nearest = difflib.get_close_matches(key, names, n=SHOWN_NAMES, cutoff=0)
            more = len(names) - len(nearest)
            hints = [f"And {more} more, in {self.path}."] * bool(more) + [few_digits(key, found)]
            raise UnknownNameError("stage of the plan", key, nearest, " ".join(filter(None, hints)))
        return found[0]

    def enter(self, say: Callable[[str], object]) -> None:
        """Go to the directory that the plan was made in, from where its relative paths are read.

        Where that is gone, as of a plan that was moved with its store, they are read from here: the keys of stages
        tell other data and encoders.

        Args:
            say: told where that is so.
        """
        directory = str(self.inputs.get("directory", "."))
        try:
            os.chdir(directory)
        except OSError as error:
            say(
                f"note: the plan was made in {directory}, which cannot be entered ({error.strerror}): its relative "
                f"paths are read from {os.getcwd()}"
            )


def plan_path(store: Path, plan: Plan, recipes: Iterable[Mapping[str, Any]], bundle: Path | None) -> Path:
    """The file of a plan in a store, whether or not it is there. Equal plans are one file."""
    return store / PLANS / f"{digest_of(_asked(plan, recipes, bundle))[:KEY_DIGITS]}.json"


def write_plan(
    store: Path,
    plan: Plan,
    recipes: Sequence[Mapping[str, Any]],
    bundle: Path | None,
    inputs: Mapping[str, Any],
) -> Path:
    """Keep a plan; returns its file.

    Raises:
        StoreError: the store cannot be written.
    """
    value = {
        "schema": SCHEMA,
        **_asked(plan, recipes, bundle),
        "inputs": inputs,
        "stages": [_stage(stage, plan.titles[stage.key]) for stage in plan.stages],
    }
    path = plan_path(store, plan, recipes, bundle)
    if not path.is_file() or _read(path) != value:
        with disk_errors(path, INSTEAD):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, value, INSTEAD)
    return path


def _asked(plan: Plan, recipes: Iterable[Mapping[str, Any]], bundle: Path | None) -> dict[str, Any]:
    """What makes it the plan that it is."""
    return {
        "recipes": list(recipes),
        "bundle": None if bundle is None else str(bundle),
        "cells": [_cell(cell) for cell in plan.cells],
        "ends": {name: stage.name for name, stage in plan.ends.items()},
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {**cell.about(), "target": cell.target, "evaluate": cell.evaluate.name}


def _stage(stage: Stage, title: str) -> dict[str, Any]:
    return {
        "name": stage.name,
        "key": stage.key,
        "kind": stage.kind,
        "task": stage.task,
        "title": title,
        "parents": [parent.name for parent in stage.parents],
    }


def read_plan(path: Path) -> PlanFile:
    """A plan file.

    Raises:
        UsageError: there is none, or the file is something else.
        StoreError: it cannot be read, or a newer version wrote it.
    """
    value = _read(path)
    if value is None:
        raise UsageError(f"{path}: no such plan file; a store's lie in its folder {PLANS}/")
    try:
        schema = int(value["schema"])
        if schema > SCHEMA:
            raise StoreError(
                f"the plan {path} has schema {schema}, this version reads up to {SCHEMA}: upgrade adapter-stilts, or "
                "run the command that made it again, which writes it anew"
            )
        cells = tuple(value["cells"])
        names = dict.fromkeys(str(cell["evaluate"]) for cell in cells)
        rows = value.get("stages") or [_evaluate(name) for name in names]
        return PlanFile(
            path.absolute(),
            tuple(value.get("recipes", ())),
            value.get("bundle"),
            value.get("inputs", {}),
            cells,
            value.get("ends", {}),
            tuple(PlannedStage(**{**row, "parents": tuple(row["parents"])}) for row in rows),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(path, error) from error


def _read(path: Path) -> Any:
    """None where there is no such file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> AdapterStiltsError:
    if path.is_dir() or path.absolute().parent.name != PLANS:  # somebody's, and not to be removed
        return UsageError(f"{path} is no plan file ({error!r}); a store's lie in its folder {PLANS}/")
    return StoreError(
        f"{path} cannot be read ({error!r}): remove it, and run the same command again, which answers from the store "
        "and writes it anew"
    )


def _evaluate(name: str) -> dict[str, Any]:
    """A stage that an older version's plan names by its cell."""
    kind, task = name.rsplit("-", 1)[0].split("-", 1)
    return {"name": name, "key": name[-KEY_DIGITS:], "kind": kind, "task": task, "title": task, "parents": ()}


def plans_of(store: Path) -> Iterator[PlanFile]:
    """Every plan of a store, the latest first. Raises StoreError."""
    files = sorted((store / PLANS).glob("*.json"), key=lambda path: (-_written(path), path.name))
    return (read_plan(path) for path in files)


def _written(path: Path) -> float:
    """When; 0 of what is gone by now, or a link to nothing, which reading it tells."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def mark_latest(path: Path) -> None:
    """Make a plan the first of `plans_of`, also where the clock was set back; of no weight where that cannot be."""
    with contextlib.suppress(OSError):
        others = (_written(other) for other in path.parent.glob("*.json") if other != path)
        now = max(time.time(), max(others, default=0.0) + 1e-3)
        os.utime(path, (now, now))


def names_of(store: Path) -> Mapping[str, tuple[str, ...]]:
    """Under which names each evaluate stage of a store was planned, by the stage's name.

    Raises:
        StoreError: a plan cannot be read.
    """
    found: dict[str, dict[str, None]] = {}
    for plan in sorted(plans_of(store), key=lambda plan: plan.path):
        for cell in plan.cells:
            found.setdefault(str(cell["evaluate"]), {})[str(cell.get("label", cell["inter"]))] = None
    return {stage: tuple(names) for stage, names in found.items()}
