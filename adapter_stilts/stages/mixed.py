"""What a stage of several tasks, languages or text trains: its model, what each step draws, and how it is judged."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from adapter_stilts.errors import UsageError
from adapter_stilts.evaluation.judging import Predicted, scored
from adapter_stilts.evaluation.predict import predict
from adapter_stilts.formats import get_format, masked_lm
from adapter_stilts.formats.features import Features, concatenate
from adapter_stilts.model import multitask
from adapter_stilts.model.bundle import MULTITASK, HeadInfo, read_bundle
from adapter_stilts.model.heads import build_head, share_pooler
from adapter_stilts.model.language_head import LanguageHead, pretrained_weights
from adapter_stilts.model.multitask import Heads
from adapter_stilts.model.robust import Adversarial, Perturbation, Smoothing
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.recipe import Mixture as MixtureSettings
from adapter_stilts.recipe import TrainingSettings
from adapter_stilts.stages.data import SplitData, TextData
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.intermediate import ROBUST_FORMAT
from adapter_stilts.stages.starting import start
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.base import Split, Task
from adapter_stilts.tasks.sources import with_labels
from adapter_stilts.training.batching import item_lengths
from adapter_stilts.training.mixture import Mixture, Portion, mix
from adapter_stilts.training.order import Order, SmoothedOrder

if TYPE_CHECKING:
    from adapter_stilts.stages.run import Context

LANGUAGE_HEAD = "masked_lm"

Build: TypeAlias = Callable[[Stage, "Context", Task, float | None, bool], TaskModel]
Judge: TypeAlias = Callable[[TaskModel], dict[str, float]]


@dataclass(frozen=True)
class Course:
    """What one train stage trains.

    Args:
        data: a train split, or several to draw from.
        evaluate: English dev metrics of a model; None where there is no dev split.
        described: task, format, labels, settings and heads, for `bundle.json`.
        save: writes the model's weights into a folder.
        record: counts, for `stage.json`.
    """

    model: TaskModel
    data: Features | Mixture
    evaluate: Judge | None
    described: Mapping[str, Any]
    save: Callable[[Path], None]
    record: Mapping[str, Any]


def course(stage: Stage, context: Context, build: Build) -> Course:
    """The course of a stage whose part holds `mixture`.

    Args:
        build: the encoder that the stage starts from, with a new head for a task, behind a pooler or not, made ready
            to train.
    """
    part, settings = stage.part, TrainingSettings.model_validate(stage.part["training"])
    members, texts = part["mixture"]["tasks"], part["mixture"]["texts"]
    heads = _heads(members, texts, context)
    several, first = len(heads) > 1 or bool(texts), next(iter(heads.values()))
    model = (
        _with_heads(stage, context, heads, settings)
        if several
        else build(stage, context, _task(context, members[0]["parts"][0]), settings.dropout, first.pooler)
    )
    perturb = perturbation(part)
    tasks = [_task_portion(m, stage, context, settings, several, perturb) for m in members]
    text = [(_text_portion(t, stage, context, settings), t["weight"]) for t in texts]
    sampling = MixtureSettings.model_validate(part["mixture"].get("sampling", {}))
    mixture = mix(tasks, text, sampling, settings.batch_size, part["seed"])
    described = {
        "task": stage.task,
        "format": MULTITASK if several else first.format,
        "labels": () if several else first.labels,
        "pooler": first.pooler and not several,
        "settings": {
            name: part[name]
            for name in ("training", "mixture", "precision", "seed", "robust", "tuning")
            if name in part
        },
        "heads": heads if several else {},
    }
    steps = mixture.total_steps(settings.epochs, settings.max_steps)
    counts = mixture.counts(steps)
    return Course(
        model,
        mixture,
        _judge(members, stage, context, settings),
        described,
        functools.partial(_save, model, part["mode"], first.format, first.labels),
        {
            "examples": sum(portion.features.num_examples for portion in mixture.portions),
            "sequences": sum(portion.features.num_sequences for portion in mixture.portions),
            "mixture": {
                portion.name: {
                    "items": len(portion.order.lengths),
                    "share": round(portion.share, 6),
                    "steps": counts[portion.name],
                }
                for portion in mixture.portions
            },
        },
    )


def perturbation(part: Mapping[str, Any]) -> Perturbation | None:
    """A stage's perturbation of input embeddings, if it has one."""
    if "robust" not in part:
        return None
    values = {name: value for name, value in part["robust"].items() if name != "kind"}
    kinds: Mapping[str, Callable[..., Perturbation]] = {"adversarial": Adversarial, "smoothing": Smoothing}
    return kinds[part["robust"]["kind"]](**values)


