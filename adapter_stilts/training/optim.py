"""Optimizer and schedule, as the study has them."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
from torch import nn

from adapter_stilts.errors import UsageError
from adapter_stilts.recipe import Optimizer, TrainingSettings
from adapter_stilts.runtime import large_blocks_apart
from adapter_stilts.training.rounding import rounded_at_random
from adapter_stilts.training.sparse_rows import WithSparseRows, sparse_tables


def build_optimizer(model: nn.Module, settings: TrainingSettings, name: Optimizer) -> torch.optim.Optimizer:
    """AdamW over the trainable parameters; biases and layer norms are not decayed (jiant, BERT). Embedding tables with
    sparse gradients are trained by rows (`sparse_rows.py`).

    Raises:
        UsageError: the paged optimizer without a GPU, bf16 weights with an optimizer that cannot round them, or
            sparse gradients in several processes.
    """
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    tables = sparse_tables(model)
    known = {id(table) for table in tables}
    for parameter_name, parameter in model.named_parameters():
        if parameter.requires_grad and id(parameter) not in known:
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
        return _with_rows(optimizer, tables, settings, arguments)
    if any(parameter.dtype == torch.bfloat16 for parameter in [*decayed, *plain]):
        raise UsageError(
            "tuning.full.bf16_weights goes with optimizer = 'adamw8bit' or 'paged_adamw8bit', which round updates "
            "of bf16 weights at random; adamw would lose most of them"
        )
    return _with_rows(torch.optim.AdamW(groups, fused=True, **arguments), tables, settings, arguments)


def _with_rows(
    rest: torch.optim.Optimizer,
    tables: list[nn.Parameter],
    settings: TrainingSettings,
    arguments: dict[str, Any],
) -> torch.optim.Optimizer:
    _states_apart(rest)
    if not tables:
        return rest
    if torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1:
        raise UsageError(
            f"tuning.full.sparse_embeddings trains in one process, here are {torch.distributed.get_world_size()}: "
            "leave it out, or take tuning.full.freeze_embeddings"
        )
    return WithSparseRows(rest, tables, weight_decay=settings.weight_decay, **arguments)


def _states_apart(optimizer: torch.optim.Optimizer) -> None:
    """Optimizers make their state in the first step; it stays."""
    apart = contextlib.ExitStack()

    def before(*_: Any) -> None:
        apart.enter_context(large_blocks_apart())
        entered.remove()

    def after(*_: Any) -> None:
        apart.close()
        left.remove()

    entered = optimizer.register_step_pre_hook(before)
    left = optimizer.register_step_post_hook(after)


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


def build_schedule(
    optimizer: torch.optim.Optimizer, warmup_ratio: float, total_steps: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Linear rise over the first `warmup_ratio` of the steps, then linear fall to zero."""
    from transformers import get_linear_schedule_with_warmup

    return get_linear_schedule_with_warmup(  # type: ignore[no-any-return]
        optimizer, num_warmup_steps=round(warmup_ratio * total_steps), num_training_steps=total_steps
    )
