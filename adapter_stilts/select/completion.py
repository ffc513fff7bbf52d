"""A matrix with gaps, completed: what each row and column has in common, and a low-rank rest.

Soft-Impute (Mazumder, Hastie and Tibshirani 2010, "Spectral Regularization Algorithms for Learning Large Incomplete
Matrices") with effects of rows and columns beside it: known cells y are told by b of the column, a of the row and L,
where

    sum over known cells of (y - b - a - L)^2 / 2 + sum over rows of a^2 / 2 + threshold * (singular values of L summed)

is least. A row that is known once counts by half, and of one that is not known at all its columns say everything. The
threshold, and with it the rank, is the one under which known cells that are left out are told best.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from adapter_stilts.select.train_set import Floats

SHARES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.15)
"""Thresholds that are tried, as shares of the largest singular value of what the effects leave; 1 leaves rank 0."""
STEPS, TOLERANCE, LEFT_OUT_TOLERANCE = 300, 1e-4, 1e-3
"""Of the fit: at most, and the largest change of an estimate, over the deviation of what is known, that ends it; of the
many that leave a cell out it is larger, as they begin at the fit with it."""
RIDGE = 1.0
"""Weight of the squares of row effects: how many cells of 0 each row begins with. Ours."""


@dataclass(frozen=True)
class Completion:
    """An estimate of every cell.

    Args:
        values: (rows, columns).
        spread: (rows, columns) how far off an estimate should be: the error below, times the root of 1 + 1 / (known
            cells of the row + 1) + 1 / (known cells of the column + 1), which is ours.
        rank: of what is told beside the effects of rows and columns.
        error: root mean square of what is said of known cells from all others but themselves.
        mean_error: the same where the mean of the other cells of the column is said.
    """

    values: Floats
    spread: Floats
    rank: int
    error: float
    mean_error: float


@dataclass(frozen=True)
class _Fit:
    rows: Floats
    columns: Floats
    low_rank: Floats

    @property
    def values(self) -> Floats:
        return np.asarray(self.rows[:, None] + self.columns[None] + self.low_rank)


Cells: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]"


def complete(matrix: Floats) -> Completion:
    """Estimates of all cells, from those that are known.

    Args:
        matrix: (rows, columns), NaN where a cell is not known; at least two rows and two columns with a known cell.
    """
    known = ~np.isnan(matrix)
    additive = _fitted(matrix, known, np.inf, None)
    largest = float(np.linalg.norm(np.where(known, matrix - additive.values, 0.0), 2))
    best: tuple[float, _Fit] | None = None
    for share in SHARES:
        threshold = np.inf if share == 1 else share * largest
        whole = _fitted(matrix, known, threshold, additive)
        error = _error(matrix, known, threshold, whole)
        # A lower threshold has to tell more, not as much.
        if best is None or error < best[0] * (1 - 1e-9):
            best = (error, whole)
    assert best is not None
    error, fit = best
    counts = 1 / (known.sum(axis=1)[:, None] + 1) + 1 / (known.sum(axis=0)[None] + 1)
    rank = int(np.linalg.matrix_rank(fit.low_rank, tol=1e-6 * max(largest, 1e-300)))
    return Completion(
        fit.values, np.asarray(error * np.sqrt(1 + counts)), rank, error, _mean_error(matrix, known)
    )


def _error(matrix: Floats, known: Cells, threshold: float, whole: _Fit) -> float:
    """Root mean square error of known cells, each left out in its turn."""
    errors = []
    for row, column in np.argwhere(known):
        others = known.copy()
        others[row, column] = False
        fit = _fitted(matrix, others, threshold, whole, LEFT_OUT_TOLERANCE)
        errors.append(float(fit.values[row, column] - matrix[row, column]))
    return float(np.sqrt(np.mean(np.square(errors))))


def _mean_error(matrix: Floats, known: Cells) -> float:
    errors = []
    for row, column in np.argwhere(known):
        others = known.copy()
        others[row, column] = False
        told = matrix[:, column][others[:, column]] if others[:, column].any() else matrix[others]
        errors.append(float(told.mean() - matrix[row, column]))
    return float(np.sqrt(np.mean(np.square(errors))))


def _fitted(
    matrix: Floats, known: Cells, threshold: float, begun: _Fit | None, within: float = TOLERANCE
) -> _Fit:
    """The least of the sum above, block after block.

    Args:
        threshold: infinite leaves out the low-rank part.
        begun: where it begins; what it ends with is the same, sooner.
    """
    filled = np.where(known, matrix, 0.0)
    by_row, by_column = known.sum(axis=1), known.sum(axis=0)
    rows = np.zeros(len(matrix)) if begun is None else begun.rows
    low_rank = np.zeros_like(filled) if begun is None or np.isinf(threshold) else begun.low_rank
    tolerance = within * max(float(matrix[known].std()), 1e-12)
    before = np.full_like(filled, np.inf)
    columns = np.zeros(matrix.shape[1])
    for _ in range(STEPS):
        rest = np.where(known, filled - rows[:, None] - low_rank, 0.0)
        columns = rest.sum(axis=0) / np.maximum(by_column, 1)
        columns[by_column == 0] = columns[by_column > 0].mean()
        rest = np.where(known, filled - columns[None] - low_rank, 0.0)
        rows = rest.sum(axis=1) / (by_row + RIDGE)
        effects = rows[:, None] + columns[None]
        if not np.isinf(threshold):
            left, values, right = np.linalg.svd(
                np.where(known, filled - effects, low_rank), full_matrices=False
            )
            low_rank = (left * np.maximum(values - threshold, 0.0)) @ right
        now = effects + low_rank
        if np.abs(now - before).max() < tolerance:
            break
        before = now
    return _Fit(rows, columns, low_rank)
