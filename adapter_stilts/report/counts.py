"""What a metric is counted from, example by example: every metric of `aggregate` is a ratio of two sums.

=====================================  ==============================  ======================
rows                                   numerator of an example         denominator
=====================================  ==============================  ======================
scores (accuracy, exact_match, f1 …)   its score in percent            1
``gold``, ``predicted``, ``correct``   200 · correct                   gold + predicted
``words``, ``correct``                 100 · correct                   words
=====================================  ==============================  ======================

F1 over all spans is 2 · correct / (gold + predicted), which is the harmonic mean of precision and recall. Thresholds
(of mining, of no answer) were chosen before the rows were written and are part of the system that is compared, so that
no metric needs more than its sums. A resampled metric is the ratio of two weighted sums, for all resamples at once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from adapter_stilts.errors import DataError, UnknownNameError
from adapter_stilts.evaluation.aggregation import IDENTITY, Row

Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """One metric of one system in one language: the sum of numerators over that of denominators, in percent.

    Args:
        ids: of the examples, sorted; each once.
        numerators, denominators: (examples,).
        gold: what the test set alone determines (gold spans, words); None where rows do not tell. Systems that are
            compared have the same.
        complete: whether every example has a row. Mining stores pairs: a sentence without a true or a mined pair has
            none, and counts for nothing.
        name: of the evaluation and the language, for messages.
    """

    ids: tuple[str, ...]
    numerators: Floats
    denominators: Floats
    gold: Floats | None
    complete: bool
    name: str

    @property
    def percent(self) -> float:
        """The metric on these very examples, as `aggregate` has it."""
        return float(ratio(self.numerators.sum(), self.denominators.sum()))


def ratio(numerators: npt.ArrayLike, denominators: npt.ArrayLike) -> Floats:
    """Numerators over denominators; 0 where there is nothing to divide by, as official scorers have it."""
    above, below = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    return np.divide(above, below, out=np.zeros_like(above), where=below != 0)


def counts(rows: Sequence[Row], metric: str, name: str) -> Counts:
    """One metric's counts.

    Args:
        rows: of one language of an evaluate stage.
        metric: one of those that `aggregate` gives for them.
        name: of the evaluation and the language, for messages.

    Raises:
        DataError: there are no rows, two have one id, or a value is no finite number.
        UnknownNameError: the rows have no such metric.
    """
    return _counted(_columns(rows, metric, name), [str(row[IDENTITY]) for row in rows], name)


def mined_counts(rows: Sequence[Row], name: str) -> Counts:
    """The F1 of mined pairs, by sentence of the first side.

    A row is a pair, ``"<foreign id> <English id>"``. A sentence whose true pair was missed and that was paired with
    another is wrong twice, by one cause: its rows are drawn together.

    Raises:
        DataError: as `counts`, and where an id names no pair.
    """
    columns = _columns(rows, "f1", name)
    sentences = []
    for row in rows:
        first, blank, second = str(row[IDENTITY]).partition(" ")
        if not (first and blank and second):
            raise DataError(name, None, f"id {row[IDENTITY]!r} is no pair of ids: evaluate again")
        sentences.append(first)
    place = {sentence: number for number, sentence in enumerate(dict.fromkeys(sentences))}
    places = [place[sentence] for sentence in sentences]
    summed = {column: _summed(places, values) for column, values in columns.items()}
    return _counted(summed, list(place), name, complete=False)


def _summed(places: Sequence[int], values: Floats) -> Floats:
    return np.bincount(places, weights=values).astype(np.float64)


@dataclass(frozen=True)
class _Kind:
    """How rows of certain columns are counted.

    Args:
        metric: the only one that they have.
        gold: the column that the test set alone determines.
    """

    metric: str
    numerators: Callable[[Mapping[str, Floats]], Floats]
    denominators: Callable[[Mapping[str, Floats]], Floats]
    gold: str


_KINDS: Mapping[frozenset[str], _Kind] = {
    frozenset({"gold", "predicted", "correct"}): _Kind(
        "f1",
        lambda columns: 200.0 * columns["correct"],
        lambda columns: columns["gold"] + columns["predicted"],
        "gold",
    ),
    frozenset({"words", "correct"}): _Kind(
        "accuracy",
        lambda columns: 100.0 * columns["correct"],
        lambda columns: columns["words"],
        "words",
    ),
}
"""All others are scores, whose mean is the metric; `aggregate` distinguishes the same, which a test holds."""


def _columns(rows: Sequence[Row], metric: str, name: str) -> dict[str, Floats]:
    """The columns that the metric is counted from, (rows,) each, once looked at."""
    if not rows:
        raise DataError(name, None, "no example: nothing can be said of none")
    ids = [str(row[IDENTITY]) for row in rows]
    if len(set(ids)) < len(rows):
        twice = Counter(ids).most_common(1)[0][0]
        raise DataError(name, None, f"two rows have the id {twice!r}, so that examples cannot be matched")
    there = frozenset(rows[0]) - {IDENTITY}
    kind = _KINDS.get(there)
    metrics = sorted(there) if kind is None else [kind.metric]
    if metric not in metrics:
        raise UnknownNameError(f"metric of {name}", metric, metrics)
    wanted = sorted(there) if kind is not None else [metric]
    return {column: _column(rows, column, name) for column in wanted}


def _column(rows: Sequence[Row], column: str, name: str) -> Floats:
    values = [row.get(column) for row in rows]
    if {type(value) for value in values} <= {int, float}:
        found = np.asarray(values, dtype=np.float64)
        if np.isfinite(found).all():
            return found
    return np.asarray([_number(row, column, name) for row in rows])


def _number(row: Row, column: str, name: str) -> float:
    value = row.get(column)
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    raise DataError(
        name, None, f"{column} of {row[IDENTITY]!r} is {value!r} and no finite number: evaluate again"
    )


def _counted(columns: Mapping[str, Floats], ids: Sequence[str], name: str, complete: bool = True) -> Counts:
    order = sorted(range(len(ids)), key=lambda place: ids[place])
    kind = _KINDS.get(frozenset(columns))
    if kind is None:
        (numerators,) = columns.values()
        denominators, gold = np.ones(len(ids)), None
    else:
        numerators, denominators = kind.numerators(columns), kind.denominators(columns)
        gold = columns[kind.gold][order]
    sorted_ids = tuple(ids[place] for place in order)
    return Counts(sorted_ids, numerators[order], denominators[order], gold, complete, name)
