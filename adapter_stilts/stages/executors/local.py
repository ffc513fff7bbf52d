"""The local executor: one stage after another in this process, parents first."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from adapter_stilts.errors import AdapterStiltsError
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.run import Context, run_stage

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of a stage: ``ran``, ``cached``, ``failed`` or ``skipped`` (a parent failed)."""

    stage: Stage
    status: str
    directory: Path | None
    error: AdapterStiltsError | None = None


def execute(stages: tuple[Stage, ...], context: Context) -> list[Outcome]:
    """Run what is not in the store. A stage that fails keeps its descendants from running, nothing else."""
    context.store.open()
    outcomes: dict[str, Outcome] = {}
    for number, stage in enumerate(stages, 1):
        context.watch.started(stage, number, len(stages))
        began = time.perf_counter()
        lost = [parent for parent in stage.parents if outcomes[parent.key].status in ("failed", "skipped")]
        outcome = Outcome(stage, "skipped", None) if lost else _one(stage, context)
        outcomes[stage.key] = outcome
        context.watch.finished(stage, outcome.status, time.perf_counter() - began)
        if outcome.error is not None:
            context.watch.say(f"{stage.name} failed: {outcome.error}")
    return list(outcomes.values())


def _one(stage: Stage, context: Context) -> Outcome:
    store, say, main = context.store, context.watch.say, context.accelerator.is_main_process
    try:
        if (found := _agreed(context, store.find(stage) if main else None)) is not None:
            if main:
                store.tidy(stage, say)
            return Outcome(stage, "cached", found)
        # The main process of a launch holds the lock and looks again: we may have waited for another run.
        with store.lock(stage, say) if main else contextlib.nullcontext():
            if (found := _agreed(context, store.find(stage) if main else None)) is not None:
                return Outcome(stage, "cached", found)
            return Outcome(stage, "ran", run_stage(stage, context))
    except AdapterStiltsError as error:
        _log.debug("%s failed", stage.name, exc_info=True)
        return Outcome(stage, "failed", None, error)


def _agreed(context: Context, found: Path | None) -> Path | None:
    """What the main process found, in every process of a launch: they must take the same way."""
    if context.accelerator.num_processes == 1:
        return found
    from accelerate.utils import broadcast_object_list

    agreed: list[Path | None] = broadcast_object_list([found])
    return agreed[0]
