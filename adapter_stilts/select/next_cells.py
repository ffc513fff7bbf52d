"""Which cells of a partly filled matrix to run next: those that may gain most, as far as the others tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Generic, TypeAlias, TypeVar

import numpy as np

from adapter_stilts.errors import UsageError
from adapter_stilts.select.completion import Completion, complete

Row = TypeVar("Row")
Column = TypeVar("Column")

Seeds: TypeAlias = Mapping[int | None, float]
"""A cell's scores by seed; None of what no seed made."""

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
        known: finished cells, of `cells` in all, but for those that have no seed in common with a finished baseline.
        completion: where they come from; None where all of them are baselines.
    """

    chosen: tuple[NextCell[Row, Column], ...]
    known: int
    cells: int
    completion: Completion | None


def next_cells(
    scores: Mapping[tuple[Row, Column], Seeds], baseline: Row | None, count: int
) -> Next[Row, Column]:
    """The cells whose gain over the baseline has the largest upper bound, estimate plus spread.

    A gain is the mean over seeds of the cell less the baseline of the same seed; it is not known where they have no
    seed in common. Without a baseline it is the cell's mean over its seeds less the mean of the column's cells. Cells
    are named for one round: what the first of them brings is not regarded in the others, so that a few at a time tell
    more than many.

    Args:
        scores: of every cell that can be run, in points by seed; empty where no seed is finished.
        baseline: the row that gains are over; None has none.
        count: of cells to name; fewer where fewer are left.

    Raises:
        UsageError: there is nothing to name, or too little to go by.
    """
    rows = list(dict.fromkeys(row for row, _ in scores))
    columns = list(dict.fromkeys(column for _, column in scores))
    others = [row for row in rows if row != baseline]
    gains = _gains(scores, baseline)
    under = [column for column in columns if baseline is not None and scores.get((baseline, column))]
    apart = [cell for cell, seeds in scores.items() if seeds and cell[1] in under and cell[0] != baseline]
    finished = sum(map(bool, scores.values())) - len(set(apart) - gains.keys())
    if scores and finished == len(scores):
        raise UsageError(
            f"--next {count}: every one of the {len(scores)} cells is finished; the same command without --next shows "
            "them"
        )
    if len(others) < 2 or len(columns) < 2:
        raise UsageError(
            f"--next {count}: a matrix of {len(others)} intermediate entr{'y' if len(others) == 1 else 'ies'} besides "
            f"none and {len(columns)} column{'' if len(columns) == 1 else 's'} (a target in a mode, precision and "
            "encoder) has nothing that tells one cell by others; it takes two entries and two columns at least"
        )
    if not any(scores.values()):
        raise UsageError(
            f"--next {count}: the store holds none of the {len(scores)} cells, and nothing tells of one before some "
            "are run; `suggest --target TASK` ranks intermediate tasks from their data, and the same command without "
            "--next runs every cell"
        )
    lacking = [
        NextCell(baseline, column, None, None)
        for column in columns
        if baseline is not None and (baseline, column) in scores and column not in under
    ]
    if len(lacking) >= count:
        return Next(tuple(lacking[:count]), finished, len(scores), None)
    judged = columns if baseline is None else under
    matrix = np.asarray([[gains.get((row, column), np.nan) for column in judged] for row in others])
    known = ~np.isnan(matrix)
    if known.sum() < LEAST or (known.any(axis=1).sum() < 2) or (known.any(axis=0).sum() < 2):
        if lacking:
            return Next(tuple(lacking), finished, len(scores), None)
        raise UsageError(
            f"--next {count}: {int(known.sum())} of {matrix.size} gains are known, in {int(known.any(axis=1).sum())} "
            f"intermediate entries and {int(known.any(axis=0).sum())} columns; a completion takes {LEAST}, in two of "
            "each at least: run some cells of another one first"
        )
    completion = complete(matrix)
    found = [
        NextCell(
            others[row],
            judged[column],
            float(completion.values[row, column]),
            float(completion.spread[row, column]),
        )
        for row, column in np.argwhere(~known)
        if (others[row], judged[column]) in scores
    ]
    found.sort(key=lambda cell: -(cell.upper or 0.0))
    return Next(tuple([*lacking, *found][:count]), finished, len(scores), completion)


def _gains(
    scores: Mapping[tuple[Row, Column], Seeds], baseline: Row | None
) -> dict[tuple[Row, Column], float]:
    """Known gains, of all rows but the baseline."""
    if baseline is None:
        means = {cell: fmean(seeds.values()) for cell, seeds in scores.items() if seeds}
        by_column: dict[Column, list[float]] = {}
        for (_, column), mean in means.items():
            by_column.setdefault(column, []).append(mean)
        return {cell: mean - fmean(by_column[cell[1]]) for cell, mean in means.items()}
    found = {}
    for (row, column), seeds in scores.items():
        differences = _by_seed(seeds, scores.get((baseline, column), {}))
        if row != baseline and differences:
            found[row, column] = fmean(differences)
    return found


def _by_seed(seeds: Seeds, baseline: Seeds) -> list[float]:
    """Scores less the baseline's of the same seed; what has no seed stands beside every one."""
    return [
        score - under
        for seed, score in seeds.items()
        for other, under in baseline.items()
        if seed == other or seed is None or other is None
    ]
