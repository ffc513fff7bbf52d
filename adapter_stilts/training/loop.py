"""The training loop. One of it, for every task and tuning.

Speed does not change the experiment: which examples make a step is decided by a seeded order; the step's loss is
the sum over its items divided by its units, however its sequences are cut into sub-batches and micro-batches;
and every step seeds its own random state, so that a resumed run goes on bit for bit (on CPU).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from adapter_stilts.errors import TrainingError
from adapter_stilts.formats.features import Features
from adapter_stilts.io import disk_errors
from adapter_stilts.model.multitask import Heads
from adapter_stilts.model.task_model import MicroBatch, TaskModel
from adapter_stilts.model.tuning.base import Tuning
from adapter_stilts.recipe import Optimizer, TrainingSettings
from adapter_stilts.runtime import is_out_of_memory
from adapter_stilts.training.batching import cut_step, sequences_of, share
from adapter_stilts.training.checkpoint import (
    INSTEAD,
    read_best,
    read_checkpoint,
    write_best,
    write_checkpoint,
)
from adapter_stilts.training.mixture import Drawn, Mixture, alone
from adapter_stilts.training.optim import build_optimizer, build_schedule
from adapter_stilts.training.sparse_rows import clipped

# Checkpoints take at most this share of the time, however slow the disk.
CHECKPOINT_SHARE = 0.05


@dataclass(frozen=True)
class Step:
    """What one optimizer step reports."""

    step: int
    total_steps: int
    loss: float
    learning_rate: float
    tokens: int
    """Real (non-padding) tokens of the step, over all processes."""
    padded_tokens: int
    seconds: float
    task: str | None = None
    """What the step trained on, in a mixture."""


@dataclass(frozen=True)
class Trained:
    """The outcome; the model holds the chosen weights."""

    steps: int
    best_step: int
    metrics: dict[str, float]
    micro_batch_tokens: int


@dataclass(frozen=True)
class Speed:
    """How a step runs; nothing here changes its result beyond rounding."""

    micro_batch_tokens: int
    overhead_tokens: int
    checkpoint_seconds: float = 60.0


class Watch:
    """What a loop tells: override what you want to hear."""

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


def train(
    model: TaskModel,
    tuning: Tuning,
    data: Features | Mixture,
    evaluate: Callable[[TaskModel], dict[str, float]] | None,
    settings: TrainingSettings,
    optimizer_name: Optimizer,
    seed: int,
    speed: Speed,
    work: Path,
    accelerator: Any,
    watch: Watch,
) -> Trained:
    """Train `model` in place and leave it with the weights of the best evaluation.

    Args:
        data: the train split, or several to draw from.
        evaluate: dev metrics in percent of the current weights; their mean chooses the checkpoint. None keeps
            the last weights. Where it raises KeyboardInterrupt, it is called again when the run goes on.
        work: folder of checkpoints and the log; a run that finds some there goes on from them.
        accelerator: accelerate's, with its own mixed precision off (the model does its own).

    Raises:
        TrainingError: the loss is not a number, or one item alone does not fit the memory.
    """
    mixture = data
    if isinstance(mixture, Features):
        assert model.format is not None
        mixture = alone(mixture, model.format, settings, seed)
    total = mixture.total_steps(settings.epochs, settings.max_steps)
    optimizer = build_optimizer(model, settings, optimizer_name)
    schedule = build_schedule(optimizer, settings.warmup_ratio, total)
    state = _State(budget=speed.micro_batch_tokens)
    start = _resume(model, tuning, optimizer, schedule, state, work, watch)
    wrapped, prepared = accelerator.prepare(model, optimizer)
    log = _Log(work / "log.jsonl", start, watch.say) if accelerator.is_main_process else None
    last_checkpoint = _Clock()
    stopped = state.stopped
    step = start

    def judge() -> bool:
        assert evaluate is not None
        return _evaluate(model, tuning, evaluate, settings, state, step, work, accelerator, watch)

    if state.unjudged and evaluate is not None:
        state.unjudged, stopped = False, judge()
    while step < total and not stopped:
        began = time.perf_counter()
        rate = float(schedule.get_last_lr()[0])
        drawn = mixture.step(step)
        loss, tokens, padded = _step(wrapped, model, drawn, state, speed, accelerator, watch, (seed, step))
        if not math.isfinite(loss):
            of = f" of {drawn.task}" if drawn.task else ""
            raise TrainingError(
                f"the loss{of} is {loss} at step {step + 1} of {total}, learning rate {rate:.2e}: lower the "
                "learning rate (--set target.learning_rate=… or intermediate.learning_rate=…), lengthen warm-up, "
                "or use fp32"
            )
        accelerator.clip_grad_norm_(clipped(optimizer, wrapped.parameters()), settings.max_grad_norm)
        prepared.step()
        schedule.step()
        prepared.zero_grad(set_to_none=True)
        step += 1
        seconds = time.perf_counter() - began
        report = Step(step, total, loss, rate, tokens, padded, seconds, drawn.task)
        if log is not None:
            log.write(report)
        watch.step(report)
        due = step % settings.eval_every_steps == 0 or step == total
        if due and evaluate is not None:
            try:
                stopped = judge()
            except KeyboardInterrupt:  # its weights are kept, and judged when it goes on
                state.unjudged = True
        wanted = due or watch.interrupted or last_checkpoint.due(speed.checkpoint_seconds)
        goes_on = step < total or state.unjudged
        if accelerator.is_main_process and wanted and goes_on:
            with last_checkpoint.writing():
                assert log is not None
                log.flush()
                loop = {"schedule": schedule.state_dict(), **state.to_json(), "stopped": stopped}
                write_checkpoint(work, step, tuning.state(model), optimizer, loop)
        if state.unjudged or (watch.interrupted and step < total):
            raise KeyboardInterrupt
    if log is not None:
        log.flush()
    if stopped and step < total:
        watch.say(
            f"stopped at step {step} of {total}: no better dev score in {settings.patience} evaluations"
        )
    best_step = state.best_step if state.best_step is not None else step
    if best_step != step:
        accelerator.wait_for_everyone()
        tuning.load_state(model, read_best(work, best_step))
    return Trained(step, best_step, state.best_metrics, state.budget)


@dataclass
class _State:
    """What the loop carries beside weights and optimizer."""

    budget: int
    best_step: int | None = None
    best_metrics: dict[str, float] = None  # type: ignore[assignment]
    without_gain: int = 0
    stopped: bool = False
    unjudged: bool = False
    """Whether it was interrupted before the step's dev evaluation was through."""

    def __post_init__(self) -> None:
        self.best_metrics = self.best_metrics or {}

    def to_json(self) -> dict[str, Any]:
        return {
            "budget": self.budget,
            "best_step": self.best_step,
            "best_metrics": self.best_metrics,
            "without_gain": self.without_gain,
            "unjudged": self.unjudged,
        }


