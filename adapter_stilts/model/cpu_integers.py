"""Kernels of bitsandbytes' 8-bit layers for processors without units for products of integers.

What it falls back on there, in evaluation, is written for any device: integers are multiplied in fp32 however many
there are in a sum, so that sums beyond 2^24 lose their last digits, and every pass over a layer's outputs (convert,
scale, scale, shift, round, add what lies outside, round) goes through memory. These take the products of integers
exactly and the rest in fp32, a block of rows at a time, and round once. In training bitsandbytes makes the weights
anew and multiplies in their type, here as on any CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

# Sums of so many products of integers up to 127 stay below 2^24, up to which fp32 holds every integer.
EXACT_COLUMNS = 2**24 // 127**2
# Of fp32, in a block of rows: what a core's own cache holds beside the weights that stream by.
BLOCK_NUMBERS = 2**19
# bitsandbytes' own rounding of 1 / 127^2 to fp32 (its `int8_mm_dequant`).
PER_PRODUCT = 6.200124e-05


@lru_cache(maxsize=1)
def add_kernels() -> None:
    """Register the kernels with torch for CPUs, once a process; operators for which bitsandbytes has one keep it."""
    from adapter_stilts.model.quantisation import prepare_bitsandbytes

    if has_integer_units():
        return
    prepare_bitsandbytes()
    import bitsandbytes  # noqa: F401  # declares the operators

    kernels: dict[str, Callable[..., Any]] = {
        "int8_linear_matmul": integer_product,
        "int8_scaled_mm": scaled_product,
        "int8_mixed_scaled_mm": mixed_product,
        "int8_vectorwise_quant": quantised_rows,
    }
    for name, kernel in kernels.items():
        if not torch._C._dispatch_has_kernel_for_dispatch_key(f"bitsandbytes::{name}", "CPU"):
            torch.library.register_kernel(f"bitsandbytes::{name}", "cpu", kernel)


def has_integer_units() -> bool:
    """Whether the processor has units for products of 8-bit integers, with which `torch._int_mm` is quick and exact."""
    return torch.backends.cpu.get_cpu_capability() == "AVX512" and torch.cpu._is_vnni_supported()


def integer_product(rows: Tensor, columns: Tensor) -> Tensor:
    """The product of 8-bit integers (..., d) and (columns, d): int32 (..., columns)."""
    flat = rows.reshape(-1, rows.shape[-1])
    found = torch.empty(len(flat), len(columns), dtype=torch.int32)
    for block, exact in _exact_products(flat, columns):
        found[block] = exact
    return found.reshape(*rows.shape[:-1], len(columns))


def scaled_product(
    rows: Tensor,
    columns: Tensor,
    row_stats: Tensor,
    column_stats: Tensor,
    bias: Tensor | None = None,
    dtype: torch.dtype | None = None,
    beside: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """The product of 8-bit integers (n, d) and (columns, d), each worth 1/127 of its row's statistic: (n, columns).

    Args:
        row_stats: fp32 (n), the largest absolute value of each row; column_stats: fp32 (columns), likewise.
        dtype: of the result; fp16 where it is None.
        beside: (n, few) and (few, columns), whose product is added before the sum is rounded.
    """
    flat, stats = rows.reshape(-1, rows.shape[-1]), row_stats.reshape(-1, 1)
    found = torch.empty(len(flat), len(columns), dtype=dtype or torch.float16)
    for block, exact in _exact_products(flat, columns):
        product = exact.float().mul_(stats[block] * PER_PRODUCT).mul_(column_stats)
        if bias is not None:
            product.add_(bias)
        if beside is not None:
            product.addmm_(beside[0][block].float(), beside[1].float())
        found[block] = product
    return found.reshape(*rows.shape[:-1], len(columns))


def _exact_products(rows: Tensor, columns: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Blocks of rows and their products with all columns: integers in fp32, or in int32 where fp32 cannot hold them."""
    depth = rows.shape[1]
    # One layer's weights in fp32, gone when its product is made.
    cuts = [slice(start, start + EXACT_COLUMNS) for start in range(0, depth, EXACT_COLUMNS)]
    pieces = [columns[:, cut].float().t() for cut in cuts]
    height = max(64, BLOCK_NUMBERS // max(1, len(columns), depth))
    for start in range(0, len(rows), height):
        block = slice(start, start + height)
        wide = rows[block].float()
        # Products are written to given memory, which autocast leaves alone: others it would take in bf16.
        product = torch.empty(len(wide), len(columns))
        if len(pieces) == 1:
            yield block, torch.mm(wide, pieces[0], out=product)
        else:
            exact = torch.zeros(len(wide), len(columns), dtype=torch.int32)
            for cut, piece in zip(cuts, pieces, strict=True):
                exact += torch.mm(wide[:, cut], piece, out=product).to(torch.int32)
            yield block, exact


def quantised_rows(rows: Tensor, threshold: float = 0.0) -> tuple[Tensor, Tensor, Tensor | None]:
    """Each row as integers of at most 127: int8 (n, d), the fp32 statistic of each row (n), and the outlying columns.

    Columns that hold a value of the threshold or more are left at 0, and such values out of the statistics; with a
    threshold of 0 there are none, and None in their place.
    """
    found = torch.empty(rows.shape, dtype=torch.int8)
    stats = torch.empty(len(rows))
    outlying = torch.zeros(rows.shape[1], dtype=torch.bool)
    height = max(64, BLOCK_NUMBERS // max(1, rows.shape[1]))
    for start in range(0, len(rows), height):
        block = slice(start, start + height)
        wide = rows[block].float()
        # Outlying columns are few, and those of the rows before, if there are any.
        known = outlying.nonzero().view(-1)
        largest = _without(wide, known, threshold)
        if threshold > 0.0 and float(largest.max()) >= threshold:
            outlying |= _largest(wide, 0) >= threshold
            largest = _without(wide, outlying.nonzero().view(-1), threshold)
        stats[block] = largest
        found[block] = wide.mul_(127.0 / largest.unsqueeze(1)).round_()
    if threshold <= 0.0:
        return found, stats, None
    columns = outlying.nonzero().view(-1)
    if len(rows) > 1 and len(columns):
        found[:, columns] = 0
    return found, stats, columns


def _without(numbers: Tensor, columns: Tensor, threshold: float) -> Tensor:
    """Put 0 for the outliers in some columns, and give each row's largest absolute value."""
    if len(columns):
        chosen = numbers[:, columns]
        numbers[:, columns] = chosen.where(chosen.abs() < threshold, 0)
    return _largest(numbers, 1)


def _largest(numbers: Tensor, dimension: int) -> Tensor:
    """The largest absolute values along a dimension, without a copy of all of them."""
    return torch.maximum(numbers.amax(dimension), numbers.amin(dimension).neg_())


def mixed_product(
    rows: Tensor,
    quantised: Tensor,
    weights: Tensor,
    row_stats: Tensor,
    column_stats: Tensor,
    outlying: Tensor | None = None,
    bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """A product of integers plus that of the outlying columns in their own type; and those columns of the rows."""
    if outlying is None or not len(outlying):
        beside, own = None, torch.empty(0, dtype=rows.dtype)
    else:
        own = rows[:, outlying].contiguous()
        kept = weights[:, outlying].contiguous()
        whole = torch.ops.bitsandbytes.int8_vectorwise_dequant(kept, column_stats).to(rows.dtype)
        beside = own, whole.t()
    return scaled_product(quantised, weights, row_stats, column_stats, bias, rows.dtype, beside), own
