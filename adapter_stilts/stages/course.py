"""A train stage's course: its model, the data each step draws from, and how it is judged.

One task in English is the least of them; others have several tasks, languages, or text.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from adapter_stilts.errors import UsageError
from adapter_stilts.evaluation.judging import Predicted, scored
from adapter_stilts.evaluation.predict import predict
from adapter_stilts.formats import get_format, masked_lm
from adapter_stilts.formats.features import Features, concatenate, item_lengths
from adapter_stilts.model import multitask
from adapter_stilts.model.bundle import read_bundle
from adapter_stilts.model.bundle_info import MULTITASK, HeadInfo
from adapter_stilts.model.heads import build_head, share_pooler
from adapter_stilts.model.language_head import LanguageHead, pretrained_weights
from adapter_stilts.model.multitask import Heads
from adapter_stilts.model.robust import Adversarial, Perturbation, Smoothing
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.recipe import MixtureSettings, Robust
from adapter_stilts.stages.context import Context
from adapter_stilts.stages.data import SplitData, TextData
from adapter_stilts.stages.drawing import Draw
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.parts import (
    ROBUST_FORMAT,
    ROBUST_KEYS,
    DevSplit,
    Member,
    TrainedTask,
    TrainedText,
    TrainPart,
)
from adapter_stilts.stages.starting import Start, start
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.declared import declarations
from adapter_stilts.tasks.sources import with_labels
from adapter_stilts.training.mixture import Mixture, Portion, mix
from adapter_stilts.training.order import Order, SmoothedOrder

LANGUAGE_HEAD = "masked_lm"

Judge: TypeAlias = Callable[[TaskModel], dict[str, float]]


@dataclass(frozen=True)
class Course:
    """What one train stage trains.

    Args:
        mixture: what each step draws from.
        evaluate: dev metrics of a model; None where there is no dev split.
        heads: the heads of its model by name, with what they answer.
        save: writes the model's weights into a folder.
        drawn: language -> ids of the examples that were drawn, where only some are taken.
    """

    part: TrainPart
    model: TaskModel
    mixture: Mixture
    evaluate: Judge | None
    heads: Mapping[str, HeadInfo]
    save: Callable[[Path], None]
    drawn: Mapping[str, Sequence[str]]

    def described(self, task: str) -> dict[str, Any]:
        """Task, format, labels, heads, settings and declarations, for `bundle.json`.

        Args:
            task: the stage's.
        """
        several, first = self.part.several, next(iter(self.heads.values()))
        return {
            "task": task,
            "format": MULTITASK if several else first.format,
            "labels": () if several else first.labels,
            "pooler": first.pooler and not several,
            "settings": self.part.settings(),
            "heads": self.heads if several else {},
            "declared": declarations(
                get_task(each.task) for member in self.part.members for each in member.tasks
            ),
        }

    def record(self) -> dict[str, Any]:
        """Counts, for `stage.json`."""
        training, portions = self.part.training, self.mixture.portions
        found: dict[str, Any] = {
            "examples": sum(portion.features.num_examples for portion in portions),
            "sequences": sum(portion.features.num_sequences for portion in portions),
        }
        if self.drawn:
            found["drawn"] = {language: list(ids) for language, ids in self.drawn.items()}
        if self.part.only_task is None:
            counts = self.mixture.counts(self.mixture.total_steps(training.epochs, training.max_steps))
            found["mixture"] = {
                portion.name: {
                    "items": len(portion.order.lengths),
                    "share": round(portion.share, 6),
                    "steps": counts[portion.name],
                }
                for portion in portions
            }
        return found


def course(stage: Stage, part: TrainPart, context: Context) -> Course:
    """The course of a train stage.

    Raises:
        UsageError: the tokenizer cannot hide pieces of text.
        BundleError: the stage starts from a bundle of another base or tuning.
    """
    heads = _heads(part, context)
    model = _model(stage, part, context, heads)
    perturb = perturbation(part.robust)
    context.machine.watch.preparing("reading and encoding")
    tasks = [_task_portion(member, part, context, perturb) for member in part.members]
    texts = [(_text_portion(text, part, context), text.weight) for text in part.texts]
    sampling = part.sampling or MixtureSettings()
    first = next(iter(heads.values()))
    return Course(
        part,
        model,
        mix(tasks, texts, sampling, part.training.batch_size, part.seed),
        _judge(part, context),
        heads,
        functools.partial(_save, model, part.mode, first.format, first.labels),
        _drawn(part, context),
    )


def perturbation(robust: Robust | None) -> Perturbation | None:
    """The perturbation of input embeddings of robust training, if there is one."""
    if robust is None:
        return None
    kinds: Mapping[str, Callable[..., Perturbation]] = {"adversarial": Adversarial, "smoothing": Smoothing}
    return kinds[robust.kind](**{name: getattr(robust, name) for name in ROBUST_KEYS[robust.kind]})


def dev_judge(splits: Sequence[SplitData], part: TrainPart, context: Context) -> Judge:
    """A function from the model to its metrics on dev splits taken together, on a subset chosen by the seed.

    Args:
        splits: of one language.
    """
    task, settings, machine = splits[0].task, splits[0].settings, context.machine
    format = get_format(task.format)
    wanted = part.training.dev_examples

    @functools.cache
    def chosen() -> tuple[list[Any], Features]:
        examples = [example for split in splits for example in split.examples]
        features = _together([split.features for split in splits])
        count = len(examples)
        if wanted is None or wanted >= count:
            return examples, features.select(np.arange(count))
        rows = np.sort(np.random.default_rng([part.seed, 1]).choice(count, wanted, replace=False))
        return [examples[row] for row in rows], features.select(rows)

    def judge(model: TaskModel) -> dict[str, float]:
        examples, features = chosen()
        reduced = predict(
            model,
            format,
            features,
            settings,
            machine.evaluation_tokens,
            machine.accelerator,
            progress=lambda done, total: _stop_if_asked(context),
        )
        return scored(task, Predicted(examples, features, reduced), settings, splits[0].language).metrics

    return judge


def _stop_if_asked(context: Context) -> None:
    """Leave an evaluation in the middle. Several processes go to its end, where they wait for one another."""
    if context.machine.watch.interrupted and context.machine.accelerator.num_processes == 1:
        raise KeyboardInterrupt


def _together(parts: Sequence[Features]) -> Features:
    return parts[0] if len(parts) == 1 else concatenate(parts)


def _heads(part: TrainPart, context: Context) -> dict[str, HeadInfo]:
    found: dict[str, HeadInfo] = {}
    for member in part.members:
        reading = member.tasks[0].reading
        task = with_labels(get_task(reading.task), context.inputs.source, reading.options)
        before = found.get(member.head)
        trained = (*(before.tasks if before else ()), member.name)
        pooler = bool(reading.settings.part().get("pooler"))
        found[member.head] = HeadInfo(format=task.format, labels=task.labels, tasks=trained, pooler=pooler)
    if part.texts:
        names = tuple(text.name for text in part.texts)
        found[LANGUAGE_HEAD] = HeadInfo(format=LANGUAGE_HEAD, labels=(), tasks=names)
    return found


def _model(stage: Stage, part: TrainPart, context: Context, heads: Mapping[str, HeadInfo]) -> TaskModel:
    """The encoder of the parent's bundle, or the base's, under new heads; language modelling goes on with its own."""
    context.machine.watch.preparing("loading the encoder")
    begun = start(stage, context)
    encoder = begun.encoder(part.training.dropout)
    config: Any = encoder.config
    built: dict[str, Any] = {}
    for name, head in heads.items():
        if name == LANGUAGE_HEAD:
            built[name] = _language_head(config, begun, part, context)
            continue
        built[name] = build_head(
            head.format, head.labels, config, head.pooler, part.training.dropout, part.init_seed
        )
    if not part.several:
        only = next(iter(built.values()))
        if part.after:
            begun.fill_head(only)
        else:
            begun.fill_pooler(only)
        return begun.model(encoder, only, get_format(next(iter(heads.values())).format))
    begun.fill_pooler(share_pooler(built.values()))
    formats = {name: get_format(head.format) for name, head in heads.items()}
    return begun.model(encoder, Heads(built, formats), None)


def _language_head(config: Any, begun: Start, part: TrainPart, context: Context) -> LanguageHead:
    head, base = LanguageHead(config, part.init_seed), context.inputs.base
    if begun.bundle is not None and LANGUAGE_HEAD in read_bundle(begun.bundle).heads:
        head.load_state_dict(multitask.load_head(begun.bundle, LANGUAGE_HEAD))
        return head
    weights = pretrained_weights(base.location, base.commit)
    if weights is None:
        context.machine.watch.say(f"{base.id} holds no head for language modelling: a new one is trained")
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


def _task_portion(member: Member, part: TrainPart, context: Context, perturb: Perturbation | None) -> Portion:
    splits = [_train_split(task, language, part, context) for task in member.tasks for language in task.train]
    features = _together([split.features for split in splits])
    name = splits[0].task.format
    format = get_format(name)
    lengths = item_lengths(features, format.ITEMS)
    return Portion(
        member.name,
        features,
        format,
        Order(lengths, part.training.batch_size, part.training.step_order, part.seed),
        share=1.0,
        head=member.head if part.several else None,
        perturb=perturb if name == ROBUST_FORMAT else None,
    )


def _train_split(task: TrainedTask, language: str, part: TrainPart, context: Context) -> SplitData:
    if language in task.drawn:
        draw = Draw(task.drawn[language], part.seed)
        return context.split(task.reading, "train", language, None, draw)
    return context.split(task.reading, "train", language, part.training.limit_train)


def _drawn(part: TrainPart, context: Context) -> dict[str, list[str]]:
    tasks = [task for member in part.members for task in member.tasks]
    return {
        language: [example.id for example in _train_split(task, language, part, context).examples]
        for task in tasks
        for language in task.drawn
    }


def _text_portion(text: TrainedText, part: TrainPart, context: Context) -> Portion:
    tokenizer, training = context.tokenizer.tokenizer, part.training
    if tokenizer.mask_token_id is None:
        raise UsageError(
            f"{context.inputs.base.id}: its tokenizer has no mask piece, which {text.name} needs; leave "
            f"intermediate.{text.name}.weight at 0"
        )
    source = context.inputs.texts[text.name]
    found = [
        TextData(
            source, language, fingerprint, text.settings, context.tokenizer, training.limit_train
        ).features
        for language, fingerprint in text.data.items()
    ]
    features = _together(found)
    bounds = np.cumsum([0, *(part.num_sequences for part in found)])
    pieces = np.setdiff1d(np.arange(len(tokenizer)), np.asarray(tokenizer.all_special_ids))
    return Portion(
        text.name,
        features,
        get_format(LANGUAGE_HEAD),
        SmoothedOrder(features.input_ids.lengths, bounds, training.batch_size, text.smoothing, part.seed),
        share=1.0,
        head=LANGUAGE_HEAD,
        refresh=functools.partial(
            _hide, settings=text.settings, mask_id=tokenizer.mask_token_id, pieces=pieces
        ),
    )


def _hide(features: Features, random: np.random.Generator, **how: Any) -> Features:
    return masked_lm.hide(features, random=random, **how)


def _judge(part: TrainPart, context: Context) -> Judge | None:
    """Each task's score (the mean of its metrics) on dev; of one task alone, its metrics."""
    judges: dict[str, tuple[str, Judge]] = {}
    for member in part.members:
        splits = [split for task in member.tasks for split in task.dev]
        if splits:
            judges[member.name] = (member.head, _dev_judge(splits, part, context))
    if not judges:
        return None

    def judge(model: TaskModel) -> dict[str, float]:
        scores: dict[str, float] = {}
        for name, (head, own) in judges.items():
            metrics = own(model.with_head(head) if isinstance(model.head, Heads) else model)
            if len(part.members) == 1:
                return metrics
            scores[name] = sum(metrics.values()) / len(metrics)
        return scores

    return judge


def _dev_judge(dev: Sequence[DevSplit], part: TrainPart, context: Context) -> Judge:
    """The metrics of one member: each language's splits taken together, and the mean over languages."""
    by_language: dict[str, list[SplitData]] = {}
    for split in dev:
        read = context.split(split.reading, "dev", split.language, None)
        by_language.setdefault(split.language, []).append(read)
    judges = [dev_judge(splits, part, context) for splits in by_language.values()]
    if len(judges) == 1:
        return judges[0]

    def judge(model: TaskModel) -> dict[str, float]:
        found = [own(model) for own in judges]
        return {name: sum(metrics[name] for metrics in found) / len(found) for name in found[0]}

    return judge