def dev_judge(splits: Sequence[SplitData], context: Context, settings: TrainingSettings, seed: int) -> Judge:
    """A function from the model to its metrics on dev splits taken together, on a subset chosen by the seed."""
    task, format_settings = splits[0].task, splits[0].settings
    format = get_format(task.format)
    chosen: Any = None

    def judge(model: TaskModel) -> dict[str, float]:
        nonlocal chosen
        if chosen is None:
            examples = [example for split in splits for example in split.examples]
            features = _together([split.features for split in splits])
            count = len(examples)
            if settings.dev_examples is None or settings.dev_examples >= count:
                rows = np.arange(count)
            else:
                rows = np.sort(
                    np.random.default_rng([seed, 1]).choice(count, settings.dev_examples, replace=False)
                )
            chosen = [examples[row] for row in rows], features.select(rows)
        examples, features = chosen
        reduced = predict(
            model,
            format,
            features,
            format_settings,
            context.evaluation_tokens,
            context.accelerator,
            progress=lambda done, total: _stop_if_asked(context),
        )
        return scored(task, Predicted(examples, features, reduced), format_settings).metrics

    return judge


def _stop_if_asked(context: Context) -> None:
    """Leave an evaluation in the middle. Several processes go to its end, where they wait for one another."""
    if context.watch.interrupted and context.accelerator.num_processes == 1:
        raise KeyboardInterrupt


def _together(parts: Sequence[Features]) -> Features:
    return parts[0] if len(parts) == 1 else concatenate(parts)


def _task(context: Context, part: Mapping[str, Any]) -> Task:
    return with_labels(get_task(part["task"]), context.source, part["options"])


def _heads(
    members: Sequence[Mapping[str, Any]], texts: Sequence[Any], context: Context
) -> dict[str, HeadInfo]:
    found: dict[str, HeadInfo] = {}
    for member in members:
        task = _task(context, member["parts"][0])
        before = found.get(member["head"])
        trained = (*(before.tasks if before else ()), member["name"])
        pooler = bool(member["parts"][0]["format"].get("pooler"))
        found[member["head"]] = HeadInfo(format=task.format, labels=task.labels, tasks=trained, pooler=pooler)
    if texts:
        names = tuple(text["name"] for text in texts)
        found[LANGUAGE_HEAD] = HeadInfo(format=LANGUAGE_HEAD, labels=(), tasks=names)
    return found


def _with_heads(
    stage: Stage, context: Context, heads: Mapping[str, HeadInfo], settings: TrainingSettings
) -> TaskModel:
    """The encoder of the parent's bundle, or the base's, under new heads; language modelling goes on with its own."""
    begun = start(stage, context)
    encoder = begun.encoder(settings.dropout)
    config: Any = encoder.config
    built: dict[str, Any] = {}
    for name, head in heads.items():
        if name == LANGUAGE_HEAD:
            built[name] = _language_head(config, begun.bundle, stage, context)
            continue
        seed = int(stage.part["seed"])
        built[name] = build_head(head.format, head.labels, config, head.pooler, settings.dropout, seed)
    begun.fill_pooler(share_pooler(built.values()))
    formats = {name: get_format(head.format) for name, head in heads.items()}
    return begun.model(encoder, Heads(built, formats), None)


def _language_head(config: Any, bundle: Path | None, stage: Stage, context: Context) -> LanguageHead:
    head = LanguageHead(config, stage.part["seed"])
    if bundle is not None and LANGUAGE_HEAD in read_bundle(bundle).heads:
        head.load_state_dict(multitask.load_head(bundle, LANGUAGE_HEAD))
        return head
    weights = pretrained_weights(context.base.location, context.base.commit)
    if weights is None:
        context.watch.say(f"{context.base.id} holds no head for language modelling: a new one is trained")
    else:
        head.load_state_dict(weights)
    return head


