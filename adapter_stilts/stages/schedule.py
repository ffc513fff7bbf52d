"""Which stage comes next: one whose parents are through. What failed keeps its descendants back, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.states import StageState

FAILED = ("failed", "skipped")


class Schedule:
    """The stages of a plan, as they are waited for, given out, and brought back.

    Args:
        stages: parents first.
        rank: what comes first among stages that may run, the smallest; without, the plan's order.
        retries: seconds to wait before a stage whose cause may pass is tried again, one for each time.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        rank: Callable[[Stage], float] | None = None,
        retries: Sequence[float] = (),
    ) -> None:
        self._places = {stage.key: place for place, stage in enumerate(stages)}
        self._waiting = {stage.key: stage for stage in stages}
        self._given: dict[str, Stage] = {}
        self._not_before: dict[str, float] = {}
        self._tried: dict[str, int] = {}
        self._rank, self._retries = rank, tuple(retries)
        self.states: dict[str, StageState] = {}

    @property
    def done(self) -> bool:
        """Whether every stage has its state."""
        return not self._waiting and not self._given

    @property
    def count(self) -> int:
        """How many stages there are."""
        return len(self._places)

    @property
    def given(self) -> tuple[Stage, ...]:
        """Stages that are given out."""
        return tuple(self._given.values())

    def place(self, stage: Stage) -> int:
        """A stage's number in the plan, from 1."""
        return self._places[stage.key] + 1

    def ready(self, now: float) -> list[Stage]:
        """Stages that may run now, the first in order first.

        Args:
            now: by the clock that `later` goes by.
        """
        free = [
            stage
            for stage in self._waiting.values()
            if self._not_before.get(stage.key, now) <= now
            and all(parent.key in self.states for parent in stage.parents)
        ]
        return sorted(free, key=self._order)

    def _order(self, stage: Stage) -> tuple[float, int]:
        return 0.0 if self._rank is None else self._rank(stage), self._places[stage.key]

    def give(self, stage: Stage) -> None:
        """A stage begins somewhere."""
        self._given[stage.key] = self._waiting.pop(stage.key)

    def later(self, stage: Stage, when: float) -> None:
        """A stage comes back as it was, not to be given out again before a time."""
        self._waiting[stage.key] = self._given.pop(stage.key)
        self._not_before[stage.key] = when

    def again(self, stage: Stage, now: float) -> float | None:
        """Of a stage whose cause to fail may pass, seconds until it is tried again; None where it was tried enough."""
        tried = self._tried.get(stage.key, 0)
        if tried >= len(self._retries):
            return None
        self._tried[stage.key] = tried + 1
        self.later(stage, now + self._retries[tried])
        return self._retries[tried]

    def end(self, state: StageState) -> None:
        """A stage has its state."""
        self._given.pop(state.stage.key, None)
        self._waiting.pop(state.stage.key, None)
        self.states[state.stage.key] = state

    def is_lost(self, stage: Stage) -> bool:
        """Whether a stage cannot run, as one that it starts from failed."""
        return any(self.states[parent.key].status in FAILED for parent in stage.parents)

    def next_time(self) -> float | None:
        """When the next stage that waits for a time may run; None where none does."""
        times = [self._not_before[key] for key in self._waiting if key in self._not_before]
        return min(times, default=None)


def longest_chain_first(stages: Iterable[Stage], cost: Callable[[Stage], float]) -> Callable[[Stage], float]:
    """An order by which the end of the plan is not left waiting for one long chain: minus the cost of all that has to
    follow, one after another, from a stage to a plan's end.

    Args:
        stages: parents first.
        cost: of a stage, e.g. its seconds.
    """
    found: dict[str, float] = {}
    for stage in reversed(list(stages)):
        found[stage.key] = found.get(stage.key, 0.0) + cost(stage)
        for parent in stage.parents:
            found[parent.key] = max(found.get(parent.key, 0.0), found[stage.key])
    ranks: Mapping[str, float] = {key: -value for key, value in found.items()}
    return lambda stage: ranks[stage.key]
