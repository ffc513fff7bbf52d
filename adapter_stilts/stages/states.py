"""A stage and what became of it: what executors return and results tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter_stilts.errors import AdapterStiltsError
from adapter_stilts.stages.graph import Stage


@dataclass(frozen=True)
class StageState:
    """A stage of a plan, and what became of it.

    Args:
        status: ``to run`` or ``cached``; of a run, ``ran``, ``cached``, ``failed`` or ``skipped`` (a parent failed).
        directory: where it lies, or is going to.
        error: why it failed.
    """

    stage: Stage
    status: str
    directory: Path
    error: AdapterStiltsError | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "key": self.stage.key,
            "kind": self.stage.kind,
            "task": self.stage.task,
            "status": self.status,
            "dir": str(self.directory),
            **({"error": str(self.error)} if self.error else {}),
        }
