"""One table of how far a plan is: live on a terminal, lines elsewhere. It is read from the store alone."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from adapter_stilts.cli.progress import Progress, clock
from adapter_stilts.cli.terminal import plain, printable
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.kept import settle
from adapter_stilts.stages.overview import Failure, Onlooker, Overview

SHOWN_FAILURES = 5
REFRESHES_A_SECOND = 1.0


def summary(seen: Overview) -> str:
    """Cells, stages and time left in one line."""
    parts = [
        f"{seen.cells_done} of {seen.cells} cells",
        f"{seen.done} of {len(seen.plan.stages)} stages",
        f"{len(seen.running)} running",
        f"{seen.waiting} waiting",
    ]
    if seen.failed:
        parts.append(f"{len(seen.failed)} failed")
    if seen.seconds_left is not None:
        parts.append(f"{clock(seen.seconds_left)} left")
    return ", ".join(parts)


def table(seen: Overview) -> Group:
    """The summary, the running stages, a row each, and what failed."""
    lines = [
        Text(printable(f"failed: {one.stage.title}: {one.error}")) for one in seen.failed[:SHOWN_FAILURES]
    ]
    if len(seen.failed) > SHOWN_FAILURES:
        lines.append(Text(f"and {len(seen.failed) - SHOWN_FAILURES} more failed"))
    return Group(running(seen), *lines)


def running(seen: Overview) -> Group:
    """The summary, and the running stages, a row each."""
    found = Table(box=None, pad_edge=False)
    for name in ("stage", "doing", "done", "tokens/s", "left", "where"):
        found.add_column(name, justify="left" if name in ("stage", "doing", "where") else "right")
    for one in seen.running:
        report = one.report
        if report is None:
            found.add_row(plain(one.stage.title), "starting")
            continue
        done = f"{report.done:,} of {report.total:,}" if report.total else ""
        speed = "" if report.tokens_per_second is None else f"{report.tokens_per_second:,.0f}"
        left = "" if report.seconds_left is None else clock(report.seconds_left)
        where = f"{report.host} {report.process}"
        found.add_row(plain(one.stage.title), report.doing, done, speed, left, plain(where))
    return Group(Text(summary(seen)), *([found] if seen.running else []))


def endings(plan: Path, failed: Iterable[Failure]) -> list[str]:
    """What failed of a plan and why, and the command that tries that alone again."""
    lines = []
    for one in failed:
        behind = f"; {one.descendants} stages wait for it" if one.descendants else ""
        lines += [
            f"failed: {one.stage.title}: {one.error}{behind}",
            f"retry:  adapter-stilts stage {shlex.quote(str(plan))} {one.stage.name}",
        ]
    return lines


class Board(Progress):
    """Shows the whole of a plan where `Progress` shows one stage: on a terminal a live table, lines elsewhere.

    Args:
        onlooker: of the plan that runs.
    """

    def __init__(self, onlooker: Onlooker) -> None:
        super().__init__()
        self._onlooker = onlooker
        self._titles = {stage.key: stage.title for stage in onlooker.plan.stages}
        self._board: Live | None = None

    def __enter__(self) -> Board:
        if self._live:
            self._board = Live(
                get_renderable=self._look, console=self._console, refresh_per_second=REFRESHES_A_SECOND
            )
            self._board.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._board is not None:
            self._board.stop()

    def finished(self, stage: Stage, status: str, seconds: float) -> None:
        super().finished(stage, status, seconds)
        if status == "ran" and "torch" in sys.modules:  # it ran in this process, which does nothing else
            settle()

    def _look(self) -> Any:
        return table(self._onlooker.look())

    def _show(self, done: int, total: int, numbers: str) -> None:
        if self._board is None:
            super()._show(done, total, numbers)


def watch(look: Callable[[], Overview], console: Console) -> None:
    """Show a plan each second until nobody works on it and nothing waits; without a terminal how it ended alone."""
    if not console.is_terminal:
        while (seen := look()).running or seen.waiting:
            time.sleep(1 / REFRESHES_A_SECOND)
        console.print(table(seen))
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            seen = look()
            live.update(table(seen), refresh=True)
            if not (seen.running or seen.waiting):
                return
            time.sleep(1 / REFRESHES_A_SECOND)
