"""H-score: how much of the variance of a source's states lies between the target's classes.

Bao et al. 2019 ("An Information-Theoretic Approach to Transferability in Task Transfer Learning"): the trace of
cov(f)^-1 cov(E[f | y]). With the covariance shrunk, as Ibrahim et al. 2021 (arXiv 2110.06893) have it, by the
intensity of Ledoit and Wolf 2004: plain covariances of few rows are hardly invertible, and reward a wide encoder.
Where states vary alike in all directions the intensity nears 1, and their formula's score 0.
"""

from __future__ import annotations

import numpy as np

from adapter_stilts.select.train_set import Floats
from adapter_stilts.select.trained.labelled import Labelled

WHAT = "H-score: variance of the source's states between the target's classes, covariance shrunk"


def score(states: Labelled) -> float:
    """0 where classes have one mean; at most the number of classes less one."""
    centred = states.states - states.states.mean(axis=0)
    rows, width = centred.shape
    between = np.zeros_like(centred)
    for name in states.classes:
        chosen = states.labels == name
        between[chosen] = centred[chosen].mean(axis=0)
    intensity = shrinkage(centred)
    covariance = centred.T @ centred / rows
    shrunk = (1 - intensity) * covariance + intensity * np.trace(covariance) / width * np.eye(width)
    # Without variance nothing is told; pinv gives 0 then.
    inverse = np.linalg.pinv(shrunk, hermitian=True)
    return float((1 - intensity) * np.trace(inverse @ (between.T @ between / rows)))


def shrinkage(centred: Floats) -> float:
    """Ledoit and Wolf's intensity, 0 to 1: how much of the covariance is replaced by its mean variance.

    Args:
        centred: (rows, width), of mean 0.
    """
    rows, width = centred.shape
    products = centred.T @ centred
    mean = np.trace(products) / rows / width
    squared = float((products**2).sum()) / rows**2
    spread = squared / width - mean**2
    noise = (float(((centred**2).sum(axis=1) ** 2).sum()) / rows - squared) / width / rows
    return float(np.clip(noise / spread, 0.0, 1.0)) if spread > 0 else 0.0
