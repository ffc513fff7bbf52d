"""Running one stage: load, build, train or evaluate, save."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from adapter_stilts.errors import AdapterStiltsError
from adapter_stilts.evaluation.judging import Predicted, judge, passes
from adapter_stilts.evaluation.predict import predict, rows_of
from adapter_stilts.evaluation.scoring import Scored
from adapter_stilts.evaluation.xtreme import write_predictions
from adapter_stilts.formats import get_format
from adapter_stilts.formats.features import concatenate
from adapter_stilts.hub.transfer import copy
from adapter_stilts.io import write_json
from adapter_stilts.model.backbone import ResolvedBase
from adapter_stilts.model.bundle import BundleInfo, write_bundle
from adapter_stilts.model.compose import merge_bundles
from adapter_stilts.model.cpu_linear import linear_library, quicken
from adapter_stilts.model.cpu_products import bf16_products, quick_products
from adapter_stilts.model.heads import build_head
from adapter_stilts.model.merge import Merge
from adapter_stilts.model.task_model import TaskModel, states_of_layer
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.recipe import TrainingSettings
from adapter_stilts.runtime import (
    OVERHEAD_TOKENS,
    Runtime,
    hardware,
    micro_batch_tokens,
    peak_memory,
    total_memory,
    versions,
)
from adapter_stilts.stages.command import command_of
from adapter_stilts.stages.data import Encoder, SplitData
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.mixed import Course, course, dev_judge, perturbation
from adapter_stilts.stages.starting import start
from adapter_stilts.stages.store import Store
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.base import Split, Task
from adapter_stilts.tasks.sources import Source, with_labels
from adapter_stilts.tasks.text import TextSource
from adapter_stilts.training.fit import Training, pass_tokens
from adapter_stilts.training.loop import Speed, Step, Watch, train
from adapter_stilts.training.mixture import Mixture, alone


class StageWatch(Watch):
    """What a run tells beside its training loops: override what you want to hear."""

    def started(self, stage: Stage, number: int, total: int) -> None:
        """Before a stage is looked up."""

    def finished(self, stage: Stage, status: str, seconds: float) -> None:
        """After a stage: ``ran``, ``cached``, ``failed`` or ``skipped``."""

    def predicting(self, done: int, total: int) -> None:
        """Tokens of an evaluation done so far."""


@dataclass(frozen=True)
class Context:
    """What stages run in; nothing of it changes a result that is not in a stage's part."""

    base: ResolvedBase
    source: Source
    encoder: Encoder
    store: Store
    runtime: Runtime
    accelerator: Any
    watch: StageWatch
    bundles: Mapping[str, Path] = field(default_factory=dict)
    texts: Mapping[str, TextSource] = field(default_factory=dict)

    def bundle_of(self, stage: Stage) -> Path | None:
        """The bundle a stage starts from: its parent's, or one given by digest; None is the base."""
        if "bundle" in stage.part:
            return self.bundles[stage.part["bundle"]]
        if not stage.parents:
            return None
        return self.bundle_at(stage.parents[0])

    def bundle_at(self, stage: Stage) -> Path:
        """The bundle of a finished stage."""
        found = self.store.find(stage)
        if found is None:
            raise AdapterStiltsError(f"{stage.name} is needed, and is not in the store")
        return found / "bundle"

    def split(self, stage: Stage, task: Task, split: Split, language: str, limit: int | None) -> SplitData:
        settings = get_format(task.format).Settings.model_validate(stage.part["format"])
        return SplitData(
            task, split, language, self.source, stage.part["options"], settings, self.encoder, limit
        )

    def quicken(self, stage: Stage, encoder: Any) -> None:
        """Let the encoder's linear layers use the processor's quicker library, where it may."""
        if _quick_linears(stage, self):
            quicken(encoder)

    @property
    def evaluation_tokens(self) -> int:
        if self.runtime.evaluation_tokens is not None:
            return self.runtime.evaluation_tokens
        # On a CPU larger batches only fall out of its caches; a GPU wants to be full.
        return 4096 if self.accelerator.device.type == "cpu" else 65536


