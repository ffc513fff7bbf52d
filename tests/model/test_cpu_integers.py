"""Kernels of 8-bit layers: the numbers of bitsandbytes' own, products of integers exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from adapter_stilts.model import cpu_integers
from adapter_stilts.model.cpu_integers import integer_product, mixed_product, quantised_rows, scaled_product

bitsandbytes = pytest.importorskip("bitsandbytes")


def integers(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-127, 128, shape, dtype=torch.int8, generator=generator)


@pytest.mark.parametrize("autocast", [False, True])
def test_products_of_integers_are_exact(autocast: bool) -> None:
    """Where sums pass 2^24, above which fp32 has no odd numbers, and where they are the largest there can be.

    Evaluation runs in autocast, which takes products of fp32 matrices in bf16.
    """
    for depth in (1, 7, 1040, 1041, 4096):
        rows, columns = integers(3, 5, depth), integers(6, depth, seed=1)
        rows[0], columns[0] = 127, 127
        rows[0, 0, 0] = 126
        exact = (rows.long() @ columns.long().t()).int()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            found = integer_product(rows, columns)
        assert torch.equal(found, exact)
    assert 127 * 127 * cpu_integers.EXACT_COLUMNS < 2**24 <= 127 * 127 * (cpu_integers.EXACT_COLUMNS + 1)


def test_they_equal_exact_ones_in_a_thousand_shapes() -> None:
    """Exact, and not `torch._int_mm`: without units for 8 bits, oneDNN's saturates at 16 bits on some processors."""
    shapes = torch.randint(1, 2200, (1000, 3), generator=torch.Generator().manual_seed(0))
    shapes[:, :2] = shapes[:, :2] % 40 + 1  # few rows and columns, depths of all kinds
    for seed, (count, others, depth) in enumerate(shapes.tolist()):
        rows, columns = integers(count, depth, seed=seed), integers(others, depth, seed=-seed - 1)
        assert torch.equal(integer_product(rows, columns), (rows.long() @ columns.long().t()).int())


@pytest.mark.parametrize("threshold", [0.0, 2.5, 1e4])
@pytest.mark.parametrize("count", [1, 3, 2000])
def test_rows_are_quantised_as_by_bitsandbytes(count: int, threshold: float) -> None:
    """By the fallback that it has for any device, with values that fp16 has no number for among them."""
    rows = torch.randn(count, 300, generator=torch.Generator().manual_seed(0)).half()
    rows[0, 7], rows[-1, 9] = 2.5, -70000.0 if threshold else 60000.0
    expected = _by_any_device("int8_vectorwise_quant", rows.clone(), threshold)
    found = quantised_rows(rows, threshold)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    if threshold:
        assert torch.equal(found[2], expected[2])
    else:
        assert found[2] is expected[2] is None


def _by_any_device(name: str, *arguments: object, **more: object) -> object:
    operator = getattr(torch.ops.bitsandbytes, name).default
    key = torch._C.DispatchKeySet(torch._C.DispatchKey.CompositeExplicitAutograd)
    return operator.redispatch(key, *arguments, **more)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("depth", [256, 1500])
def test_scaled_products(dtype: torch.dtype, depth: int) -> None:
    rows, columns = integers(700, depth), integers(90, depth, seed=1)
    stats, others, bias = torch.rand(700), torch.rand(90), torch.rand(90).to(dtype)
    exact = (rows.long() @ columns.long().t()).int()
    whole = {"bias": bias, "dtype": dtype}
    expected = torch.ops.bitsandbytes.int8_mm_dequant(exact, stats, others, **whole)
    with torch.autocast("cpu", torch.bfloat16):
        found = scaled_product(rows, columns, stats, others, **whole)
    # Scales are applied in another order.
    torch.testing.assert_close(found, expected, rtol=2**-7 if dtype == torch.bfloat16 else 1e-6, atol=1e-6)


def test_outlying_columns_are_multiplied_in_their_own_type() -> None:
    rows = torch.randn(700, 96, generator=torch.Generator().manual_seed(0)).bfloat16()
    rows[3, 5], rows[:, 40] = 9.0, -7.5
    weights, scales = integers(50, 96), torch.rand(50)
    found, own = _mixed(mixed_product, rows, weights, scales)
    expected, own_expected = _mixed(
        lambda *arguments: _by_any_device("int8_mixed_scaled_mm", *arguments), rows, weights, scales
    )
    assert own.shape == (700, 2)
    assert torch.equal(own, own_expected)
    # Rounded once, where the fallback rounds before it adds as well.
    size = float(expected.float().abs().max())
    torch.testing.assert_close(found.float(), expected.float(), rtol=2**-7, atol=size * 2**-8)


def _mixed(
    product: Callable[..., Any], rows: Tensor, weights: Tensor, scales: Tensor
) -> tuple[Tensor, Tensor]:
    quantised, stats, outlying = quantised_rows(rows.half(), 6.0)
    found: tuple[Tensor, Tensor] = product(rows, quantised, weights, stats, scales, outlying, None)
    return found
