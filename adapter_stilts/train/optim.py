"""Optimizer and schedule, as the study has them."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from adapter_stilts.errors import UsageError
from adapter_stilts.recipe import Optimizer, TrainingSettings


def build_optimizer(model: nn.Module, settings: TrainingSettings, name: Optimizer) -> torch.optim.Optimizer:
    """AdamW over the trainable parameters; biases and layer norms are not decayed (jiant, BERT).

    Raises:
        UsageError: the paged optimizer without a GPU.
    """
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
    if name != "adamw":
        import bitsandbytes.optim

        if name == "paged_adamw8bit" and next(model.parameters()).device.type != "cuda":
            raise UsageError(
                "optimizer = 'paged_adamw8bit' moves its state between a GPU and the machine: there is no GPU in "
                "use here; take adamw8bit"
            )
        found = {"adamw8bit": "AdamW8bit", "paged_adamw8bit": "PagedAdamW8bit"}[name]
        return getattr(bitsandbytes.optim, found)(groups, **arguments)  # type: ignore[no-any-return]
    return torch.optim.AdamW(groups, fused=True, **arguments)


def build_schedule(
    optimizer: torch.optim.Optimizer, warmup_ratio: float, total_steps: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear rise over the first `warmup_ratio` of the steps, then linear fall to zero."""
    from transformers import get_linear_schedule_with_warmup

    return get_linear_schedule_with_warmup(  # type: ignore[no-any-return]
        optimizer, num_warmup_steps=round(warmup_ratio * total_steps), num_training_steps=total_steps
    )