def run_stage(stage: Stage, context: Context) -> Path:
    """Compute a stage and commit it; returns its directory. The caller holds the stage's lock."""
    began = time.perf_counter()
    run = {
        "fetch": _run_fetch,
        "train": _run_train,
        "compose": _run_compose,
        "evaluate": _run_evaluate,
    }[stage.kind]
    try:
        with quick_products(context.accelerator.device.type, _precision(stage)):
            return run(stage, context, began)
    finally:
        # The accelerator holds on to every model and optimizer it prepared: a plan would keep them all.
        context.accelerator.free_memory()


def _run_train(stage: Stage, context: Context, began: float) -> Path:
    part = stage.part
    settings = TrainingSettings.model_validate(part["training"])
    tuning = get_tuning(part["mode"])
    command = command_of(stage, context)
    accelerator, device = context.accelerator, context.accelerator.device.type
    chosen = course(stage, context, _build) if "mixture" in part else _one_task(stage, context, settings)
    model = chosen.model
    model.to(accelerator.device)
    speed = Speed(
        context.runtime.micro_batch_tokens or _pass_tokens(stage, context, chosen, settings),
        OVERHEAD_TOKENS.get(device, OVERHEAD_TOKENS["cuda"]),
        context.runtime.checkpoint_seconds,
    )
    counter = _Counter(context.watch)
    trained = train(
        model,
        tuning,
        chosen.data,
        chosen.evaluate,
        settings,
        part["optimizer"],
        part["seed"],
        speed,
        context.store.work(stage),
        accelerator,
        counter,
    )
    record = _record(stage, context, began) | {
        "steps": trained.steps,
        "best_step": trained.best_step,
        "dev": trained.metrics,
        **chosen.record,
        "micro_batch_tokens": trained.micro_batch_tokens,
        **counter.summary(),
    }
    directory = context.store.root / stage.name
    if accelerator.is_main_process:
        info = BundleInfo(
            tuning=part["mode"],
            base=context.base.id,
            base_revision=context.base.commit,
            base_fingerprint=context.base.fingerprint,
            **chosen.described,
            parents=tuple(parent.key for parent in stage.parents),
            metrics=trained.metrics,
            versions=versions(),
            command=command,
        )
        with context.store.commit(stage, record) as aside:
            bundle = aside / "bundle"
            bundle.mkdir()
            chosen.save(bundle)
            write_bundle(bundle, info, context.encoder.tokenizer)
            shutil.copyfile(context.store.work(stage) / "log.jsonl", aside / "log.jsonl")
    accelerator.wait_for_everyone()
    return directory


