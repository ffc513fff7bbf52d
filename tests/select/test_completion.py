"""A matrix with gaps: completed, against the same least sum found otherwise; and the cells that are named next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from adapter_stilts.errors import UsageError
from adapter_stilts.select.completion import complete
from adapter_stilts.select.next_cells import Seeds, next_cells

NAN = float("nan")


def test_effects_by_normal_equations() -> None:
    """Additive in rows and columns: rank 0, and row and column effects are those of a ridge regression with dummies."""
    matrix = np.asarray([[1.0, 5.0, NAN], [3.0, NAN, 2.0], [2.0, 6.5, 1.0], [NAN, 4.0, -1.0]])
    cells = np.argwhere(~np.isnan(matrix))
    design = np.zeros((len(cells) + 4, 7))
    target = np.zeros(len(cells) + 4)
    for number, (row, column) in enumerate(cells):
        design[number, row] = design[number, 4 + column] = 1
        target[number] = matrix[row, column]
    design[len(cells) :, :4] = np.eye(4)  # the squares of row effects, of weight 1
    effects = np.linalg.lstsq(design, target, rcond=None)[0]
    found = complete(matrix)
    assert found.rank == 0
    np.testing.assert_allclose(found.values, effects[:4, None] + effects[None, 4:], atol=2e-3)


def world(noise: float = 0.1) -> np.ndarray:
    """Effects of rows and columns, and two products of a row and a column."""
    generator = np.random.default_rng(0)
    effects = 2 * generator.standard_normal((10, 1)) + 3 * generator.standard_normal((1, 8))
    products = sum(np.outer(generator.standard_normal(10), generator.standard_normal(8)) for _ in range(2))
    return np.asarray(effects + 4 * products + noise * generator.standard_normal((10, 8)))


def gaps(matrix: np.ndarray, share: float = 0.25) -> np.ndarray:
    return np.where(np.random.default_rng(1).random(matrix.shape) < share, NAN, matrix)


def test_what_has_low_rank_is_told_better_than_by_means() -> None:
    whole = world()
    given = gaps(whole)
    missing = np.isnan(given)
    found = complete(given)
    assert 2 <= found.rank <= 3
    assert found.error < found.mean_error / 2
    errors = (found.values - whole)[missing]
    assert np.sqrt((errors**2).mean()) < 2 * found.error
    means = np.where(missing, np.nanmean(given, axis=0)[None], given)
    assert np.sqrt((errors**2).mean()) < np.sqrt(((means - whole)[missing] ** 2).mean()) / 2


def test_shuffled_columns_are_told_by_the_number() -> None:
    """A planted bug: within each column the rows are others'."""
    generator = np.random.default_rng(2)
    right = gaps(world())
    wrong = np.stack([generator.permutation(column) for column in right.T], axis=1)
    assert complete(wrong).error > 2 * complete(right).error


def test_noise_has_no_rank() -> None:
    noise = np.random.default_rng(3).standard_normal((10, 8))
    found = complete(gaps(noise))
    assert found.rank == 0 or found.error > 0.9 * found.mean_error
    assert found.error == pytest.approx(1.0, abs=0.3)


def test_what_is_known_less_is_told_less_surely() -> None:
    matrix = world()
    matrix[0, 1:] = NAN
    matrix[1, 5] = NAN
    found = complete(matrix)
    assert found.spread[0, 5] == pytest.approx(found.error * np.sqrt(1 + 1 / 2 + 1 / 9))
    assert found.spread[1, 5] == pytest.approx(found.error * np.sqrt(1 + 1 / 8 + 1 / 9))


ROWS, COLUMNS = ("none", "a", "b", "c"), ("x", "y", "z")
Scores = dict[tuple[str, str], float]
SCORES: Scores = {
    ("none", "x"): 50.0,
    ("none", "y"): 40.0,
    ("none", "z"): 30.0,
    ("a", "x"): 58.0,
    ("a", "y"): 49.0,
    ("b", "x"): 51.0,
    ("b", "y"): 41.0,
    ("b", "z"): 30.5,
    ("c", "z"): 29.0,
}


def planned(
    scores: Scores, rows: Sequence[str] = ROWS, columns: Sequence[str] = COLUMNS
) -> dict[tuple[str, str], dict[int | None, float]]:
    """Every cell of rows and columns, finished with one seed or not."""
    cells = [(row, column) for row in rows for column in columns]
    return {cell: {0: scores[cell]} if cell in scores else {} for cell in cells}


