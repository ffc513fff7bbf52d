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
        UsageError: the paged optimizer without a GPU, or bf16 weights with an optimizer that cannot round them.
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
        optimizer = getattr(bitsandbytes.optim, found)(groups, **arguments)
        _round_at_random(optimizer)
        return optimizer  # type: ignore[no-any-return]
    if any(parameter.dtype == torch.bfloat16 for parameter in [*decayed, *plain]):
        raise UsageError(
            "tuning.full.bf16_weights goes with optimizer = 'adamw8bit' or 'paged_adamw8bit', which round updates "
            "of bf16 weights at random; adamw would lose most of them"
        )
    return torch.optim.AdamW(groups, fused=True, **arguments)


def _round_at_random(optimizer: Any) -> None:
    """Let bitsandbytes' AdamW update bf16 weights in fp32 and round them up or down in proportion.

    A step of the study's size, 1e-5, is less than half the distance between neighbouring bf16 numbers for any weight
    above 0.005: rounded to the nearest, training would leave most weights where they are.
    """

    class Rounding(type(optimizer)):  # type: ignore[misc]
        @torch.no_grad()
        def update_step(self, group: Any, parameter: nn.Parameter, group_index: int, index: int) -> None:
            if parameter.dtype != torch.bfloat16:
                super().update_step(group, parameter, group_index, index)
                return
            kept, gradient = parameter.data, parameter.grad
            assert gradient is not None
            parameter.grad = None
            parameter.data = kept.float()
            parameter.grad = gradient.float()
            super().update_step(group, parameter, group_index, index)
            exact = parameter.data
            parameter.grad = None
            parameter.data = kept
            parameter.grad = gradient
            # Known from the step alone: a resumed run, and every process of a launch, rounds alike.
            generator = torch.Generator(exact.device)
            generator.manual_seed((self.state[parameter]["step"] * 4 + group_index) * 1_000_003 + index)
            kept.copy_(rounded_at_random(exact, generator))

    optimizer.__class__ = Rounding


def rounded_at_random(exact: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """fp32 numbers as bf16: each goes to one of its two neighbours, to the nearer one the more often, so that it is
    kept in the mean."""
    noise = torch.randint(
        0, 1 << 16, exact.shape, dtype=torch.int32, device=exact.device, generator=generator
    )
    # bf16 is the upper half of fp32's bits: what is added to the lower half carries over in proportion.
    noise += exact.view(torch.int32)
    noise &= -(1 << 16)
    return noise.view(torch.float32).bfloat16()


def build_schedule(
    optimizer: torch.optim.Optimizer, warmup_ratio: float, total_steps: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear rise over the first `warmup_ratio` of the steps, then linear fall to zero."""
    from transformers import get_linear_schedule_with_warmup

    return get_linear_schedule_with_warmup(  # type: ignore[no-any-return]
        optimizer, num_warmup_steps=round(warmup_ratio * total_steps), num_training_steps=total_steps
    )
