"""How the C library keeps memory: what is asked of it, and that nothing else changes."""

from __future__ import annotations

import ctypes
import sys

import pytest
import torch

from adapter_stilts.runtime import large_blocks_apart


class Info(ctypes.Structure):
    """The C library's ``struct mallinfo2``."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def mapped() -> int:
    """Blocks that are mappings of their own."""
    function = ctypes.CDLL(None).mallinfo2
    function.restype = Info
    return int(function().hblks)


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33 or later"
)
def test_large_blocks_are_mapped_within_and_share_the_heap_after() -> None:
    with large_blocks_apart():
        pass
    before = mapped()
    apart, small = [], []
    with large_blocks_apart():
        apart = [torch.empty(2**19) for _ in range(3)]  # 2 MiB each
        small = [torch.empty(2**10) for _ in range(3)]
        assert mapped() == before + 3
    together = [torch.empty(2**19) for _ in range(3)]
    assert mapped() == before + 3
    del apart
    assert mapped() == before
    assert len(small) == len(together) == 3
