"""The cosine of two updates of the encoder, all their matrices laid out as one vector.

As task vectors are compared in Ilharco et al. 2023 (arXiv 2212.04089), and low-rank updates, by whole products B A, in
Ostapenko et al. 2024 (arXiv 2405.11157), who cluster a library of them by it. Factors of two trainings with different
seeds begin in different directions, of which a short training keeps much: only those of one seed compare.
"""

from __future__ import annotations

import numpy as np

from adapter_stilts.select.updates.update import Update

WHAT = "cosine of the source's update of the encoder and the target's own"


def score(source: Update, target: Update) -> float:
    """Cosine, -1 to 1; a layer that one of them leaves alone counts as zeros in it, and without any change it is 0."""
    shared = [
        float(np.vdot(matrix.astype(np.float64), target[layer].astype(np.float64)))
        for layer, matrix in source.items()
        if layer in target
    ]
    lengths = _length(source) * _length(target)
    return sum(shared) / lengths if lengths else 0.0


def _length(update: Update) -> float:
    return float(np.sqrt(sum((matrix.astype(np.float64) ** 2).sum() for matrix in update.values())))
