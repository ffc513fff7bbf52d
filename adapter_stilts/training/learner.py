"""One trained thing: its weights, how they are updated, which of them are the best, and what survives a kill."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning.base import Tuning
from adapter_stilts.recipe import Optimizer, TrainingSettings
from adapter_stilts.training.averaging import averaged_steps
from adapter_stilts.training.checkpoint import (
    evaluation_directory,
    read_best,
    read_checkpoint,
    read_kept,
    write_best,
    write_checkpoint,
    write_kept,
)
from adapter_stilts.training.log import StepLog
from adapter_stilts.training.optim import build_optimizer, build_schedule
from adapter_stilts.training.sparse_rows import clipped
from adapter_stilts.training.watch import LoopWatch, Step

Evaluate: TypeAlias = Callable[[TaskModel], dict[str, float]]
Keep: TypeAlias = Callable[[Path, int, dict[str, float]], None]
"""Writes a sealed folder of the model as it is after a step, with its dev metrics; in the main process."""


@dataclass(frozen=True)
class Trained:
    """The outcome; the model holds the chosen weights.

    Args:
        best_step: of the chosen weights; None where they are the mean of several steps'.
        metrics: of the chosen weights.
        evaluations: step and dev metrics of each evaluation, in their order.
        averaged: the steps whose weights' mean they are.
        kept_evaluations: the steps of the evaluations of which something is kept.
    """

    steps: int
    best_step: int | None
    metrics: dict[str, float]
    micro_batch_tokens: int
    evaluations: tuple[tuple[int, dict[str, float]], ...] = ()
    averaged: tuple[int, ...] = ()
    kept_evaluations: tuple[int, ...] = ()


class Learner:
    """A model in training, which it changes in place.

    Args:
        tuning: tells which tensors of the model are trained.
        optimizer: the name of one.
        evaluate: dev metrics in percent of the current weights; their mean chooses the checkpoint. None keeps
            the last weights. Where it raises KeyboardInterrupt, it is called again when the run goes on.
        work: folder of checkpoints and the log; a run that finds some there goes on from them.
        keep: keeps what is wanted of each evaluation, also where there is no dev split to judge by.

    Attributes:
        step: optimizer steps made.
        budget: tokens of a micro-batch, padding included.
        stopped: whether patience is at its end.
        unjudged: whether it was interrupted before the step's dev evaluation was through.
        averaged: the steps whose weights' mean it ends with; none where it ends with the best on dev.
    """

    def __init__(
        self,
        model: TaskModel,
        tuning: Tuning,
        settings: TrainingSettings,
        optimizer: Optimizer,
        evaluate: Evaluate | None,
        work: Path,
        keep: Keep | None = None,
    ) -> None:
        self.model, self.tuning, self.settings = model, tuning, settings
        self._evaluate, self._work, self._keep = evaluate, work, keep
        self._optimizer = build_optimizer(model, settings, optimizer)
        self.step = 0
        self.stopped = self.unjudged = False
        self.averaged: tuple[int, ...] = ()
        self._kept_evaluations: list[int] = []
        self._best_step: int | None = None
        self._best_metrics: dict[str, float] = {}
        self._evaluations: list[tuple[int, dict[str, float]]] = []
        self._without_gain = 0

    def begin(self, total: int, budget: int, accelerator: Any, say: Callable[[str], None]) -> None:
        """Make ready for training of `total` steps, going on from the last checkpoint where there is one.

        Raises:
            CheckpointError: the checkpoint is of another model.
            TrainingError: there are fewer steps than are to be averaged.
        """
        self.averaged = averaged_steps(total, self.settings.average)
        self._schedule = build_schedule(self._optimizer, self.settings.warmup_ratio, total)
        self.budget = budget
        self._resume(say)
        self._accelerator = accelerator
        self.wrapped, self._prepared = accelerator.prepare(self.model, self._optimizer)
        main = accelerator.is_main_process
        self._log = StepLog(self._work / "log.jsonl", self.step, say) if main else None

    def _resume(self, say: Callable[[str], None]) -> None:
        found = read_checkpoint(self._work, say)
        if found is None:
            return
        self.tuning.load_state(self.model, found.model)
        self._optimizer.load_state_dict(found.optimizer)
        self._schedule.load_state_dict(found.loop["schedule"])
        # Steps are cut as before the interruption, even where the memory would now allow another cut.
        self.budget = found.loop["budget"]
        self._best_step, self._best_metrics = found.loop["best_step"], found.loop["best_metrics"]
        self._without_gain, self.stopped = found.loop["without_gain"], found.loop["stopped"]
        # Which checkpoints of before do not say.
        self.unjudged = found.loop.get("unjudged", False)
        self._evaluations = [(step, metrics) for step, metrics in found.loop.get("evaluations", ())]
        self._kept_evaluations = list(found.loop.get("kept_evaluations", ()))
        self.step = found.step
        say(f"resuming at step {found.step}")

    @property
    def learning_rate(self) -> float:
        """That of the next update."""
        return float(self._schedule.get_last_lr()[0])

    def update(self) -> None:
        """One optimizer step with the gradients that are there; none are left."""
        self._accelerator.clip_grad_norm_(
            clipped(self._optimizer, self.wrapped.parameters()), self.settings.max_grad_norm
        )
        self._prepared.step()
        self._schedule.step()
        self._prepared.zero_grad(set_to_none=True)
        self.step += 1

    def log(self, report: Step) -> None:
        """Keep a step's line for the next time the log is written."""
        if self._log is not None:
            self._log.write(report)

    def keep(self) -> None:
        """Keep the step's weights where they will be averaged. The main process writes them."""
        if self.step in self.averaged and self._accelerator.is_main_process:
            write_kept(self._work, self.step, self.tuning.state(self.model))

    def judge(self, watch: LoopWatch) -> None:
        """Evaluate on dev, keep the weights if they are the best, and lose patience if they are not.

        Where weights are averaged none are chosen, and dev only tells how they come along.
        """
        if self._evaluate is None:
            self._keep_evaluation({})
            return
        self.unjudged = True
        metrics = self._evaluate(self.model)
        watch.evaluated(self.step, metrics)
        self._evaluations.append((self.step, metrics))
        self._keep_evaluation(metrics)
        self.unjudged = False
        if self.averaged:
            return
        if self._best_step is None or _mean(metrics) > _mean(self._best_metrics):
            self._best_step, self._best_metrics, self._without_gain = self.step, metrics, 0
            if self._accelerator.is_main_process:
                write_best(self._work, self.step, self.tuning.state(self.model))
        else:
            self._without_gain += 1
        self.stopped = self.settings.patience is not None and self._without_gain >= self.settings.patience

    def _keep_evaluation(self, metrics: dict[str, float]) -> None:
        if self._keep is None:
            return
        self._kept_evaluations.append(self.step)
        if self._accelerator.is_main_process:
            self._keep(evaluation_directory(self._work, self.step), self.step, metrics)

    def checkpoint(self) -> None:
        """Write the log, and all that the run needs to go on from here. The main process does."""
        assert self._log is not None
        self._log.flush()
        loop = {
            "schedule": self._schedule.state_dict(),
            "budget": self.budget,
            "best_step": self._best_step,
            "best_metrics": self._best_metrics,
            "evaluations": self._evaluations,
            "without_gain": self._without_gain,
            "unjudged": self.unjudged,
            "stopped": self.stopped,
            "kept": [step for step in self.averaged if step <= self.step],
            "kept_evaluations": self._kept_evaluations,
        }
        write_checkpoint(self._work, self.step, self.tuning.state(self.model), self._optimizer, loop)

    def finish(self) -> Trained:
        """Write the log and leave the model with the weights of the best evaluation, or with the mean.

        Raises:
            KeyboardInterrupt: the evaluation of the mean was interrupted; the last checkpoint goes on from here.
        """
        if self._log is not None:
            self._log.flush()
        if self.averaged:
            self._accelerator.wait_for_everyone()
            self.tuning.load_mean(self.model, (read_kept(self._work, step) for step in self.averaged))
            metrics = {} if self._evaluate is None else self._evaluate(self.model)
            return self._trained(None, metrics)
        best_step = self._best_step if self._best_step is not None else self.step
        if best_step != self.step:
            self._accelerator.wait_for_everyone()
            self.tuning.load_state(self.model, read_best(self._work, best_step))
        return self._trained(best_step, self._best_metrics)

    def _trained(self, best_step: int | None, metrics: dict[str, float]) -> Trained:
        told = (tuple(self._evaluations), self.averaged, tuple(self._kept_evaluations))
        return Trained(self.step, best_step, metrics, self.budget, *told)


def _mean(metrics: Mapping[str, float]) -> float:
    return sum(metrics.values()) / len(metrics)
