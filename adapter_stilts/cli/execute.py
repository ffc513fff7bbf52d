"""Building the context that stages run in, from a command's recipe and runtime."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Any

from adapter_stilts.cli.progress import Progress
from adapter_stilts.errors import Interrupted, UnknownNameError, UsageError
from adapter_stilts.io import remove_partials
from adapter_stilts.model.backbone import ResolvedBase, load_tokenizer
from adapter_stilts.runtime import Runtime
from adapter_stilts.stages.data import Encoder
from adapter_stilts.stages.executors.local import Outcome, execute
from adapter_stilts.stages.plan import Plan
from adapter_stilts.stages.run import Context
from adapter_stilts.stages.store import Store
from adapter_stilts.tasks.sources import Source


def execute_plan(
    plan: Plan, base: ResolvedBase, runtime: Runtime, source: Source, store: Store
) -> list[Outcome] | None:
    """Run a plan here. None in a process that is not the main one of its launch (it prints nothing)."""
    accelerator = build_accelerator(runtime)
    if accelerator.is_main_process:
        remove_partials(runtime.cache, ("features/*/*",))
    progress = Progress(accelerator, quiet=not accelerator.is_main_process)
    encoder = Encoder(load_tokenizer(base), runtime.cache)
    context = Context(base, source, encoder, store, runtime, accelerator, progress, plan.bundles, plan.texts)
    with progress, _stopping_at_a_step(progress):
        outcomes = execute(plan.stages, context)
    accelerator.end_training()
    return outcomes if accelerator.is_main_process else None


def build_accelerator(runtime: Runtime) -> Any:
    """accelerate's Accelerator for the chosen device; mixed precision is the model's own business.

    Raises:
        UsageError: no such device or tracker.
    """
    import torch
    from accelerate import Accelerator

    if runtime.device not in (None, "cpu", "cuda"):
        raise UsageError(f"--device {runtime.device}: choices are cpu and cuda")
    if runtime.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch finds no GPU here; use --device cpu")
    _check_trackers(runtime.trackers)
    try:
        accelerator = Accelerator(
            cpu=runtime.device == "cpu",
            log_with=list(runtime.trackers) or None,
            project_dir=str(runtime.store / "trackers") if runtime.trackers else None,
        )
        if runtime.trackers:
            accelerator.init_trackers("adapter-stilts")
    except (ValueError, ImportError) as error:
        raise UsageError(f"--track {','.join(runtime.trackers)}: {error}") from error
    return accelerator


def _check_trackers(names: Sequence[str]) -> None:
    """Refuse what accelerate would leave out with a warning.

    Raises:
        UnknownNameError: no such tracker.
        UsageError: its package is not installed.
    """
    from accelerate.tracking import get_available_trackers
    from accelerate.utils import LoggerType

    known = [str(kind.value) for kind in LoggerType if kind is not LoggerType.ALL]
    installed = {str(kind.value) for kind in get_available_trackers()}
    for name in names:
        if name not in known:
            raise UnknownNameError("tracker", name, known)
        if name not in installed:
            raise UsageError(
                f"--track {name}: its package is not installed, so nothing would be tracked: "
                f"pip install {name.replace('_', '-')}"
            )


class _stopping_at_a_step:
    """Ctrl-C once: stop at the next safe point, in training after the step, with a checkpoint. Twice: stop at once.

    SIGTERM counts as Ctrl-C. Whatever phase it comes in, no later stage begins.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._before: dict[int, Any] = {}
        self._number: int | None = None

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        again, self._number = self._number is not None, number
        self._progress.interrupt()
        if again or not self._progress.training:
            raise Interrupted(number)
        print("stopping after this step (again to stop at once)", file=sys.stderr, flush=True)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if (
            kind is KeyboardInterrupt and self._number is not None
        ):  # the loop's or the executor's, which know no signal
            raise Interrupted(self._number)
