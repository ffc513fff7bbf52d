"""Measuring how quick each kind of stage is, on a few steps of one of it, in a store that is thrown away."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from adapter_stilts.stages.context import Context
from adapter_stilts.stages.estimating import Kind, Speed, kind_of_stage
from adapter_stilts.stages.executors.attempt import attempt
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.parts import EvaluatePart, TrainPart
from adapter_stilts.stages.record import read_stage
from adapter_stilts.stages.store import Store

STEPS = 24
"""Of training; the first are slower, as memory is taken and kernels are made ready."""
EXAMPLES = 1000
"""Of each train set, so that little is encoded for it."""
EVALUATED = 40
"""Examples of each language that are evaluated."""


def calibrate(
    stages: Sequence[Stage], context_of: Callable[[Stage], Context], say: Callable[[str], None]
) -> list[Speed]:
    """The speed of each kind of stage among some, on one of each.

    Args:
        stages: parents first.
        context_of: what a stage runs with.
        say: told what is measured.

    Raises:
        AdapterStiltsError: one of them fails, as the plan would.
    """
    chosen: dict[Kind, Stage] = {}
    for stage in stages:
        kind = kind_of_stage(stage)
        if kind is not None and not (
            isinstance(stage.part, TrainPart) and (stage.part.texts or stage.part.after)
        ):
            chosen.setdefault(kind, stage)
    speeds = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, stage in list(chosen.items())[:1]:
            _measured(
                kind, _shortened(stage), _elsewhere(context_of(stage), Path(folder) / "first")
            )  # libraries
        for number, (kind, stage) in enumerate(chosen.items(), 1):
            say(
                f"measuring {number} of {len(chosen)}: {kind.kind}, {kind.format}, {kind.mode} {kind.precision}"
            )
            speeds += _measured(kind, _shortened(stage), _elsewhere(context_of(stage), Path(folder)))
    return speeds


def _can_be_shortened(stage: Stage) -> bool:
    """Whether a stage of its kind can start from the base itself."""
    if isinstance(stage.part, TrainPart):
        return not stage.part.texts and not stage.part.after
    return all(isinstance(parent.part, TrainPart) and _can_be_shortened(parent) for parent in stage.parents)


def _elsewhere(context: Context, folder: Path) -> Context:
    machine = replace(context.machine, store=Store(folder))
    return replace(context, machine=machine)


def _shortened(stage: Stage) -> Stage:
    """A stage of the same kind that takes a few steps, from the base itself."""
    part = stage.part
    if isinstance(part, TrainPart):
        few = part.training.model_copy(
            update={
                "max_steps": STEPS,
                "limit_train": min(EXAMPLES, part.training.limit_train or EXAMPLES),
                "dev_examples": EVALUATED,
                "eval_every_steps": STEPS + 1,
            }
        )
        return Stage(stage.task, replace(part, training=few, combine=None, nested=False))
    assert isinstance(part, EvaluatePart)
    limit = min(EVALUATED, part.limit or EVALUATED)
    return Stage(stage.task, replace(part, limit=limit), tuple(map(_shortened, stage.parents)))


def _measured(kind: Kind, stage: Stage, context: Context) -> list[Speed]:
    store = context.machine.store
    store.open()
    for each in (*stage.parents, stage):
        state = attempt(each, context, wait=True)
        assert state is not None
        if state.error is not None:
            raise state.error
    record = read_stage(store.root / stage.name)
    speed = float(record["tokens_per_second"])
    passes = float(record["step_seconds"] if kind.kind == "train" else record["tokens"] / speed)
    return [Speed(kind, speed, max(0.0, round(float(record["seconds"]) - passes, 3)))]
