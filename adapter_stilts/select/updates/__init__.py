"""Estimators that hold a source's update of the encoder against the target's own.

One module each, whose `score` is the higher, the more alike they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from adapter_stilts.select.updates import arrow, update_cosine
from adapter_stilts.select.updates.update import Update


class UpdateEstimator(Protocol):
    """The interface of a module in `select/updates/`."""

    WHAT: str
    """What it compares, in a few words."""

    def score(self, source: Update, target: Update) -> float:
        """How alike two updates are; only the order of sources counts."""


UPDATES: Mapping[str, UpdateEstimator] = {"update_cosine": update_cosine, "arrow": arrow}
"""By name, in the order of tables. All have one vote in the combined rank."""
