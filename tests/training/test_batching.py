"""Cutting a step: every sequence once, within the budget, at least cost."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter_stilts.formats.features import Features, Ragged
from adapter_stilts.training.batching import cut_step, item_lengths, sequences_of, share, sub_batches

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=20)
BUDGET, OVERHEAD = st.integers(1, 400), st.integers(0, 200)


def cost(lengths: np.ndarray, parts: list[np.ndarray], overhead: int) -> int:
    return sum(int(lengths[part].max()) * len(part) + overhead for part in parts)


@given(LENGTHS, BUDGET, OVERHEAD)
def test_sub_batches_are_a_partition_within_the_budget(values: list[int], budget: int, overhead: int) -> None:
    lengths = np.asarray(values)
    parts = sub_batches(lengths, budget, overhead)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(lengths)))
    for part in parts:
        assert len(part) == 1 or int(lengths[part].max()) * len(part) <= budget


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), BUDGET, OVERHEAD)
def test_sub_batches_cost_no_more_than_any_grouping(values: list[int], budget: int, overhead: int) -> None:
    """Against all ways to give each sequence a group, contiguous in length or not."""
    lengths = np.asarray(values)
    best = min(
        cost(lengths, groups, overhead)
        for labels in itertools.product(range(len(values)), repeat=len(values))
        if all(label <= max(labels[:place], default=-1) + 1 for place, label in enumerate(labels))
        for groups in [[np.flatnonzero(np.asarray(labels) == group) for group in range(max(labels) + 1)]]
        if all(len(g) == 1 or int(lengths[g].max()) * len(g) <= budget for g in groups)
    )
    assert cost(lengths, sub_batches(lengths, budget, overhead), overhead) == best


def features(counts: list[list[int]]) -> Features:
    """Examples from the lengths of their sequences."""
    flat = [length for example in counts for length in example]
    return Features(
        Ragged.from_lengths(np.zeros(sum(flat), dtype=np.int32), flat),
        np.cumsum([0, *map(len, counts)]).astype(np.int64),
    )


EXAMPLES = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=4), min_size=1, max_size=8)


@given(EXAMPLES, BUDGET, OVERHEAD, st.sampled_from(["examples", "sequences"]), st.data())
def test_cuts_hold_whole_items_within_the_budget(
    counts: list[list[int]], budget: int, overhead: int, kind: str, data: st.DataObject
) -> None:
    split = features(counts)
    number = split.num_examples if kind == "examples" else split.num_sequences
    items = np.asarray(data.draw(st.permutations(range(number))))[: data.draw(st.integers(1, number))]
    cuts = cut_step(split, items, kind, budget, overhead)
    assert sorted(np.concatenate([cut.items for cut in cuts]).tolist()) == sorted(items.tolist())
    lengths = split.input_ids.lengths
    for cut in cuts:
        rows, _ = sequences_of(split, cut.items, kind)
        assert sorted(np.concatenate(cut.parts).tolist()) == sorted(rows.tolist())
        padded = sum(int(lengths[part].max()) * len(part) for part in cut.parts)
        assert padded <= budget or len(cut.items) == 1
        for part in cut.parts:
            assert len(part) == 1 or int(lengths[part].max()) * len(part) <= budget


def test_one_cut_where_the_step_fits() -> None:
    split = features([[10, 20], [5], [7, 7, 7]])
    assert [len(cut.items) for cut in cut_step(split, np.arange(3), "examples", 1000, 0)] == [3]
    assert [len(cut.items) for cut in cut_step(split, np.arange(3), "examples", 1, 0)] == [1, 1, 1]


def test_lengths_of_items() -> None:
    split = features([[10, 20], [5], [7, 7, 7]])
    assert item_lengths(split, "examples").tolist() == [30, 5, 21]
    assert item_lengths(split, "sequences").tolist() == [10, 20, 5, 7, 7, 7]


@given(LENGTHS, st.integers(1, 5))
def test_shares_are_a_partition_of_about_equal_work(values: list[int], processes: int) -> None:
    lengths = np.asarray(values)
    items = np.arange(len(lengths))
    shares = [share(items, lengths, process, processes) for process in range(processes)]
    assert sorted(np.concatenate(shares).tolist()) == items.tolist()
    sizes = [len(part) for part in shares]
    assert max(sizes) - min(sizes) <= 1
    work = [int(lengths[part].sum()) for part in shares]
    assert max(work) - min(work) <= int(lengths.max())


@pytest.mark.parametrize("overhead", [0, 32, 10_000])
def test_overhead_decides_how_finely_a_step_is_cut(overhead: int) -> None:
    lengths = np.asarray([100, 100, 10, 10, 10])
    assert len(sub_batches(lengths, 10**6, overhead)) == (1 if overhead == 10_000 else 2)
