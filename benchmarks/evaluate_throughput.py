"""Evaluation speed: all languages of XQuAD in one pass sorted by length, against language after language.

    python benchmarks/evaluate_throughput.py
    python benchmarks/evaluate_throughput.py --limit 20 --rounds 1        # a quick look

One pass is what the evaluate stage does: the windows of all languages together, longest first, in batches of a
budget of padded tokens (`evaluate.predict.predict`), on a CPU with the linear layers the stage would choose
(`--linear torch`: with torch's own). Language after language is the usual script: windows in the order of the data, a
fixed number a batch, each batch padded to its longest, the model as Transformers makes it. Both run the same weights
with the same collation, reduction to spans and decoding to answers.

Speed is real (non-padding) tokens a second of prediction and decoding; reading and tokenising stand outside. The sides
alternate; a warm-up round of each is thrown away. The head is random, which is the hard case for `answers`: spans of
nearly equal score. Batches of another shape round differently in the last bits; where two spans of a question are that
close, another one may win. `differing` counts such questions, `max_score_difference` tells how far any best score is
from its counterpart: differences of float32's rounding (about 1e-6) are just that, larger ones would be an error.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import measure
import numpy as np
import torch

from adapter_stilts.evaluation.predict import predict, rows_of
from adapter_stilts.formats import get_format
from adapter_stilts.formats.features import Array, Indices, concatenate
from adapter_stilts.model.backbone import load_encoder, load_tokenizer, resolve_base
from adapter_stilts.model.cpu_linear import linear_library, quicken
from adapter_stilts.model.heads import Head
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.recipe import Base
from adapter_stilts.runtime import Runtime
from adapter_stilts.stages.data import CachedTokenizer, SplitData
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.sources import open_source


@dataclass(frozen=True)
class Evaluated:
    """Answers by language, the best score of every window, and the seconds that took."""

    answers: dict[str, list[Any]]
    scores: Array
    seconds: float


def one_pass(model: TaskModel, splits: list[SplitData], budget: int, device: str) -> Evaluated:
    """All languages together, sorted by length."""
    format, settings, labels = model.format, splits[0].settings, splits[0].task.labels
    began = measure.now(device)
    features = concatenate([split.features for split in splits])
    reduced = predict(model, format, features, settings, budget)
    answers = {}
    start = 0
    for split in splits:
        stop = start + split.features.num_sequences
        columns = rows_of(reduced, start, stop)
        answers[split.language] = format.decode(split.examples, split.features, columns, settings, labels)
        start = stop
    return Evaluated(answers, np.asarray(reduced["score"]), measure.now(device) - began)


def by_language(model: TaskModel, splits: list[SplitData], batch_size: int, device: str) -> Evaluated:
    """Language after language, windows in the data's order, `batch_size` at a time."""
    format, settings, labels = model.format, splits[0].settings, splits[0].task.labels
    began = measure.now(device)
    model.eval()
    answers, scores = {}, []
    for split in splits:
        features = split.features
        batches = [
            format.reduce(model.predict(features, rows), features, rows, settings)
            for rows in in_order(features.num_sequences, batch_size)
        ]
        reduced = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
        answers[split.language] = format.decode(split.examples, features, reduced, settings, labels)
        scores.append(reduced["score"])
    return Evaluated(answers, np.concatenate(scores), measure.now(device) - began)


