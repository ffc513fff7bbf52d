"""The combinations there are: mode × architecture × combine × precision.

Nothing is listed here: a combination exists where the checks that a run goes through before its first stage let it
through, so that a new tuning, architecture or merge method appears by itself.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, get_args

from adapter_stilts.errors import UsageError
from adapter_stilts.model.merge import METHODS, Merge, equal_weights
from adapter_stilts.model.tuning import get_tuning, tuning_names, tuning_settings
from adapter_stilts.recipe import Precision, Recipe
from adapter_stilts.validation import validated

WAYS = ("continue", "stack", "fuse", "merge")
"""How intermediate results enter target training, by their names on the command line."""
HOW = (*WAYS[:-1], *(f"merge:{method}" for method in METHODS))
"""The same with every method of merging."""
PRECISIONS: tuple[str, ...] = get_args(Precision)


@dataclass(frozen=True)
class Combination:
    """One way to train.

    Args:
        architecture: of the modules; None where a mode has one alone.
        combine: as ``--combine`` takes it, e.g. ``merge:ties``.
    """

    mode: str
    architecture: str | None
    combine: str
    precision: str

    @property
    def tuning(self) -> dict[str, dict[str, Any]]:
        """The recipe's settings of the mode."""
        return {self.mode: {"architecture": self.architecture}} if self.architecture else {}

    def refusal(self) -> str | None:
        """Why there is no such combination; None where there is."""
        try:
            values = {"mode": self.mode, "precision": self.precision, "combine": self.combine}
            validated(Recipe, values, "recipe")
            settings = tuning_settings(self.mode, self.tuning)
            tuning = get_tuning(self.mode)
            tuning.backbone_weights(settings, self.precision)
            way, _, method = self.combine.partition(":")
            if way == "merge":
                tuning.check_merge(Merge(method, equal_weights(2)))
            elif way != "continue":
                tuning.check_combine(way, settings)
        except UsageError as error:
            return str(error)
        return None


def architectures(mode: str) -> tuple[str | None, ...]:
    """The architectures that a mode offers; None alone where it has no choice."""
    field = get_tuning(mode).Settings.model_fields.get("architecture")
    return (None,) if field is None else get_args(field.annotation)


def grid() -> tuple[Combination, ...]:
    """Every combination one can ask for, whether it exists or not; full fine-tuning first."""
    modes = sorted(tuning_names(), key=lambda mode: (not get_tuning(mode).WHOLE, mode))
    return tuple(
        Combination(mode, architecture, how, precision)
        for mode in modes
        for architecture in architectures(mode)
        for how, precision in itertools.product(HOW, PRECISIONS)
    )


def combinations() -> tuple[Combination, ...]:
    """The combinations that exist."""
    return tuple(combination for combination in grid() if combination.refusal() is None)
