"""The executor of one process: one stage after another, parents first."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from adapter_stilts.stages.context import Context, Machine
from adapter_stilts.stages.executors.attempt import attempt
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.schedule import Schedule
from adapter_stilts.stages.states import StageState

BUSY_SECONDS = 0.5
"""Until a stage that another process works on is looked for again."""


def execute(
    stages: Sequence[Stage], context_of: Callable[[Stage], Context], machine: Machine
) -> tuple[StageState, ...]:
    """Run what is not in the store. A stage that fails keeps its descendants from running, nothing else.

    Several processes may run one plan: each takes the next stage that is free, and waits where there is none. States
    have the order of the stages.

    Args:
        context_of: what a stage runs with.

    Raises:
        KeyboardInterrupt: asked to stop; what is finished stays.
    """
    machine.store.open()
    schedule = Schedule(stages, retries=machine.runtime.retries)
    busy: set[str] = set()
    while not schedule.done:
        ready = schedule.ready(time.monotonic())
        if not ready:  # all that is left waits to be tried again
            _sleep(machine, (schedule.next_time() or 0.0) - time.monotonic())
            continue
        # The processes of a launch take the same way, stage after stage.
        alone = machine.accelerator.num_processes == 1
        for stage in ready if alone else ():
            told = stage.key in busy
            if _work_on(stage, schedule, context_of, machine, wait=False, told=told):
                break
            busy.add(stage.key)
        else:
            _work_on(ready[0], schedule, context_of, machine, wait=True, told=False)
    return tuple(schedule.states[stage.key] for stage in stages)


def _work_on(
    stage: Stage,
    schedule: Schedule,
    context_of: Callable[[Stage], Context],
    machine: Machine,
    wait: bool,
    told: bool,
) -> bool:
    """Whether a stage was worked on; it was not where another process works on it and we do not wait."""
    watch = machine.watch
    if watch.interrupted:
        raise KeyboardInterrupt
    watch.started(stage, schedule.place(stage), schedule.count)
    began = time.perf_counter()
    where = machine.store.root / stage.name
    if schedule.is_lost(stage):
        state: StageState | None = StageState(stage, "skipped", where)
    else:
        state = attempt(stage, context_of(stage), wait, told)
    if state is None:
        return False
    schedule.give(stage)
    if state.error is not None and state.error.passes:
        seconds = schedule.again(stage, time.monotonic())
        if seconds is not None:
            watch.say(f"{stage.name} failed: {state.error}; tried again in {seconds:g} s")
            return True
    schedule.end(state)
    watch.finished(stage, state.status, time.perf_counter() - began)
    if state.error is not None:
        watch.say(f"{stage.name} failed: {state.error}")
    return True


def _sleep(machine: Machine, seconds: float) -> None:
    """Wait, but not for longer than it takes to hear that the user wants to stop."""
    if machine.watch.interrupted:
        raise KeyboardInterrupt
    time.sleep(max(0.0, min(seconds, BUSY_SECONDS)))
