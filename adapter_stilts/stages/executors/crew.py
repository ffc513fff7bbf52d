"""What executors with workers share: which stage is given when, and what becomes of what they answer.

A worker runs stages one after another and keeps what they share. Whether it is a process of this machine or an actor
somewhere else is its crew's business; what it answers is told in `adapter_stilts/worker.py`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from adapter_stilts.errors import StageError
from adapter_stilts.runtime import Runtime
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.schedule import Schedule, longest_chain_first
from adapter_stilts.stages.states import StageState
from adapter_stilts.stages.store import Store
from adapter_stilts.stages.titles import titles_of
from adapter_stilts.stages.watch import Watch

POLL_SECONDS = 0.2
BUSY_SECONDS = 1.0
"""Until a stage that another run works on is looked for again."""
STOP_SECONDS = 120.0
"""For a stage to stop after its step, or for an encoding under way; then its worker is killed."""
STARTS = 3
"""Workers that may be lost, one after another, before they began."""
LAST_LINES = 5
"""Of what a worker wrote, told where it is lost."""
WEIGHTS = {"train": 10.0, "evaluate": 1.0, "compose": 0.1, "fetch": 0.1}
"""What a stage counts in the length of a chain, where nothing is known of its time."""


class Worker(Protocol):
    """Runs a stage at a time.

    Args:
        stage: that it works on.
        last: that it worked on last; what that needs is at hand.
        ready: whether it has begun, libraries loaded.
        lines: the last that it wrote.
    """

    stage: Stage | None
    last: Stage | None
    ready: bool
    lines: deque[str]

    def give(self, stage: Stage) -> None:
        """Let it work on a stage. One that is gone is noticed where it is asked whether it is lost."""

    def answers(self) -> Iterable[Mapping[str, Any]]:
        """What it answered since it was last asked."""

    def errors(self) -> Iterable[str]:
        """What it and its libraries wrote since it was last asked."""

    def lost(self) -> str | None:
        """How it ended; None while it lives. Asked before the others: what it told before its end is read after."""

    def stop(self) -> None:
        """No more work: the stage under way stops after its step."""

    def wait(self, seconds: float) -> None:
        """Wait for its end; one that takes longer is killed."""


Member = TypeVar("Member", bound=Worker)


class Crew(Protocol[Member]):
    """The workers of a run, started as they are needed.

    Args:
        workers: those that live.
    """

    workers: list[Member]

    def offer(self, ready: Sequence[Stage]) -> tuple[Member, Stage] | None:
        """Who takes which of the stages that may run, the first in order if it can; None where nobody is free."""

    def listen(self, seconds: float) -> None:
        """Wait until one of them has something to tell, but not for longer."""

    def lose(self, worker: Member) -> None:
        """One of them is lost."""


def run(
    stages: Sequence[Stage], runtime: Runtime, watch: Watch, crew: Crew[Member]
) -> tuple[StageState, ...]:
    """The states of stages run by a crew, in their order; as `Executor.execute`.

    A stage whose worker is lost is tried again, as one whose cause to fail may pass.

    Raises:
        KeyboardInterrupt: asked to stop.
        StageError: no worker can so much as begin.
    """
    rank = longest_chain_first(stages, lambda stage: WEIGHTS[stage.kind])
    running = _Run(
        Store(runtime.store), watch, Schedule(stages, rank, runtime.retries), crew, titles_of(stages)
    )
    try:
        while not running.schedule.done:
            if watch.interrupted:
                raise KeyboardInterrupt
            running.settle()
            running.give()
            running.listen()
    finally:
        running.stop()
    return tuple(running.schedule.states[stage.key] for stage in stages)


@dataclass
class _Run(Generic[Member]):
    """A plan's run: its workers, and what they work on."""

    store: Store
    watch: Watch
    schedule: Schedule
    crew: Crew[Member]
    titles: Mapping[str, str]
    began: dict[str, float] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    unstarted: int = 0

    def settle(self) -> None:
        """Stages that need no worker: those in the store, and those that start from one that failed."""
        again = True
        while again:
            again = False
            for stage in self.schedule.ready(time.monotonic()):
                if self.schedule.is_lost(stage):
                    self._end(stage, "skipped")
                    again = True
                elif self.store.has(stage):
                    self.store.tidy(stage)
                    self._end(stage, "cached")
                    again = True

    def give(self) -> None:
        """Give stages to workers that have none."""
        while ready := self.schedule.ready(time.monotonic()):
            if (found := self.crew.offer(ready)) is None:
                return
            worker, stage = found
            self.schedule.give(stage)
            self.began[stage.key] = time.perf_counter()
            worker.give(stage)

    def listen(self) -> None:
        """Wait for answers, for a moment, and take them in."""
        self.crew.listen(POLL_SECONDS)
        for worker in list(self.crew.workers):
            lost = worker.lost()
            for line in worker.errors():
                self.watch.say(line)
            for answer in worker.answers():
                self._answered(worker, answer)
            if lost is not None:
                self.crew.lose(worker)
                self._lost(worker, lost)

    def _answered(self, worker: Member, answer: Mapping[str, Any]) -> None:
        stage = worker.stage
        if "ready" in answer:
            worker.ready, self.unstarted = True, 0
        elif "say" in answer:
            where = "" if stage is None else f"[{self._place(stage)}] {self.titles[stage.key]}: "
            self.watch.say(f"{where}{answer['say']}")
        elif "busy" in answer and stage is not None:
            worker.stage = None
            self.schedule.later(stage, time.monotonic() + BUSY_SECONDS)
            if stage.key not in self.told:
                self.told.add(stage.key)
                self.watch.say(f"another process works on {stage.name}; going on with what is free")
        elif "lost" in answer:
            # It could not so much as begin, nor can another.
            raise StageError(answer["lost"], answer["exit_code"])
        elif "done" in answer and stage is not None:
            worker.stage = None
            if answer["status"] == "failed":
                passes = bool(answer.get("passes"))
                self._failed(stage, StageError(answer["error"], answer["exit_code"], passes))
            else:
                self._end(stage, answer["status"])

    def _lost(self, worker: Member, how: str) -> None:
        stage, worker.stage = worker.stage, None
        last = f"; its last words: {' / '.join(worker.lines)}" if worker.lines else ""
        error = StageError(f"its worker was lost ({how}){last}", passes=True)
        if stage is not None:
            self._failed(stage, error)
        elif not worker.ready:
            self.unstarted += 1
            if self.unstarted >= STARTS:
                raise StageError(f"{STARTS} workers were lost before they began, the last: {how}{last}")

    def _failed(self, stage: Stage, error: StageError) -> None:
        seconds = self.schedule.again(stage, time.monotonic()) if error.passes else None
        if seconds is not None:
            self.watch.say(f"{stage.name} failed: {error}; tried again in {seconds:g} s")
        else:
            # Kept by the worker where the stage itself raised it, but not by one that was lost.
            self.store.keep_failure(stage, error)
            self._end(stage, "failed", error)

    def _end(self, stage: Stage, status: str, error: StageError | None = None) -> None:
        place = self.schedule.place(stage)
        self.schedule.end(StageState(stage, status, self.store.root / stage.name, error))
        self.watch.started(stage, place, self.schedule.count)
        seconds = time.perf_counter() - self.began.get(stage.key, time.perf_counter())
        self.watch.finished(stage, status, seconds)
        if error is not None:
            self.watch.say(f"{stage.name} failed: {error}")

    def _place(self, stage: Stage) -> str:
        return f"{self.schedule.place(stage)}/{self.schedule.count}"

    def stop(self) -> None:
        """Let every worker stop after its step, and wait for it."""
        busy = sum(worker.stage is not None for worker in self.crew.workers)
        if busy:
            stages = "1 stage" if busy == 1 else f"{busy} stages"
            self.watch.say(f"stopping {stages} after this step (again to leave the workers to it)")
        for worker in self.crew.workers:
            worker.stop()
        until = time.monotonic() + STOP_SECONDS
        for worker in self.crew.workers:
            worker.wait(max(0.0, until - time.monotonic()))


def alike(stage: Stage, other: Stage | None) -> bool:
    """Whether a worker that ran one stage has what another starts from at hand."""
    if other is None:
        return False
    return all(
        getattr(stage.part, name, None) == getattr(other.part, name, None) for name in ("base", "precision")
    )
