"""A budget of seconds, held while one thing is measured after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TypeVar

Item = TypeVar("Item")
Measured = TypeVar("Measured")


@dataclass
class Clock:
    """How long was taken, and how long there is; None is without end."""

    budget: float | None
    seconds: dict[str, float] = field(default_factory=dict)
    _begun: float = field(default_factory=time.perf_counter)

    @property
    def taken(self) -> float:
        """Seconds since it was made."""
        return time.perf_counter() - self._begun

    def each(
        self,
        what: str,
        items: Sequence[Item],
        measure: Callable[[Item], Measured],
        made: Callable[[], int] | None = None,
        load: Callable[[], object] | None = None,
    ) -> Iterator[Measured]:
        """Measure one after another, as long as the budget lasts; the seconds of all are counted.

        Args:
            made: how many were made so far rather than found in the cache: what was found tells nothing of the others.
                None takes each as made.
            load: what each needs, loaded before the first: its seconds are counted, and tell nothing of the items.

        Raises:
            OutOfTime: it will not last for all, as far as those that were made tell.
        """
        begun = self.taken
        if load is not None:
            self._check(0, [], len(items))
            load()
        lasted: list[float] = []
        for done, item in enumerate(items):
            self._check(done, lasted, len(items) - done)
            before, known = self.taken, made() if made else None
            found = measure(item)
            if made is None or made() != known:
                lasted.append(self.taken - before)
            self.seconds[what] = self.taken - begun
            yield found

    def _check(self, done: int, lasted: Sequence[float], left: int) -> None:
        """Raises OutOfTime where the budget does not last for the next one, or for all that are left.

        Args:
            lasted: the seconds of each that was made.
        """
        # What is loaded for the first one says nothing of all the others, but the next may take as long.
        later = fmean(lasted[1:]) * left if len(lasted) > 1 else 0.0
        whole = self.taken + max([later, *lasted[-1:]])
        if self.budget is not None and whole > self.budget:
            raise OutOfTime(done, whole if len(lasted) > 1 else None)


class OutOfTime(Exception):
    """A budget that does not last.

    Args:
        done: how many were measured.
        whole: seconds that all would take, where that can be told.
    """

    def __init__(self, done: int, whole: float | None) -> None:
        super().__init__()
        self.done, self.whole = done, whole
