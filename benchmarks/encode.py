"""Encoding speed: our encoding of a whole split, against one example at a time with the same tokenizer.

    python benchmarks/encode.py
    python benchmarks/encode.py --tasks snli --limit 100 --rounds 1        # a quick look

One example at a time is how jiant (and many a script) prepares data: each text of each example goes through the
tokenizer on its own (words on their own for contexts and tags, as run_squad does to keep their places), pieces become
ids, special tokens and truncation are laid out in Python, and every sequence is padded to the full length with its
mask. Ours (`formats/*.encode`) tokenises every distinct word once, in batches, and lays sequences out as arrays.
Reading the examples stands outside; both begin with the same ones and end with everything training needs. `sequences`
compares what they made: where a context's words are tokenised on their own, pieces may differ from the whole text's.

`cache` times what a stage does: the first load of a split reads, encodes and keeps it; the second finds it by the
data's and the tokenizer's fingerprints (file digests are computed anew).

Sides alternate; a warm-up of each is thrown away. Each run has a tokenizer of its own, loaded before its clock starts:
tokenizers remember the first words they see, so one that another task or side has used is quicker or slower by chance.
The tokenizer runs on as many threads as it likes: RAYON_NUM_THREADS=1 or --threads 1 for one. A larger part of a small
split's words is new (`--limit` shows it), so our ratio grows with the split: `english` encodes all the English train
sets' texts at once, as sentences.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import measure
import numpy as np

from adapter_stilts.formats import get_format
from adapter_stilts.formats.examples import RetrievalExample
from adapter_stilts.formats.features import Features
from adapter_stilts.model.backbone import load_tokenizer, resolve_base
from adapter_stilts.recipe import Base
from adapter_stilts.stages.data import CachedTokenizer, SplitData
from adapter_stilts.tasks import all_tasks, get_task
from adapter_stilts.tasks.base import Split, Task
from adapter_stilts.tasks.sources import Source, open_source

TASKS: Mapping[str, tuple[Split, str]] = {
    "snli": ("train", "en"),
    "hellaswag": ("train", "en"),
    "cosmosqa": ("train", "en"),
    "squad_v1": ("train", "en"),
    "udpos": ("train", "en"),
    "tatoeba": ("test", "de"),
}

TOGETHER = "english"
"""Every text of every English train set at hand, as sentences: a corpus nearer a real split's size than the slices."""

OneByOne = Callable[[Sequence[Any], Any, Any], list[list[int]]]


class Padded:
    """Collects sequences as jiant's features are: ids, mask and segments, each a list padded to the full length."""

    def __init__(self, tokenizer: Any, max_length: int) -> None:
        self.tokenizer, self.max_length = tokenizer, max_length
        self.first, self.last = tokenizer.cls_token, tokenizer.sep_token
        self.ids: list[list[int]] = []
        self.rows: list[dict[str, Any]] = []

    def pieces(self, text: str) -> list[str]:
        """One text through the tokenizer."""
        pieces: list[str] = self.tokenizer.tokenize(text)
        return pieces

    def pair(self, one: list[str], two: list[str]) -> list[str]:
        return [self.first, *one, self.last, self.last, *two, self.last]

    def add(self, tokens: list[str]) -> None:
        ids = self.tokenizer.convert_tokens_to_ids(tokens)
        rest = self.max_length - len(ids)
        self.ids.append(ids)
        self.rows.append(
            {
                "input_ids": np.array(ids + [self.tokenizer.pad_token_id] * rest),
                "input_mask": np.array([1] * len(ids) + [0] * rest),
                "segment_ids": np.array([0] * len(ids) + [0] * rest),
                "tokens": tokens,
            }
        )


