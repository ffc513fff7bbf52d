"""The executor on Ray: stages run in actors on one machine, a cluster or Kubernetes, wherever Ray finds room for them.

An actor asks Ray for what its stages take:

- a GPU, where the cluster has any and the device is not ``cpu``: one stage fills it, and training cuts its steps to it;
- CPUs, its share of its node's: those of a node without GPUs are one stage's threads, and a node's GPUs share them;
- memory, as `StageMemory` counts it from the encoder, rounded up to whole GiB. Ray places by this number and does not
  enforce it. Stages whose numbers are equal are one class; an actor takes those of its own class and of smaller ones.

Ray keeps the queue of actors for which there is no room yet; a stage is given to an actor that has begun. Nothing is
known of a run but what lies in the store, which has to be a folder that every node has at the same path.
"""

from __future__ import annotations

import importlib
import logging
import math
import os
import socket
import sys
import textwrap
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from adapter_stilts.errors import UsageError
from adapter_stilts.recipe import Recipe
from adapter_stilts.runtime import Runtime
from adapter_stilts.stages.context import find_base
from adapter_stilts.stages.executors.crew import LAST_LINES, alike, run
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.plans import read_plan
from adapter_stilts.stages.stage_memory import StageMemory
from adapter_stilts.stages.states import StageState
from adapter_stilts.stages.watch import Watch
from adapter_stilts.validation import validated
from adapter_stilts.version import __version__

ASK_SECONDS = 10.0
"""An actor that has nothing to tell answers after so long."""
CONNECT_SECONDS = 10.0
"""For a cluster to answer at its address."""
CALLS = 4
"""At a time, to one actor: to be told, to be given a stage, to stop."""
LONGEST_REASON = 300
"""Characters of why an actor was lost."""
OBJECT_STORE = 100 * 2**20
"""Bytes of shared memory of a cluster that is started here: nothing large goes through it."""
GIB = 2**30


@dataclass(frozen=True)
class RayCluster:
    """Actors of Ray.

    Args:
        address: of a cluster: ``auto`` is the one that runs here, ``ray://HOST:PORT`` a client's. None takes
            ``$RAY_ADDRESS``, and without it this machine, for as long as the run.
        workers: at most so many actors at a time; None is one a GPU, or one a node where there are no GPUs. Where a
            cluster grows on demand, so many are asked for.
    """

    here: ClassVar[bool] = False

    address: str | None = None
    workers: int | None = None

    def execute(
        self, plan: Path, stages: Sequence[Stage], runtime: Runtime, watch: Watch
    ) -> tuple[StageState, ...]:
        """As `Executor.execute`. A stage whose actor or node is lost is tried again on another.

        Raises:
            UsageError: Ray is not installed, or no cluster answers at the address.
            StageError: no actor can begin.
        """
        ray = _ray()
        with _connected(ray, self.address):
            room = Room(ray, runtime.device, self.workers)
            runtime = replace(runtime, device="cuda" if room.gpus else "cpu")
            most = room.most_memory()
            estimate = StageMemory(stages, _configs(plan), str(runtime.device), most)
            memory = _Capped(estimate, most, watch.say)
            return run(stages, runtime, watch, Actors(ray, plan, runtime, room, memory))


def build(workers: int | None, ray_address: str | None) -> RayCluster:
    """The executor as the command line's flags describe it. Raises UsageError where Ray is not installed."""
    _ray()
    return RayCluster(ray_address, workers)


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise UsageError(
            f"--executor ray needs Ray, which cannot be imported ({error}): pip install 'adapter-stilts[ray]', "
            "or leave --executor out"
        ) from error


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    """A connection to the cluster; one that is there already is used, and kept. Raises UsageError."""
    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    here: dict[str, Any] = {}
    if address == "local":
        # Ray would tell its makers of every cluster that it starts.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        here = {"include_dashboard": False, "object_store_memory": OBJECT_STORE}
    try:
        _knock(address)
        # Actors send what they write, and where their stage stands beside it; Ray need not print it again.
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **here)
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"--ray-address {address}: no cluster of Ray can be used there ({error}); start one with "
            "`ray start --head`, or leave the option out, and Ray is started on this machine"
        ) from error
    # A thread of Ray's prints what goes wrong on its nodes; stdout is for results.
    with redirect_stdout(sys.stderr):
        try:
            yield
        finally:
            ray.shutdown()


