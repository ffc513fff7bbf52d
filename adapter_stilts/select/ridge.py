"""Estimators put together by a ridge regression that was fitted where the truth is known, the target at hand left out.

Within a target each estimator's scores have mean 0 and deviation 1 over the sources, and what the sources brought lies
between 0, the worst, and 1, the best, as in `quality.ndcg`; so targets of different spread count alike. Weights w are

    the least of  sum over targets and sources of (brought - mean - w . scores)^2 + penalty * |w|^2

without a constant, as only the order within a target counts. `benchmarks/suggest.py --record` fits them, and keeps them
in `measured.json` with a digest of the results that they come from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adapter_stilts.select.record import FILE
from adapter_stilts.select.train_set import Floats


@dataclass(frozen=True)
class Ridge:
    """Fitted weights.

    Args:
        version: of the results that they were fitted on: a digest of the two files.
        weights: by estimator.
        targets: whose truth they come from; never the one at hand.
    """

    version: str
    weights: Mapping[str, float]
    targets: tuple[str, ...]

    def combined(self, scores: Mapping[str, Sequence[float]]) -> list[float]:
        """Of each source the weighted sum of its standardised scores.

        Args:
            scores: of each estimator that has a weight, a score for each source.
        """
        columns = standardised([scores[name] for name in self.weights])
        return [float(value) for value in columns @ np.asarray(list(self.weights.values()))]


def stored(target: str) -> Ridge:
    """The weights that were fitted without a target."""
    told = json.loads(FILE.read_text(encoding="utf-8"))["ridge"]
    weights = told["without"].get(target, told["all"])
    targets = tuple(name for name in told["targets"] if name != target)
    return Ridge(told["version"], dict(zip(told["estimators"], weights, strict=True)), targets)


def standardised(scores: Sequence[Sequence[float]]) -> Floats:
    """(sources, estimators) of mean 0 and deviation 1 over the sources; zeros where all are equal.

    Args:
        scores: of each estimator, a score for each source.
    """
    columns = np.asarray(scores, dtype=np.float64).T
    centred = columns - columns.mean(axis=0)
    deviations = centred.std(axis=0)
    return np.asarray(centred / np.where(deviations > 1e-12, deviations, np.inf))


def relevance(brought: Sequence[float]) -> Floats:
    """What sources brought, between 0 and 1; zeros where all are equal."""
    values = np.asarray(brought, dtype=np.float64)
    spread = values.max() - values.min()
    return np.asarray((values - values.min()) / spread if spread else np.zeros_like(values))


def fitted(columns: Sequence[Floats], truth: Sequence[Floats], penalty: float) -> Floats:
    """(estimators,) the weights.

    Args:
        columns: of each target (sources, estimators), standardised.
        truth: of each target (sources,).
    """
    features = np.concatenate(columns)
    wanted = np.concatenate([values - values.mean() for values in truth])
    return np.asarray(
        np.linalg.solve(features.T @ features + penalty * np.eye(features.shape[1]), features.T @ wanted)
    )
