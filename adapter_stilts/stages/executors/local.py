"""The local executor: one stage after another in this process, parents first."""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path

from adapter_stilts.errors import AdapterStiltsError
from adapter_stilts.stages.context import Context
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.run import run_stage
from adapter_stilts.stages.states import StageState

_log = logging.getLogger(__name__)


def execute(stages: tuple[Stage, ...], context: Context) -> tuple[StageState, ...]:
    """Run what is not in the store. A stage that fails keeps its descendants from running, nothing else.

    Several processes may run one plan: each takes the next stage that is free, and waits where there is none. States
    have the order of the stages.

    Raises:
        KeyboardInterrupt: asked to stop; what is finished stays.
    """
    context.machine.store.open()
    states: dict[str, StageState] = {}
    busy: set[str] = set()
    waiting = list(enumerate(stages, 1))
    while waiting:
        ready = [each for each in waiting if all(parent.key in states for parent in each[1].parents)]
        # The processes of a launch take the same way, stage after stage.
        alone = context.machine.accelerator.num_processes == 1
        for each in ready if alone else ():
            told = each[1].key in busy
            if _work_on(*each, len(stages), states, context, wait=False, told=told):
                break
            busy.add(each[1].key)
        else:
            each = ready[0]
            _work_on(*each, len(stages), states, context, wait=True, told=False)
        waiting.remove(each)
    return tuple(states[stage.key] for stage in stages)


def _work_on(
    number: int,
    stage: Stage,
    total: int,
    states: dict[str, StageState],
    context: Context,
    wait: bool,
    told: bool,
) -> bool:
    """Whether a stage has its state now; it has none where another process works on it and we do not wait."""
    if context.machine.watch.interrupted:
        raise KeyboardInterrupt
    context.machine.watch.started(stage, number, total)
    began = time.perf_counter()
    lost = [parent for parent in stage.parents if states[parent.key].status in ("failed", "skipped")]
    where = context.machine.store.root / stage.name
    state = StageState(stage, "skipped", where) if lost else _one(stage, context, wait, told)
    if state is None:
        return False
    states[stage.key] = state
    context.machine.watch.finished(stage, state.status, time.perf_counter() - began)
    if state.error is not None:
        context.machine.watch.say(f"{stage.name} failed: {state.error}")
    return True


def _one(stage: Stage, context: Context, wait: bool, told: bool) -> StageState | None:
    machine = context.machine
    store, say, main = machine.store, machine.watch.say, machine.writes
    ask = (lambda message: None) if told else say
    try:
        if (found := _agreed(context, store.find(stage) if main else None)) is not None:
            if main:
                store.tidy(stage)
            return StageState(stage, "cached", found)
        # The main process of a launch holds the lock and looks again: we may have waited for another run.
        with store.lock(stage, ask, wait) if main else contextlib.nullcontext(True) as held:
            if not held:
                return None
            if (found := _agreed(context, store.find(stage) if main else None)) is not None:
                return StageState(stage, "cached", found)
            if main and (damage := store.damage(stage)) is not None:
                say(f"{stage.name}: {damage}: evaluated again")
            return StageState(stage, "ran", run_stage(stage, context))
    except AdapterStiltsError as error:
        _log.debug("%s failed", stage.name, exc_info=True)
        return StageState(stage, "failed", store.root / stage.name, error)


def _agreed(context: Context, found: Path | None) -> Path | None:
    """What the main process found, in every process of a launch: they must take the same way."""
    if context.machine.accelerator.num_processes == 1:
        return found
    from accelerate.utils import broadcast_object_list

    agreed: list[Path | None] = broadcast_object_list([found])
    return agreed[0]
