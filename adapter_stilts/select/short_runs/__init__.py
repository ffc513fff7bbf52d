"""Estimators that read a short training of the target from each source.

One module each, whose `score` is the higher, the better the source served it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from adapter_stilts.select.short_runs import few_shot, training_curve
from adapter_stilts.select.short_runs.short_run import ShortRun


class ShortRunEstimator(Protocol):
    """The interface of a module in `select/short_runs/`."""

    WHAT: str
    """What it reads, in a few words."""
    NEEDS_DEV: bool
    """Whether the run has to be scored on a dev split."""

    def score(self, run: ShortRun) -> float:
        """How well the source served the target's training; only the order of sources counts."""


SHORT_RUNS: Mapping[str, ShortRunEstimator] = {"few_shot": few_shot, "training_curve": training_curve}
"""By name, in the order of tables. All have one vote in the combined rank."""
