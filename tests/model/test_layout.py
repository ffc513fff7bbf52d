"""Cutting, running and gathering: every sequence once, within the budget, at least cost, and its own states."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter_stilts.formats.features import Features, Ragged, sequences_of
from adapter_stilts.model.layout import PADDED, sub_batches

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


@settings(max_examples=150)
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
    cuts = PADDED.cut(split, items, kind, budget, overhead)
    assert sorted(np.concatenate([cut.items for cut in cuts]).tolist()) == sorted(items.tolist())
    lengths = split.input_ids.lengths
    for cut in cuts:
        rows, _ = sequences_of(split, cut.items, kind)
        assert sorted(np.concatenate(cut.parts).tolist()) == sorted(rows.tolist())
        padded = sum(int(lengths[part].max()) * len(part) for part in cut.parts)
        assert padded <= budget or len(cut.items) == 1
        assert cut.tokens == padded
        for part in cut.parts:
            assert len(part) == 1 or int(lengths[part].max()) * len(part) <= budget


def test_one_cut_where_the_step_fits() -> None:
    split = features([[10, 20], [5], [7, 7, 7]])
    assert [len(cut.items) for cut in PADDED.cut(split, np.arange(3), "examples", 1000, 0)] == [3]
    assert [len(cut.items) for cut in PADDED.cut(split, np.arange(3), "examples", 1, 0)] == [1, 1, 1]


@pytest.mark.parametrize("overhead", [0, 32, 10_000])
def test_overhead_decides_how_finely_a_step_is_cut(overhead: int) -> None:
    lengths = np.asarray([100, 100, 10, 10, 10])
    assert len(sub_batches(lengths, 10**6, overhead)) == (1 if overhead == 10_000 else 2)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(1, 200))
def test_batches_hold_every_sequence_once_and_keep_the_budget(lengths: list[int], budget: int) -> None:
    batches = PADDED.batches(np.asarray(lengths), budget)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    longest = [max(lengths[row] for row in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)
    assert all(
        len(batch) == 1 or len(batch) * top <= budget for batch, top in zip(batches, longest, strict=True)
    )


def doubled(input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any) -> Any:
    """An encoder whose states are known: an id twice, and the mask."""
    states = torch.stack([2.0 * input_ids, attention_mask.float()], dim=-1)
    return SimpleNamespace(last_hidden_state=states)


def test_a_sub_batch_gives_back_the_states_of_its_sequences() -> None:
    split = Features(Ragged.from_lengths(np.arange(1, 7, dtype=np.int32), [3, 1, 2]), np.arange(4))
    part = PADDED.lay(split, np.asarray([2, 0, 1]), 9, "cpu")
    states = part.run(doubled, input_ids=part.input_ids)
    every = part.every(states)
    assert every[..., 0].tolist() == [[10, 12, 18], [2, 4, 6], [8, 18, 18]]
    assert every[..., 1].tolist() == [[1, 1, 0], [1, 1, 1], [1, 0, 0]]
    assert part.first(states)[..., 0].tolist() == [[10], [2], [8]]
    assert part.mean(states)[..., 0].tolist() == [[11], [4], [8]]
    flags = Ragged.from_lengths(np.asarray([False, True, True, False, True, False]), [2, 3, 1])
    assert part.chosen(states, flags)[..., 0].tolist() == [12, 2, 6]
