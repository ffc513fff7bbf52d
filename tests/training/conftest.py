"""Small real trainings in this process: a tiny encoder with a head, features of the tiny world, the real loop."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from adapter_stilts.formats.features import Features
    from adapter_stilts.model.task_model import TaskModel

# Of each trainable format, the task of the tiny world that trains it.
TASKS = {
    "multiple_choice": "hellaswag",
    "span_qa": "squad_v1",
    "pair_classification": "snli",
    "tagging": "udpos",
}


@pytest.fixture(params=TASKS)
def task_name(request: pytest.FixtureRequest) -> str:
    """One task of every trainable format."""
    return TASKS[request.param]


@pytest.fixture(scope="session")
def encoded(tiny_base: Path, tiny_data: Path) -> Callable[..., Features]:
    """Features of a task's split."""
    from adapter_stilts.formats import get_format
    from adapter_stilts.model.backbone import load_tokenizer, resolve_base
    from adapter_stilts.recipe import Base
    from adapter_stilts.tasks import get_task
    from adapter_stilts.tasks.sources import open_source

    tokenizer = load_tokenizer(resolve_base(Base(id=str(tiny_base))))
    source = open_source(str(tiny_data))

    def call(name: str, split: Any = "train") -> Features:
        task = get_task(name)
        format = get_format(task.format)
        settings: Any = format.Settings(max_length=64)
        options = {option: values[0] for option, values in task.options.items()}
        examples = source.examples(task, split, "en", options)
        return format.encode(examples, tokenizer, settings, task.labels)

    return call


@pytest.fixture(scope="session")
def build(tiny_base: Path) -> Callable[..., TaskModel]:
    """A new model for a task: always the same weights."""
    from adapter_stilts.formats import get_format
    from adapter_stilts.model.backbone import load_encoder
    from adapter_stilts.model.heads import Head
    from adapter_stilts.model.task_model import TaskModel
    from adapter_stilts.tasks import get_task

    def call(name: str, dropout: float = 0.1, bf16: bool = False, checkpointing: bool = False) -> TaskModel:
        task = get_task(name)
        format = get_format(task.format)
        encoder = load_encoder(str(tiny_base), None, dropout, checkpointing)
        shape = format.head_shape(task.labels)
        assert shape is not None
        head = Head(shape, 32, dropout, 0.2, seed=0)
        return TaskModel(encoder, head, format, bf16=bf16)

    return call


@dataclass(frozen=True)
class Fitted:
    """A finished training."""

    outcome: Any
    digest: str
    state: Mapping[str, Any]
    losses: list[float]
    rates: list[float]
    said: list[str]
    work: Path


@pytest.fixture
def fit(
    build: Callable[..., TaskModel],
    encoded: Callable[..., Features],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Fitted]:
    """Train a task in a work folder of its own, or in the one given; keyword arguments are settings.

    With `checkpoint_seconds=0` every step leaves a checkpoint.
    """
    import itertools

    from accelerate import Accelerator

    from adapter_stilts.model.tuning import full
    from adapter_stilts.recipe import TrainingSettings
    from adapter_stilts.training.learner import Learner
    from adapter_stilts.training.loop import Speed, train
    from adapter_stilts.training.mixture import alone
    from adapter_stilts.training.watch import LoopWatch, Step

    monkeypatch.setattr("adapter_stilts.training.checkpoint.CHECKPOINT_SHARE", float("inf"))
    numbers = itertools.count()

    class Recorder(LoopWatch):
        def __init__(self, fail_after: int | None, stop_after: int | None) -> None:
            self.steps: list[Step] = []
            self.said: list[str] = []
            self._fail_after, self._stop_after = fail_after, stop_after

        @property
        def interrupted(self) -> bool:
            return bool(self.steps) and self.steps[-1].step == self._stop_after

        def step(self, step: Step) -> None:
            self.steps.append(step)
            if step.step == self._fail_after:
                raise Stopped

        def say(self, message: str) -> None:
            self.said.append(message)

    def call(
        name: str = "squad_v1",
        *,
        model: Any = None,
        features: Any = None,
        mixture: Any = None,
        evaluate: Any = None,
        work: Path | None = None,
        optimizer: Any = "adamw",
        seed: int = 0,
        budget: int = 100_000,
        overhead: int = 32,
        checkpoint_seconds: float = 1e9,
        fail_after: int | None = None,
        stop_after: int | None = None,
        dropout: float = 0.1,
        **settings: Any,
    ) -> Fitted:
        model = build(name, dropout) if model is None else model
        work = tmp_path / f"work{next(numbers)}" if work is None else work
        full.attach(model)
        chosen = TrainingSettings.model_validate(
            {"learning_rate": 1e-3, "max_steps": 6, "batch_size": 4, "warmup_ratio": 0.5, **settings}
        )
        if mixture is None:
            features = encoded(name) if features is None else features
            mixture = alone(features, model.format, chosen, seed)
        watch = Recorder(fail_after, stop_after)
        learner = Learner(model, full, chosen, optimizer, evaluate, work)
        speed = Speed(budget, overhead, checkpoint_seconds)
        outcome = train(learner, mixture, seed, speed, Accelerator(cpu=True), watch)
        state = full.state(model)
        return Fitted(
            outcome,
            state_digest(state),
            {name: tensor.clone() for name, tensor in state.items()},
            [step.loss for step in watch.steps],
            [step.learning_rate for step in watch.steps],
            watch.said,
            work,
        )

    return call


class Stopped(Exception):
    """What a watch raises to break a run off as a crash would."""


@pytest.fixture(scope="session")
def stopped() -> type[Exception]:
    return Stopped


def state_digest(state: Mapping[str, Any]) -> str:
    """sha256 over named tensors: tells whether two runs ended with the same bits."""
    import torch

    sha = hashlib.sha256()
    for name in sorted(state):
        sha.update(name.encode())
        sha.update(state[name].detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()
