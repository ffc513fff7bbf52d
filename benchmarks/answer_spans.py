"""Exactness of question answering: does every gold answer survive encoding and decoding, character for character?

    python benchmarks/answer_spans.py

Every answer of every question in the slices of real data (SQuAD, XQuAD, MLQA, TyDiQA, all languages) is encoded as the
one gold answer of its question, and decoded as if a model had found it. What comes back differs only where the answer
begins or ends inside a piece of the tokenizer: then the pieces that cover it are the best any span can say. `inexact`
lists those one by one, with how many characters the pieces hold before and after the answer; `equal_normalised` counts
how many of them the official scorer (SQuAD's, or MLQA's own) still takes for exact. `unexplained` is everything else,
and should be empty. `exact_within_limit` counts the exact ones of at most `max_answer_length` pieces (30): what a
perfect model could return.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import measure
import numpy as np

from adapter_stilts.evaluation.metrics import mlqa_exact_match, squad_exact_match
from adapter_stilts.formats import span_qa
from adapter_stilts.formats.examples import SpanQAExample
from adapter_stilts.model.backbone import load_tokenizer, resolve_base
from adapter_stilts.recipe import Base
from adapter_stilts.tasks import all_tasks
from adapter_stilts.tasks.base import Task
from adapter_stilts.tasks.files import FileSource

MEASURED = ("answers", "fit", "exact", "exact_within_limit", "equal_normalised")

ORIGINAL = "tydiqa/original_lines"
"""Beside the data folder's own slices; `tydiqa`'s test set is of other languages there."""


@dataclass(frozen=True)
class Trip:
    """One answer that was encoded and decoded.

    Args:
        found: what came back; None where no window holds the answer.
        before, after: characters that the first piece has before the answer, and the last one after it, but for the
            white space that decoding takes away.
        allowed: whether it has no more pieces than a span may, so that a perfect model could return it.
    """

    name: str
    example: SpanQAExample
    found: str | None
    before: int
    after: int
    allowed: bool

    @property
    def text(self) -> str:
        return self.example.answers[0].text

    @property
    def exact(self) -> bool:
        return self.found == self.text

    @property
    def explained(self) -> bool:
        """Whether what came back is the answer with exactly the surplus of its outer pieces."""
        if self.found is None:
            return False
        start = self.example.answers[0].start
        covered = self.example.context[start - self.before : start + len(self.text) + self.after]
        return self.before + self.after > 0 and self.found == covered


def trips(examples: list[SpanQAExample], name: str, tokenizer: Any) -> Iterator[Trip]:
    """Every answer of the examples, encoded and decoded as the only one of its question."""
    single = [replace(each, answers=(answer,)) for each in examples for answer in each.answers]
    if not single:
        return
    settings = span_qa.Settings()
    features = span_qa.encode(single, tokenizer, settings, ())
    start, end = (np.asarray(features.per_sequence[side]) for side in ("start", "end"))
    score = np.where(start > 0, 1.0, -np.inf)
    gold = {"score": score, "start": start, "end": end, "null": np.zeros_like(score)}
    decoded = span_qa.decode(single, features, gold, settings, ())
    for row, (example, found) in enumerate(zip(single, decoded, strict=True)):
        windows = slice(features.sequences[row], features.sequences[row + 1])
        fits = bool(np.isfinite(score[windows]).any())
        before, after, count = _surplus(example, tokenizer)
        allowed = count <= settings.max_answer_length
        yield Trip(f"{name} {example.id}", example, found if fits else None, before, after, allowed)


def _surplus(example: SpanQAExample, tokenizer: Any) -> tuple[int, int, int]:
    """Characters before and after the answer in the pieces that cover it, and how many pieces, by the tokenizer."""
    pieces = tokenizer(example.context, add_special_tokens=False, return_offsets_mapping=True)[
        "offset_mapping"
    ]
    start = example.answers[0].start
    end = start + len(example.answers[0].text)
    covering = [(first, last) for first, last in pieces if first < end and last > start]
    outer = covering[0][0], covering[-1][1]
    before, after = example.context[outer[0] : start].lstrip(), example.context[end : outer[1]].rstrip()
    return len(before), len(after), len(covering)


def official_match(task: Task, language: str, trip: Trip) -> bool:
    """Whether the task's scorer takes what came back for the answer."""
    if trip.found is None:
        return False
    if task.name == "mlqa":
        return bool(mlqa_exact_match(trip.found, [trip.text], language))
    return bool(squad_exact_match(trip.found, [trip.text]))


def main() -> None:
    parser = measure.parser(__doc__, rounds=1)
    options = parser.parse_args()
    environment = measure.environment(options.threads)
    tokenizer = load_tokenizer(resolve_base(Base(id=str(options.base))))
    counts: dict[str, dict[str, int]] = {}
    inexact, unexplained = [], []
    for task, split, language, examples in slices(options.data):
        name = f"{task.name}/{split}/{language}"
        found = list(trips(examples, name, tokenizer))
        if not found:
            continue
        others = [trip for trip in found if not trip.exact]
        known = counts.setdefault(name, dict.fromkeys(MEASURED, 0))
        known["answers"] += len(found)
        known["fit"] += sum(trip.found is not None for trip in found)
        known["exact"] += len(found) - len(others)
        known["exact_within_limit"] += sum(trip.exact and trip.allowed for trip in found)
        known["equal_normalised"] += sum(official_match(task, language, trip) for trip in others)
        for trip in others:
            told = f"{trip.name}: {trip.before} characters before, {trip.after} after"
            (inexact if trip.explained else unexplained).append(told)
        measure.say(f"{name}: {known['exact']} of {known['fit']}")
    total = {key: sum(each[key] for each in counts.values()) for key in next(iter(counts.values()))}
    result = {
        "benchmark": "answer_spans",
        **environment,
        "answers": total,
        "share_exact": round(total["exact"] / total["fit"], 4),
        # What a perfect model could return: a span has at most `max_answer_length` pieces.
        "share_exact_within_limit": round(total["exact_within_limit"] / total["fit"], 4),
        "share_exact_by_scorer": round((total["exact"] + total["equal_normalised"]) / total["fit"], 4),
        "slices": counts,
        "unexplained": unexplained,
        "inexact": inexact,
    }
    measure.emit(result, options.out)


def slices(data: Path) -> Iterator[tuple[Task, str, str, list[Any]]]:
    """(task, split, language, examples) of all questions."""
    for root in (data, data / ORIGINAL):
        if not root.is_dir():
            continue
        source = FileSource(root)
        for task in all_tasks():
            for split in task.files if task.format == "span_qa" else ():
                for language in source.languages(task, split):
                    yield task, split, language, source.examples(task, split, language, {})


if __name__ == "__main__":
    main()