def pairs(examples: Sequence[Any], tokenizer: Any, settings: Any) -> list[list[int]]:
    made = Padded(tokenizer, settings.max_length)
    for example in examples:
        one, two = made.pieces(example.premise), made.pieces(example.hypothesis)
        while len(one) + len(two) > settings.max_length - 4:
            (one if len(one) > len(two) else two).pop()
        made.add(made.pair(one, two))
    return made.ids


def choices(examples: Sequence[Any], tokenizer: Any, settings: Any) -> list[list[int]]:
    made = Padded(tokenizer, settings.max_length)
    for example in examples:
        one = made.pieces(example.prompt)
        for choice in example.choices:
            two = made.pieces(choice)
            room = settings.max_length - 4 - len(two)
            made.add(made.pair(one[len(one) - min(len(one), room) :], two))
    return made.ids


def questions(examples: Sequence[Any], tokenizer: Any, settings: Any) -> list[list[int]]:
    made = Padded(tokenizer, settings.max_length)
    for example in examples:
        asked = made.pieces(example.question)[: settings.max_question_length]
        context, owner = [], []
        for number, word in enumerate(example.context.split()):
            for piece in made.pieces(word):
                context.append(piece)
                owner.append(number)
        room = settings.max_length - 4 - len(asked)
        start = 0
        while True:
            window = context[start : start + room]
            # Where each piece came from, and which window has most context around it, as run_squad keeps.
            places = {len(asked) + 3 + n: owner[start + n] for n in range(len(window))}
            made.add(made.pair(asked, window))
            assert len(places) == len(window)
            if start + room >= len(context):
                break
            start += min(settings.stride, room)
    return made.ids


def words(examples: Sequence[Any], tokenizer: Any, settings: Any) -> list[list[int]]:
    made = Padded(tokenizer, settings.max_length)
    for example in examples:
        tokens, mask = [], []
        for word in example.words:
            pieces = made.pieces(word) or [tokenizer.unk_token]
            tokens += pieces
            mask += [1] + [0] * (len(pieces) - 1)
        room = settings.max_length - 2
        made.add([made.first, *tokens[:room], made.last])
        assert len(mask) == len(tokens)
    return made.ids


def sentences(examples: Sequence[Any], tokenizer: Any, settings: Any) -> list[list[int]]:
    made = Padded(tokenizer, settings.max_length)
    for example in examples:
        made.add([made.first, *made.pieces(example.text)[: settings.max_length - 2], made.last])
    return made.ids


ONE_BY_ONE: Mapping[str, OneByOne] = {
    "pair_classification": pairs,
    "multiple_choice": choices,
    "span_qa": questions,
    "tagging": words,
    "retrieval": sentences,
}


def english_sentences(source: Source) -> list[RetrievalExample]:
    """The distinct texts of the English train sets, in their order."""
    texts: dict[str, None] = {}
    for task in all_tasks():
        if task.format == "tagging" or "en" not in source.languages(task, "train"):
            continue
        for example in source.examples(task, "train", "en", {}):
            for name in ("premise", "hypothesis", "prompt", "question", "context"):
                texts.update(dict.fromkeys([getattr(example, name)] if hasattr(example, name) else []))
            texts.update(dict.fromkeys(getattr(example, "choices", ())))
    return [RetrievalExample(str(row), text, "english", None) for row, text in enumerate(texts)]


def compare(task: Task, examples: Sequence[Any], tokenizer: Callable[[], Any], rounds: int) -> dict[str, Any]:
    """Examples a second of both sides, and whether they made the same sequences."""
    format = get_format(task.format)
    settings = format.Settings()
    made: dict[str, Any] = {}

    def timed(name: str, encode: Callable[[Any], Any]) -> Callable[[int], float]:
        def run(_: int) -> float:
            made.pop(name, None)
            fresh = tokenizer()
            began = measure.now()
            made[name] = encode(fresh)
            return len(examples) / (measure.now() - began)

        return run

    ours = timed("ours", lambda fresh: format.encode(examples, fresh, settings, task.labels))
    theirs = timed("one_by_one", lambda fresh: ONE_BY_ONE[task.format](examples, fresh, settings))
    speeds = measure.alternate({"adapter_stilts": ours, "one_by_one": theirs}, rounds, task.name)
    return {
        "examples": len(examples),
        **{name: {"examples_per_second": measure.spread(side)} for name, side in speeds.items()},
        **measure.ratios(speeds["adapter_stilts"], speeds["one_by_one"]),
        "sequences": _same(made["ours"], made["one_by_one"]),
    }


