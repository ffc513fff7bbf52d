"""What a run tells while it runs, beside its training loops."""

from __future__ import annotations

from typing import Any

from adapter_stilts.stages.graph import Stage
from adapter_stilts.training.watch import LoopWatch


class Watch(LoopWatch):
    """Override what you want to hear; as it stands it is silent."""

    def attached(self, accelerator: Any, stages: tuple[Stage, ...]) -> None:
        """Before the first stage: accelerate's Accelerator (with its trackers), and all stages in order."""

    def started(self, stage: Stage, number: int, total: int) -> None:
        """Before a stage is looked up."""

    def preparing(self, doing: str) -> None:
        """Before a stage reads, encodes or loads something that may take a while."""

    def finished(self, stage: Stage, status: str, seconds: float) -> None:
        """After a stage: ``ran``, ``cached``, ``failed`` or ``skipped``."""

    def predicting(self, done: int, total: int) -> None:
        """Tokens of an evaluation done so far."""
