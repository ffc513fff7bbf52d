"""The C library's heap, whose blocks come and go and leave holes, which stay resident.

glibc (malloc/malloc.c) serves blocks below 32 MiB from one stretch of memory. A block goes into the smallest hole it
fits into, else on top; what is given back joins the holes beside it, and only the end of the stretch goes back to the
system. Larger blocks are mapped one by one. So the memory of a pass is that of its tensors and of the holes between.
"""

from __future__ import annotations

from bisect import bisect_left, insort

# Blocks from here on are mapped; the heap's end is given back once so much of it is free. glibc comes to these by
# itself, or `runtime.py` sets them.
MAPPED, TRIMMED = 2**25, 2**26
_ALIGNED, _HEADER = 64, 16
# torch asks for aligned blocks, which glibc 2.36 looks for with so much to spare (_int_memalign): the hole that an
# equal block has left does not do.
_SEARCHED = 96


class Heap:
    """Counts the resident bytes of blocks.

    Attributes:
        resident: bytes now.
        peak: the most so far.
    """

    def __init__(self) -> None:
        self.resident = self.peak = 0
        self._top = 0
        self._blocks: dict[int, tuple[int, int]] = {}  # number -> (start, size); start -1 where it is mapped
        self._holes: list[tuple[int, int]] = []  # (size, start), by size
        self._starts: dict[int, int] = {}  # start -> size
        self._ends: dict[int, int] = {}  # end -> start
        self._number = 0

    def take(self, size: int) -> int:
        """A block; returns its number."""
        self._number += 1
        if size >= MAPPED:
            start = -1
            self.resident += size
        else:
            size = -(-(size + _HEADER) // _ALIGNED) * _ALIGNED
            start = self._place(size)
        self._blocks[self._number] = (start, size)
        self.peak = max(self.peak, self.resident)
        return self._number

    def give(self, number: int) -> None:
        """The block is no longer needed."""
        start, size = self._blocks.pop(number)
        if start < 0:
            self.resident -= size
            return
        if start in self._ends:
            before = self._ends[start]
            size += self._remove(before)
            start = before
        if start + size in self._starts:
            size += self._remove(start + size)
        if start + size == self._top and size >= TRIMMED:
            self._top = start
            self.resident -= size
        else:
            self._add(start, size)

    def _place(self, size: int) -> int:
        found = bisect_left(self._holes, (size + _SEARCHED, -1))
        if found < len(self._holes):
            held, start = self._holes[found]
            self._remove(start)
            if held > size:
                self._add(start + size, held - size)
            return start
        start = self._top
        if start in self._ends:  # the last hole grows
            start = self._ends[start]
            self._remove(start)
        self.resident += start + size - self._top
        self._top = start + size
        return start

    def _add(self, start: int, size: int) -> None:
        insort(self._holes, (size, start))
        self._starts[start] = size
        self._ends[start + size] = start

    def _remove(self, start: int) -> int:
        size = self._starts.pop(start)
        del self._ends[start + size]
        del self._holes[bisect_left(self._holes, (size, start))]
        return size
