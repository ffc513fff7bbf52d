"""The forms that a submission's files have: which suffix, which reader, which metric, what is refused.

Which form a task's files have, its format says (`Format.JUDGED`), or the task itself (`Task.judged`).

Source: the reader, metric and suffix tables of google-research/xtreme `evaluate.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adapter_stilts.errors import DataError, UnknownNameError
from adapter_stilts.evaluation import metrics, submission
from adapter_stilts.tasks.base import Task, judged_of

Note = submission.Note
Scores = dict[str, float]


@dataclass(frozen=True)
class Form:
    """One form of the files of a submission.

    Args:
        suffix: of the files, without the dot.
        score: (predictions file, labels file, language, note) -> metric -> percent.
        render: the predictions of one language -> the text of their file.
        count: predictions file -> how many it holds, read as for scoring; refuses what scoring would refuse.
        may_be_empty: whether a file without a prediction is one.
    """

    suffix: str
    score: Callable[[Path, Path, str, Note], Scores]
    render: Callable[[Any], str]
    count: Callable[[Path], int]
    may_be_empty: bool = False


def form_of(task: Task) -> Form:
    """The form of a task's files. Raises UsageError where what the task or its format says is none."""
    form = judged_of(task).form
    if isinstance(form, Form):
        return form
    if form not in FORMS:
        raise UnknownNameError(f"form of {task.name}'s submission files", str(form), FORMS)
    return FORMS[form]


def _score_labels(predictions: Path, labels: Path, language: str, note: Note) -> Scores:
    predicted, gold = (submission.read_lines(path, note) for path in (predictions, labels))
    _check_lengths(predictions, len(predicted), labels, len(gold))
    if predicted and not set(predicted) & set(gold):  # spelt otherwise, or another task's
        note(f"{predictions}:1: neither {predicted[0]!r} nor any other line is one of the labels ({labels})")
    return {"accuracy": metrics.accuracy(predicted, gold)}


def _score_numbers(predictions: Path, labels: Path, language: str, note: Note) -> Scores:
    predicted, gold = submission.read_numbers(predictions), submission.read_numbers(labels)
    _check_lengths(predictions, len(predicted), labels, len(gold))
    for path, numbers in ((predictions, predicted), (labels, gold)):
        if not metrics.correlates(numbers):
            note(f"{path}: every line is {numbers[0]:g}: no correlation is defined, which counts as 0")
    return metrics.correlations(gold, predicted)


def _score_choices(predictions: Path, labels: Path, language: str, note: Note) -> Scores:
    predicted, gold = submission.read_choices(predictions), submission.read_choices(labels)
    _check_lengths(predictions, len(predicted), labels, len(gold))
    return {"accuracy": metrics.accuracy(predicted, gold)}


def _score_tags(predictions: Path, labels: Path, language: str, note: Note) -> Scores:
    predicted, gold = (submission.read_sentences(path, note) for path in (predictions, labels))
    for ours, theirs in zip(predicted, gold, strict=False):
        if len(ours.tags) != len(theirs.tags):
            raise DataError(
                predictions,
                ours.line,
                f"a sentence of {len(ours.tags)} tags starts here; its labels ({labels}:{theirs.line}) are "
                f"{len(theirs.tags)}: every word needs one tag",
            )
    if len(predicted) != len(gold) or not gold:
        # The first sentence too many, or else the last one there is.
        surplus = predicted[len(gold) : len(gold) + 1] or predicted[-1:]
        raise DataError(
            predictions,
            surplus[0].line if surplus else 1,
            f"{len(predicted)} sentences for {len(gold)} in the labels ({labels}): give one each",
        )
    return metrics.tagging_scores(
        [sentence.tags for sentence in gold], [sentence.tags for sentence in predicted]
    )


def _score_pairs(predictions: Path, labels: Path, language: str, note: Note) -> Scores:
    predicted, gold = (submission.read_pairs(path, note) for path in (predictions, labels))
    for path, pairs in ((predictions, predicted), (labels, gold)):
        if not pairs:
            note(f"{path} holds no pair, so that the score is 0")
    return metrics.bucc_scores(gold, predicted)


