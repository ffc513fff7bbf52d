"""Arrow: whether two updates answer to the same direction of what enters a layer.

Ostapenko et al. 2024 (arXiv 2405.11157), section 3: the prototype of an update dW = B A is its first right singular
vector, the direction of unit length that it moves most. They route a token by |prototype . state|; here the prototypes
of source and target meet, by the absolute cosine, as a singular vector has no sign, in the mean over layers.
"""

from __future__ import annotations

from statistics import fmean

import numpy as np
import numpy.typing as npt

from adapter_stilts.select.train_set import Floats
from adapter_stilts.select.updates.update import Update

WHAT = "Arrow: |cosine| of the directions that the source's and the target's own update move most"
STEPS, TOLERANCE = 500, 1e-12
"""Of the power iteration: at most, and the change of the vector at which it ends."""


def score(source: Update, target: Update) -> float:
    """0 to 1; a layer that one of them alone changes counts as 0."""
    layers = sorted(source.keys() | target.keys())
    if not layers:
        return 0.0
    return fmean(
        abs(float(prototype(source[layer]) @ prototype(target[layer])))
        if layer in source and layer in target
        else 0.0
        for layer in layers
    )


def prototype(change: npt.NDArray[np.float32]) -> Floats:
    """(in,) the first right singular vector, of either sign: v = dW' dW v / |dW' dW v|, from a seeded start."""
    matrix = change.astype(np.float64)
    vector = np.random.default_rng(0).standard_normal(matrix.shape[1])
    vector /= np.linalg.norm(vector)
    for _ in range(STEPS):
        moved = matrix.T @ (matrix @ vector)
        moved /= max(float(np.linalg.norm(moved)), 1e-300)
        done = np.abs(moved - vector).max() < TOLERANCE
        vector = moved
        if done:
            break
    return np.asarray(vector)
