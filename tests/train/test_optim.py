"""Optimizer groups and the schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from adapter_stilts.recipe import TrainingSettings
from adapter_stilts.train.optim import build_optimizer, build_schedule


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
