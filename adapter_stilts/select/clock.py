"""A budget of seconds, held while one thing is measured after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
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
        self, what: str, items: Sequence[Item], measure: Callable[[Item], Measured]
    ) -> Iterator[Measured]:
        """Measure one after another, as long as the budget lasts; the seconds of all are counted.

        Raises:
            OutOfTime: it will not last for all, as far as those that were measured tell.
        """
        ends = [self.taken]
        for done, item in enumerate(items):
            # What is loaded for the first one says nothing of the others.
            later = (ends[-1] - ends[1]) / (done - 1) if done > 1 else 0.0
            whole = ends[-1] + later * (len(items) - done)
            if self.budget is not None and whole > self.budget:
                raise OutOfTime(done, whole if done > 1 else None)
            found = measure(item)
            ends.append(self.taken)
            self.seconds[what] = ends[-1] - ends[0]
            yield found


class OutOfTime(Exception):
    """A budget that does not last.

    Args:
        done: how many were measured.
        whole: seconds that all would take, where that can be told.
    """

    def __init__(self, done: int, whole: float | None) -> None:
        super().__init__()
        self.done, self.whole = done, whole
