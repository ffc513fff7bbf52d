"""From rows to metrics. A row is what is stored of one example: its id, and the numbers that a metric is counted from.

What a language scores is the aggregate of its rows and of nothing else, so that whoever has the rows can count again:
for another group of examples, or for a resampled one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from adapter_stilts.evaluation.metrics import correlations

Row: TypeAlias = dict[str, float | str]

IDENTITY = "id"
NUMBERS = frozenset({"gold", "predicted"})
"""Columns of a row that holds a number and what was predicted for it."""


def aggregate(rows: Sequence[Row]) -> dict[str, float]:
    """Metrics in percent, by the official scorers' names; none of no rows.

    Columns tell how: ``gold``, ``predicted`` and ``correct`` count spans or pairs, whose F1 it is (micro-averaged, as
    seqeval's and `bucc_f1` of XTREME's `evaluate.py`); ``words`` and ``correct`` count words, whose accuracy it is;
    ``gold`` and ``predicted`` alone are numbers, whose correlations they are; any others are scores of the example in
    percent, and the metrics of their names are the means.
    """
    if not rows:
        return {}
    columns = tuple(name for name in rows[0] if name != IDENTITY)
    if frozenset(columns) == NUMBERS:
        return correlations(*([float(row[name]) for row in rows] for name in ("gold", "predicted")))
    count = _COUNTED.get(frozenset(columns))
    if count is not None:
        return count({name: sum(float(row[name]) for row in rows) for name in columns})
    return {name: sum(float(row[name]) for row in rows) / len(rows) for name in columns}


def _f1(sums: Mapping[str, float]) -> dict[str, float]:
    precision = _share(sums["correct"], sums["predicted"])
    recall = _share(sums["correct"], sums["gold"])
    return {"f1": 100 * _share(2 * precision * recall, precision + recall)}


def _accuracy(sums: Mapping[str, float]) -> dict[str, float]:
    return {"accuracy": 100.0 * _share(sums["correct"], sums["words"])}


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


_COUNTED: Mapping[frozenset[str], Callable[[Mapping[str, float]], dict[str, float]]] = {
    frozenset({"gold", "predicted", "correct"}): _f1,
    frozenset({"words", "correct"}): _accuracy,
}
