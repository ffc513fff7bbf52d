"""LogME: the evidence of a Bayesian linear model of the target's labels on a source's states.

You et al. 2021 (arXiv 2102.11005): labels y = X w + noise, with w ~ N(0, 1/alpha) and noise ~ N(0, 1/beta), and the
alpha and beta of the greatest evidence, found by MacKay's fixed point. A class is a column of zeros and ones; the score
is the mean over classes of the log evidence by row. Computed from the singular values, as in You et al. 2022
(arXiv 2110.10545), where the directions that no state has count in the determinant as well.
"""

from __future__ import annotations

import numpy as np

from adapter_stilts.select.train_set import Floats
from adapter_stilts.select.trained.labelled import Labelled

WHAT = "LogME: evidence of a linear model of the target's labels on the source's states"
STEPS, TOLERANCE = 100, 1e-4
"""Of the fixed point: at most, and the relative change of alpha over beta at which it is reached."""
LEAST = 1e-5
"""Added to what is divided by: labels that are told without error have no finite beta. As in the public code."""


def score(states: Labelled) -> float:
    """The mean over classes of the log evidence by row."""
    columns = (states.labels[:, None] == states.classes[None]).astype(np.float64)
    left, values, _ = np.linalg.svd(states.states, full_matrices=False)
    kept = values > 1e-10 * max(float(values.max(initial=0.0)), 1e-300)
    squares = values[kept] ** 2
    projected = left[:, kept].T @ columns
    width = states.states.shape[1]
    evidences = [
        _evidence(
            squares, projected[:, column] ** 2, float((columns[:, column] ** 2).sum()), len(columns), width
        )
        for column in range(columns.shape[1])
    ]
    return float(np.mean(evidences))


def _evidence(squares: Floats, projected: Floats, total: float, rows: int, width: int) -> float:
    """The greatest log evidence of one column, by row.

    Args:
        squares: of the singular values.
        projected: squares of the column along the left singular vectors; `total` is its whole square.
    """
    outside = max(total - float(projected.sum()), 0.0)
    alpha = beta = 1.0
    for _ in range(STEPS):
        ratio = alpha / beta
        effective = float((squares / (squares + ratio)).sum())
        weights, errors = _weights_and_errors(squares, projected, outside, ratio)
        alpha = effective / (weights + LEAST)
        beta = (rows - effective) / (errors + LEAST)
        if abs(alpha / beta - ratio) <= TOLERANCE * ratio:
            break
    weights, errors = _weights_and_errors(squares, projected, outside, alpha / beta)
    determinant = float(np.log(alpha + beta * squares).sum()) + (width - len(squares)) * np.log(alpha)
    evidence = (
        width * np.log(alpha)
        + rows * np.log(beta)
        - rows * np.log(2 * np.pi)
        - beta * errors
        - alpha * weights
        - determinant
    )
    return float(evidence) / 2 / rows


def _weights_and_errors(
    squares: Floats, projected: Floats, outside: float, ratio: float
) -> tuple[float, float]:
    """The squared length of the weights of the greatest posterior, and the squared error they leave."""
    weights = float((squares * projected / (squares + ratio) ** 2).sum())
    errors = float((projected * (ratio / (squares + ratio)) ** 2).sum()) + outside
    return weights, errors
