"""How the C library keeps memory: what is asked of it, and that nothing else changes; which devices there are."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from adapter_stilts import load_bundle, runtime
from adapter_stilts.errors import UsageError
from adapter_stilts.runtime import check_device

# In a process of its own: what tests before it have freed would serve these blocks without a mapping.
SCRIPT = """
import ctypes
import torch
from adapter_stilts.runtime import large_blocks_apart


class Info(ctypes.Structure):  # the C library's struct mallinfo2
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]


def mapped():
    function = ctypes.CDLL(None).mallinfo2
    function.restype = Info
    return int(function().hblks)


with large_blocks_apart():
    pass
before = mapped()
with large_blocks_apart():
    apart = [torch.empty(2**19) for _ in range(3)]  # 2 MiB each
    small = [torch.empty(2**10) for _ in range(3)]
    within = mapped() - before
together = [torch.empty(2**19) for _ in range(3)]
after = mapped() - before
del apart
print(within, after, mapped() - before)
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33 or later"
)
@pytest.mark.slow
def test_large_blocks_are_mapped_within_and_share_the_heap_after() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["3", "3", "0"]


@pytest.mark.parametrize(("device", "here"), [(None, True), ("cpu", True), ("cuda", False)])
def test_a_device_that_is_one(device: str | None, here: bool) -> None:
    check_device(device, here)


def test_a_device_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told by every function that takes one, and not by a library below."""
    with pytest.raises(UsageError, match="--device tpu: choices are cpu and cuda"):
        load_bundle("nowhere", device="tpu")
    monkeypatch.setattr(runtime, "default_device", lambda: "cpu")
    with pytest.raises(UsageError, match="--device cuda: torch finds no GPU here; use --device cpu"):
        check_device("cuda")
