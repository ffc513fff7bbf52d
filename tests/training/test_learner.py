"""A learner without the loop: what it updates, keeps of its best weights, and goes on from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from adapter_stilts.io import seal
from adapter_stilts.model.task_model import MicroBatch
from adapter_stilts.model.tuning import full
from adapter_stilts.recipe import TrainingSettings
from adapter_stilts.training.learner import Learner
from adapter_stilts.training.watch import LoopWatch

Make = Callable[..., Learner]


@pytest.fixture
def make(build: Callable[..., Any], tmp_path: Path) -> Make:
    """A learner of three steps that has begun; its dev scores are those given."""

    def call(
        *scores: float, patience: int | None = None, said: list[str] | None = None, keep: Any = None
    ) -> Learner:
        model = build("snli", 0.0)
        full.attach(model)
        settings = TrainingSettings(learning_rate=1e-2, warmup_ratio=0.0, patience=patience)
        left: Iterator[float] = iter(scores)
        evaluate = (lambda _: {"accuracy": next(left)}) if scores else None
        learner = Learner(model, full, settings, "adamw", evaluate, tmp_path / "work", keep)
        learner.begin(3, 512, Accelerator(cpu=True), ([] if said is None else said).append)
        return learner

    return call


@pytest.fixture
def learn(encoded: Callable[..., Any]) -> Callable[[Learner], None]:
    """One update on the same four rows."""

    def call(learner: Learner) -> None:
        rows = np.arange(4)
        learner.wrapped(MicroBatch(encoded("snli"), rows, [rows], 0.25)).backward()
        learner.update()

    return call


def weights(learner: Learner) -> torch.Tensor:
    return torch.cat([tensor.detach().reshape(-1) for tensor in full.state(learner.model).values()])


def test_an_update_moves_weights_and_the_schedule_and_leaves_no_gradients(make: Make, learn: Any) -> None:
    learner = make()
    before, rate = weights(learner), learner.learning_rate
    learn(learner)
    assert learner.step == 1
    assert not torch.equal(weights(learner), before)
    assert learner.learning_rate == pytest.approx(rate * 2 / 3)
    assert all(parameter.grad is None for parameter in learner.model.parameters())


def test_it_finishes_with_its_best_weights(make: Make, learn: Any) -> None:
    learner = make(1.0, 3.0, 2.0, patience=1)
    seen = []
    for _ in range(3):
        learn(learner)
        learner.judge(LoopWatch())
        seen.append(weights(learner))
    assert learner.stopped
    outcome = learner.finish()
    assert (outcome.steps, outcome.best_step, outcome.metrics) == (3, 2, {"accuracy": 3.0})
    assert outcome.evaluations == ((1, {"accuracy": 1.0}), (2, {"accuracy": 3.0}), (3, {"accuracy": 2.0}))
    assert torch.equal(weights(learner), seen[1])


def test_another_goes_on_from_its_checkpoint(make: Make, learn: Any) -> None:
    whole = make(5.0, 1.0)
    learn(whole)
    whole.judge(LoopWatch())
    whole.budget = 100
    whole.checkpoint()
    said: list[str] = []
    other = make(1.0, said=said)
    assert said[0] == "resuming at step 1"
    assert (other.step, other.budget, other.learning_rate) == (1, 100, whole.learning_rate)
    for learner in (whole, other):
        learn(learner)
        learner.judge(LoopWatch())
    assert torch.equal(weights(other), weights(whole))
    assert other.finish() == whole.finish()


def test_without_dev_scores_the_last_weights_are_kept(make: Make, learn: Any) -> None:
    learner = make()
    learn(learner)
    learner.judge(LoopWatch())
    last = weights(learner)
    outcome = learner.finish()
    assert (outcome.best_step, outcome.metrics) == (1, {})
    assert torch.equal(weights(learner), last)


def sealed(folder: Path, step: int, metrics: dict[str, float]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "told").write_text(f"{step} {metrics}")
    seal(folder)


def test_what_is_kept_of_evaluations_is_gone_on_with(make: Make, learn: Any, tmp_path: Path) -> None:
    whole = make(5.0, 1.0, keep=sealed)
    for _ in range(2):
        learn(whole)
        whole.judge(LoopWatch())
        whole.checkpoint()
    other = make(4.0, keep=sealed)
    learn(other)
    other.judge(LoopWatch())
    assert other.finish().kept_evaluations == (1, 2, 3)
    folder = tmp_path / "work" / "evaluations"
    assert sorted(path.name for path in folder.iterdir()) == [f"step-{step:08d}" for step in (1, 2, 3)]
    assert (folder / "step-00000002" / "told").read_text() == "2 {'accuracy': 1.0}"


def test_what_was_kept_and_is_damaged_is_made_again(make: Make, learn: Any, tmp_path: Path) -> None:
    first = make(5.0, 1.0, keep=sealed)
    for _ in range(2):
        learn(first)
        first.judge(LoopWatch())
        first.checkpoint()
    (tmp_path / "work" / "evaluations" / "step-00000002" / "told").write_text("nothing")
    said: list[str] = []
    again = make(1.0, keep=sealed, said=said)
    assert said[:2] == [
        "checkpoint checkpoint-00000002 cannot be used (told is damaged); falling back to the one before",
        "resuming at step 1",
    ]
    learn(again)
    again.judge(LoopWatch())
    assert (tmp_path / "work" / "evaluations" / "step-00000002" / "told").read_text() == "2 {'accuracy': 1.0}"


def test_without_dev_scores_the_weights_are_kept_nonetheless(make: Make, learn: Any) -> None:
    learner = make(keep=sealed)
    learn(learner)
    learner.judge(LoopWatch())
    assert learner.finish().kept_evaluations == (1,)
