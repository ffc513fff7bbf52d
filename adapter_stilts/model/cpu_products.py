"""Products in bf16 on processors without units for it, as in most laptops.

torch has no quick kernel for bf16 there: a product takes 4 to 50 times as long as in fp32. So each product that torch
would take in bf16 has its operands widened to fp32, is summed in fp32 and rounded to bf16: what a native kernel
computes, up to the order of its sums. What runs depends on the processor alone, so that a resumed run takes the same,
and `stage.json` records it.
"""

from __future__ import annotations

import contextlib
import platform
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

# torch's operators that multiply matrices on CPUs, below autograd and autocast, whoever asks: layers, updates,
# attention and their gradients. With each, how many of its results, from the first, are bf16 where its operands are.
PRODUCTS = {
    "mm": 1,
    "addmm": 1,
    "bmm": 1,
    "baddbmm": 1,
    "addmv": 1,
    "_scaled_dot_product_flash_attention_for_cpu": 1,
    "_scaled_dot_product_flash_attention_for_cpu_backward": 3,
}


def bf16_products(device: str) -> str:
    """``native``, or ``fp32`` on a CPU without units for bf16, where this torch lets its kernels be replaced."""
    replaceable = hasattr(torch.library, "get_kernel")  # from torch 2.9 on
    return "native" if device != "cpu" or not replaceable or has_bf16_units() else "fp32"


@lru_cache(maxsize=1)
def has_bf16_units() -> bool:
    """Whether torch finds units for bf16 products in this processor: AVX512-BF16, AMX, or ARM's."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        found = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
        return found is None or bool(found())
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return wide and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@contextlib.contextmanager
def quick_products(device: str, precision: str) -> Iterator[None]:
    """Everything inside, backward passes as well, takes its products the quickest way that the processor has.

    Args:
        device: ``cpu``; nothing changes on others.
        precision: of a model, as `--precision` names it; nothing changes for fp32.
    """
    if precision == "fp32" or bf16_products(device) == "native":
        yield
        return
    if precision == "8bit":
        from adapter_stilts.model.cpu_integers import add_kernels

        add_kernels()
    with torch.library._scoped_library("aten", "IMPL") as library:
        with warnings.catch_warnings():  # that kernels are replaced, which is meant
            warnings.filterwarnings("ignore", r"[\s\S]*Overriding a previously registered kernel")
            for name, results in PRODUCTS.items():
                library.impl(name, _by_way_of_fp32(getattr(torch.ops.aten, name).default, results), "CPU")
        yield


def _by_way_of_fp32(operator: Any, results: int) -> Callable[..., Any]:
    """A kernel that gives bf16 operands to torch's own in fp32, and leaves others as they are."""
    native = torch.library.get_kernel(operator, "CPU").call_boxed
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)

    def kernel(*operands: Any, **more: Any) -> Any:
        if not any(isinstance(one, Tensor) and one.dtype == torch.bfloat16 for one in operands):
            return native(keys, *operands, **more)
        wide = {name: _widened(value) for name, value in more.items()}
        found = native(keys, *map(_widened, operands), **wide)
        if isinstance(found, Tensor):
            return found.bfloat16()
        return (*(result.bfloat16() for result in found[:results]), *found[results:])

    return kernel


def _widened(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype == torch.bfloat16 else value
