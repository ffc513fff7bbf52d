"""The executor of several processes on this machine: each runs stages one after another, and keeps what they share."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from adapter_stilts.runtime import Runtime
from adapter_stilts.stages.executors.crew import alike, run
from adapter_stilts.stages.executors.process import Process
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.states import StageState
from adapter_stilts.stages.watch import Watch


@dataclass(frozen=True)
class Workers:
    """So many processes; the machine's threads are divided among them, and each has a GPU where there are some."""

    here: ClassVar[bool] = True

    count: int

    def execute(
        self, plan: Path, stages: Sequence[Stage], runtime: Runtime, watch: Watch
    ) -> tuple[StageState, ...]:
        """As `Executor.execute`. A stage whose worker is lost is tried again, as one whose cause to fail may pass."""
        return run(stages, runtime, watch, _Processes(plan, runtime, self.count))


def build(workers: int | None) -> Workers | None:
    """The executor as the command line's flags describe it; None is this process."""
    return None if workers is None else Workers(workers)


class _Processes:
    """As `crew.Crew`: a process in each place."""

    def __init__(self, plan: Path, runtime: Runtime, count: int) -> None:
        self._plan, self._runtime = plan, runtime
        self._places: list[Process | None] = [None] * count
        self.workers: list[Process] = []

    def offer(self, ready: Sequence[Stage]) -> tuple[Process, Stage] | None:
        for place, worker in enumerate(self._places):
            if worker is not None and worker.stage is not None:
                continue
            stage = next((stage for stage in ready if worker and alike(stage, worker.last)), ready[0])
            if worker is None:
                worker = self._places[place] = Process(self._plan, self._runtime, self._environment(place))
                self.workers.append(worker)
            return worker, stage
        return None

    def listen(self, seconds: float) -> None:
        handles = [handle for worker in self.workers for handle in worker.handles()]
        if handles:
            select.select(handles, [], [], seconds)
        else:
            time.sleep(seconds)

    def lose(self, worker: Process) -> None:
        self.workers.remove(worker)
        self._places[self._places.index(worker)] = None

    def _environment(self, place: int) -> dict[str, str]:
        """What a worker is told of the machine: its share of the threads, and its GPU."""
        threads = int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))
        found = {"OMP_NUM_THREADS": str(max(1, threads // len(self._places)))}
        gpus = _gpus() if self._runtime.device != "cpu" else []
        if gpus:
            found["CUDA_VISIBLE_DEVICES"] = gpus[place % len(gpus)]
        return found


def _gpus() -> list[str]:
    """The GPUs that this process may use, by what CUDA calls them; asked without loading torch."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name.strip()]
    return [str(number) for number, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]
