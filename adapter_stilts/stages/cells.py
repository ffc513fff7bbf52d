"""Planned cells: what was asked for, and the stage that answers it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from adapter_stilts.stages.graph import Stage


@dataclass(frozen=True)
class Limits:
    """First examples taken alone; None takes all.

    Args:
        intermediate: of the intermediate train sets.
        target: of the target's train set.
        evaluation: of each language's test set.
    """

    intermediate: int | None = None
    target: int | None = None
    evaluation: int | None = None


@dataclass(frozen=True)
class Cell:
    """One intermediate task (or ``none``) and one target, with the stage that evaluates it.

    Args:
        inter: its name, as it was asked for.
        seed: None of a bundle that no seed made.
        added: the baseline that a recipe adds, which nobody asked for by name.
    """

    inter: str
    target: str
    evaluate: Stage
    mode: str
    precision: str
    base: str
    seed: int | None
    limits: Limits
    added: bool = False

    def about(self) -> dict[str, Any]:
        """What a result is of, beside its target."""
        return {
            "inter": self.inter,
            "mode": self.mode,
            "precision": self.precision,
            "base": self.base,
            "seed": self.seed,
            "limits": asdict(self.limits),
        }
