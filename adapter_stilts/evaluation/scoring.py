"""Predictions against gold answers: a task's metrics, the scores of each example, and the submission's content."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from adapter_stilts.errors import UnknownNameError
from adapter_stilts.evaluation.aggregation import Row, aggregate
from adapter_stilts.evaluation.metrics import (
    correlates,
    mlqa_exact_match,
    mlqa_f1,
    squad_exact_match,
    squad_f1,
    tagging_scores,
)
from adapter_stilts.evaluation.spans import spans
from adapter_stilts.tasks.base import Task, judged_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scored:
    """One language's result.

    Args:
        rows: one an example: its id and what the metrics are counted from.
        submission: predictions as `xtreme.write_predictions` takes them.
        beside: reported, but no part of the score (the other direction of retrieval).
    """

    rows: list[Row]
    submission: Any
    beside: dict[str, float] = field(default_factory=dict)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The aggregate of the rows, in percent: what averages and selection use."""
        return aggregate(self.rows)


def score(
    task: Task,
    examples: Sequence[Any],
    predictions: Sequence[Any],
    language: str = "en",
    margins: Sequence[float] | None = None,
) -> Scored:
    """Score one language's predictions as the task's official scorer does.

    Args:
        language: of the split; MLQA's is that of the context.
        margins: of no answer over the answer predicted, for a task some of whose questions have none.
    """
    if margins is not None:
        return _answers_or_none(examples, predictions, margins)
    return _scorer_of(task)(task, examples, predictions, language)


def _scorer_of(task: Task) -> Scorer:
    scorer = judged_of(task).scorer
    if not isinstance(scorer, str):
        return scorer
    if scorer not in SCORERS:
        raise UnknownNameError(f"scorer of {task.name}", scorer, SCORERS)
    return SCORERS[scorer]


def _labels(task: Task, examples: Sequence[Any], predictions: Sequence[Any], language: str) -> Scored:
    rows: list[Row] = [
        {"id": example.id, "accuracy": 100.0 * (example.label == predicted)}
        for example, predicted in zip(examples, predictions, strict=True)
        if example.label is not None
    ]
    return Scored(rows, list(predictions))


def _numbers(task: Task, examples: Sequence[Any], predictions: Sequence[float], language: str) -> Scored:
    """Rows of what is told of each example and what it has; where one of the two never varies, a warning says so."""
    rows: list[Row] = [
        {"id": example.id, "gold": float(example.label), "predicted": float(predicted)}
        for example, predicted in zip(examples, predictions, strict=True)
        if example.label is not None
    ]
    for column, what in (("gold", "number in the data"), ("predicted", "prediction")):
        numbers = [float(row[column]) for row in rows]
        if rows and not correlates(numbers):
            same = len(set(numbers)) == 1 and math.isfinite(numbers[0])
            told = f"every {what} is {numbers[0]:g}" if same else f"some {what}s are not finite"
            _log.warning(
                "%s (%s): %s: no correlation is defined, which counts as 0", task.name, language, told
            )
    return Scored(rows, list(predictions))


class _Rule(NamedTuple):
    """How an answer is compared with the gold ones in a language: exact match and overlap, in [0, 1]."""

    exact: Callable[[str, Sequence[str], str], float]
    overlap: Callable[[str, Sequence[str], str], float]


# English normalisation in every language, but for MLQA, which has its own for each of its seven.
_SQUAD = _Rule(
    lambda text, gold, language: squad_exact_match(text, gold),
    lambda text, gold, language: squad_f1(text, gold),
)
_MLQA = _Rule(mlqa_exact_match, mlqa_f1)


def _answers(task: Task, examples: Sequence[Any], predictions: Sequence[str], language: str) -> Scored:
    return _answers_by(_SQUAD, examples, predictions, language)


def _answers_by_language(
    task: Task, examples: Sequence[Any], predictions: Sequence[str], language: str
) -> Scored:
    rule = _MLQA if language in task.all_languages else _SQUAD
    return _answers_by(rule, examples, predictions, language)


def _answers_by(rule: _Rule, examples: Sequence[Any], predictions: Sequence[str], language: str) -> Scored:
    rows: list[Row] = []
    for example, predicted in zip(examples, predictions, strict=True):
        gold = [answer.text for answer in example.answers]
        if gold:
            exact, overlap = rule.exact(predicted, gold, language), rule.overlap(predicted, gold, language)
            rows.append({"id": example.id, "exact_match": 100.0 * exact, "f1": 100.0 * overlap})
    texts = {example.id: text for example, text in zip(examples, predictions, strict=True)}
    return Scored(rows, texts)


