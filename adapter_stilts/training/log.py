"""log.jsonl: one line a step; lines of steps that will run again are dropped on resume."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from adapter_stilts.io import INSTEAD, disk_errors
from adapter_stilts.training.watch import Step


class StepLog:
    """The log of a run that begins after `start` steps.

    Args:
        say: is told where lines of the steps before are missing.
    """

    def __init__(self, path: Path, start: int, say: Callable[[str], None]) -> None:
        self._path = path
        self._pending: list[str] = []
        kept = self._kept(start) if path.exists() else []
        if len(kept) < start:
            say(
                f"{path.name} is damaged: it holds {len(kept)} of {start} steps made, and goes on without the others"
            )
        with disk_errors(path, INSTEAD):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(kept))

    def _kept(self, start: int) -> list[bytes]:
        """The lines of steps 1, 2 ... up to `start`; a line that a kill cut short, or is damaged, is left out."""
        kept = []
        for line in self._path.read_bytes().splitlines():
            try:
                step = json.loads(line)["step"]
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
            if isinstance(step, int) and 0 < step <= start:
                kept.append(line + b"\n")
        return kept

    def write(self, step: Step) -> None:
        entry = {
            "step": step.step,
            **({"task": step.task} if step.task else {}),
            "loss": round(step.loss, 6),
            "learning_rate": step.learning_rate,
            "tokens": step.tokens,
            "padded_tokens": step.padded_tokens,
            "tokens_per_second": round(step.tokens / max(step.seconds, 1e-9), 1),
        }
        self._pending.append(json.dumps(entry) + "\n")

    def flush(self) -> None:
        with disk_errors(self._path, INSTEAD), self._path.open("a", encoding="utf-8") as file:
            file.writelines(self._pending)
        self._pending.clear()
