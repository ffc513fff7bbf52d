"""`adapter-stilts report --watch`: the page is written anew as cells are finished."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from adapter_stilts.cli.board import endings
from adapter_stilts.cli.terminal import say
from adapter_stilts.errors import NothingToReportError, UsageError
from adapter_stilts.io import PARTIAL_MARK
from adapter_stilts.report.making import Report
from adapter_stilts.report.writing import write_report
from adapter_stilts.stages.keeping import read_found_plan
from adapter_stilts.stages.overview import Onlooker, Overview
from adapter_stilts.stages.parts import EvaluatePart
from adapter_stilts.stages.plans import PLANS

PAUSE = 1.0
"""Least seconds between two looks, as `status --watch` has it."""
SHARE = 0.1
"""Reports take at most this share of one core's time, which the matrix needs."""


def watch(make: Callable[[], Report], store: str, plans: Sequence[str], out: str) -> Report | None:
    """Write a report whenever a cell of a store is finished or another plan is there, until the plans are through.

    Figures as PDF are left to the caller, who writes the last one.

    Args:
        make: makes the report anew.
        plans: that are looked at; without any, it is looked on until Ctrl-C.
        out: folder of the page.

    Returns:
        The last report; None after Ctrl-C, when all that was made is written.

    Raises:
        UsageError: there is no such store or plan, or it is through and nothing can be reported.
    """
    root = Path(store)
    if not root.is_dir():
        why = "an export does not change" if root.is_file() else "no such store"
        raise UsageError(f"{store}: {why}; name the folder after --store of the command that runs")
    onlookers = [Onlooker(read_found_plan(plan, root)) for plan in plans]
    rounds = _Rounds(make, out)
    try:
        while True:
            seen = [onlooker.look() for onlooker in onlookers]
            through = bool(seen) and not any(one.running or one.waiting for one in seen)
            if through:
                _tell_failures(seen)
                rounds.renew(_state(root))
                return rounds.report or make()  # which tells why there is none
            time.sleep(max(PAUSE, rounds.renew(_state(root)) / SHARE))
    except KeyboardInterrupt:
        say(rounds.stop(), err=True)
        return None


class _Rounds:
    """What was written, and of what.

    Args:
        make, out: as of `watch`.
    """

    def __init__(self, make: Callable[[], Report], out: str) -> None:
        self._make, self._out = make, out
        self._state: frozenset[tuple[str, int]] | None = None
        self._written: tuple[Path, ...] = ()
        self.report: Report | None = None
        self._waits = False

    def renew(self, state: frozenset[tuple[str, int]]) -> float:
        """Write the report where the store's state is another than before; returns the seconds that it took."""
        if state == self._state:
            return 0.0
        began = time.perf_counter()
        try:
            found = self._make()
        except NothingToReportError as error:
            if not self._waits:
                say(f"waiting: {error}", err=True)
            self._waits, self._state = True, state
            return time.perf_counter() - began
        self._write(found, renewed=True)
        self._state = state
        say(f"written: {self._written[0]}, {_told(found)}", err=True)
        return time.perf_counter() - began

    def stop(self) -> str:
        """Leave a page that no longer loads itself anew; what to say."""
        if self.report is None:
            return "stopped: no cell is finished, and no page written"
        self._write(self.report, renewed=False)
        return f"stopped: {self._written[0]} shows {_told(self.report)}; the same command goes on"

    def _write(self, found: Report, renewed: bool) -> None:
        before = self._written
        self._written, self.report = write_report(found, self._out, pdfs=False, renewed=renewed), found
        for path in set(before) - set(self._written):  # tables are numbered anew where another kind comes in
            path.unlink(missing_ok=True)


def _told(found: Report) -> str:
    return f"{found.finished} of {found.cells} planned cells"


def _tell_failures(seen: Sequence[Overview]) -> None:
    for one in seen:
        for line in endings(one.plan.path, one.failed):
            say(line, err=True)


def _state(root: Path) -> frozenset[tuple[str, int]]:
    """What a report is made of, by name: finished evaluations, and plans as they were last written."""
    cells = {
        (name, 0)
        for name in os.listdir(root)
        if name.startswith(f"{EvaluatePart.KIND}-") and PARTIAL_MARK not in name
    }
    return frozenset(cells | {(path.name, path.stat().st_mtime_ns) for path in (root / PLANS).glob("*.json")})