def _resume(
    model: TaskModel,
    tuning: Tuning,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LambdaLR,
    state: _State,
    work: Path,
    watch: Watch,
) -> int:
    found = read_checkpoint(work, watch.say)
    if found is None:
        return 0
    tuning.load_state(model, found.model)
    optimizer.load_state_dict(found.optimizer)
    schedule.load_state_dict(found.loop["schedule"])
    # Steps are cut as before the interruption, even where the memory would now allow another cut.
    state.budget = found.loop["budget"]
    state.best_step, state.best_metrics = found.loop["best_step"], found.loop["best_metrics"]
    state.without_gain, state.stopped = found.loop["without_gain"], found.loop["stopped"]
    state.unjudged = found.loop.get("unjudged", False)  # which checkpoints of before do not say
    watch.say(f"resuming at step {found.step}")
    return found.step


def _step(
    wrapped: torch.nn.Module,
    model: TaskModel,
    drawn: Drawn,
    state: _State,
    speed: Speed,
    accelerator: Any,
    watch: Watch,
    seed: tuple[int, int],
) -> tuple[float, int, int]:
    """Gradients of one step: its mean loss, real and padded tokens. Halves the micro-batch while memory fails."""
    features, items, format = drawn.features, drawn.items, drawn.format
    own = share(items, drawn.lengths, accelerator.process_index, accelerator.num_processes)
    # A process without items still takes part in the gradient exchange, with one item of no weight.
    idle = len(own) == 0
    units = format.units(features, items)
    scale = 0.0 if idle else accelerator.num_processes / units
    own = items[:1] if idle else own
    while True:
        cuts = cut_step(features, own, format.ITEMS, state.budget, speed.overhead_tokens)
        try:
            torch.manual_seed(_mix(*seed, accelerator.process_index))
            model.train()
            loss = torch.zeros((), device=model.device)
            for number, cut in enumerate(cuts):
                micro = MicroBatch(features, cut.items, cut.parts, scale, drawn.head, drawn.perturb)
                last = number == len(cuts) - 1
                with _maybe(not last, accelerator, wrapped):
                    part = wrapped(micro)
                    accelerator.backward(part)
                loss += part.detach()
            break
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            smallest = len(own) == 1 or all(len(cut.items) == 1 for cut in cuts)
            if smallest or accelerator.num_processes > 1:
                raise TrainingError(_out_of_memory(state.budget, len(own))) from error
            model.zero_grad(set_to_none=True)
            widest = max(
                sum(len(p) * int(features.input_ids.lengths[p].max()) for p in c.parts) for c in cuts
            )
            state.budget = min(state.budget, widest) // 2
            watch.say(
                f"out of memory: micro-batch halved to {state.budget} tokens, accumulation doubled; "
                "the result does not change"
            )
            if model.device.type == "cuda":
                torch.cuda.empty_cache()
    if accelerator.num_processes > 1:
        loss = accelerator.reduce(loss, "mean")
        if isinstance(model.head, Heads) and drawn.head is not None:
            model.head.forget(drawn.head)
    real = int(features.input_ids.lengths[sequences_of(features, items, format.ITEMS)[0]].sum())
    padded = sum(len(p) * int(features.input_ids.lengths[p].max()) for c in cuts for p in c.parts)
    return float(loss), real, padded