def _save(model: TaskModel, mode: str, format_name: str, labels: tuple[str, ...], directory: Path) -> None:
    if isinstance(model.head, Heads):
        if get_tuning(mode).WHOLE:
            multitask.save(model.encoder, model.head, directory)
            return
        get_tuning(mode).save(model.without_head(), directory, MULTITASK, ())
        multitask.save_heads(model.head, directory)
    else:
        get_tuning(mode).save(model, directory, format_name, labels)


def _split(
    context: Context, part: Mapping[str, Any], split: Split, language: str, limit: int | None
) -> SplitData:
    task = _task(context, part)
    settings = get_format(task.format).Settings.model_validate(part["format"])
    return SplitData(task, split, language, context.source, part["options"], settings, context.encoder, limit)


def _task_portion(
    member: Mapping[str, Any],
    stage: Stage,
    context: Context,
    settings: TrainingSettings,
    several: bool,
    perturb: Perturbation | None,
) -> Portion:
    splits = [
        _split(context, part, "train", language, settings.limit_train)
        for part in member["parts"]
        for language in part["data"]["train"]
    ]
    features = _together([split.features for split in splits])
    name = splits[0].task.format
    format = get_format(name)
    lengths = item_lengths(features, format.ITEMS)
    order = Order(lengths, settings.batch_size, settings.step_order, stage.part["seed"])
    return Portion(
        member["name"],
        features,
        format,
        order,
        share=1.0,
        head=member["head"] if several else None,
        perturb=perturb if name == ROBUST_FORMAT else None,
    )


def _text_portion(
    text: Mapping[str, Any], stage: Stage, context: Context, settings: TrainingSettings
) -> Portion:
    tokenizer = context.encoder.tokenizer
    if tokenizer.mask_token_id is None:
        raise UsageError(
            f"{context.base.id}: its tokenizer has no mask piece, which {text['name']} needs; leave "
            f"intermediate.{text['name']}.weight at 0"
        )
    hiding = masked_lm.Settings.model_validate(text["format"])
    source = context.texts[text["name"]]
    found = [
        TextData(source, language, fingerprint, hiding, context.encoder, settings.limit_train).features
        for language, fingerprint in text["data"].items()
    ]
    features = _together(found)
    bounds = np.cumsum([0, *(part.num_sequences for part in found)])
    pieces = np.setdiff1d(np.arange(len(tokenizer)), np.asarray(tokenizer.all_special_ids))
    refresh = functools.partial(_hide, settings=hiding, mask_id=tokenizer.mask_token_id, pieces=pieces)
    order = SmoothedOrder(
        features.input_ids.lengths, bounds, settings.batch_size, text["smoothing"], stage.part["seed"]
    )
    return Portion(
        text["name"],
        features,
        get_format(LANGUAGE_HEAD),
        order,
        share=1.0,
        head=LANGUAGE_HEAD,
        refresh=refresh,
    )


def _hide(features: Features, random: np.random.Generator, **how: Any) -> Features:
    return masked_lm.hide(features, random=random, **how)


def _judge(
    members: Sequence[Mapping[str, Any]], stage: Stage, context: Context, settings: TrainingSettings
) -> Judge | None:
    """Each task's score (the mean of its metrics) on English dev; of one task alone, its metrics."""
    judges: dict[str, tuple[str, Judge]] = {}
    for member in members:
        parts = [part for part in member["parts"] if "dev" in part["data"]]
        if parts:
            splits = [_split(context, part, "dev", "en", None) for part in parts]
            judges[member["name"]] = (
                member["head"],
                dev_judge(splits, context, settings, stage.part["seed"]),
            )
    if not judges:
        return None

    def judge(model: TaskModel) -> dict[str, float]:
        scores: dict[str, float] = {}
        for name, (head, own) in judges.items():
            metrics = own(model.with_head(head) if isinstance(model.head, Heads) else model)
            if len(members) == 1:
                return metrics
            scores[name] = sum(metrics.values()) / len(metrics)
        return scores

    return judge
