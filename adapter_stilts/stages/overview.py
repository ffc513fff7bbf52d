"""How far a plan is, read from its store alone: from another terminal, another machine, or while it runs here."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter_stilts.errors import UsageError
from adapter_stilts.stages.locking import read_held
from adapter_stilts.stages.plans import PLANS, PlanFile, PlannedStage, plans_of
from adapter_stilts.stages.record import STAGE
from adapter_stilts.stages.reporting import Report, read_report
from adapter_stilts.stages.store import FAILED


@dataclass(frozen=True)
class Running:
    """A stage that a process works on.

    Args:
        report: None where it has not said how far it is.
    """

    stage: PlannedStage
    report: Report | None


@dataclass(frozen=True)
class Failure:
    """A stage that failed when it was last tried.

    Args:
        descendants: stages that wait for it.
    """

    stage: PlannedStage
    error: str
    descendants: int


@dataclass(frozen=True)
class Overview:
    """How far a plan is.

    Args:
        cells, cells_done: of the plan, and those whose evaluation is finished; of a plan without a target its ends.
        waiting: stages that nobody works on and that may still run.
        seconds_left: of the whole, by the stages that are finished and the processes that work now; None before any
            stage like those that are left is finished, or where nobody works on it.
    """

    plan: PlanFile
    cells: int
    cells_done: int
    done: int
    running: tuple[Running, ...]
    failed: tuple[Failure, ...]
    waiting: int
    seconds_left: float | None

    def to_json(self) -> dict[str, Any]:
        """For `status --json`."""
        return {
            "plan": str(self.plan.path),
            "cells": {"all": self.cells, "done": self.cells_done},
            "stages": {"all": len(self.plan.stages), "done": self.done, "waiting": self.waiting},
            "running": [
                {
                    "stage": one.stage.name,
                    "title": one.stage.title,
                    **(one.report.__dict__ if one.report else {}),
                }
                for one in self.running
            ],
            "failed": [
                {"stage": one.stage.name, "error": one.error, "descendants": one.descendants}
                for one in self.failed
            ],
            "seconds_left": self.seconds_left,
        }


class Onlooker:
    """Looks at a plan again and again; what is finished is read once.

    Args:
        plan: its file, in its store.
    """

    def __init__(self, plan: PlanFile) -> None:
        self.plan = plan
        self._took: dict[str, float] = {}
        self._children: dict[str, list[str]] = defaultdict(list)
        for stage in plan.stages:
            for parent in stage.parents:
                self._children[parent].append(stage.name)

    def look(self) -> Overview:
        """How far the plan is now."""
        plan, store = self.plan, self.plan.store
        there = _names(store)
        for stage in plan.stages:
            if stage.name in there and stage.name not in self._took:
                self._took[stage.name] = _seconds(store / stage.name)
        done = {stage.name for stage in plan.stages if stage.name in there}
        locks, broken = _names(store / "work"), _names(store / FAILED)
        running, errors = [], {}
        for stage in plan.stages:
            if stage.name in done:
                continue
            told = read_held(store / "work" / f"{stage.name}.lock") if f"{stage.name}.lock" in locks else None
            if told is not None:
                running.append(Running(stage, read_report(told)))
            elif f"{stage.name}.json" in broken:
                errors[stage.name] = _error(store / FAILED / f"{stage.name}.json")
        failed = self.failures(errors)
        lost = {name for one in failed for name in (one.stage.name, *self._after(one.stage.name))}
        busy = {one.stage.name for one in running}
        waiting = [stage for stage in plan.stages if stage.name not in done | lost | busy]
        asked = [str(cell["evaluate"]) for cell in plan.cells] or list(plan.ends.values())
        return Overview(
            plan,
            len(asked),
            sum(name in done for name in asked),
            len(done),
            tuple(running),
            failed,
            len(waiting),
            self._left(running, waiting),
        )

    def failures(self, errors: Mapping[str, str]) -> tuple[Failure, ...]:
        """What failed, with how many stages wait for it.

        Args:
            errors: why, by the stage's name.
        """
        named = [stage for stage in self.plan.stages if stage.name in errors]
        return tuple(
            Failure(stage, errors[stage.name], len(self._after(stage.name) - self._took.keys()))
            for stage in named
        )

    def _after(self, name: str) -> set[str]:
        """All stages that start from one, over however many others."""
        found: set[str] = set()
        new = list(self._children[name])
        while new:
            child = new.pop()
            if child not in found:
                found.add(child)
                new += self._children[child]
        return found

    def _left(self, running: Sequence[Running], waiting: Iterable[PlannedStage]) -> float | None:
        """Seconds to the end, if as many processes go on as work now, on stages that take as long as those before."""
        took: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for stage in self.plan.stages:
            if stage.name in self._took:
                for like in ((stage.kind, stage.task), (stage.kind,)):
                    took[like].append(self._took[stage.name])

        def mean(stage: PlannedStage) -> float | None:
            found = took.get((stage.kind, stage.task)) or took.get((stage.kind,))
            return sum(found) / len(found) if found else None

        known: list[float | None] = [mean(stage) for stage in waiting]
        known += [
            one.report.seconds_left
            if one.report is not None and one.report.seconds_left is not None
            else mean(one.stage)
            for one in running
        ]
        if not running or None in known:
            return None
        return sum(seconds for seconds in known if seconds is not None) / len(running)


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return set()


def _seconds(directory: Path) -> float:
    """What a finished stage took; 0 where its record tells nothing."""
    try:
        return float(json.loads((directory / STAGE).read_text(encoding="utf-8")).get("seconds", 0.0))
    except (OSError, ValueError, AttributeError, TypeError):
        return 0.0


def _error(path: Path) -> str:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["error"])
    except (OSError, ValueError, KeyError, TypeError):
        return "why is not known: its record cannot be read"


def latest_plan(store: Path) -> PlanFile:
    """The plan of a store that was run last.

    Raises:
        UsageError: it holds none.
        StoreError: it cannot be read.
    """
    found = next(plans_of(store), None)
    if found is None:
        raise UsageError(
            f"{store}: no plan in its folder {PLANS}/; `adapter-stilts matrix` and `train` write one"
        )
    return found
