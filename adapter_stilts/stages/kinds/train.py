"""Training: a model is built, trained, and written as a bundle."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter_stilts.io import INSTEAD, linked, whole_directory
from adapter_stilts.model.bundle import write_bundle
from adapter_stilts.model.bundle_info import EVALUATION_STEP, EVALUATIONS, BundleInfo
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.runtime import OVERHEAD_TOKENS, total_memory, versions
from adapter_stilts.stages.command import command_of
from adapter_stilts.stages.context import Context, Machine
from adapter_stilts.stages.course import Course, course
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.kinds import Running
from adapter_stilts.stages.parts import TrainPart
from adapter_stilts.stages.record import KEPT_EVALUATIONS
from adapter_stilts.stages.tracking import track_dev, track_step, tracked
from adapter_stilts.training.checkpoint import evaluation_directory
from adapter_stilts.training.learner import Learner
from adapter_stilts.training.loop import Speed, train
from adapter_stilts.training.memory import Training, micro_batch_tokens, pass_tokens
from adapter_stilts.training.watch import LoopWatch, Step

LOG = "log.jsonl"


def run(running: Running, part: TrainPart) -> None:
    stage, context = running.stage, running.context
    machine = context.machine
    command = command_of(stage, context.inputs)  # what cannot be told is told before training
    chosen = course(stage, part, context)
    chosen.model.to(machine.accelerator.device)
    speed = Speed(
        machine.runtime.micro_batch_tokens or _pass_tokens(chosen, part, context, len(stage.parents)),
        OVERHEAD_TOKENS.get(machine.device, OVERHEAD_TOKENS["cuda"]),
        machine.runtime.checkpoint_seconds,
    )
    counter, work = _Counter(machine), machine.store.work(stage)
    bundles = _Bundles(stage, part, context, chosen, command)
    learner = Learner(
        chosen.model,
        get_tuning(part.mode),
        part.training,
        part.optimizer,
        chosen.evaluate,
        work,
        bundles.keep if part.training.keep_evaluations else None,
    )
    with tracked(stage, machine):
        trained = train(learner, chosen.mixture, part.seed, speed, machine.accelerator, counter)
    if not machine.writes:
        return
    record = {
        "steps": trained.steps,
        "best_step": trained.best_step,
        **({"averaged_steps": list(trained.averaged)} if trained.averaged else {}),
        "dev": trained.metrics,
        "evaluations": [{"step": step, "dev": metrics} for step, metrics in trained.evaluations],
        **({KEPT_EVALUATIONS: list(trained.kept_evaluations)} if trained.kept_evaluations else {}),
        **chosen.record(),
        "micro_batch_tokens": trained.micro_batch_tokens,
        **counter.summary(),
    }
    with running.commit(record) as aside:
        bundle = aside / "bundle"
        bundle.mkdir()
        bundles.write(bundle, trained.metrics)
        shutil.copyfile(work / LOG, aside / LOG)
        for step in trained.kept_evaluations:
            # Linked: a run that is killed here finds them where they were.
            to = aside / EVALUATIONS / evaluation_directory(work, step).name
            shutil.copytree(evaluation_directory(work, step), to, copy_function=linked)


@dataclass(frozen=True)
class _Bundles:
    """Writes what the model is as bundles.

    Args:
        command: that makes the stage.
    """

    stage: Stage
    part: TrainPart
    context: Context
    chosen: Course
    command: str | None

    def write(self, directory: Path, metrics: dict[str, float], **settings: Any) -> None:
        """Fill an empty folder.

        Args:
            metrics: on dev.
            settings: beside those of the stage.
        """
        described, base = self.chosen.described(self.stage.task), self.context.inputs.base
        info = BundleInfo(
            tuning=self.part.mode,
            base=base.id,
            base_revision=base.commit,
            base_fingerprint=base.fingerprint,
            **{**described, "settings": {**described["settings"], **settings}},
            parents=tuple(parent.key for parent in self.stage.parents),
            metrics=metrics,
            versions=versions(),
            command=self.command,
        )
        self.chosen.save(directory)
        write_bundle(directory, info, self.context.tokenizer.tokenizer)

    def keep(self, directory: Path, step: int, metrics: dict[str, float]) -> None:
        """Keep the model of an evaluation, whole or not at all."""
        with whole_directory(directory, INSTEAD) as aside:
            self.write(aside, metrics, **{EVALUATION_STEP: step})


def _pass_tokens(chosen: Course, part: TrainPart, context: Context, parents: int) -> int:
    """Tokens of the first micro-batches: those that fit a GPU; on a CPU, those that take a quarter of the memory."""
    machine = context.machine
    # By attribute: families name their sizes otherwise in the file (T5's num_layers, DistilBERT's dim).
    config: Any = chosen.model.encoder.config
    if machine.device != "cuda":
        sizes = {name: getattr(config, name) for name in ("num_hidden_layers", "hidden_size")}
        return micro_batch_tokens(sizes, machine.device, part.gradient_checkpointing)
    training = Training(
        context.inputs.base.config,
        part.mode,
        part.tuning,
        part.precision,
        part.optimizer,
        part.gradient_checkpointing,
        machine.device,
        part.combine,
        parents,
    )
    items = -(-part.training.batch_size // machine.accelerator.num_processes)
    return pass_tokens(training, chosen.mixture, items, total_memory(machine.device))


class _Counter(LoopWatch):
    """Passes a loop's reports on, to trackers too, and sums up its speed."""

    def __init__(self, machine: Machine) -> None:
        self._watch, self._accelerator = machine.watch, machine.accelerator
        self._tokens = self._padded = 0
        self._seconds = 0.0

    def step(self, step: Step) -> None:
        self._tokens += step.tokens
        self._padded += step.padded_tokens
        self._seconds += step.seconds
        track_step(step, self._accelerator)
        self._watch.step(step)

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        track_dev(step, metrics, self._accelerator)
        self._watch.evaluated(step, metrics)

    def say(self, message: str) -> None:
        self._watch.say(message)

    @property
    def interrupted(self) -> bool:
        return self._watch.interrupted

    def summary(self) -> dict[str, Any]:
        """Of the steps run by this process (a resumed stage counts from its last checkpoint)."""
        return {
            "real_token_share": round(self._tokens / max(1, self._padded), 4),
            "tokens_per_second": round(self._tokens / max(1e-9, self._seconds), 1),
            "step_seconds": round(self._seconds, 3),
        }
