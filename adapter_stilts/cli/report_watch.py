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
from adapter_stilts.runtime import default_cache
from adapter_stilts.stages.keeping import read_found_plan
from adapter_stilts.stages.overview import Onlooker, Overview
from adapter_stilts.stages.parts import EvaluatePart
from adapter_stilts.stages.plans import PLANS
from adapter_stilts.stages.remote import folder_of

PAUSE = 1.0
"""Seconds between two looks, as `status --watch` has it."""
SHARE = 0.1
"""Of the time, that reports take at most until the last one: the cores are for the matrix."""


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
    root = folder_of(str(store), default_cache())
    if not root.is_dir():
        why = "exported results do not change" if root.is_file() else "no such store"
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
            if rounds.due:
                rounds.renew(_state(root))
            time.sleep(PAUSE)
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
        self._rests_until = 0.0

    @property
    def due(self) -> bool:
        """Whether the last report is long enough ago, by the time that it took."""
        return time.perf_counter() >= self._rests_until

    def renew(self, state: frozenset[tuple[str, int]]) -> None:
        """Write the report where the store's state is another than before."""
        if state == self._state:
            return
        began = time.perf_counter()
        self._state = state
        try:
            found = self._make()
        except NothingToReportError as error:
            if not self._waits:
                say(f"waiting: {error}", err=True)
            self._waits = True
        else:
            self._write(found, renewed=True)
            say(f"written: {self._written[0]}, {_told(found)}", err=True)
        now = time.perf_counter()
        self._rests_until = now + (now - began) / SHARE

    def stop(self) -> str:
        """Leave a page that no longer loads itself anew; what to say."""
        if self.report is None:
            return "stopped: no cell is finished, and no page written"
        self._write(self.report, renewed=False)
        return f"stopped: {self._written[0]} shows {_told(self.report)}; the same command goes on"

    def _write(self, found: Report, renewed: bool) -> None:
        self._written, self.report = write_report(found, self._out, pdfs=False, renewed=renewed), found


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
