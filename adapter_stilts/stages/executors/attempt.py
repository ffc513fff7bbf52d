"""One stage, tried once: looked up, locked, run, and what became of it."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from pathlib import Path

from adapter_stilts.errors import AdapterStiltsError
from adapter_stilts.stages.context import Context
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.locking import Lock
from adapter_stilts.stages.reporting import Reporting
from adapter_stilts.stages.run import run_stage
from adapter_stilts.stages.states import StageState

_log = logging.getLogger(__name__)


def attempt(stage: Stage, context: Context, wait: bool, told: bool = False) -> StageState | None:
    """The state of a stage that is in the store or is run now; None where another process works on it.

    Args:
        wait: whether to wait for another process.
        told: whether the user knows of the other process.
    """
    machine = context.machine
    store, say, main = machine.store, machine.watch.say, machine.writes
    ask = (lambda message: None) if told else say
    try:
        if (found := _agreed(context, store.has(stage) if main else None)) is not None:
            if main:
                store.tidy(stage)
            return StageState(stage, "cached", found)
        # The main process of a launch holds the lock and looks again: we may have waited for another run.
        with store.lock(stage, ask, wait) if main else contextlib.nullcontext() as held:
            if main and held is None:
                return None
            if (found := _agreed(context, store.has(stage) if main else None)) is not None:
                return StageState(stage, "cached", found)
            if main and (damage := store.damage(stage)) is not None:
                say(f"{stage.name}: {damage}: evaluated again")
            if main:
                store.forget_failure(stage)
            directory = run_stage(stage, _reporting(context, held))
            if main:  # again: who lost a worker on it may have said so meanwhile
                store.forget_failure(stage)
            return StageState(stage, "ran", directory)
    except AdapterStiltsError as error:
        _log.debug("%s failed", stage.name, exc_info=True)
        if main:
            store.keep_failure(stage, error)
        return StageState(stage, "failed", store.root / stage.name, error)


def _reporting(context: Context, held: Lock | None) -> Context:
    """The context of a stage that says in its lock how far it is."""
    if held is None:
        return context
    watch = Reporting(context.machine.watch, held.write)
    return replace(context, machine=replace(context.machine, watch=watch))


def _agreed(context: Context, found: Path | None) -> Path | None:
    """What the main process found, in every process of a launch: they must take the same way."""
    if context.machine.accelerator.num_processes == 1:
        return found
    from accelerate.utils import broadcast_object_list

    agreed: list[Path | None] = broadcast_object_list([found])
    return agreed[0]
