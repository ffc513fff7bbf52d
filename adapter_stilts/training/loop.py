"""The training loop. One of it, for every task and tuning.

Speed does not change the experiment: which examples make a step is decided by a seeded order; the step's loss is
the sum over its items divided by its units, however its sequences are cut into sub-batches and micro-batches;
and every step seeds its own random state, so that a resumed run goes on bit for bit (on CPU).
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from adapter_stilts.errors import TrainingError
from adapter_stilts.formats.features import sequences_of
from adapter_stilts.model.layout import Cut
from adapter_stilts.model.multitask import Heads
from adapter_stilts.model.task_model import MicroBatch
from adapter_stilts.runtime import is_out_of_memory
from adapter_stilts.training.checkpoint import CheckpointClock
from adapter_stilts.training.learner import Learner, Trained
from adapter_stilts.training.mixture import Drawn, Mixture
from adapter_stilts.training.order import share
from adapter_stilts.training.watch import LoopWatch, Step


@dataclass(frozen=True)
class Speed:
    """How a step runs; nothing here changes its result beyond rounding."""

    micro_batch_tokens: int
    overhead_tokens: int
    checkpoint_seconds: float = 60.0


def train(
    learner: Learner, mixture: Mixture, seed: int, speed: Speed, accelerator: Any, watch: LoopWatch
) -> Trained:
    """Train the learner's model in place and leave it with the weights of the best evaluation, or a mean of several.

    Args:
        mixture: what each step trains on.
        seed: of what is random within a step, as dropout.
        accelerator: accelerate's, with its own mixed precision off (the model does its own).

    Raises:
        TrainingError: the loss is not a number, or one item alone does not fit the memory.
        KeyboardInterrupt: the watch was interrupted; a checkpoint is written.
    """
    settings = learner.settings
    total = mixture.total_steps(settings.epochs, settings.max_steps)
    learner.begin(total, speed.micro_batch_tokens, accelerator, watch.say)
    clock = CheckpointClock(speed.checkpoint_seconds)
    if learner.unjudged:
        learner.judge(watch)
    while learner.step < total and not learner.stopped:
        report = _step(learner, mixture, total, seed, speed.overhead_tokens, accelerator, watch)
        learner.log(report)
        watch.step(report)
        learner.keep()
        due = learner.step == total or (learner.step % settings.eval_every_steps == 0 and _moved(report))
        if due:
            with contextlib.suppress(KeyboardInterrupt):  # its weights are kept, and judged when it goes on
                learner.judge(watch)
        wanted = due or watch.interrupted or clock.due()
        # The mean is evaluated after the last step, and may be interrupted there.
        goes_on = learner.step < total or learner.unjudged or bool(learner.averaged)
        if accelerator.is_main_process and wanted and goes_on:
            with clock.writing():
                learner.checkpoint()
        if learner.unjudged or (watch.interrupted and learner.step < total):
            raise KeyboardInterrupt
    if learner.stopped and learner.step < total:
        watch.say(
            f"stopped at step {learner.step} of {total}: no better dev score in {settings.patience} evaluations"
        )
    trained = learner.finish()
    if trained.averaged:
        watch.say(f"the weights are the mean of those at steps {', '.join(map(str, trained.averaged))}")
    return trained


def _moved(report: Step) -> bool:
    """Whether any step has changed a weight: the first of a warm-up has a rate of 0, and is not to be chosen."""
    return report.step > 1 or report.learning_rate > 0


def _step(
    learner: Learner,
    mixture: Mixture,
    total: int,
    seed: int,
    overhead: int,
    accelerator: Any,
    watch: LoopWatch,
) -> Step:
    """One optimizer step, and its report."""
    began = time.perf_counter()
    rate, drawn = learner.learning_rate, mixture.step(learner.step)
    loss, padded = _gradients(learner, drawn, (seed, learner.step), overhead, accelerator, watch)
    if not math.isfinite(loss):
        of = f" of {drawn.task}" if drawn.task else ""
        raise TrainingError(
            f"the loss{of} is {loss} at step {learner.step + 1} of {total}, learning rate {rate:.2e}: lower the "
            "learning rate (--set target.learning_rate=… or intermediate.learning_rate=…), lengthen warm-up, "
            "or use fp32"
        )
    learner.update()
    seconds = time.perf_counter() - began
    rows, _ = sequences_of(drawn.features, drawn.items, drawn.format.ITEMS)
    tokens = int(drawn.features.input_ids.lengths[rows].sum())
    return Step(learner.step, total, loss, rate, tokens, padded, seconds, drawn.task)


def _gradients(
    learner: Learner,
    drawn: Drawn,
    seed: tuple[int, int],
    overhead: int,
    accelerator: Any,
    watch: LoopWatch,
) -> tuple[float, int]:
    """Leave the gradients of one step; its mean loss, and tokens with their padding. Halves the micro-batch while
    memory fails."""
    model, features, items, format = learner.model, drawn.features, drawn.items, drawn.format
    own = share(items, drawn.lengths, accelerator.process_index, accelerator.num_processes)
    # A process without items still takes part in the gradient exchange, with one item of no weight.
    idle = len(own) == 0
    units = format.units(features, items)
    scale = 0.0 if idle else accelerator.num_processes / units
    own = items[:1] if idle else own
    while True:
        cuts = model.layout.cut(features, own, format.ITEMS, learner.budget, overhead)
        try:
            torch.manual_seed(_mix(*seed, accelerator.process_index))
            loss = _passes(learner, drawn, cuts, scale, accelerator)
            break
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            smallest = len(own) == 1 or all(len(cut.items) == 1 for cut in cuts)
            if smallest or accelerator.num_processes > 1:
                raise TrainingError(_out_of_memory(learner.budget, len(own))) from error
            model.zero_grad(set_to_none=True)
            learner.budget = min(learner.budget, max(cut.tokens for cut in cuts)) // 2
            watch.say(
                f"out of memory: micro-batch halved to {learner.budget} tokens, accumulation doubled; "
                "the result does not change"
            )
            if model.device.type == "cuda":
                torch.cuda.empty_cache()
    if accelerator.num_processes > 1:
        loss = accelerator.reduce(loss, "mean")
        if isinstance(model.head, Heads) and drawn.head is not None:
            model.head.forget(drawn.head)
    return float(loss), sum(cut.tokens for cut in cuts)


def _passes(learner: Learner, drawn: Drawn, cuts: Sequence[Cut], scale: float, accelerator: Any) -> Tensor:
    """Forward and backward through every micro-batch of a step; the sum of their losses."""
    model = learner.model.train()
    loss = torch.zeros((), device=model.device)
    for number, cut in enumerate(cuts):
        micro = MicroBatch(drawn.features, cut.items, cut.parts, scale, drawn.head, drawn.perturb)
        # Gradients are exchanged once a step: after its last micro-batch.
        last = number == len(cuts) - 1
        with contextlib.nullcontext() if last else accelerator.no_sync(learner.wrapped):
            part = learner.wrapped(micro)
            accelerator.backward(part)
        loss += part.detach()
    return loss


def _mix(seed: int, step: int, process: int) -> int:
    """One integer from three, so that no two (seed, step, process) share their dropout."""
    value = (seed * 1_000_003 + step) * 1_000_003 + process
    return value % (2**63)


def _out_of_memory(budget: int, items: int) -> str:
    return (
        f"out of memory even with one example at a time ({budget} tokens, {items} items of the step on this process): "
        "lower formats.*.max_length, use --set gradient_checkpointing=true or --precision bf16, or a smaller --base"
    )
