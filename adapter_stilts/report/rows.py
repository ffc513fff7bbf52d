"""Stored rows as counts of a task's score, which is the mean of its metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapter_stilts.errors import DataError, UnknownNameError
from adapter_stilts.evaluation.aggregation import IDENTITY, NUMBERS, Row
from adapter_stilts.report.collect import REPAIR, Evaluated
from adapter_stilts.report.counts import Counts, counts, mined_counts
from adapter_stilts.stages.record import PREDICTIONS, SCORES, read_scores
from adapter_stilts.tasks import get_task

SCORE = "score"
"""The metric's name in rows whose metrics were averaged."""

NO_ROWS = "no rows, as an older version or an export without them left it"

_COUNTED = frozenset({"gold", "predicted", "correct"})
_NEAR = 1e-6
"""Percent: sums of rows are taken in another order than in metrics.json."""


class NoRowsError(DataError):
    """There are no rows that an interval could be taken of; the score stands as it is.

    Args:
        stage: of the evaluation.
    """

    def __init__(self, stage: str, why: str) -> None:
        super().__init__(stage, None, why)


def score_counts(one: Evaluated, language: str) -> Counts:
    """The task's score in a language, example by example.

    Raises:
        NoRowsError: an older version wrote no rows, or the score is no mean of examples (a correlation).
        DataError: rows are damaged, or do not give the score that metrics.json tells.
    """
    name = f"{one.cell.stage}, {language}"
    path = one.directory / SCORES / f"{language}.jsonl"
    rows = _rows(one, language, path)
    kinds = frozenset(rows[0]) - {IDENTITY}
    if kinds == NUMBERS:
        raise NoRowsError(
            one.cell.stage, "its score is a correlation, which is no sum over examples: no interval"
        )
    metrics = sorted(one.metrics["languages"][language])
    try:
        if kinds == _COUNTED and is_mined(str(one.metrics.get("task", one.cell.setting.target))):
            found = mined_counts(rows, name)
        elif len(metrics) == 1:
            found = counts(rows, metrics[0], name)
        else:
            found = counts([_averaged(row, metrics) for row in rows], SCORE, name)
    except (KeyError, TypeError, ValueError, UnknownNameError) as error:
        raise DataError(path, None, f"rows do not hold {', '.join(metrics)} ({error}): {REPAIR}") from error
    told = one.score(language)
    if abs(found.percent - told) > _NEAR:
        raise DataError(path, None, f"rows give {found.percent:.4f}, metrics.json tells {told:.4f}: {REPAIR}")
    return found


def _rows(one: Evaluated, language: str, path: Path) -> list[Row]:
    if not path.is_file():
        raise NoRowsError(one.cell.stage, f"{NO_ROWS}: no interval; {REPAIR}, or export it with rows")
    try:
        rows = read_scores(one.directory, language)
    except (OSError, ValueError) as error:
        raise DataError(path, None, f"cannot be read ({error}): {REPAIR}") from error
    if not rows or not all(isinstance(row, dict) and IDENTITY in row for row in rows):
        raise NoRowsError(one.cell.stage, f"no rows with ids: no interval; {REPAIR}")
    return rows


def _averaged(row: Mapping[str, Any], metrics: list[str]) -> Row:
    return {IDENTITY: row[IDENTITY], SCORE: sum(float(row[metric]) for metric in metrics) / len(metrics)}


def is_mined(task: str) -> bool:
    """Whether a row of the task is a pair of sentences, of which one sentence may have several.

    Retrieval that is scored by F1 mines pairs (`evaluation/judging.py`).
    """
    try:
        found = get_task(task)
    except UnknownNameError:  # of a folder of tasks that is not at hand
        return False
    return found.format == "retrieval" and "f1" in found.metric


def one_answer(one: Evaluated) -> tuple[str, ...]:
    """The languages in which every example was given the same answer: a model that learnt nothing, most often."""
    folder = one.directory / PREDICTIONS / str(one.metrics.get("task", one.cell.setting.target))
    found = []
    for language in one.languages:
        for path in folder.glob(f"*-{language}.*"):
            if _all_equal(path):
                found.append(language)
    return tuple(found)


def _all_equal(path: Path) -> bool:
    """Whether a file of predictions has several, and all are the same; of rankings and pairs nothing is said."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".tsv":
            answers = [line for line in text.split("\n") if line]
        elif path.suffix == ".json":
            answers = [json.dumps(answer) for answer in json.loads(text).values()]
        else:
            return False
    except (OSError, ValueError, AttributeError):
        return False
    return len(answers) > 1 and len(set(answers)) == 1
