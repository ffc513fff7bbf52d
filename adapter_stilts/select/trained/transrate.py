"""TransRate: how many more bits a source's states take than those of the target's classes, each by itself.

Huang et al. 2022 (arXiv 2106.09362): R(Z) - R(Z | Y), with the coding rate R(Z) = 1/2 log det(I + Z'Z / (n eps)) of
centred states and R(Z | Y) = sum over classes c of n_c / n R(Z_c). Their listing takes the plain mean over classes,
which is the same where all have as many rows; pieces of a passage that begin an answer are few. States are scaled to
a mean squared length of 1, which is ours: else an encoder of longer states scores more.
"""

from __future__ import annotations

import numpy as np

from adapter_stilts.select.train_set import Floats
from adapter_stilts.select.trained.labelled import Labelled

WHAT = "TransRate: coding rate of the source's states less that within the target's classes"
DISTORTION = 1e-4
"""The eps above, the authors' own: the squared error that coding may leave."""


def score(states: Labelled) -> float:
    """0 or more, in nats."""
    centred = states.states - states.states.mean(axis=0)
    scale = np.sqrt((centred**2).sum(axis=1).mean())
    if not scale:
        return 0.0
    scaled = centred / scale
    within = [scaled[states.labels == name] for name in states.classes]
    return _rate(scaled) - sum(len(rows) / len(scaled) * _rate(rows) for rows in within)


def _rate(rows: Floats) -> float:
    """The coding rate of rows, in nats."""
    width = rows.shape[1]
    _, log_determinant = np.linalg.slogdet(np.eye(width) + rows.T @ rows / (len(rows) * DISTORTION))
    return float(log_determinant) / 2
