"""Products in bf16 by way of fp32: operands and results as a native kernel's, sums in another order."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from adapter_stilts.model import cpu_products
from adapter_stilts.model.cpu_products import quick_products

# A bf16 number has 8 bits: neighbours are 2^-7 apart at most, relative to their size.
STEP = 2**-7


@pytest.fixture(autouse=True)
def no_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_products, "has_bf16_units", lambda: False)


def both(compute: Callable[[], tuple[Tensor, ...]]) -> list[tuple[Tensor, ...]]:
    native = compute()
    with quick_products("cpu", "bf16"):
        return [native, compute()]


def assert_rounded_alike(native: Tensor, quick: Tensor, within: float = 0.25) -> None:
    """To one rounding of each number, and of a part of a rounding of the largest, where sums cancel."""
    assert quick.dtype == native.dtype
    size = float(native.float().abs().max())
    torch.testing.assert_close(quick.float(), native.float(), rtol=STEP, atol=size * STEP * within)


@pytest.mark.parametrize("weights", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(40,), (9, 40), (2, 9, 40)])
def test_a_layer_and_its_gradients(weights: torch.dtype, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer, given = nn.Linear(40, 24).to(weights), torch.randn(*shape, requires_grad=True)

    def compute() -> tuple[Tensor, ...]:
        layer.zero_grad()
        given.grad = None
        with torch.autocast("cpu", torch.bfloat16):
            output = layer(given)
        output.float().square().sum().backward()
        assert given.grad is not None
        return output.detach(), given.grad, layer.weight.grad, layer.bias.grad

    for native, quick in zip(*both(compute), strict=True):
        assert_rounded_alike(native, quick)


@pytest.mark.parametrize("mask", [False, True])
def test_attention_and_its_gradients(mask: bool) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 11, 8).bfloat16().requires_grad_() for _ in range(3))
    hidden = torch.zeros(2, 1, 11, 11).bfloat16()
    hidden[:, :, :, 7:] = float("-inf")

    def compute() -> tuple[Tensor, ...]:
        output = functional.scaled_dot_product_attention(query, key, value, hidden if mask else None)
        return (output.detach(), *torch.autograd.grad(output.float().square().sum(), (query, key, value)))

    for native, quick in zip(*both(compute), strict=True):
        assert_rounded_alike(native, quick, within=1.0)  # a native kernel rounds attention's weights as well


@pytest.mark.parametrize(
    "product",
    [
        lambda a, b: a @ b,
        lambda a, b: torch.baddbmm(torch.ones_like(a), a, b),
        lambda a, b: torch.einsum("nij,njk->nik", a, b),
        lambda a, b: a[0] @ b[0, 0],
        lambda a, b: functional.linear(a, b[0]),
    ],
)
@pytest.mark.parametrize("inference", [False, True])
def test_every_kind_of_product_is_summed_in_fp32(product: Callable[..., Tensor], inference: bool) -> None:
    """And rounded once: equal to the product of the same numbers in fp32."""
    torch.manual_seed(0)
    a, b = torch.randn(3, 16, 16).bfloat16(), torch.randn(3, 16, 16).bfloat16()
    with quick_products("cpu", "bf16"), torch.inference_mode(inference):
        found = product(a, b)
    assert torch.equal(found, product(a.float(), b.float()).bfloat16())


def test_products_in_fp32_are_left_alone() -> None:
    a, b = torch.randn(5, 7), torch.randn(7, 5)
    with quick_products("cpu", "bf16"):
        assert torch.equal(a @ b, torch.mm(a, b))
        assert (a @ b).dtype == torch.float32


@pytest.mark.parametrize("precision", ["8bit", "4bit"])
@pytest.mark.parametrize("training", [False, True])
def test_layers_of_integers(precision: str, training: bool) -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    torch.manual_seed(0)
    plain = nn.Linear(128, 64)
    made = {
        "8bit": lambda: bitsandbytes.nn.Linear8bitLt(128, 64, has_fp16_weights=False, threshold=6.0),
        "4bit": lambda: bitsandbytes.nn.Linear4bit(128, 64, compute_dtype=torch.bfloat16, quant_type="nf4"),
    }[precision]()
    made.load_state_dict(plain.state_dict())
    made = made.to("cpu").train(training)
    given = torch.randn(2, 10, 128).bfloat16().requires_grad_(training)

    def compute() -> tuple[Tensor, ...]:
        given.grad = None
        output = made(given)
        if training:
            output.float().square().sum().backward()
        return output.detach(), *([given.grad] if given.grad is not None else [])

    native = compute()
    with quick_products("cpu", precision):
        quick = compute()
    assert len(native) == len(quick) == 1 + training
    for one, other in zip(native, quick, strict=True):
        assert_rounded_alike(one, other)


def test_what_runs_is_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what ran before runs again afterwards."""

    def registered() -> str:
        return str(torch.library.get_kernel(torch.ops.aten.mm.default, "CPU"))

    before = registered()
    for units, device, precision, changed in (
        (False, "cpu", "bf16", True),
        (False, "cpu", "8bit", True),
        (False, "cpu", "fp32", False),
        (False, "cuda", "bf16", False),
        (True, "cpu", "bf16", False),
    ):
        monkeypatch.setattr(cpu_products, "has_bf16_units", lambda units=units: units)
        with quick_products(device, precision):
            assert (registered() != before) == changed
        assert registered() == before


def test_a_failure_inside_leaves_torch_as_it_was() -> None:
    before = str(torch.library.get_kernel(torch.ops.aten.mm.default, "CPU"))
    with pytest.raises(RuntimeError, match="shapes"), quick_products("cpu", "bf16"):
        torch.ones(2, 3).bfloat16() @ torch.ones(2, 3).bfloat16()
    assert str(torch.library.get_kernel(torch.ops.aten.mm.default, "CPU")) == before
