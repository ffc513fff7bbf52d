"""Few-shot transfer: a bundle trained some steps on the target's train set, and scored on its English dev set.

Vu et al. 2020 and Poth et al. 2021 (arXiv 2104.08247, "FSFT") rank sources by what few examples, or few steps, bring.
All sources take the same steps in the same order under the same new head; the score is the mean of the task's metrics,
in percent.
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
from adapter_stilts.select.reading import Arrays, TrainSets, some
from adapter_stilts.select.short import Short, model_of_bundle, train_short
from adapter_stilts.select.trained.bundles import TrainedSource
from adapter_stilts.stages.parts import DevSplit
from adapter_stilts.stages.planning.training import as_it_is, trained_task
from adapter_stilts.stages.precision import precision_of
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.base import Task
from adapter_stilts.tasks.sources import with_labels

WHAT = "few-shot transfer: score on English dev after the short training from the source"


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


def few_shot(
    source: TrainedSource, target: Task, dev: Dev, sets: TrainSets, limit: int | None, short: Short
) -> float:
    """The score of a source, from the cache where it is in it.

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
        train_short(model, features, short, sets.device)
        return {"score": np.asarray(dev.score(model))}

    key = {
        **sets.key(target, limit),
        "bundle": bundle_digest(source.directory),
        "labels": sets.labelled(target).labels,
        "few_shot": short.to_json(),
        "dev": dev.split.to_json(),
    }
    return float(sets.kept(key, ("score",), run)["score"])