def _evaluate(
    model: TaskModel,
    tuning: Tuning,
    evaluate: Callable[[TaskModel], dict[str, float]],
    settings: TrainingSettings,
    state: _State,
    step: int,
    work: Path,
    accelerator: Any,
    watch: Watch,
) -> bool:
    """Evaluate on dev, keep the weights if they are the best; True where patience is at its end."""
    metrics = evaluate(model)
    watch.evaluated(step, metrics)
    if state.best_step is None or _mean(metrics) > _mean(state.best_metrics):
        state.best_step, state.best_metrics, state.without_gain = step, metrics, 0
        if accelerator.is_main_process:
            write_best(work, step, tuning.state(model))
    else:
        state.without_gain += 1
    return settings.patience is not None and state.without_gain >= settings.patience


def _mean(metrics: Mapping[str, float]) -> float:
    return sum(metrics.values()) / len(metrics)


def _mix(seed: int, step: int, process: int) -> int:
    """One integer from three, so that no two (seed, step, process) share their dropout."""
    value = (seed * 1_000_003 + step) * 1_000_003 + process
    return value % (2**63)


def _maybe(held: bool, accelerator: Any, wrapped: torch.nn.Module) -> Any:
    """Gradients are exchanged once a step: after its last micro-batch."""
    import contextlib

    return accelerator.no_sync(wrapped) if held else contextlib.nullcontext()


def _out_of_memory(budget: int, items: int) -> str:
    return (
        f"out of memory even with one example at a time ({budget} tokens, {items} items of the step on this process): "
        "lower formats.*.max_length, use --set gradient_checkpointing=true or --precision bf16, or a smaller --base"
    )


class _Log:
    """log.jsonl: one line a step; lines of steps that will run again are dropped on resume."""

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


class _Clock:
    """When the next checkpoint is due: not too soon, and not too large a share of the time."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._cost = 0.0

    def due(self, seconds: float) -> bool:
        return time.perf_counter() - self._last >= max(seconds, self._cost / CHECKPOINT_SHARE)

    def writing(self) -> _Clock:
        return self

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._last = time.perf_counter()
        self._cost = self._last - self._began
