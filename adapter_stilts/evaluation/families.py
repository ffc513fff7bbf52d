"""How each family of tasks is scored: which files, which reader, which metric, what is refused.

Source: the reader, metric and suffix tables of google-research/xtreme `evaluate.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adapter_stilts.errors import DataError, UnknownNameError
from adapter_stilts.evaluation import metrics, submission

Note = submission.Note
Scores = dict[str, float]


@dataclass(frozen=True)
class Family:
    """Tasks that share a file format and a metric.

    Args:
        suffix: of the files, without the dot.
        headline: the metrics whose mean is the task's score in the benchmark's averages.
        score: (predictions file, labels file, language, note) -> metric -> percent.
        render: the predictions of one language -> the text of their file.
        count: predictions file -> how many it holds, read as for scoring; refuses what scoring would refuse.
        submitted_with: options of the task that its official files were made with.
        trained: whether a model is trained for the task before it is evaluated.
    """

    suffix: str
    headline: tuple[str, ...]
    score: Callable[[Path, Path, str, Note], Scores]
    render: Callable[[Any], str]
    count: Callable[[Path], int]
    submitted_with: Mapping[str, str] = field(default_factory=dict)
    trained: bool = True


def family_of(task: str) -> Family:
    """The family of a task of either benchmark.

    Raises:
        UnknownNameError: neither benchmark has the task.
    """
    if task not in FAMILIES:
        raise UnknownNameError("XTREME task", task, FAMILIES)
    return FAMILIES[task]


def _score_labels(predictions: Path, labels: Path, language: str, note: Note) -> Scores:
    predicted, gold = (submission.read_lines(path, note) for path in (predictions, labels))
    _check_lengths(predictions, len(predicted), labels, len(gold))
    if predicted and not set(predicted) & set(gold):  # spelt otherwise, or another task's
        note(f"{predictions}:1: neither {predicted[0]!r} nor any other line is one of the labels ({labels})")
    return {"accuracy": metrics.accuracy(predicted, gold)}


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


def _score_mewslix(predictions: Path, labels: Path, language: str, note: Note) -> Scores:
    # A mention has one entity; of a longer list the official scorer takes the first.
    relevant = {key: [ids[0].strip()] for key, ids in _read_relevant(labels).items()}
    return _score_ranked(predictions, relevant, note)


def _score_lareqa(predictions: Path, labels: Path, language: str, note: Note) -> Scores:
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


_LABELS = Family(
    "tsv",
    ("accuracy",),
    _score_labels,
    submission.render_labels,
    lambda path: len(submission.read_lines(path)),
)
_CHOICES = Family(
    "jsonl",
    ("accuracy",),
    _score_choices,
    submission.render_choices,
    lambda path: len(submission.read_choices(path)),
)
_TAGS = Family(
    "tsv",
    ("f1",),
    _score_tags,
    submission.render_sentences,
    lambda path: len(submission.read_sentences(path)),
)
_PAIRS = Family(
    "tsv",
    ("f1",),
    _score_pairs,
    submission.render_pairs,
    lambda path: len(submission.read_pairs(path)),
    trained=False,
)
_SQUAD = Family("json", ("exact_match", "f1"), _score_squad, submission.render_object, _count_answers)
_MLQA = replace(_SQUAD, score=_score_mlqa, submitted_with={"question": "same"})
_MEWSLIX = Family(
    "json",
    ("map@20",),
    _score_mewslix,
    submission.render_object,
    lambda path: len(submission.read_rankings(path)),
    trained=False,
)
_LAREQA = replace(_MEWSLIX, score=_score_lareqa)

FAMILIES: Mapping[str, Family] = {
    "xnli": _LABELS,
    "pawsx": _LABELS,
    "tatoeba": replace(_LABELS, trained=False),
    "xcopa": _CHOICES,
    # The parts of a contraction are one word in the official files, with one tag.
    "udpos": replace(_TAGS, submitted_with={"words": "fused"}),
    "panx": _TAGS,
    "bucc2018": _PAIRS,
    "xquad": _SQUAD,
    "tydiqa": _SQUAD,
    "mlqa": _MLQA,
    "mewslix": _MEWSLIX,
    "lareqa": _LAREQA,
}
