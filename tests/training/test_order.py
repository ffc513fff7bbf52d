"""Which items make a step: every item once an epoch, in an order that the seed and the epoch decide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_stilts.training.order import GROUPED_BATCHES, Order, share

KINDS = st.sampled_from(["shuffled", "length_grouped"])


def epoch(order: Order, number: int) -> list[int]:
    first = number * order.steps_per_epoch
    return np.concatenate([order.step(first + place) for place in range(order.steps_per_epoch)]).tolist()


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 9), KINDS, st.integers(0, 5))
def test_every_epoch_is_a_permutation_in_full_steps(
    lengths: list[int], batch_size: int, kind: str, seed: int
) -> None:
    order = Order(np.asarray(lengths), batch_size, kind, seed)  # type: ignore[arg-type]
    for number in (0, 1, 4):
        assert sorted(epoch(order, number)) == list(range(len(lengths)))
    sizes = [len(order.step(step)) for step in range(order.steps_per_epoch)]
    assert set(sizes[:-1]) <= {batch_size}
    assert sizes[-1] == (len(lengths) - 1) % batch_size + 1


@pytest.mark.parametrize("kind", ["shuffled", "length_grouped"])
def test_seed_and_epoch_decide(kind: str) -> None:
    lengths = np.arange(1, 101)
    orders = [Order(lengths, 4, kind, seed) for seed in (0, 0, 1)]  # type: ignore[arg-type]
    assert epoch(orders[0], 0) == epoch(orders[1], 0)
    assert epoch(orders[0], 0) != epoch(orders[0], 1)
    assert epoch(orders[0], 0) != epoch(orders[2], 0)
    # A step is known without having run those before it.
    assert orders[1].step(37).tolist() == orders[0].step(37).tolist()
    fresh = Order(lengths, 4, kind, 0)  # type: ignore[arg-type]
    assert fresh.step(37).tolist() == orders[0].step(37).tolist()


def test_length_grouped_steps_hold_neighbours() -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(5, 500, size=4 * GROUPED_BATCHES * 2)
    spread = {
        kind: np.mean([np.ptp(lengths[order.step(s)]) for s in range(order.steps_per_epoch)])
        for kind in ("shuffled", "length_grouped")
        for order in [Order(lengths, 4, kind, 0)]  # type: ignore[arg-type]
    }
    assert spread["length_grouped"] < spread["shuffled"] / 20
    order = Order(lengths, 4, "length_grouped", 0)
    means = [float(lengths[order.step(step)].mean()) for step in range(GROUPED_BATCHES)]
    assert means != sorted(means)
    assert means != sorted(means, reverse=True)


@pytest.mark.parametrize(
    ("epochs", "max_steps", "total"), [(3.0, None, 9), (0.5, None, 2), (0.01, None, 1), (3.0, 7, 7)]
)
def test_total_steps(epochs: float, max_steps: int | None, total: int) -> None:
    assert Order(np.ones(10, dtype=np.int64), 4, "shuffled", 0).total_steps(epochs, max_steps) == total


@given(st.lists(st.integers(1, 60), min_size=1, max_size=20), st.integers(1, 5))
def test_shares_are_a_partition_of_about_equal_work(values: list[int], processes: int) -> None:
    lengths = np.asarray(values)
    items = np.arange(len(lengths))
    shares = [share(items, lengths, process, processes) for process in range(processes)]
    assert sorted(np.concatenate(shares).tolist()) == items.tolist()
    sizes = [len(part) for part in shares]
    assert max(sizes) - min(sizes) <= 1
    work = [int(lengths[part].sum()) for part in shares]
    assert max(work) - min(work) <= int(lengths.max())