def _answers_or_none(examples: Sequence[Any], predictions: Sequence[str], margins: Sequence[float]) -> Scored:
    """Scores under the threshold of no answer that is best for these examples (SQuAD 2.0's ``best_f1``).

    A question is left unanswered where its margin exceeds the threshold. Chosen where it is used, so fit for the
    dev split that chooses a checkpoint and for nothing that is reported as a test score.
    """
    answered = [
        {
            "exact_match": 100.0 * squad_exact_match(text, gold),
            "f1": 100.0 * squad_f1(text, gold),
        }
        if (gold := [answer.text for answer in example.answers])
        else {"exact_match": 0.0, "f1": 0.0}
        for example, text in zip(examples, predictions, strict=True)
    ]
    silent = [0.0 if example.answers else 100.0 for example in examples]
    # From all unanswered to all answered, in the order of the margins; equal margins go together.
    order = sorted(range(len(examples)), key=lambda row: margins[row])
    best, total, threshold = sum(silent), sum(silent), -math.inf
    for place, row in enumerate(order):
        total += answered[row]["f1"] - silent[row]
        last = place + 1 == len(order) or margins[order[place + 1]] > margins[row]
        if last and total > best:
            best, threshold = total, float(margins[row])
    rows: list[Row] = []
    texts = {}
    for example, text, margin, scores, none in zip(
        examples, predictions, margins, answered, silent, strict=True
    ):
        silenced = margin > threshold
        rows.append({"id": example.id, **({"exact_match": none, "f1": none} if silenced else scores)})
        texts[example.id] = "" if silenced else text
    return Scored(rows, texts, {"no_answer_threshold": threshold})


def _spans(
    task: Task, examples: Sequence[Any], predictions: Sequence[Sequence[str]], language: str
) -> Scored:
    pairs = [(e, p) for e, p in zip(examples, predictions, strict=True) if e.tags is not None]
    rows: list[Row] = []
    for example, predicted in pairs:
        gold, found = spans(example.tags), spans(predicted)
        rows.append(
            {"id": example.id, "gold": len(gold), "predicted": len(found), "correct": len(gold & found)}
        )
    if not pairs:
        return Scored(rows, list(predictions))
    beside = tagging_scores([e.tags for e, _ in pairs], [p for _, p in pairs])
    del beside["f1"]  # which the rows give
    return Scored(rows, list(predictions), beside)


def _words(
    task: Task, examples: Sequence[Any], predictions: Sequence[Sequence[str]], language: str
) -> Scored:
    """The share of words with the right tag: tags that name no spans have no F1."""
    rows: list[Row] = [
        {
            "id": example.id,
            "words": len(example.tags),
            "correct": sum(gold == tag for gold, tag in zip(example.tags, predicted, strict=True)),
        }
        for example, predicted in zip(examples, predictions, strict=True)
        if example.tags is not None
    ]
    return Scored(rows, list(predictions))


def _nearest(task: Task, examples: Sequence[Any], predictions: Sequence[int], language: str) -> Scored:
    """Accuracy of finding, for each English sentence, its foreign one; the other direction beside it."""
    sides = {
        side: [(example, predicted) for example, predicted in zip(examples, predictions, strict=True)
               if example.side == side]
        for side in ("english", "foreign")
    }  # fmt: skip
    hits: dict[str, list[Row]] = {}
    for side, other in (("english", "foreign"), ("foreign", "english")):
        pool = [example.pair for example, _ in sides[other]]
        hits[side] = [
            {"id": example.id, "accuracy": 100.0 * (pool[predicted] == example.pair)}
            for example, predicted in sides[side]
            if example.pair is not None
        ]
    return Scored(
        hits["english"],
        [predicted for _, predicted in sides["english"]],
        {"accuracy_foreign_to_english": aggregate(hits["foreign"]).get("accuracy", 0.0)},
    )


Scorer: TypeAlias = Callable[[Task, Sequence[Any], Sequence[Any], str], Scored]
"""Task, examples, their predictions and the language -> result."""

SCORERS: Mapping[str, Scorer] = {
    "labels": _labels,
    "numbers": _numbers,
    "answers": _answers,
    "answers_by_language": _answers_by_language,
    "spans": _spans,
    "words": _words,
    "nearest": _nearest,
}
"""Scorers of one language's predictions by name; `evaluation/judging.py` has those that look at several splits."""
