"""Evaluating: a bundle, or the base itself, answers test splits, and is scored as the benchmark's scorer does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from adapter_stilts.evaluation.judging import Predicted, judge, passes
from adapter_stilts.evaluation.predict import predict, rows_of
from adapter_stilts.evaluation.scoring import Scored
from adapter_stilts.formats import get_format
from adapter_stilts.formats.features import concatenate
from adapter_stilts.model.task_model import TaskModel, states_of_layer
from adapter_stilts.stages.context import Context, Machine
from adapter_stilts.stages.data import SplitData
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.kinds import Running
from adapter_stilts.stages.parts import EvaluatePart, TrainPart
from adapter_stilts.stages.record import write_evaluation
from adapter_stilts.stages.starting import start
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.base import Split


def run(running: Running, part: EvaluatePart) -> None:
    stage, context = running.stage, running.context
    model = _model(stage, context)
    context.machine.watch.preparing("reading and encoding")

    def split(name: Any, language: str) -> SplitData:
        asked: Split = name
        return context.split(part.reading, asked, language, part.limit)

    splits = [split(part.split, language) for language in part.data]
    beside = [split(*other) for other in part.beside]
    tokens = sum(len(each.features.input_ids.values) for each in (*splits, *beside))
    began = time.perf_counter()
    results = evaluate_splits(model, splits, beside, context.machine)
    speed = tokens / max(1e-9, time.perf_counter() - began)
    del model
    kept = {
        step: evaluate_splits(_model(stage, context, bundle), splits, beside, context.machine)
        for step, bundle in _kept(stage, context).items()
    }
    if context.machine.writes:
        with running.commit({"tokens": tokens, "tokens_per_second": round(speed, 1)}) as aside:
            write_evaluation(aside, get_task(stage.task), results, context.inputs.source, part.split, kept)


def _kept(stage: Stage, context: Context) -> dict[int, Path]:
    """Bundles of the other steps of the training that is evaluated, where it was asked to keep them."""
    parent = stage.parents[0] if stage.parents else None
    if parent is None or not isinstance(parent.part, TrainPart) or not parent.part.training.keep_evaluations:
        return {}
    return context.evaluations_of(parent)


def evaluate_splits(
    model: TaskModel, splits: list[SplitData], beside: list[SplitData], machine: Machine
) -> dict[str, Scored]:
    """Each language's result; what is judged together runs in one pass.

    Args:
        splits: what is evaluated, of one kind: the test splits, or the dev splits.
        beside: what else is looked at (see `evaluation/judging.py`).
    """
    task, settings, device = splits[0].task, splits[0].settings, str(model.device)
    known = {(split.split, split.language): split for split in (*splits, *beside)}
    languages = [split.language for split in splits]
    results: dict[str, Scored] = {}
    others = [(split.split, split.language) for split in beside]
    for group in passes(task, languages, others, splits[0].split):
        parts = dict(zip(group, _predicted(model, [known[part] for part in group], machine), strict=True))
        results |= judge(task, parts, languages, settings, device)
    return {language: results[language] for language in languages}


def _model(stage: Stage, context: Context, instead: Path | None = None) -> TaskModel:
    """The bundle's or the base's encoder with the bundle's head; `instead` as in `start`."""
    what = "the encoder" if instead is None else f"{instead.name} (for the oracle)"
    context.machine.watch.preparing(f"loading {what}")
    begun, task = start(stage, context, instead), get_task(stage.task)
    encoder = begun.encoder(None)
    model = begun.model(encoder, begun.head(task, encoder.config), get_format(task.format))
    model.to(context.machine.accelerator.device)
    return model


def _predicted(model: TaskModel, splits: list[SplitData], machine: Machine) -> list[Predicted]:
    """What the format keeps of the model's outputs for some splits, which run in one pass."""
    settings, format = splits[0].settings, get_format(splits[0].task.format)
    features = concatenate([split.features for split in splits])
    arguments = (model, format, features, settings, machine.evaluation_tokens, machine.accelerator)
    if model.head is None:
        from adapter_stilts.formats.retrieval import layer_for

        depth = int(model.encoder.config.num_hidden_layers)  # type: ignore[union-attr, arg-type]
        with states_of_layer(model, layer_for(settings, depth)):  # type: ignore[arg-type]
            reduced = predict(*arguments, progress=machine.watch.predicting)
    else:
        reduced = predict(*arguments, progress=machine.watch.predicting)
    stops = np.cumsum([0] + [split.features.num_sequences for split in splits])
    return [
        Predicted(split.examples, split.features, rows_of(reduced, int(start), int(stop)))
        for split, start, stop in zip(splits, stops, stops[1:], strict=False)
    ]
