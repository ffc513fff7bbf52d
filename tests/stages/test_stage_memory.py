"""What stages are said to take of a machine's memory, before they run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adapter_stilts.model.backbone import resolve_base
from adapter_stilts.model.tuning import tuning_settings
from adapter_stilts.recipe import Base
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.planning.plan import Plan
from adapter_stilts.stages.stage_memory import MOST_CHOICES, StageMemory
from adapter_stilts.training.memory import Training, fit

ROOM = 2**36


@pytest.fixture
def estimated(tiny_base: Path) -> Callable[..., dict[str, int]]:
    """Bytes of each stage, by its kind and task."""
    found = resolve_base(Base(id=str(tiny_base)))

    def call(plan: Plan, device: str = "cpu", available: int = ROOM) -> dict[str, int]:
        estimate = StageMemory(plan.stages, {found.fingerprint: found.config}, device, available)
        return {f"{stage.kind} {stage.task}": estimate(stage) for stage in plan.stages}

    return call


@pytest.fixture(autouse=True)
def _process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of a size that can be reckoned with."""
    for module in ("adapter_stilts.stages.stage_memory", "adapter_stilts.training.memory"):
        monkeypatch.setattr(f"{module}.resident_memory", lambda: 1000)


def test_a_training_takes_what_fit_says_of_the_largest_step_and_the_longest_window(
    planned: Callable[..., Plan], estimated: Callable[..., dict[str, int]], tiny_base: Path
) -> None:
    plan = planned(("formats.multiple_choice.max_length", 64), ("formats.span_qa.max_length", 96))
    found = estimated(plan)
    config = resolve_base(Base(id=str(tiny_base))).config
    # Batches of 4: of multiple choice up to 5 sequences each, and of span_qa the longer window.
    said = fit(Training(config, "full", tuning_settings("full", {})), 4 * MOST_CHOICES, 96, ROOM).usage.peak
    assert found["train hellaswag"] == found["train squad_v1"] == said


def test_an_evaluation_takes_weights_and_a_pass(
    planned: Callable[..., Plan], estimated: Callable[..., dict[str, int]]
) -> None:
    found = estimated(planned())
    on_gpu = estimated(planned(), "cuda")
    # Of one layer 40 values of the hidden size, 32, for each of 4096 tokens; a GPU's passes are not in this memory.
    assert found["evaluate xquad"] - on_gpu["evaluate xquad"] == 4 * 40 * 32 * 4096
    # 32 wide, 2 layers, 514 positions, fp32, and a table of the tokenizer's few hundred pieces.
    weights = on_gpu["evaluate xquad"] - 1000
    layers = 2 * (4 * (32 * 32 + 32) + 2 * 32 * 64 + 64 + 32 + 4 * 32)
    least = 4 * (layers + 514 * 32 + 200 * 32)
    assert least < weights < least + 4 * 32 * (150 + 80)


def test_on_a_gpu_a_training_takes_weights_of_the_machine(
    planned: Callable[..., Plan], estimated: Callable[..., dict[str, int]]
) -> None:
    found = estimated(planned(), "cuda")
    assert found["train hellaswag"] == found["evaluate xquad"]


def test_steps_that_do_not_fit_are_cut(
    planned: Callable[..., Plan], estimated: Callable[..., dict[str, int]]
) -> None:
    whole, cut = estimated(planned()), estimated(planned(), available=10 * 2**20)
    assert cut["train hellaswag"] < whole["train hellaswag"]


def test_it_counts_each_kind_of_training_once(
    planned: Callable[..., Plan], tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[Stage] = []
    count = StageMemory._training
    monkeypatch.setattr(
        StageMemory, "_training", lambda self, stage, part: counted.append(stage) or count(self, stage, part)
    )
    plan, found = planned(), resolve_base(Base(id=str(tiny_base)))
    estimate = StageMemory(plan.stages, {found.fingerprint: found.config}, "cpu", ROOM)
    assert len({estimate(stage) for stage in plan.stages if stage.kind == "train"}) == len(counted) == 1