def _score_squad(predictions: Path, labels: Path, language: str, note: Note) -> Scores:
    return metrics.squad_scores(*_read_qa(predictions, labels, note))


def _score_mlqa(predictions: Path, labels: Path, language: str, note: Note) -> Scores:
    return metrics.mlqa_scores(*_read_qa(predictions, labels, note), language)


def _read_qa(
    predictions: Path, labels: Path, note: Note
) -> tuple[list[tuple[str, list[str]]], dict[str, str]]:
    questions = submission.read_questions(labels)
    if not questions:
        raise DataError(labels, None, "no question: there is nothing to score against")
    answers = submission.read_answers(predictions, (key for key, _ in questions))
    for key, gold in questions:
        if key in answers and not gold:
            raise DataError(labels, None, f"question {key!r} has no gold answer to compare with")
    _note_unanswered(predictions, sum(key not in answers for key, _ in questions), len(questions), note)
    return questions, answers


def _score_rankings_of_one(predictions: Path, labels: Path, language: str, note: Note) -> Scores:
    # A mention has one entity; of a longer list the official scorer takes the first.
    relevant = {key: [ids[0].strip()] for key, ids in _read_relevant(labels).items()}
    return _score_ranked(predictions, relevant, note)


def _score_rankings(predictions: Path, labels: Path, language: str, note: Note) -> Scores:
    return _score_ranked(predictions, _read_relevant(labels), note)


def _read_relevant(labels: Path) -> dict[str, list[str]]:
    relevant = submission.read_rankings(labels)
    for key, ids in relevant.items():
        if not ids:
            raise DataError(labels, None, f"query {key!r} has no gold id")
    if not relevant:
        raise DataError(labels, None, "no query: there is nothing to score against")
    return relevant


def _score_ranked(predictions: Path, relevant: Mapping[str, list[str]], note: Note) -> Scores:
    ranked = submission.read_rankings(predictions, relevant)
    _note_unanswered(predictions, len(relevant) - len(ranked), len(relevant), note)
    return {"map@20": metrics.mean_average_precision_at_20(relevant, ranked)}


def _check_lengths(predictions: Path, predicted: int, labels: Path, gold: int) -> None:
    if not gold:
        raise DataError(labels, None, "no label: there is nothing to score against")
    if predicted != gold:
        line = min(predicted, gold) + 1
        raise DataError(predictions, line, f"{predicted} lines for {gold} labels ({labels}): give one each")


def _note_unanswered(predictions: Path, unanswered: int, total: int, note: Note) -> None:
    if unanswered:
        note(f"{predictions}: {unanswered} of {total} have no prediction and score 0")


def _count_answers(path: Path) -> int:
    return len(submission.read_answers(path, submission.read_ids(path)))


_ANSWERS = Form("json", _score_squad, submission.render_object, _count_answers)
_RANKINGS = Form(
    "json",
    _score_rankings,
    submission.render_object,
    lambda path: len(submission.read_rankings(path)),
)

FORMS: Mapping[str, Form] = {
    "labels": Form(
        "tsv", _score_labels, submission.render_labels, lambda path: len(submission.read_lines(path))
    ),
    "numbers": Form(
        "tsv", _score_numbers, submission.render_labels, lambda path: len(submission.read_numbers(path))
    ),
    "choices": Form(
        "jsonl", _score_choices, submission.render_choices, lambda path: len(submission.read_choices(path))
    ),
    "tags": Form(
        "tsv", _score_tags, submission.render_sentences, lambda path: len(submission.read_sentences(path))
    ),
    "pairs": Form(
        "tsv",
        _score_pairs,
        submission.render_pairs,
        lambda path: len(submission.read_pairs(path)),
        may_be_empty=True,
    ),
    "answers": _ANSWERS,
    "answers_by_language": replace(_ANSWERS, score=_score_mlqa),
    "rankings": _RANKINGS,
    "rankings_of_one": replace(_RANKINGS, score=_score_rankings_of_one),
}
