"""Progress on stderr: a live line on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from adapter_stilts.cli.terminal import printable
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.parts import TrainPart
from adapter_stilts.stages.titles import titles_of
from adapter_stilts.stages.watch import Watch
from adapter_stilts.tasks.base import language_names
from adapter_stilts.training.watch import Step

PLAIN_SECONDS = 10.0
# Speed and time left are means over about so many steps.
SMOOTHING = 0.05


class Progress(Watch):
    """Shows stage, step, loss, real tokens/s and time left."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True)
        self._live = self._console.is_terminal and not quiet
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[numbers]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._live,
            transient=True,
        )
        self._row: Any = None
        self._title = ""
        self._titles: Mapping[str, str] = {}
        self._dev = ""
        self._waiting: list[Stage] = []
        self._took: dict[tuple[str, str], float] = {}
        self._printed = 0.0
        self._began = 0.0
        self._first = 0
        self._speed: float | None = None
        self._interrupted = False
        self.training = False

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @property
    def interrupted(self) -> bool:
        return self._interrupted

    def interrupt(self) -> None:
        """Ask the running loop to stop after its step."""
        self._interrupted = True

    def attached(self, accelerator: Any, stages: tuple[Stage, ...]) -> None:
        self._waiting = list(stages)
        self._titles = self._titles or titles_of(stages)

    def started(self, stage: Stage, number: int, total: int) -> None:
        self._title = printable(f"[{number}/{total}] {self._titles.get(stage.key, stage.title)}")
        languages = stage.part.dev_languages if isinstance(stage.part, TrainPart) else ()
        self._dev = language_names(languages)
        self._speed, self._printed, self._first, self._began = None, 0.0, 0, time.perf_counter()
        self.training = False

    def preparing(self, doing: str) -> None:
        self.say(f"{self._title}: {doing}")

    def finished(self, stage: Stage, status: str, seconds: float) -> None:
        self._waiting = [other for other in self._waiting if other != stage]
        if status == "ran":
            self._took[stage.kind, stage.task] = seconds
        if self._row is not None:
            self._bar.remove_task(self._row)
            self._row = None
        self.training = False
        took = "" if status != "ran" else f" in {clock(seconds)}"
        self.say(f"{self._title}: {status}{took}")

    def step(self, step: Step) -> None:
        self.training = True
        speed = step.tokens / max(step.seconds, 1e-9)
        self._speed = speed if self._speed is None else self._speed + SMOOTHING * (speed - self._speed)
        numbers = f"loss {step.loss:.3f}  {self._speed:,.0f} tokens/s"
        self._show(step.step, step.total_steps, numbers)

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        found = "  ".join(f"{name} {value:.2f}" for name, value in metrics.items())
        self.say(f"{self._title}: {self._dev} dev at step {step}: {found}")

    def predicting(self, done: int, total: int) -> None:
        elapsed = max(time.perf_counter() - self._began, 1e-9)
        self._show(done, total, f"{(done - self._first) / elapsed:,.0f} tokens/s")

    def say(self, message: str) -> None:
        if self._quiet:
            return
        message = printable(message)
        if self._live:
            self._console.print(message, markup=False, highlight=False)
        else:
            print(message, file=sys.stderr, flush=True)

    def _show(self, done: int, total: int, numbers: str) -> None:
        if self._quiet:
            return
        if self._live:
            numbers += self._behind(done, total)
            if self._row is None:
                self._row = self._bar.add_task(self._title, total=total, completed=done, numbers=numbers)
            self._bar.update(self._row, completed=done, total=total, numbers=numbers)
            return
        now = time.perf_counter()
        if now - self._printed >= PLAIN_SECONDS:
            # The first line of a stage only starts the clock: its speed would be that of warming up.
            first, self._printed = self._printed == 0.0, now
            if first:
                self._first, self._began = done, now  # a resumed stage has not run all it has done
            if not first:
                left = (now - self._began) / max(done - self._first, 1) * (total - done)
                print(
                    f"{self._title}: {done}/{total}  {numbers}  {clock(left)} left{self._behind(done, total)}",
                    file=sys.stderr,
                    flush=True,
                )

    def _behind(self, done: int, total: int) -> str:
        """What the command has before it when this stage is through: time, where stages like them ran already."""
        coming = self._waiting[1:]
        if not coming:
            return ""
        known = [self._took.get((stage.kind, stage.task)) for stage in coming]
        if None in known:
            return f", then {len(coming)} stage{'' if len(coming) == 1 else 's'}"
        whole = sum(seconds for seconds in known if seconds is not None)
        if done > self._first:
            whole += (time.perf_counter() - self._began) / (done - self._first) * (total - done)
        return f", {clock(whole)} in all"


def clock(seconds: float) -> str:
    """``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
