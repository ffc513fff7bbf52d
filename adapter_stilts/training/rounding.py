"""Rounding at random: what keeps updates of bf16 weights that are smaller than the distance between them."""

from __future__ import annotations

import torch


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
