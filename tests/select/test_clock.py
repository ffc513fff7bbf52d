"""A budget of seconds: what was found in a cache tells nothing of how long the rest takes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from adapter_stilts.select.clock import Clock, OutOfTime


class Work:
    """Items that move the clock by their seconds; those of less than one were found in a cache."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.made, self.done = 0.0, 0, 0
        monkeypatch.setattr(Clock, "taken", property(lambda clock: self.now))

    def run(self, budget: float, items: list[float]) -> Iterator[float]:
        return Clock(budget).each("training", items, self._one, lambda: self.made)

    def _one(self, seconds: float) -> float:
        self.now += seconds
        self.made += seconds >= 1
        self.done += 1
        return seconds


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    return Work(monkeypatch)


def test_the_budget_is_held_after_the_first_that_was_made(work: Work) -> None:
    """Two of the cache say nothing; the third is made, and as long again is more than there is."""
    with pytest.raises(OutOfTime) as raised:
        list(work.run(90, [0.1, 0.1, 50.0, 50.0, 50.0]))
    assert (raised.value.done, raised.value.whole, work.now) == (3, None, pytest.approx(50.2))


def test_the_first_that_is_made_may_be_overrun_and_none_after_it(work: Work) -> None:
    with pytest.raises(OutOfTime) as raised:
        list(work.run(13, [0.1, 0.1, 111.0, 0.1]))
    assert (raised.value.done, work.done) == (3, 3)


def test_what_the_cache_held_takes_nothing_from_the_forecast(work: Work) -> None:
    """After the first two that were made, four are left: at 10 s each 50.2 + 10 + 40."""
    with pytest.raises(OutOfTime) as raised:
        list(work.run(100, [0.1, 0.1, 40.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0]))
    assert (raised.value.done, raised.value.whole) == (4, pytest.approx(50.2 + 50))


def test_the_next_one_may_take_as_long_as_the_last(work: Work) -> None:
    """The mean of those after the first is 15 s, and the last took 29."""
    with pytest.raises(OutOfTime) as raised:
        list(work.run(55, [1.0, 1.0, 29.0, 1.0]))
    assert (raised.value.done, raised.value.whole) == (3, pytest.approx(31 + 29))


def test_a_cached_item_does_not_shorten_what_is_left(work: Work) -> None:
    with pytest.raises(OutOfTime) as raised:
        list(work.run(45, [10.0, 10.0, 0.1, 0.1, 10.0, 10.0, 10.0]))
    assert (raised.value.done, raised.value.whole) == (2, pytest.approx(20 + 50))


def test_all_from_the_cache_is_within_any_budget(work: Work) -> None:
    assert len(list(work.run(1, [0.1] * 9))) == 9


def test_without_a_count_each_one_was_made(work: Work) -> None:
    with pytest.raises(OutOfTime) as raised:
        list(Clock(25).each("running bundles", [10.0] * 5, work._one))
    assert (raised.value.done, raised.value.whole) == (2, pytest.approx(50))
    assert list(itertools.islice(Clock(None).each("more", [1.0] * 5, work._one), 9)) == [1.0] * 5


def test_what_is_loaded_is_counted_and_tells_nothing_of_the_items(work: Work) -> None:
    clock = Clock(45)
    done = list(clock.each("reading", [10.0, 10.0], work._one, load=lambda: work._one(20.0)))
    assert (done, clock.seconds) == ([10.0, 10.0], {"reading": 40.0})
    with pytest.raises(OutOfTime):
        list(Clock(10).each("reading", [1.0], work._one, load=lambda: work._one(99.0)))
    assert work.now == 40
