"""Margin mining against a naive implementation of its description, written out vector by vector."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter_stilts.evaluation.metrics import bucc_scores
from adapter_stilts.evaluation.mining import Blocks, both_ways, choose_threshold, mine, nearest

SMALL = Blocks(held=6, rows=3, columns=4)


def sets(seed: int, first: int, second: int, dimensions: int = 5) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    # Mostly positive, as sentence vectors are; of any length.
    return tuple(
        (random.standard_normal((count, dimensions)) + 0.8).astype(np.float32)
        * random.uniform(0.1, 9, size=(count, 1)).astype(np.float32)
        for count in (first, second)
    )


def naive(first: Any, second: Any, k: int, strategy: str) -> dict[tuple[int, int], float]:
    """Pairs and their scores, as the paper's and the script's texts say them."""

    def cosine(a: Any, b: Any) -> float:
        dot = math.fsum(float(x) * float(y) for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(math.fsum(float(x) ** 2 for x in a) * math.fsum(float(y) ** 2 for y in b))

    table = [[cosine(a, b) for b in second] for a in first]
    columns = [list(column) for column in zip(*table, strict=True)]

    def near(row: list[float]) -> list[int]:
        return sorted(range(len(row)), key=lambda index: -row[index])[:k]

    def mean(row: list[float]) -> float:
        chosen = [row[index] for index in near(row)]
        return sum(chosen) / len(chosen)

    def margin(i: int, j: int) -> float:
        below = (mean(table[i]) + mean(columns[j])) / 2
        return table[i][j] / below if below > 0 else 0.0

    ahead = {i: max(near(table[i]), key=lambda j: margin(i, j)) for i in range(len(first))}
    behind = {j: max(near(columns[j]), key=lambda i: margin(i, j)) for j in range(len(second))}
    if strategy == "forward":
        return {(i, j): margin(i, j) for i, j in ahead.items()}
    if strategy == "backward":
        return {(i, j): margin(i, j) for j, i in behind.items()}
    if strategy == "intersect":
        return {(i, j): margin(i, j) for i, j in ahead.items() if behind[j] == i}
    candidates = {*ahead.items(), *((i, j) for j, i in behind.items())}
    taken: dict[tuple[int, int], float] = {}
    for i, j in sorted(candidates, key=lambda pair: -margin(*pair)):
        if margin(i, j) > 0 and not any(i == a or j == b for a, b in taken):
            taken[i, j] = margin(i, j)
    return taken


@given(
    seed=st.integers(0, 10_000),
    first=st.integers(1, 14),
    second=st.integers(1, 14),
    k=st.integers(1, 5),
    strategy=st.sampled_from(["max", "intersect", "forward", "backward"]),
)
@settings(max_examples=60)
def test_pairs_and_scores_are_those_of_the_description(
    seed: int, first: int, second: int, k: int, strategy: Any
) -> None:
    x, y = sets(seed, first, second)
    mined = mine(x, y, strategy, k, blocks=SMALL)
    found = dict(
        zip(zip(mined.first.tolist(), mined.second.tolist(), strict=True), mined.scores, strict=True)
    )
    wanted = naive(x, y, k, strategy)
    assert found.keys() == wanted.keys()
    assert found == pytest.approx(wanted, rel=1e-4)
    assert list(mined.scores) == sorted(mined.scores, reverse=True)


@pytest.mark.parametrize("blocks", [None, SMALL, Blocks(5, 2, 100), Blocks(100, 100, 1)])
def test_blocks_change_nothing(blocks: Blocks | None) -> None:
    x, y = sets(3, 41, 57, 16)
    whole, cut = both_ways(x, y, 4, blocks=Blocks(100, 100, 100)), both_ways(x, y, 4, blocks=blocks)
    for a, b in zip(whole, cut, strict=True):
        np.testing.assert_array_equal(a.indices, b.indices)
        np.testing.assert_allclose(a.cosines, b.cosines, rtol=1e-5)
    one_way = nearest(x, y, 4, blocks=blocks)
    np.testing.assert_array_equal(one_way.indices, whole[0].indices)
    assert (np.diff(one_way.cosines) <= 0).all()


def test_planted_pairs_are_found_among_distractors_that_are_near_everything() -> None:
    random = np.random.default_rng(0)
    x = random.standard_normal((400, 64)).astype(np.float32)
    y = random.standard_normal((500, 64)).astype(np.float32)
    truth = {(int(i), int(j)) for i, j in zip(range(100), random.permutation(500)[:100], strict=True)}
    for i, j in truth:
        y[j] = x[i] + 0.6 * y[j]
    # Hubs: sentences whose vector is near to many. Plain cosine pairs others with them, the margin does not.
    y[[j for j in range(500) if j not in {j for _, j in truth}][:5]] = x[:100].mean(axis=0) * 9
    mined = mine(x, y)
    best = set(zip(mined.first[:100].tolist(), mined.second[:100].tolist(), strict=True))
    assert bucc_scores(truth, best)["f1"] == 100.0


def test_vectors_without_direction_pair_with_nothing() -> None:
    x, y = sets(1, 6, 6)
    x[2] = y[4] = 0
    mined = mine(x, y)
    assert 2 not in mined.first
    assert 4 not in mined.second
    assert np.isfinite(mined.scores).all()


@given(
    st.lists(st.tuples(st.sampled_from([0.5, 0.9, 1.0, 1.1, 1.2, 1.5]), st.booleans()), max_size=12),
    st.integers(0, 4),
)
def test_no_other_threshold_does_better(pairs: list[tuple[float, bool]], lost: int) -> None:
    gold = sum(right for _, right in pairs) + lost
    chosen = choose_threshold([score for score, _ in pairs], [right for _, right in pairs], gold)

    def f1(threshold: float) -> float:
        kept = [right for score, right in pairs if score >= threshold]
        return 200 * sum(kept) / (len(kept) + gold) if sum(kept) else 0.0

    assert chosen.f1 == pytest.approx(max((f1(score) for score, _ in pairs), default=0.0))
    assert f1(chosen.value) == pytest.approx(chosen.f1)


def test_the_threshold_stands_half_way_to_the_next_pair() -> None:
    assert choose_threshold([1.4, 1.2, 1.0], [True, True, False], 2) == (
        choose_threshold([1.0, 1.4, 1.2], [False, True, True], 2)
    )
    assert choose_threshold([1.4, 1.2, 1.0], [True, True, False], 2).value == pytest.approx(1.1)
    assert choose_threshold([1.4, 1.2], [True, True], 2).value == 1.2
    # No basis to choose: everything is kept, as the official script does.
    assert choose_threshold([1.4, 1.2], [False, False], 2).value == 0.0
    assert choose_threshold([], [], 2).value == 0.0
