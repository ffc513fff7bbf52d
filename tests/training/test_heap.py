"""The heap's count: holes are resident, their neighbours join, and the end goes back."""

from __future__ import annotations

from adapter_stilts.training.heap import MAPPED, TRIMMED, Heap

MIB = 2**20


def test_holes_stay_and_are_filled_by_what_fits() -> None:
    heap = Heap()
    first, kept, last = heap.take(8 * MIB), heap.take(MIB), heap.take(MIB)
    whole = heap.resident
    assert 10 * MIB < whole < 10.01 * MIB
    heap.give(first)
    assert heap.resident == whole
    small = heap.take(5 * MIB)
    assert heap.resident == whole
    heap.take(4 * MIB)  # 3 MiB are left of the hole
    assert 4 * MIB < heap.resident - whole < 4.01 * MIB
    for block in (small, kept, last):
        heap.give(block)
    joined = heap.resident
    heap.take(9 * MIB)
    assert heap.resident == joined


def test_an_equal_block_does_not_fit_a_hole() -> None:
    """glibc 2.36 looks for room to align a block beside the block itself."""
    heap = Heap()
    first, _ = heap.take(MIB), heap.take(MIB)
    heap.give(first)
    before = heap.resident
    heap.take(MIB)
    assert heap.resident > before
    heap.take(MIB - 4096)
    assert heap.resident - before < 1.01 * MIB


def test_large_blocks_and_a_long_free_end_go_back() -> None:
    heap = Heap()
    large = heap.take(MAPPED)
    heap.give(large)
    assert (heap.resident, heap.peak) == (0, MAPPED)
    blocks = [heap.take(16 * MIB) for _ in range(5)]
    whole = heap.resident
    for block in blocks[::-1][:3]:
        heap.give(block)
    assert heap.resident == whole  # 48 MiB at the end are kept
    heap.give(blocks[1])
    assert whole - heap.resident >= TRIMMED
    heap.give(blocks[0])
    assert heap.peak > heap.resident
