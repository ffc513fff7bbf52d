"""Optimizer groups and the schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from adapter_stilts.errors import UsageError
from adapter_stilts.recipe import TrainingSettings
from adapter_stilts.training.optim import build_optimizer, build_schedule, rounded_at_random


def test_biases_and_norms_are_not_decayed(build: Callable[..., Any]) -> None:
    model = build("hellaswag")
    settings = TrainingSettings(
        weight_decay=0.01, learning_rate=3e-5, adam_betas=(0.8, 0.9), adam_epsilon=1e-6
    )
    optimizer = build_optimizer(model, settings, "adamw")
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = {group["weight_decay"]: {names[p] for p in group["params"]} for group in optimizer.param_groups}
    assert groups[0.01] | groups[0.0] == set(names.values())
    assert {name for name in groups[0.0] if not name.endswith("bias")} == {
        name for name in names.values() if "LayerNorm.weight" in name
    }
    assert not any(name.endswith("bias") or "LayerNorm" in name for name in groups[0.01])
    assert {(g["lr"], g["betas"], g["eps"]) for g in optimizer.param_groups} == {(3e-5, (0.8, 0.9), 1e-6)}


def test_frozen_parameters_have_no_place(build: Callable[..., Any]) -> None:
    model = build("hellaswag")
    model.encoder.requires_grad_(False)
    optimizer = build_optimizer(model, TrainingSettings(), "adamw")
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 4


def test_what_needs_a_gpu_or_a_rounding_optimizer_is_told(build: Callable[..., Any]) -> None:
    model = build("hellaswag")
    with pytest.raises(UsageError, match="no GPU in use here; take adamw8bit"):
        build_optimizer(model, TrainingSettings(), "paged_adamw8bit")
    model.encoder.bfloat16()
    with pytest.raises(UsageError, match="bf16_weights goes with optimizer = 'adamw8bit'"):
        build_optimizer(model, TrainingSettings(), "adamw")


def test_rounding_at_random_keeps_numbers_in_the_mean() -> None:
    exact = torch.full((200_000,), 1.0 + 2**-10)  # a quarter of the way to the next bf16 number
    rounded = rounded_at_random(exact, torch.Generator().manual_seed(0))
    assert rounded.dtype == torch.bfloat16
    assert set(rounded.float().unique().tolist()) == {1.0, 1.0 + 2**-7}
    assert float(rounded.double().mean()) == pytest.approx(1.0 + 2**-10, abs=5e-5)
    kept = torch.tensor([0.0, -3.5, 1e-30, 65536.0]).bfloat16()
    assert torch.equal(rounded_at_random(kept.float(), torch.Generator().manual_seed(0)), kept)


def test_small_steps_move_bf16_weights() -> None:
    """The same steps in fp32 and in bf16: the mean weight goes the same way."""
    settings = TrainingSettings(learning_rate=1e-5)
    moved = {}
    for dtype in (torch.float32, torch.bfloat16):
        module = torch.nn.Linear(256, 256, bias=False)
        with torch.no_grad():
            module.weight.fill_(0.0625)
        module.to(dtype)
        optimizer = build_optimizer(module, settings, "adamw8bit")
        for _ in range(20):
            module.weight.grad = torch.ones_like(module.weight)
            optimizer.step()
        moved[dtype] = float((module.weight.detach().double() - 0.0625).mean())
    assert moved[torch.float32] == pytest.approx(-20e-5, rel=0.02)
    assert moved[torch.bfloat16] == pytest.approx(-20e-5, rel=0.05)


@pytest.mark.parametrize(
    ("ratio", "rates"),
    [(0.0, [1, 0.75, 0.5, 0.25]), (0.5, [0, 0.5, 1, 0.5]), (1.0, [0, 0.25, 0.5, 0.75])],
)
def test_linear_rise_and_fall(ratio: float, rates: list[float]) -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    schedule = build_schedule(optimizer, ratio, 4)
    found = []
    for _ in range(4):
        found.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert found == pytest.approx(rates)
