"""NLEEP: how well the clusters of a source's states foretell the target's labels.

Li et al. 2021 (Ranking Neural Checkpoints, arXiv 2011.11200): states are projected to the principal directions that
hold 80 % of their variance, a mixture of five Gaussians a class is fitted to them, and the score is LEEP (Nguyen et al.
2020, arXiv 2002.12462) with its components z in the place of a classifier's answers:

    mean over rows of log sum over z of p(y | z) p(z | x),  p(y | z) from the sums of p(z | x) over the rows of each y

Covariances are diagonal and there is at most one component for four rows, which is ours: the paper says neither, and
a sample of a few hundred rows tells no more.
"""

from __future__ import annotations

import numpy as np

from adapter_stilts.select.train_set import Floats
from adapter_stilts.select.trained.labelled import Labelled

WHAT = "NLEEP: how well clusters of the source's states foretell the target's labels"
VARIANCE = 0.8
"""The share that the kept directions hold."""
COMPONENTS, ROWS = 5, 4
"""Components for each class, and rows for each component at least."""
STEPS, TOLERANCE = 100, 1e-4
"""Of the fit: at most, and the gain in log likelihood by row below which it ends."""
LEAST = 1e-6
"""Added to each variance, as in scikit-learn."""


def score(states: Labelled) -> float:
    """0 where each cluster has one label; log(1 / classes) and thereabouts where they tell nothing."""
    projected = _projected(states.states)
    classes = states.classes
    wanted = max(1, min(COMPONENTS * len(classes), len(projected) // ROWS))
    shares = clusters(projected, wanted)
    columns = (states.labels[:, None] == classes[None]).astype(np.float64)
    together = shares.T @ columns  # (components, classes)
    by_component = together / np.maximum(shares.sum(axis=0)[:, None], 1e-300)
    told = (shares @ by_component)[columns.astype(bool)]
    return float(np.log(np.maximum(told, 1e-300)).mean())


def clusters(rows: Floats, count: int) -> Floats:
    """(rows, count) the share of each component in each row, of a mixture fitted by expectation and maximisation.

    It begins with k-means, whose centres are drawn by k-means++ with one seed, so that the same rows score the same.
    """
    shares = _nearest(rows, count)
    before = -np.inf
    for _ in range(STEPS):
        density = _log_density(rows, shares)
        top = density.max(axis=1, keepdims=True)
        likelihood = top[:, 0] + np.log(np.exp(density - top).sum(axis=1))
        shares = np.exp(density - likelihood[:, None])
        if likelihood.mean() - before < TOLERANCE:
            break
        before = likelihood.mean()
    return shares


def _projected(states: Floats) -> Floats:
    """States along the first principal directions, in units of the first one's deviation."""
    centred = states - states.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    if not values[0]:
        return np.zeros((len(states), 1))
    held = np.cumsum(values**2) / (values**2).sum()
    kept = int(np.searchsorted(held, VARIANCE - 1e-12)) + 1
    return np.asarray(left[:, :kept] * (values[:kept] / values[0] * np.sqrt(len(states))))


def _nearest(rows: Floats, count: int) -> Floats:
    """1 for the centre of k-means that is nearest to a row, else 0."""
    generator = np.random.default_rng(0)
    centres = rows[[generator.integers(len(rows))]]
    while len(centres) < count:
        nearest = _distances(rows, centres).min(axis=1)
        if not nearest.sum():  # fewer different rows than centres
            break
        chosen = generator.choice(len(rows), p=nearest / nearest.sum())
        centres = np.vstack([centres, rows[chosen]])
    own = _distances(rows, centres).argmin(axis=1)
    for _ in range(STEPS):
        means = [rows[own == number].mean(axis=0) for number in np.unique(own)]
        moved = _distances(rows, np.stack(means)).argmin(axis=1)
        if np.array_equal(moved, own):
            break
        own = moved
    return np.asarray(own[:, None] == np.unique(own)[None], dtype=np.float64)


def _distances(rows: Floats, centres: Floats) -> Floats:
    """(rows, centres) squared distances."""
    products = (rows**2).sum(axis=1)[:, None] - 2 * rows @ centres.T + (centres**2).sum(axis=1)[None]
    return np.asarray(np.maximum(products, 0.0))


def _log_density(rows: Floats, shares: Floats) -> Floats:
    """(rows, components) log of weight times density, of the components that the shares make most likely."""
    sizes = np.maximum(shares.sum(axis=0), 1e-10)
    means = shares.T @ rows / sizes[:, None]
    variances = np.maximum(shares.T @ rows**2 / sizes[:, None] - means**2, 0.0) + LEAST
    exponent = rows**2 @ (1 / variances).T - 2 * rows @ (means / variances).T
    spread = exponent + (means**2 / variances).sum(axis=1)
    constant = np.log(sizes / len(rows)) - np.log(2 * np.pi * variances).sum(axis=1) / 2
    return np.asarray(constant[None] - spread / 2)
