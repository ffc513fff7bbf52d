"""Which cells of a partly filled matrix to run next: those that may gain most, as far as the others tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from adapter_stilts.errors import UsageError
from adapter_stilts.select.completion import Completion, complete

Row = TypeVar("Row")
Column = TypeVar("Column")

LEAST = 4
"""Known gains that a completion needs, in two rows and two columns at least."""


@dataclass(frozen=True)
class NextCell(Generic[Row, Column]):
    """A cell that is not run yet.

    Args:
        gain: points that it should bring over its column's baseline, give or take `spread`; None of a baseline, which
            comes first: without it no gain in its column is known.
    """

    row: Row
    column: Column
    gain: float | None
    spread: float | None

    @property
    def upper(self) -> float | None:
        """What it may bring: the order of cells."""
        return None if self.gain is None or self.spread is None else self.gain + self.spread


@dataclass(frozen=True)
class Next(Generic[Row, Column]):
    """Cells to run, the first one first.

    Args:
        known: finished cells, of `cells` in all.
        completion: where they come from; None where all of them are baselines.
    """

    chosen: tuple[NextCell[Row, Column], ...]
    known: int
    cells: int
    completion: Completion | None


def next_cells(
    rows: Sequence[Row],
    columns: Sequence[Column],
    scores: Mapping[tuple[Row, Column], float],
    baseline: Row | None,
    count: int,
) -> Next[Row, Column]:
    """The cells whose gain over the baseline has the largest upper bound, estimate plus spread.

    Without a baseline the gain is over the mean of the column's finished cells. Cells are named for one round: what the
    first of them brings is not regarded in the others, so that a few at a time tell more than many.

    Args:
        scores: of the cells that are finished, in points.
        baseline: the row that gains are over; None has none.
        count: of cells to name; fewer where fewer are left.

    Raises:
        UsageError: there is nothing to name, or too little to go by.
    """
    others = [row for row in rows if row != baseline]
    if len(others) < 2 or len(columns) < 2:
        raise UsageError(
            f"--next {count}: a matrix of {len(others)} intermediate entr{'y' if len(others) == 1 else 'ies'} besides "
            f"none and {len(columns)} target{'' if len(columns) == 1 else 's'} has nothing that tells one cell by "
            "others; give --inter and --target two each at least"
        )
    cells = len(rows) * len(columns)
    if not scores:
        raise UsageError(
            f"--next {count}: the store holds none of the {cells} cells, and nothing tells of one before some are "
            "run; `suggest --target TASK` ranks intermediate tasks from their data, and the same command without "
            "--next runs every cell"
        )
    if len(scores) == cells:
        raise UsageError(
            f"--next {count}: every one of the {cells} cells is finished; the same command without --next shows them"
        )
    lacking = [
        NextCell(baseline, column, None, None)
        for column in columns
        if baseline is not None and (baseline, column) not in scores
    ]
    if len(lacking) >= count:
        return Next(tuple(lacking[:count]), len(scores), cells, None)
    judged = [column for column in columns if column not in {cell.column for cell in lacking}]
    matrix = np.asarray([[scores.get((row, column), np.nan) for column in judged] for row in others])
    known = ~np.isnan(matrix)
    if known.sum() < LEAST or (known.any(axis=1).sum() < 2) or (known.any(axis=0).sum() < 2):
        if lacking:
            return Next(tuple(lacking), len(scores), cells, None)
        raise UsageError(
            f"--next {count}: {int(known.sum())} of {matrix.size} gains are known, in {int(known.any(axis=1).sum())} "
            f"intermediate entries and {int(known.any(axis=0).sum())} targets; a completion takes {LEAST}, in two of "
            "each at least: run some cells of another one first"
        )
    under = (
        np.asarray([scores[baseline, column] for column in judged])
        if baseline is not None
        else np.where(known, matrix, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    )
    completion = complete(matrix - under[None])
    found = [
        NextCell(
            others[row],
            judged[column],
            float(completion.values[row, column]),
            float(completion.spread[row, column]),
        )
        for row, column in np.argwhere(~known)
    ]
    found.sort(key=lambda cell: -(cell.upper or 0.0))
    return Next(tuple([*lacking, *found][:count]), len(scores), cells, completion)