def _same(features: Features, others: list[list[int]]) -> dict[str, int]:
    rows = [features.input_ids[row].tolist() for row in range(features.num_sequences)]
    # Questions whose windows differ in number shift the rest: what is counted is content, not place.
    known = {tuple(row) for row in rows}
    return {
        "adapter_stilts": len(rows),
        "one_by_one": len(others),
        "same": sum(tuple(other) in known for other in others),
        "tokens": sum(map(len, rows)),
    }


def time_cache(
    task: Task, split: Split, language: str, options: Any, tokenizer: Callable[[], Any]
) -> dict[str, Any]:
    """First and second load of a split's features, each round in a cache of its own."""
    first, second = [], []
    for number in range(options.rounds + 1):
        with measure.scratch() as cache:
            seconds = []
            encoder = CachedTokenizer(tokenizer(), cache)
            assert encoder.fingerprint  # of the base, once for all its splits
            for _ in range(2):
                source = open_source(str(options.data))
                settings = get_format(task.format).Settings()
                data = SplitData(task, split, language, source, {}, settings, encoder, options.limit)
                began = measure.now()
                # A memory map is read only when used.
                assert int(data.features.input_ids.values.sum(dtype="int64")) > 0
                seconds.append(measure.now() - began)
        if number:  # the first round warms up
            first.append(seconds[0])
            second.append(seconds[1])
    return {
        "first_seconds": measure.spread(first, 4),
        "second_seconds": measure.spread(second, 4),
        "ratio": round(statistics.median(a / b for a, b in zip(first, second, strict=True)), 1),
    }


def main() -> None:
    parser = measure.parser(__doc__, rounds=5)
    every = ",".join((*TASKS, TOGETHER))
    parser.add_argument("--tasks", default=every, help=f"of: {every} (default all)")
    parser.add_argument("--limit", type=int, help="only the first so many examples of each")
    options = parser.parse_args()
    if options.threads is not None:
        os.environ["RAYON_NUM_THREADS"] = str(options.threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false" if options.threads == 1 else "true"
    measure.use_clock(options.clock)
    environment = measure.environment(options.threads)
    base = resolve_base(Base(id=str(options.base)))
    encoded, cached = {}, {}
    for name in options.tasks.split(","):
        if name == TOGETHER:
            texts = english_sentences(open_source(str(options.data)))[: options.limit]
            encoded[name] = compare(get_task("tatoeba"), texts, lambda: load_tokenizer(base), options.rounds)
            measure.say(f"{name}: {encoded[name]['ratio']} x")
            continue
        task, (split, language) = get_task(name), TASKS[name]
        source = open_source(str(options.data))
        examples = source.examples(task, split, language, {})[: options.limit]
        encoded[name] = compare(task, examples, lambda: load_tokenizer(base), options.rounds)
        cached[name] = time_cache(task, split, language, options, lambda: load_tokenizer(base))
        measure.say(f"{name}: {encoded[name]['ratio']} x, cached {cached[name]['ratio']} x")
    result = {
        "benchmark": "encode",
        **environment,
        "clock": options.clock,
        "rounds": options.rounds,
        "encode": encoded,
        "cache": cached,
        "least_ratio": min(each["ratio"] for each in encoded.values()),
        "least_cache_ratio": min(each["ratio"] for each in cached.values()),
    }
    measure.emit(result, options.out)


if __name__ == "__main__":
    main()
