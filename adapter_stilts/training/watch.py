"""Reports of a loop, and who hears them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """The report of one optimizer step."""

    step: int
    total_steps: int
    loss: float
    learning_rate: float
    tokens: int
    """Real (non-padding) tokens of the step, over all processes."""
    padded_tokens: int
    seconds: float
    task: str | None = None
    """The task that the step trained on, in a mixture."""


class LoopWatch:
    """Hears a loop's reports: override what you want to hear."""

    @property
    def interrupted(self) -> bool:
        """True once the user asked to stop; the loop then writes a checkpoint and leaves."""
        return False

    def step(self, step: Step) -> None:
        """After every optimizer step."""

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        """After every evaluation on dev."""

    def say(self, message: str) -> None:
        """Anything a user should know: a fall-back, halved memory, an early stop."""
