"""Linear layers on AMD processors, through oneDNN.

torch multiplies fp32 matrices on CPUs with MKL, which leaves AMD's AVX-512 units unused: oneDNN, which torch ships
as well, does the same products about twice as fast there (`benchmarks/train_throughput.py --linear torch` runs
without it). Results differ in rounding only. Which of the two runs depends on the processor alone, so that a
resumed run takes the same one, and `stage.json` records it.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class OneDnnLinear(nn.Linear):
    """A linear layer in all but the library that multiplies; weights, names and state are the same."""

    def forward(self, input: Tensor) -> Tensor:
        if input.dtype != torch.float32 or input.device.type != "cpu":
            return super().forward(input)
        return _Product.apply(input, self.weight, self.bias)  # type: ignore[no-any-return, no-untyped-call]


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        # Of a frozen layer the input is not needed again: that is most of what a backward pass would hold.
        ctx.save_for_backward(
            input if ctx.needs_input_grad[1] else None, weight if ctx.needs_input_grad[0] else None
        )
        return _multiply(input, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        (grad,) = grads
        flat = grad.reshape(-1, grad.shape[-1])
        for_input = _multiply(grad, weight.t(), None) if ctx.needs_input_grad[0] else None
        for_weight = for_bias = None
        if ctx.needs_input_grad[1]:
            for_weight = _multiply(flat.t(), input.reshape(-1, input.shape[-1]).t(), None)
        if ctx.needs_input_grad[2]:
            for_bias = flat.sum(0)
        return for_input, for_weight, for_bias


def _multiply(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(input, weight, bias, "none", [], "")  # type: ignore[no-any-return]


def product(rows: Tensor, columns: Tensor) -> Tensor:
    """All dot products of two sets of vectors, (rows, d) and (columns, d), by the quicker library."""
    if rows.device.type == "cpu" and linear_library() == "onednn":
        return _multiply(rows, columns, None)
    return rows @ columns.t()


def quicken(model: nn.Module) -> None:
    """Let the linear layers of a model on a CPU use the quicker library, in place."""
    if linear_library() == "onednn":
        keep_few_products()
        for module in model.modules():
            if type(module) is nn.Linear:
                module.__class__ = OneDnnLinear


def keep_few_products() -> None:
    """Bound what oneDNN keeps, which torch uses for bf16 on any processor; it reads this at its first use.

    It keeps a compiled product a shape: sub-batches come in hundreds of shapes, and the default of 1,024 products
    costs 300 MB in fp32 and 460 MB in bf16, and saves no time.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")


@lru_cache(maxsize=1)
def linear_library() -> str:
    """``onednn`` on AMD processors with AVX-512 where this torch has the product, else ``torch``."""
    known = hasattr(torch.ops.mkldnn, "_linear_pointwise")
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return "onednn" if known and wide and _vendor() == "AuthenticAMD" else "torch"


def _vendor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")), "")
