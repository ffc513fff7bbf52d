"""The executor of several processes on this machine: each runs stages one after another, and keeps what they share."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapter_stilts.errors import StageError
from adapter_stilts.runtime import Runtime
from adapter_stilts.stages.executors.process import Process
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.schedule import Schedule, longest_chain_first
from adapter_stilts.stages.states import StageState
from adapter_stilts.stages.store import Store
from adapter_stilts.stages.watch import Watch

POLL_SECONDS = 0.2
BUSY_SECONDS = 1.0
"""Until a stage that another run works on is looked for again."""
STOP_SECONDS = 120.0
"""For a stage to stop after its step, or for an encoding under way; then its worker is killed."""
WEIGHTS = {"train": 10.0, "evaluate": 1.0, "compose": 0.1, "fetch": 0.1}
"""What a stage counts in the length of a chain, where nothing is known of its time."""


@dataclass(frozen=True)
class Workers:
    """So many processes; the machine's threads are divided among them, and each has a GPU where there are some."""

    count: int

    def execute(
        self, plan: Path, stages: Sequence[Stage], runtime: Runtime, watch: Watch
    ) -> tuple[StageState, ...]:
        """As `Executor.execute`. A stage whose worker is lost is tried again, as one whose cause to fail may pass."""
        run = _Run(plan, runtime, watch, self.count, _schedule(stages, runtime))
        try:
            while not run.schedule.done:
                if watch.interrupted:
                    raise KeyboardInterrupt
                run.settle()
                run.give()
                run.listen()
        finally:
            run.stop()
        return tuple(run.schedule.states[stage.key] for stage in stages)


def _schedule(stages: Sequence[Stage], runtime: Runtime) -> Schedule:
    rank = longest_chain_first(stages, lambda stage: WEIGHTS[stage.kind])
    return Schedule(stages, rank, runtime.retries)


@dataclass
class _Run:
    """A plan's run: its workers, and what they work on."""

    plan: Path
    runtime: Runtime
    watch: Watch
    count: int
    schedule: Schedule
    workers: list[Process | None] = field(default_factory=list)
    began: dict[str, float] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.store = Store(self.runtime.store)
        self.workers = [None] * self.count

    def settle(self) -> None:
        """Stages that need no worker: those in the store, and those that start from one that failed."""
        again = True
        while again:
            again = False
            for stage in self.schedule.ready(time.monotonic()):
                if self.schedule.is_lost(stage):
                    self._end(stage, "skipped")
                    again = True
                elif self.store.find(stage):
                    self.store.tidy(stage)
                    self._end(stage, "cached")
                    again = True

    def give(self) -> None:
        """Give stages to workers that have none; workers are started as they are needed."""
        for place, worker in enumerate(self.workers):
            if worker is not None and worker.stage is not None:
                continue
            ready = self.schedule.ready(time.monotonic())
            if not ready:
                return
            stage = next((stage for stage in ready if worker and _alike(stage, worker.last)), ready[0])
            if worker is None:
                worker = self.workers[place] = Process(self.plan, self.runtime, _environment(place, self))
            self.schedule.give(stage)
            self.began[stage.key] = time.perf_counter()
            worker.give(stage)

    def listen(self) -> None:
        """Wait for answers, for a moment, and take them in."""
        living = [worker for worker in self.workers if worker is not None]
        handles = [handle for worker in living for handle in worker.handles()]
        if handles:
            select.select(handles, [], [], POLL_SECONDS)
        else:
            time.sleep(POLL_SECONDS)
        for place, worker in enumerate(self.workers):
            if worker is None:
                continue
            lost = worker.lost()  # asked first: what it wrote before its end is read after
            for line in worker.errors():
                self.watch.say(line)
            for answer in worker.answers():
                self._answered(worker, answer)
            if lost is not None:
                self.workers[place] = None
                self._lost(worker, lost)

    def _answered(self, worker: Process, answer: dict[str, Any]) -> None:
        stage = worker.stage
        if "say" in answer:
            where = "" if stage is None else f"[{self._place(stage)}] {stage.title}: "
            self.watch.say(f"{where}{answer['say']}")
        elif "busy" in answer and stage is not None:
            worker.stage = None
            self.schedule.later(stage, time.monotonic() + BUSY_SECONDS)
            if stage.key not in self.told:
                self.told.add(stage.key)
                self.watch.say(f"another process works on {stage.name}; going on with what is free")
        elif "lost" in answer:
            raise StageError(
                answer["lost"], answer["exit_code"]
            )  # it could not so much as begin, nor can another
        elif "done" in answer and stage is not None:
            worker.stage = None
            if answer["status"] == "failed":
                passes = bool(answer.get("passes"))
                self._failed(stage, StageError(answer["error"], answer["exit_code"], passes))
            else:
                self._end(stage, answer["status"])

    def _lost(self, worker: Process, how: str) -> None:
        stage, worker.stage = worker.stage, None
        if stage is not None:
            last = f"; its last words: {' / '.join(worker.lines)}" if worker.lines else ""
            self._failed(stage, StageError(f"its worker was lost ({how}){last}", passes=True))

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
        living = [worker for worker in self.workers if worker is not None]
        busy = sum(worker.stage is not None for worker in living)
        if busy:
            stages = "1 stage" if busy == 1 else f"{busy} stages"
            self.watch.say(f"stopping {stages} after this step (again to leave the workers to it)")
        for worker in living:
            worker.stop()
        until = time.monotonic() + STOP_SECONDS
        for worker in living:
            worker.wait(max(0.0, until - time.monotonic()))


def _alike(stage: Stage, other: Stage | None) -> bool:
    """Whether a worker that ran one stage has what another starts from at hand."""
    if other is None:
        return False
    return all(
        getattr(stage.part, name, None) == getattr(other.part, name, None) for name in ("base", "precision")
    )


def _environment(place: int, run: _Run) -> dict[str, str]:
    """What a worker is told of the machine: its share of the threads, and its GPU."""
    threads = int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))
    found = {"OMP_NUM_THREADS": str(max(1, threads // run.count))}
    gpus = _gpus() if run.runtime.device != "cpu" else []
    if gpus:
        found["CUDA_VISIBLE_DEVICES"] = gpus[place % len(gpus)]
    return found


def _gpus() -> list[str]:
    """The GPUs that this process may use, by what CUDA calls them; asked without loading torch."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name.strip()]
    return [str(number) for number, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]
