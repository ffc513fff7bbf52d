"""The job arrays that express what a plan still has to run.

All missing stages are tasks of one array, so that its throttle (``%N``) bounds the whole plan, and can be changed while
it runs (``scontrol update JobId=… ArrayTaskThrottle=…``). sbatch gives an array one dependency for all of its tasks; so
the array is submitted held, each task then gets its own, `afterok` on exactly the tasks that make its parents, and the
tasks are released, those with the longest chain of stages behind them first. A stage that fails keeps its descendants
from running and nothing else, and none waits for a stage that it does not start from.

What was left: with an array a level, `afterok` on the level before, one failure stops every later level; with an array
for the children of each stage the graph is exact, but a throttle counts within its array, and the study's matrix (9 x 9
tasks) needs about a hundred of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter_stilts.errors import StoreError
from adapter_stilts.stages.plans import SCHEMA
from adapter_stilts.stages.record import STAGE

ARRAY_TASKS = 1000
"""Tasks of one array: what Slurm allows unless a cluster says otherwise (MaxArraySize 1001)."""


@dataclass(frozen=True)
class Task:
    """A stage as a task of an array.

    Args:
        stage: its name.
        place: its array, counted from 0, and its number there.
        after: the places of the tasks that make its parents, where those are not finished.
    """

    stage: str
    place: tuple[int, int]
    after: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class MissingStages:
    """What a plan still has to run.

    Args:
        plan: the absolute path of its file.
        tasks: one a stage; parents first, and those with the longest chain behind them before others.
    """

    plan: Path
    tasks: tuple[Task, ...]

    @property
    def store(self) -> Path:
        """The store that the plan lies in."""
        return self.plan.parent.parent

    @property
    def logs(self) -> Path:
        """Where jobs write what they print, and where scripts lie."""
        return self.store / "slurm"

    @property
    def label(self) -> str:
        """The comment of the plan's jobs, by which they are found in the queue."""
        return f"adapter-stilts:{self.plan.stem}"

    def arrays(self) -> Iterator[tuple[Task, ...]]:
        """The tasks of each array."""
        for begin in range(0, len(self.tasks), ARRAY_TASKS):
            yield self.tasks[begin : begin + ARRAY_TASKS]

    def job(self, place: tuple[int, int], arrays: Sequence[str]) -> str:
        """The job id of a task. A plan's last array may be one task, which is a job of its own when submitit queues it.

        Args:
            arrays: the job ids of all arrays; or what will stand for them.
        """
        array, index = place
        alone = len(self.tasks) == array * ARRAY_TASKS + 1
        return arrays[array] if alone else f"{arrays[array]}_{index}"

    def dependency(self, task: Task, arrays: Sequence[str], throttled: bool) -> str | None:
        """What a task waits for, as sbatch writes it; None where that is nothing.

        Args:
            throttled: whether an array begins when the one before has ended, as a throttle counts within one.
        """
        kinds = []
        if task.after:
            kinds.append("afterok:" + ":".join(self.job(place, arrays) for place in task.after))
        if throttled and task.place[0] > 0:
            kinds.append(f"afterany:{arrays[task.place[0] - 1]}")
        return ",".join(kinds) or None


def missing_stages(plan: Path) -> MissingStages:
    """The stages of a plan file that its store does not hold.

    Raises:
        StoreError: the file cannot be read, is damaged, or was written by a newer version.
    """
    plan = plan.absolute()
    parents = _read(plan)
    store = plan.parent.parent
    missing = [name for name in parents if not (store / name / STAGE).is_file()]
    behind = _chains(parents)
    ordered = sorted(missing, key=lambda name: -behind[name])  # a parent's chain is longer than its child's
    places = {name: divmod(number, ARRAY_TASKS) for number, name in enumerate(ordered)}
    tasks = [
        Task(name, places[name], tuple(places[parent] for parent in parents[name] if parent in places))
        for name in ordered
    ]
    return MissingStages(plan, tuple(tasks))


def _chains(parents: dict[str, tuple[str, ...]]) -> dict[str, int]:
    """How many stages the longest chain behind each has; children stand after their parents."""
    behind = dict.fromkeys(parents, 0)
    for name in reversed(parents):
        for parent in parents[name]:
            behind[parent] = max(behind[parent], behind[name] + 1)
    return behind


def _read(plan: Path) -> dict[str, tuple[str, ...]]:
    """The parents of each stage, by name, parents first."""
    try:
        value: Any = json.loads(plan.read_text(encoding="utf-8"))
        schema = int(value["schema"])
        if schema > SCHEMA:
            raise StoreError(
                f"the plan {plan} has schema {schema}, this version reads up to {SCHEMA}: upgrade adapter-stilts"
            )
        parents: dict[str, tuple[str, ...]] = {}
        for stage in value["stages"]:
            before = tuple(str(name) for name in stage["parents"])
            if unknown := [name for name in before if name not in parents]:
                raise ValueError(f"{stage['name']} starts from {unknown[0]}, which does not stand before it")
            parents[str(stage["name"])] = before
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(
            f"the plan {plan} cannot be read ({error!r}): remove it, and plan again with `adapter-stilts matrix`"
        ) from error
    return parents
