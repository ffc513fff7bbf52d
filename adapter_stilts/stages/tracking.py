"""Trackers of accelerate's: each training is a run of its own, named as its stage is in the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from adapter_stilts.errors import UsageError
from adapter_stilts.stages.context import Machine
from adapter_stilts.stages.graph import Stage
from adapter_stilts.training.watch import Step

PROJECT = "adapter-stilts"


@contextmanager
def tracked(stage: Stage, machine: Machine) -> Iterator[None]:
    """A run of every tracker for a stage; of trackers that group runs, in the group of what it trains after what.

    Raises:
        UsageError: a tracker cannot begin.
    """
    names, accelerator = machine.runtime.trackers, machine.accelerator
    if not names:
        yield
        return
    # TensorBoard has a folder a run, others a project with runs in it.
    project = f"{PROJECT}/{stage.name}" if set(names) == {"tensorboard"} else PROJECT
    own = {
        "wandb": {"name": stage.name, "group": stage.title},
        "mlflow": {"run_name": stage.name},
        "clearml": {"task_name": stage.name},
    }
    try:
        accelerator.init_trackers(project, init_kwargs={name: own[name] for name in names if name in own})
    except (ValueError, ImportError, OSError) as error:
        raise UsageError(f"--track {','.join(names)}: {error}") from error
    try:
        yield
    finally:
        # Not `end_training`, which ends the processes' group as well.
        for tracker in accelerator.trackers:
            tracker.finish()
        accelerator.trackers = []


def track_step(step: Step, accelerator: Any) -> None:
    """Pass a step's numbers on."""
    if accelerator.trackers:
        values = {
            "loss": step.loss,
            "learning_rate": step.learning_rate,
            "tokens_per_second": step.tokens / max(step.seconds, 1e-9),
        }
        accelerator.log(values, step=step.step)


def track_dev(step: int, metrics: Mapping[str, float], accelerator: Any) -> None:
    """Pass the metrics of an evaluation on dev on."""
    if accelerator.trackers:
        accelerator.log({f"dev/{name}": value for name, value in metrics.items()}, step=step)
