"""The local executor: one stage after another in this process, parents first."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from adapter_stilts.errors import AdapterStiltsError
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.run import Context, run_stage


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
    store, say = context.store, context.watch.say
    if (found := store.find(stage)) is not None:
        if context.accelerator.is_main_process:
            store.tidy(stage, say)
        return Outcome(stage, "cached", found)
    try:
        if not context.accelerator.is_main_process:
            # The main process holds the lock; all meet inside the stage.
            return Outcome(stage, "ran", run_stage(stage, context))
        with store.lock(stage, say):
            if (found := store.find(stage)) is not None:  # finished by the process we waited for
                return Outcome(stage, "cached", found)
            return Outcome(stage, "ran", run_stage(stage, context))
    except AdapterStiltsError as error:
        return Outcome(stage, "failed", None, error)
