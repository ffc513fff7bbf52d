"""Integers under a frozen encoder: bitsandbytes, told to be quiet, and how Transformers is asked for its layers."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from adapter_stilts.errors import UsageError


def prepare_bitsandbytes() -> None:
    """Before anything imports bitsandbytes, which PEFT does in every mode: it is to say and to fetch nothing.

    It says at every 8-bit product that it casts its input, and on import that it has no faster kernel for 4 bits: on
    processors with bf16 units it then asks the package ``kernels``, where there is one, for code from the hub, and
    runs it. What is installed is what runs, so it finds no such package.
    """
    for name in ("bitsandbytes.autograd._functions", "bitsandbytes.backends.cpu.ops"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if "bitsandbytes" in sys.modules or find_spec("kernels") is None or find_spec("bitsandbytes") is None:
        return
    before = sys.modules.get("kernels")
    sys.modules["kernels"] = None  # type: ignore[assignment]  # an import of it fails
    try:
        import_module("bitsandbytes")
    except ImportError:
        pass  # said where its layers are asked for
    finally:
        del sys.modules["kernels"]
        if before is not None:
            sys.modules["kernels"] = before


def quantised(weights: str, device: str) -> dict[str, Any]:
    """Arguments that turn linear layers into integers while they are loaded. Raises UsageError."""
    import torch
    from transformers import BitsAndBytesConfig

    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise UsageError(f"--precision {weights} needs bitsandbytes, which is not installed here") from error
    config = (
        BitsAndBytesConfig(load_in_8bit=True)
        if weights == "8bit"
        else BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    )
    return {"quantization_config": config, "device_map": {"": device}}