def _pass_tokens(stage: Stage, context: Context, chosen: Course, settings: TrainingSettings) -> int:
    """Tokens of the first micro-batches: those that fit a GPU; on a CPU, those that take a quarter of the memory."""
    part, accelerator = stage.part, context.accelerator
    # By attribute: families name their sizes otherwise in the file (T5's num_layers, DistilBERT's dim).
    config: Any = chosen.model.encoder.config
    device = accelerator.device.type
    if device != "cuda":
        sizes = {name: getattr(config, name) for name in ("num_hidden_layers", "hidden_size")}
        return micro_batch_tokens(sizes, device, part["gradient_checkpointing"])
    training = Training(
        context.base.config,
        part["mode"],
        get_tuning(part["mode"]).Settings.model_validate(part.get("tuning", {})),
        part["precision"],
        part["optimizer"],
        part["gradient_checkpointing"],
        device,
        part.get("combine"),
        len(stage.parents),
    )
    assert isinstance(chosen.data, Mixture)
    items = -(-settings.batch_size // accelerator.num_processes)
    return pass_tokens(training, chosen.data, items, total_memory(device))


def _one_task(stage: Stage, context: Context, settings: TrainingSettings) -> Course:
    """The course of a stage of one task, in English."""
    part = stage.part
    task = with_labels(get_task(stage.task), context.source, part["options"])
    format = get_format(task.format)
    features = context.split(stage, task, "train", "en", settings.limit_train).features
    pooler = bool(part["format"].get("pooler"))
    model = _build(stage, context, task, settings.dropout, pooler)
    evaluate = None
    if "dev" in part["data"]:
        evaluate = dev_judge([context.split(stage, task, "dev", "en", None)], context, settings, part["seed"])
    return Course(
        model,
        alone(features, format, settings, part["seed"], perturb=perturbation(part)),
        evaluate,
        {
            "task": task.name,
            "format": task.format,
            "labels": task.labels,
            "pooler": pooler,
            "settings": {
                name: part[name]
                for name in (
                    "training",
                    "format",
                    "options",
                    "precision",
                    "seed",
                    "robust",
                    "tuning",
                    "combine",
                )
                if name in part
            },
        },
        lambda bundle: get_tuning(part["mode"]).save(model, bundle, task.format, task.labels),
        {"examples": features.num_examples, "sequences": features.num_sequences},
    )


def _run_fetch(stage: Stage, context: Context, began: float) -> Path:
    """A bundle of somewhere else, verified again as it arrives."""
    directory = context.store.root / stage.name
    if context.accelerator.is_main_process:
        with context.store.commit(stage, _record(stage, context, began)) as aside:
            (aside / "bundle").mkdir()
            copy(context.bundles[stage.part["bundle"]], aside / "bundle", stage.part["bundle"])
    context.accelerator.wait_for_everyone()
    return directory


def _run_compose(stage: Stage, context: Context, began: float) -> Path:
    """Several intermediate bundles as one, without training."""
    bundles = [context.bundle_at(parent) for parent in stage.parents]
    directory = context.store.root / stage.name
    if context.accelerator.is_main_process:
        with context.store.commit(stage, _record(stage, context, began)) as aside:
            out = aside / "bundle"
            out.mkdir()
            how = Merge(**stage.part["merge"])
            merge_bundles(
                bundles,
                how,
                out,
                context.base,
                context.encoder.tokenizer,
                tuple(parent.key for parent in stage.parents),
                command_of(stage, context),
                keep_head=how.has_mean,  # a target trains its own
            )
    context.accelerator.wait_for_everyone()
    return directory


def _run_evaluate(stage: Stage, context: Context, began: float) -> Path:
    task = get_task(stage.task)
    model = _build(stage, context, task, None)
    model.to(context.accelerator.device)
    languages = list(stage.part["data"])
    splits = [context.split(stage, task, "test", language, stage.part["limit"]) for language in languages]
    beside = [
        context.split(stage, task, split, language, stage.part["limit"])
        for split, language in (name.split("/") for name in stage.part.get("beside", {}))
    ]
    results = evaluate_splits(model, splits, beside, context)
    record = _record(stage, context, began)
    directory = context.store.root / stage.name
    if context.accelerator.is_main_process:
        with context.store.commit(stage, record) as aside:
            _write_results(aside, task, results, context.source)
    context.accelerator.wait_for_everyone()
    return directory


def evaluate_splits(
    model: TaskModel, splits: list[SplitData], beside: list[SplitData], context: Context
) -> dict[str, Scored]:
    """Each language's result; what is judged together runs in one pass.

    Args:
        splits: the test splits.
        beside: what else is looked at (see `evaluation/judging.py`).
    """
    task, settings, device = splits[0].task, splits[0].settings, str(model.device)
    known = {(split.split, split.language): split for split in (*splits, *beside)}
    languages = [split.language for split in splits]
    results: dict[str, Scored] = {}
    for group in passes(task, languages, [(split.split, split.language) for split in beside]):
        parts = dict(zip(group, _predicted(model, [known[part] for part in group], context), strict=True))
        results |= judge(task, parts, languages, settings, device)
    return {language: results[language] for language in languages}


def _predicted(model: TaskModel, splits: list[SplitData], context: Context) -> list[Predicted]:
    """What the format keeps of the model's outputs for some splits, which run in one pass."""
    settings, format = splits[0].settings, get_format(splits[0].task.format)
    features = concatenate([split.features for split in splits])
    arguments = (model, format, features, settings, context.evaluation_tokens, context.accelerator)
    if model.head is None:
        from adapter_stilts.formats.retrieval import layer_for

        depth = int(model.encoder.config.num_hidden_layers)  # type: ignore[union-attr, arg-type]
        with states_of_layer(model, layer_for(settings, depth)):  # type: ignore[arg-type]
            reduced = predict(*arguments, progress=context.watch.predicting)
    else:
        reduced = predict(*arguments, progress=context.watch.predicting)
    stops = np.cumsum([0] + [split.features.num_sequences for split in splits])
    return [
        Predicted(split.examples, split.features, rows_of(reduced, int(start), int(stop)))
        for split, start, stop in zip(splits, stops, stops[1:], strict=False)
    ]


def summarise(task: Task, results: Mapping[str, Scored], source: Source) -> dict[str, Any]:
    """metrics.json: per language, averages over languages, counts.

    Languages that no benchmark has are no part of the averages, unless there are no others.
    """
    languages = {language: scored.metrics for language, scored in results.items()}
    outside = [language for language in languages if language not in source.offered(task)]
    averaged = [language for language in languages if language not in outside] or outside
    scored = [languages[language] for language in averaged if languages[language]]
    names = list(scored[0]) if scored else []
    return {
        "task": task.name,
        "metric": list(task.metric),
        "languages": languages,
        "average": {name: sum(metrics[name] for metrics in scored) / len(scored) for name in names},
        "counts": {language: len(result.rows) for language, result in results.items()},
        "outside": outside,
        "missing": [language for language in source.wanted(task) if language not in results],
        "beside": {language: result.beside for language, result in results.items() if result.beside},
        "levels": {language: source.levels[language] for language in results if language in source.levels},
    }


def _write_results(directory: Path, task: Task, results: Mapping[str, Scored], source: Source) -> None:
    write_json(directory / "metrics.json", summarise(task, results, source))
    (directory / "scores").mkdir()
    for language, scored in results.items():
        write_predictions(directory / "predictions", task.name, language, scored.submission)
        with (directory / "scores" / f"{language}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in scored.rows)


def _build(
    stage: Stage, context: Context, task: Task, dropout: float | None, pooler: bool = False
) -> TaskModel:
    """What a stage starts from, with a new head to train, behind a pooler or not, or the bundle's to evaluate."""
    begun = start(stage, context)
    encoder = begun.encoder(dropout)
    if stage.kind == "evaluate":
        head = begun.head(task, encoder.config)
    else:
        head = build_head(task.format, task.labels, encoder.config, pooler, dropout, int(stage.part["seed"]))
        begun.fill_pooler(head)
    return begun.model(encoder, head, get_format(task.format))


def _quick_linears(stage: Stage, context: Context) -> bool:
    """Whether linear layers may use the processor's quicker library: it multiplies fp32 on CPUs only."""
    return bool(context.accelerator.device.type == "cpu" and _precision(stage) == "fp32")


def _precision(stage: Stage) -> str:
    """What its model runs in; stages without one have fp32 files."""
    return str(stage.part.get("precision", "fp32"))


def _record(stage: Stage, context: Context, began: float) -> dict[str, Any]:
    device = context.accelerator.device.type
    return {
        "key": stage.key,
        "kind": stage.kind,
        "task": stage.task,
        "part": dict(stage.part),
        "parents": [parent.name for parent in stage.parents],
        "versions": versions(),
        "hardware": {
            **hardware(device),
            "linear_library": linear_library() if _quick_linears(stage, context) else "torch",
            **({} if _precision(stage) == "fp32" else {"bf16_products": bf16_products(device)}),
        },
        "processes": context.accelerator.num_processes,
        "seconds": round(time.perf_counter() - began, 3),
        "peak_memory": peak_memory(device),
    }


class _Counter(Watch):
    """Passes a loop's reports on and sums up its speed."""

    def __init__(self, watch: StageWatch) -> None:
        self._watch = watch
        self._tokens = self._padded = 0
        self._seconds = 0.0

    def step(self, step: Step) -> None:
        self._tokens += step.tokens
        self._padded += step.padded_tokens
        self._seconds += step.seconds
        self._watch.step(step)

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        self._watch.evaluated(step, metrics)

    def say(self, message: str) -> None:
        self._watch.say(message)

    @property
    def interrupted(self) -> bool:
        return self._watch.interrupted

    def summary(self) -> dict[str, Any]:
        """Of the steps run by this process (a resumed stage counts from its last checkpoint)."""
        return {
            "real_token_share": round(self._tokens / max(1, self._padded), 4),
            "tokens_per_second": round(self._tokens / max(1e-9, self._seconds), 1),
        }
