"""How far a stage is, for who looks from another process or machine: in its lock file, while it runs."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.watch import Watch
from adapter_stilts.training.watch import Step

LEAST_SECONDS = 0.5
"""Between two reports."""
# Speed and time left are means over about so many steps.
SMOOTHING = 0.05


@dataclass(frozen=True)
class Report:
    """How far a stage is.

    Args:
        doing: ``preparing``, ``training`` or ``evaluating``.
        done, total: steps of training, tokens of an evaluation; 0 before it begins.
        tokens_per_second: None before it is known.
        seconds_left: of the stage; None before it is known.
        host, process: where it runs.
        time: of the report, in seconds of the epoch.
    """

    doing: str
    done: int
    total: int
    tokens_per_second: float | None
    seconds_left: float | None
    host: str
    process: int
    time: float


def read_report(text: str) -> Report | None:
    """The report in a lock file; None where it says nothing yet, or was read as it was written."""
    try:
        return Report(**json.loads(text))
    except (ValueError, TypeError):
        return None


class Reporting(Watch):
    """Passes everything on to another watch, and writes how far the stage is.

    Args:
        write: takes the text of a report.
    """

    def __init__(self, watch: Watch, write: Callable[[str], None]) -> None:
        self._watch, self._write = watch, write
        self._written = 0.0
        self._speed: float | None = None
        self._began: tuple[float, int] | None = None
        self._tell("preparing", 0, 0, None)

    @property
    def interrupted(self) -> bool:
        return self._watch.interrupted

    def attached(self, accelerator: Any, stages: tuple[Stage, ...]) -> None:
        self._watch.attached(accelerator, stages)

    def started(self, stage: Stage, number: int, total: int) -> None:
        self._watch.started(stage, number, total)

    def finished(self, stage: Stage, status: str, seconds: float) -> None:
        self._watch.finished(stage, status, seconds)

    def preparing(self, doing: str) -> None:
        self._watch.preparing(doing)

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        self._watch.evaluated(step, metrics)

    def say(self, message: str) -> None:
        self._watch.say(message)

    def step(self, step: Step) -> None:
        self._watch.step(step)
        speed = step.tokens / max(step.seconds, 1e-9)
        self._speed = speed if self._speed is None else self._speed + SMOOTHING * (speed - self._speed)
        self._tell("training", step.step, step.total_steps, self._speed)

    def predicting(self, done: int, total: int) -> None:
        self._watch.predicting(done, total)
        began, first = self._began or (time.monotonic(), done)
        seconds = time.monotonic() - began
        self._tell(
            "evaluating", done, total, (done - first) / seconds if seconds > 0 and done > first else None
        )

    def _tell(self, doing: str, done: int, total: int, speed: float | None) -> None:
        now = time.monotonic()
        if self._began is None and total:
            self._began = (now, done)  # a resumed stage has not run all it has done
        if self._written and now - self._written < LEAST_SECONDS:
            return
        self._written = now
        left = None
        if self._began is not None and done > self._began[1]:
            left = round((now - self._began[0]) / (done - self._began[1]) * (total - done), 1)
        rounded = None if speed is None else round(speed, 1)
        told = Report(doing, done, total, rounded, left, platform.node(), os.getpid(), time.time())
        self._write(json.dumps(told.__dict__))