def in_order(count: int, batch_size: int) -> list[Indices]:
    return [np.arange(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]


def compare_answers(ours: Evaluated, theirs: Evaluated) -> dict[str, Any]:
    """Whether both evaluated the same thing; a window without any span scores -inf on both sides."""
    pairs = [
        (a, b)
        for language in ours.answers
        for a, b in zip(ours.answers[language], theirs.answers[language], strict=True)
    ]
    spans = np.isfinite(ours.scores)
    assert (spans == np.isfinite(theirs.scores)).all(), "windows with a span on one side only"
    apart = np.abs(ours.scores[spans] - theirs.scores[spans])
    return {
        "compared": len(pairs),
        "differing": sum(a != b for a, b in pairs),
        "max_score_difference": float(apart.max(initial=0.0)),
        "median_score": float(np.median(ours.scores[spans])) if spans.any() else None,
    }


def load(options: Any, cache: Path, device: str) -> tuple[TaskModel, list[SplitData], int]:
    """The model, the splits (read and encoded), and the budget the evaluate stage would use."""
    from accelerate import Accelerator

    from adapter_stilts.stages.context import Machine
    from adapter_stilts.stages.store import Store
    from adapter_stilts.stages.watch import Watch

    task = get_task("xquad")
    format = get_format(task.format)
    base = resolve_base(Base(id=str(options.base)))
    encoder = CachedTokenizer(load_tokenizer(base), cache)
    source = open_source(str(options.data))
    runtime = Runtime(store=cache / "store", cache=cache)
    machine = Machine(Accelerator(cpu=device == "cpu"), runtime, Store(runtime.store), Watch())
    splits = [
        SplitData(task, "test", language, source, {}, format.Settings(), encoder, options.limit)
        for language in source.languages(task, "test")
    ]
    for split in splits:
        assert len(split.examples) == split.features.num_examples  # both are read and kept now
    body = load_encoder(base.location, base.commit, None, gradient_checkpointing=False)
    shape = format.head_shape(task.labels)
    assert shape is not None
    head = Head(shape, body.config.hidden_size, 0.1, body.config.initializer_range, seed=0)
    return TaskModel(body, head, format).to(device), splits, options.budget or machine.evaluation_tokens


def main() -> None:
    parser = measure.parser(__doc__, rounds=5)
    parser.add_argument(
        "--batch-size", type=int, default=32, help="windows a batch, by language (default 32)"
    )
    parser.add_argument(
        "--budget", type=int, help="padded tokens a batch, in one pass (default: the stage's)"
    )
    parser.add_argument("--limit", type=int, help="only the first so many questions a language")
    parser.add_argument(
        "--linear", choices=("auto", "torch"), default="auto", help="our linear layers on a CPU"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: a GPU where there is one")
    options = parser.parse_args()
    measure.use_clock(options.clock)
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    environment = measure.environment(options.threads, device)
    with measure.scratch() as cache:
        plain, splits, budget = load(options, cache, device)
        model = TaskModel(copy.deepcopy(plain.encoder), copy.deepcopy(plain.head), plain.format)
        if device == "cpu" and options.linear == "auto":
            quicken(model.encoder)  # as the stages do; the other side stays as the library makes it
        runs = measure.alternate(
            {
                "one_pass": lambda _: one_pass(model, splits, budget, device),
                "by_language": lambda _: by_language(plain, splits, options.batch_size, device),
            },
            options.rounds,
            "xquad",
        )
        lengths = {split.language: split.features.input_ids.lengths for split in splits}
        answers = compare_answers(runs["one_pass"][-1], runs["by_language"][-1])
    every = np.concatenate(list(lengths.values()))
    tokens = int(every.sum())
    ran = {
        "one_pass": _padded(every, model.layout.batches(every, budget)),
        "by_language": sum(_padded(own, in_order(len(own), options.batch_size)) for own in lengths.values()),
    }
    speeds = {name: [tokens / run.seconds for run in side] for name, side in runs.items()}
    result = {
        "benchmark": "evaluate_throughput",
        **environment,
        "clock": options.clock,
        "linear": linear_library() if device == "cpu" and options.linear == "auto" else "torch",
        "task": "xquad",
        "languages": list(lengths),
        "windows": len(every),
        "real_tokens": tokens,
        "rounds": options.rounds,
        "budget_tokens": budget,
        "batch_size_by_language": options.batch_size,
        **{
            name: {
                "real_tokens_per_second": measure.spread(side),
                "real_token_share": round(tokens / ran[name], 4),
                "seconds": measure.spread([run.seconds for run in runs[name]], 3),
            }
            for name, side in speeds.items()
        },
        **measure.ratios(speeds["one_pass"], speeds["by_language"]),
        "answers": answers,
    }
    measure.emit(result, options.out)


def _padded(lengths: Indices, batches: list[Indices]) -> int:
    return sum(len(rows) * int(lengths[rows].max()) for rows in batches)


if __name__ == "__main__":
    main()
