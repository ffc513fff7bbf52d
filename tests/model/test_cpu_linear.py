from __future__ import annotations

import pytest
import torch
from torch import nn

from adapter_stilts.model import cpu_linear

pytestmark = pytest.mark.skipif(
    not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")),
    reason="this torch has no oneDNN product",
)


@pytest.mark.parametrize("shape", [(5, 12), (3, 7, 12), (1, 1, 12)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
def test_outputs_and_gradients_equal_torchs_to_rounding(shape, bias, frozen) -> None:
    torch.manual_seed(0)
    plain = nn.Linear(12, 20, bias=bias).requires_grad_(not frozen)
    quick = nn.Linear(12, 20, bias=bias).requires_grad_(not frozen)
    quick.load_state_dict(plain.state_dict())
    quick.__class__ = cpu_linear.OneDnnLinear
    inputs = [torch.randn(*shape).requires_grad_() for _ in range(1)] * 2
    results = []
    for layer, given in zip((plain, quick), inputs, strict=True):
        given.grad = None
        output = layer(given)
        (output * torch.arange(20.0)).sum().backward()
        results.append(
            (output.detach(), given.grad.clone(), layer.weight.grad, layer.bias.grad if bias else None)
        )
    for expected, found in zip(*results, strict=True):
        if expected is None:
            assert found is None
        else:
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
    assert (results[1][2] is None) == frozen


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_layer_keeps_no_input_for_the_backward_pass(frozen) -> None:
    layer = nn.Linear(12, 20).requires_grad_(not frozen)
    layer.__class__ = cpu_linear.OneDnnLinear
    kept = []
    given = torch.randn(5, 12, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: kept.append(tensor.shape) or tensor, lambda t: t
    ):
        layer(given)
    assert ((5, 12) in kept) == (not frozen)
    assert (20, 12) in kept


def test_only_plain_linear_layers_change_and_other_types_pass_through(monkeypatch) -> None:
    class Special(nn.Linear):
        pass

    model = nn.Sequential(nn.Linear(4, 4), Special(4, 4))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    monkeypatch.setattr(cpu_linear, "linear_library", lambda: "onednn")
    cpu_linear.quicken(model)
    assert [type(layer) for layer in model] == [cpu_linear.OneDnnLinear, Special]
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    half = model[0].to(torch.bfloat16)
    assert half(torch.ones(2, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("vendor", "width", "library"),
    [
        ("AuthenticAMD", "AVX512", "onednn"),
        ("GenuineIntel", "AVX512", "torch"),
        ("AuthenticAMD", "AVX2", "torch"),
    ],
)
def test_the_processor_alone_decides(monkeypatch, vendor, width, library) -> None:
    monkeypatch.setattr(cpu_linear, "_vendor", lambda: vendor)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: width)
    cpu_linear.linear_library.cache_clear()
    try:
        assert cpu_linear.linear_library() == library
    finally:
        cpu_linear.linear_library.cache_clear()