def _knock(address: str) -> None:
    """Whether anybody listens at a host and port: Ray itself asks for minutes. Raises OSError where nobody does."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()


def _configs(plan: Path) -> dict[str, Mapping[str, Any]]:
    """The config.json of the plan's encoders, by their fingerprint."""
    recipes = [validated(Recipe, values, where=f"{plan}: recipe") for values in read_plan(plan).recipes]
    bases = {recipe.base.model_dump_json(): recipe.base for recipe in recipes}
    return {found.fingerprint: found.config for found in map(find_base, bases.values())}


class Room:
    """What the cluster has, and what an actor takes of it.

    Args:
        device: ``cpu``, ``cuda``, or None for GPUs where there are any.
        workers: at most so many actors.

    Raises:
        UsageError: ``cuda``, and no node has a GPU, nor is the cluster to grow.
    """

    def __init__(self, ray: Any, device: str | None, workers: int | None) -> None:
        self._ray, self._workers = ray, workers
        found = [node.get("GPU", 0) for node in self._nodes()]
        self.gpus = 0 if device == "cpu" else int(device == "cuda" or any(found))
        if self.gpus and not any(found) and workers is None:
            raise UsageError(
                f"--device cuda: none of the cluster's {len(found)} nodes has a GPU; use --device cpu, or of a cluster "
                "that starts nodes with GPUs on demand say with --workers how many"
            )

    def _nodes(self) -> list[Mapping[str, float]]:
        """The resources of each node that lives."""
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]

    def _usable(self) -> list[Mapping[str, float]]:
        """Those of nodes on which an actor can be: a head node may offer nothing."""
        return [node for node in self._nodes() if node.get("GPU", 0) >= self.gpus and node.get("CPU", 0) >= 1]

    def actors(self) -> int:
        """How many there may be at a time: of a cluster that grows without being asked to, more as it grows."""
        if self._workers is not None:
            return self._workers
        places = sum(int(node["GPU"]) if self.gpus else 1 for node in self._usable())
        return max(1, places)

    def cpus(self) -> int:
        """Of an actor: its share of the CPUs of the node with the fewest for each."""
        nodes = self._usable()
        share = math.ceil(self.actors() / max(1, len(nodes)))
        shares = [node["CPU"] / (node["GPU"] if self.gpus else share) for node in nodes]
        return max(1, int(min(shares, default=1)))

    def most_memory(self) -> int:
        """Bytes, of the node that has the most."""
        return int(max((node.get("memory", 0) for node in self._nodes()), default=0))


class _Capped:
    """Bytes to ask for, in whole GiB: an estimate that no node has room for would wait for ever.

    Args:
        most: bytes of the node that has the most.
    """

    def __init__(self, estimate: Callable[[Stage], int], most: int, say: Callable[[str], None]) -> None:
        self._estimate, self._most, self._say, self._told = estimate, most, say, False
        self._found: dict[str, int] = {}

    def __call__(self, stage: Stage) -> int:
        if stage.key not in self._found:
            self._found[stage.key] = self._needed(stage)
        return self._found[stage.key]

    def _needed(self, stage: Stage) -> int:
        needed = math.ceil(self._estimate(stage) / GIB) * GIB
        if needed <= self._most:
            return needed
        if not self._told:
            self._told = True
            self._say(
                f"note: {stage.title} is estimated to take {needed / GIB:.0f} GiB, and no node offers more than "
                f"{self._most / GIB:.1f}: it is tried with a whole node's memory"
            )
        return self._most