def named(scores: Mapping[tuple[str, str], Seeds]) -> tuple[object, ...]:
    """All that is named, by which estimates, and how many cells are known."""
    found = next_cells(scores, "none", 9)
    return (*found.chosen, found.known, found.cells)


def test_the_cell_that_may_gain_most_is_named_first() -> None:
    """`a` brings 8 and 9 points elsewhere, `c` took one."""
    found = next_cells(planned(SCORES), "none", 9)
    assert (found.known, found.cells) == (9, 12)
    assert (found.chosen[0].row, found.chosen[0].column) == ("a", "z")
    assert {(cell.row, cell.column) for cell in found.chosen} == {("a", "z"), ("c", "x"), ("c", "y")}
    upper = [cell.upper for cell in found.chosen]
    assert upper == sorted(upper, key=lambda value: -(value or 0))
    first = found.chosen[0]
    assert first.gain is not None
    assert first.gain > 2
    assert len(next_cells(planned(SCORES), "none", 1).chosen) == 1


def test_a_gain_is_over_the_baseline_of_the_same_seed() -> None:
    """Seed 1 brings 20 points to all alike, and of most entries it is the one that is finished."""
    plain = planned(SCORES)
    seeded = {
        (row, column): {0: seeds[0], 1: seeds[0] + 20} if seeds and row == "none" else {1: seeds[0] + 20}
        for (row, column), seeds in plain.items()
        if seeds
    }
    seeded["a", "x"][0] = 58.0
    assert named(plain | seeded) == named(plain)
    # Of two seeds in common the mean counts; a third that the baseline lacks does not.
    seeded["a", "x"] = {0: 57.0, 1: 79.0, 2: 500.0}
    assert named(plain | seeded) == named(plain)


def test_a_cell_without_a_seed_of_the_baseline_is_not_known() -> None:
    other = {**planned(SCORES), ("a", "x"): {2: 58.0}}
    assert named(other) == named({**other, ("a", "x"): {}})
    assert ("a", "x") in {(cell.row, cell.column) for cell in next_cells(other, "none", 9).chosen}


def test_a_baseline_that_no_seed_made_stands_beside_every_one() -> None:
    plain = planned(SCORES)
    untrained = {("none", "x"): {None: 50.0}, ("a", "x"): {0: 57.0, 3: 59.0}}
    assert named({**plain, **untrained}) == named(plain)


def test_a_cell_that_cannot_be_is_not_named() -> None:
    whole = planned(SCORES)
    part = {cell: seeds for cell, seeds in whole.items() if cell != ("c", "x")}
    found = next_cells(part, "none", 9)
    assert {(cell.row, cell.column) for cell in found.chosen} == {("a", "z"), ("c", "y")}
    assert (found.known, found.cells) == (9, 11)


def test_a_baseline_that_is_missing_comes_first() -> None:
    scores = {cell: score for cell, score in SCORES.items() if cell != ("none", "z")}
    found = next_cells(planned(scores), "none", 2)
    first, second = found.chosen
    assert (first.row, first.column, first.gain, first.upper) == ("none", "z", None, None)
    assert (second.row, second.column) in {("c", "x"), ("c", "y")}  # of z nothing is known then
    assert next_cells(planned(scores), "none", 1).completion is None


def test_without_a_baseline_gains_are_over_the_target_s_mean() -> None:
    scores = {cell: score for cell, score in SCORES.items() if cell[0] != "none"}
    found = next_cells(planned(scores, ROWS[1:]), None, 3)
    assert (found.chosen[0].row, found.chosen[0].column) == ("a", "z")


BAD: dict[str, tuple[Scores, Sequence[str], Sequence[str], str]] = {
    "empty": ({}, ROWS, COLUMNS, "the store holds none of the 12 cells"),
    "full": (
        {(row, column): 1.0 for row in ROWS for column in COLUMNS},
        ROWS,
        COLUMNS,
        "every one of the 12 cells is finished",
    ),
    "one row": (
        SCORES,
        ("none", "a"),
        COLUMNS,
        "a matrix of 1 intermediate entry besides none and 3 columns",
    ),
    "one column": (
        SCORES,
        ROWS,
        ("x",),
        "3 intermediate entries besides none and 1 column \\(a target in a mode",
    ),
    "too few": (
        {("none", column): 1.0 for column in COLUMNS} | {("a", "x"): 2.0},
        ROWS,
        COLUMNS,
        "1 of 9 gains are known, in 1 intermediate entries and 1 columns; a completion takes 4",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    scores, rows, columns, message = BAD[case]
    with pytest.raises(UsageError, match=message):
        next_cells(planned(scores, rows, columns), "none", 3)
