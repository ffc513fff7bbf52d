"""A bundle trained some steps on the target's train set: its losses as it went, and its score on English dev.

All sources take the same steps in the same order under the same new head, and meet the same dropout.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from adapter_stilts.evaluation.judging import Predicted, scored
from adapter_stilts.evaluation.predict import predict
from adapter_stilts.formats import get_format
from adapter_stilts.formats.features import Features
from adapter_stilts.model.bundle import bundle_digest
from adapter_stilts.runtime import evaluation_tokens
from adapter_stilts.select.bundles import TrainedSource
from adapter_stilts.select.reading import Arrays, TrainSets, some
from adapter_stilts.select.short import Short, model_of_bundle, train_short
from adapter_stilts.select.train_set import Floats
from adapter_stilts.stages.parts import DevSplit
from adapter_stilts.stages.planning.training import as_it_is, trained_task
from adapter_stilts.stages.precision import precision_of
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.base import Task
from adapter_stilts.tasks.sources import with_labels

SCHEMA = 2
"""Raised when what is kept of such a run changes."""


@dataclass(frozen=True)
class ShortRun:
    """What a short training left.

    Args:
        losses: (steps,) of each step, before it changed a weight.
        unseen: of the first so many steps no example had been trained on before.
        dev: mean of the task's metrics on a sample of English dev, in percent; None where no dev split is at hand.
    """

    losses: Floats
    unseen: int
    dev: float | None


@dataclass(frozen=True)
class Dev:
    """A sample of a target's dev split.

    Args:
        task: that the split is of.
    """

    split: DevSplit
    task: Task
    examples: list[Any]
    features: Features

    def score(self, model: Any) -> float:
        """The mean of the metrics of a model, in percent."""
        settings = self.split.reading.settings
        budget = evaluation_tokens(model.device.type)
        reduced = predict(model, get_format(self.task.format), self.features, settings, budget)
        predicted = Predicted(self.examples, self.features, reduced)
        return fmean(scored(self.task, predicted, settings, self.split.language).metrics.values())


def dev_of(target: Task, sets: TrainSets) -> Dev | None:
    """The dev split in the target's first language; None where none is at hand."""
    request = sets.request
    trained, _ = trained_task(request, as_it_is(target), "")
    if not trained.dev:
        return None
    split = trained.dev[0]
    read = split.reading
    task = with_labels(get_task(read.task), request.source, read.options)
    examples = some(list(request.source.examples(task, "dev", split.language, read.options)), sets.draw)
    features = get_format(task.format).encode(examples, sets.tokenizer.tokenizer, read.settings, task.labels)
    return Dev(split, task, examples, features)


def short_run(
    source: TrainedSource, target: Task, dev: Dev | None, sets: TrainSets, limit: int | None, short: Short
) -> ShortRun:
    """The short run of a source, from the cache where it is in it.

    Args:
        limit: of the target's train set.

    Raises:
        BundleError: the bundle is damaged.
        TrainingError: the loss is not a number.
    """

    def run() -> Arrays:
        features = sets.sample(target, limit).features
        model = model_of_bundle(
            sets.labelled(target),
            sets.request.base,
            short,
            sets.device,
            source.directory,
            precision_of(source.info) or "fp32",
        )
        course = train_short(model, features, short, sets.device)
        told = {"losses": np.asarray(course.losses), "unseen": np.asarray(course.unseen)}
        return told if dev is None else {**told, "dev": np.asarray(dev.score(model))}

    key = {
        **sets.key(target, limit),
        "bundle": bundle_digest(source.directory),
        "labels": sets.labelled(target).labels,
        "short_run": SCHEMA,
        "short": short.to_json(),
        "dev": None if dev is None else dev.split.to_json(),
    }
    held = sets.kept(key, ("losses", "unseen", *(() if dev is None else ("dev",))), run)
    return ShortRun(held["losses"], int(held["unseen"]), None if dev is None else float(held["dev"]))