class Actors:
    """As `crew.Crew`: actors of Ray, of the classes that the stages need.

    Args:
        memory: bytes to ask for, of a stage.
    """

    def __init__(
        self, ray: Any, plan: Path, runtime: Runtime, room: Room, memory: Callable[[Stage], int]
    ) -> None:
        self._ray, self._room, self._memory = ray, room, memory
        # By its name, as `python -m` has it: this room stands below that of workers.
        self._serving = ray.remote(importlib.import_module("adapter_stilts.worker").Serving)
        self._arguments = (str(plan), runtime.to_json(), __version__)
        self.workers: list[Actor] = []

    def offer(self, ready: Sequence[Stage]) -> tuple[Actor, Stage] | None:
        free = [worker for worker in self.workers if worker.ready and worker.stage is None]
        for worker in free:
            fitting = [stage for stage in ready if self._memory(stage) <= worker.memory]
            if fitting:
                return worker, next((stage for stage in fitting if alike(stage, worker.last)), fitting[0])
            # It would keep the memory that an actor for what is ready may be waiting for.
            self._dismiss(worker)
        coming = [worker for worker in self.workers if not worker.ready]
        if len(coming) < len(ready) and len(self.workers) < self._room.actors():
            memory = self._memory(ready[len(coming)])
            options = {"num_cpus": self._room.cpus(), "num_gpus": self._room.gpus, "memory": memory}
            self.workers.append(Actor(self._ray, self._serving, self._arguments, options))
        return None

    def _dismiss(self, worker: Actor) -> None:
        worker.wait(0.0)
        self.workers.remove(worker)

    def listen(self, seconds: float) -> None:
        if self.workers:
            self._ray.wait([worker.asked for worker in self.workers], num_returns=1, timeout=seconds)
        else:
            time.sleep(seconds)

    def lose(self, worker: Actor) -> None:
        self._dismiss(worker)


class Actor:
    """An actor, as whoever gives it work sees it; as `crew.Worker`.

    Args:
        serving: its class, `adapter_stilts.worker.Serving`, as Ray knows it.
        options: what it takes of a node.
    """

    def __init__(
        self, ray: Any, serving: Any, arguments: Sequence[str], options: Mapping[str, float]
    ) -> None:
        self._ray = ray
        self._handle = serving.options(**options, max_concurrency=CALLS).remote(*arguments)
        self.asked = self._handle.answers.remote(ASK_SECONDS)
        self.memory = int(options["memory"])
        self.stage: Stage | None = None
        self.last: Stage | None = None
        self.ready = False
        self.lines: deque[str] = deque(maxlen=LAST_LINES)
        self._answers: list[Mapping[str, Any]] = []
        self._errors: list[str] = []

    def give(self, stage: Stage) -> None:
        self.stage = self.last = stage
        self._handle.give.remote(stage.key)

    def answers(self) -> list[Mapping[str, Any]]:
        found, self._answers = self._answers, []
        return found

    def errors(self) -> list[str]:
        found, self._errors = self._errors, []
        return found

    def lost(self) -> str | None:
        done, _ = self._ray.wait([self.asked], timeout=0)
        if not done:
            return None
        try:
            told = self._ray.get(self.asked)
        except self._ray.exceptions.RayError as error:
            return _how(error)
        self.asked = self._handle.answers.remote(ASK_SECONDS)
        for answer in told:
            if "wrote" in answer:
                self.lines.append(answer["wrote"])
                self._errors.append(answer["wrote"])
            else:
                self._answers.append(answer)
        return None

    def stop(self) -> None:
        self._handle.stop.remote()

    def wait(self, seconds: float) -> None:
        """One without a stage has nothing to keep, and is ended at once."""
        try:
            if self.stage is not None and seconds > 0:
                self._ray.get(self._handle.ended.remote(seconds), timeout=seconds)
        except self._ray.exceptions.RayError:
            pass  # lost, or it takes longer
        finally:
            self._ray.kill(self._handle)


def _how(error: Exception) -> str:
    """How an actor was lost, in a line: Ray tells a page."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = textwrap.shorten(lines[-1], LONGEST_REASON, placeholder=" …") if lines else "no reason is known"
    return f"{type(error).__name__}: {last}"
