"""Estimators of sources that are trained already: how easily the target's labels can be told from their states.

One module each, whose `score` is the higher, the easier they can.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from adapter_stilts.select.trained import h_score, logme, nleep, transrate
from adapter_stilts.select.trained.labelled import Labelled


class TrainedEstimator(Protocol):
    """The interface of a module in `select/trained/`."""

    WHAT: str
    """What it measures, in a few words."""

    def score(self, states: Labelled) -> float:
        """How well a source's states tell the target's labels; only the order of sources counts."""


TRAINED: Mapping[str, TrainedEstimator] = {
    "logme": logme,
    "h_score": h_score,
    "nleep": nleep,
    "transrate": transrate,
}
"""By name, in the order of tables. All have one vote in the combined rank."""
