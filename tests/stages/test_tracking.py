"""Trackers: a run for each training, in its own name, begun and finished with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.errors import UsageError
from adapter_stilts.runtime import Runtime
from adapter_stilts.stages.context import Machine
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.parts import FetchPart
from adapter_stilts.stages.store import Store
from adapter_stilts.stages.tracking import track_dev, track_step, tracked
from adapter_stilts.stages.watch import Watch
from adapter_stilts.training.watch import Step


@dataclass
class Tracker:
    finished: bool = False

    def finish(self) -> None:
        self.finished = True


@dataclass
class Accelerator:
    """As far as trackers go."""

    error: Exception | None = None
    begun: list[tuple[str, Any]] = field(default_factory=list)
    logged: list[tuple[dict[str, float], int]] = field(default_factory=list)
    trackers: list[Tracker] = field(default_factory=list)

    def init_trackers(self, project: str, init_kwargs: Any) -> None:
        if self.error is not None:
            raise self.error
        self.begun.append((project, init_kwargs))
        self.trackers.append(Tracker())

    def log(self, values: dict[str, float], step: int) -> None:
        self.logged.append((values, step))


STAGE = Stage("mnli", FetchPart("0"))
STEP = Step(3, 10, 0.5, 1e-3, 100, 120, 0.5)


def machine(tmp_path: Path, accelerator: Accelerator, *names: str) -> Machine:
    return Machine(accelerator, Runtime(store=tmp_path, trackers=names), Store(tmp_path), Watch())


def test_each_stage_is_a_run(tmp_path: Path) -> None:
    accelerator = Accelerator()
    with tracked(STAGE, machine(tmp_path, accelerator, "tensorboard")):
        (tracker,) = accelerator.trackers
        track_step(STEP, accelerator)
        track_dev(3, {"accuracy": 50.0}, accelerator)
    assert accelerator.begun == [(f"adapter-stilts/{STAGE.name}", {})]
    assert accelerator.logged == [
        ({"loss": 0.5, "learning_rate": 1e-3, "tokens_per_second": 200.0}, 3),
        ({"dev/accuracy": 50.0}, 3),
    ]
    assert tracker.finished
    assert accelerator.trackers == []


def test_trackers_with_projects_group_runs(tmp_path: Path) -> None:
    accelerator = Accelerator()
    with tracked(STAGE, machine(tmp_path, accelerator, "wandb", "tensorboard")):
        pass
    assert accelerator.begun == [
        ("adapter-stilts", {"wandb": {"name": STAGE.name, "group": "fetch mnli"}}),
    ]


def test_without_trackers_nothing_begins_and_nothing_is_logged(tmp_path: Path) -> None:
    accelerator = Accelerator()
    with tracked(STAGE, machine(tmp_path, accelerator)):
        track_step(STEP, accelerator)
    assert (accelerator.begun, accelerator.logged) == ([], [])


def test_a_tracker_that_cannot_begin_is_told(tmp_path: Path) -> None:
    accelerator = Accelerator(error=ValueError("no key"))
    asked = machine(tmp_path, accelerator, "wandb")
    with pytest.raises(UsageError, match="--track wandb: no key"), tracked(STAGE, asked):
        pass
