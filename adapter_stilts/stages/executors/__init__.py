"""Executors: where the stages of a plan run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from adapter_stilts.runtime import Runtime
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.states import StageState
from adapter_stilts.stages.watch import Watch


class Executor(Protocol):
    """Runs the stages of a plan in other processes, each of which makes the plan again from its file."""

    here: ClassVar[bool]
    """Whether they are all on this machine."""

    def execute(
        self, plan: Path, stages: Sequence[Stage], runtime: Runtime, watch: Watch
    ) -> tuple[StageState, ...]:
        """Run what is not in the store; states have the order of the stages.

        A stage that fails keeps its descendants from running, nothing else.

        Args:
            plan: its file, in the store.
            watch: is told what happens, and says when to stop.

        Raises:
            KeyboardInterrupt: asked to stop; what is finished stays.
        """
