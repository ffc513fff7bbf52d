"""Optimizer and schedule, as the study has them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from adapter_stilts.recipe import Optimizer, TrainingSettings


def build_optimizer(model: nn.Module, settings: TrainingSettings, name: Optimizer) -> torch.optim.Optimizer:
    """AdamW over the trainable parameters; biases and layer norms are not decayed (jiant, BERT)."""
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for parameter_name, parameter in model.named_parameters():
        if parameter.requires_grad:
            bare = parameter_name.endswith("bias") or "norm" in parameter_name.lower()
            (plain if bare else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    arguments: dict[str, Any] = {
        "lr": settings.learning_rate,
        "betas": settings.adam_betas,
        "eps": settings.adam_epsilon,
    }
    if name == "adamw8bit":
        from bitsandbytes.optim import AdamW8bit

        return AdamW8bit(groups, **arguments)  # type: ignore[no-any-return]
    return torch.optim.AdamW(groups, fused=True, **arguments)


def build_schedule(
    optimizer: torch.optim.Optimizer, warmup_ratio: float, total_steps: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear rise over the first `warmup_ratio` of the steps, then linear fall to zero."""
    from transformers import get_linear_schedule_with_warmup

    return get_linear_schedule_with_warmup(  # type: ignore[no-any-return]
        optimizer, num_warmup_steps=round(warmup_ratio * total_steps), num_training_steps=total_steps
    )
