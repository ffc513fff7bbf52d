"""Ranks against scipy and against the worked example of Demšar 2006."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from adapter_stilts.errors import UsageError
from adapter_stilts.report.ranking import (
    borda,
    borda_ranks,
    critical_difference,
    friedman,
    indistinct,
    ranks,
    win_rates,
)

TABLES = st.integers(3, 5).flatmap(
    lambda systems: st.lists(
        st.lists(st.integers(0, 6).map(float), min_size=systems, max_size=systems), min_size=2, max_size=8
    )
)

# Demšar 2006, table 6: area under the curve of C4.5, with m, with cf and with both, on 14 data sets. Two of
# voting's are printed as 0.975 and ranked 2 and 3.
DEMSAR = [
    [0.763, 0.768, 0.771, 0.798], [0.599, 0.591, 0.590, 0.569], [0.954, 0.971, 0.968, 0.967],
    [0.628, 0.661, 0.654, 0.657], [0.882, 0.888, 0.886, 0.898], [0.936, 0.931, 0.916, 0.931],
    [0.661, 0.668, 0.609, 0.685], [0.583, 0.583, 0.563, 0.625], [0.775, 0.838, 0.866, 0.875],
    [1.000, 1.000, 1.000, 1.000], [0.940, 0.962, 0.965, 0.962], [0.619, 0.666, 0.614, 0.669],
    [0.972, 0.981, 0.97501, 0.975], [0.957, 0.978, 0.946, 0.970],
]  # fmt: skip

# Demšar 2006, table 5a: q of the two-tailed Nemenyi test for 2 to 10 systems.
Q_05 = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
Q_10 = [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920]


def test_demsars_example() -> None:
    found = friedman(DEMSAR)
    assert found.average_ranks == pytest.approx((3.143, 2.000, 2.893, 1.964), abs=5e-4)
    # He does not correct for ties: the variance of ranks is then k (k + 1) / 12.
    variance = ((ranks(DEMSAR) - 2.5) ** 2).sum() / (14 * 3)
    plain = found.chi_square * variance / (4 * 5 / 12)
    assert plain == pytest.approx(9.28, abs=5e-3)
    assert 13 * plain / (14 * 3 - plain) == pytest.approx(3.69, abs=5e-3)
    # Ties make what is left more telling.
    assert found.chi_square > plain
    assert found.f == pytest.approx(13 * found.chi_square / (14 * 3 - found.chi_square))
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=5e-3)
    assert critical_difference(4, 14, alpha=0.10) == pytest.approx(1.12, abs=5e-3)


@pytest.mark.parametrize(("alpha", "quantiles"), [(0.05, Q_05), (0.10, Q_10)])
def test_demsars_quantiles(alpha: float, quantiles: list[float]) -> None:
    for systems, q in enumerate(quantiles, start=2):
        found = critical_difference(systems, 20, alpha) / math.sqrt(systems * (systems + 1) / 120)
        # To three decimals, the last of which his table rounds unlike in places.
        assert found == pytest.approx(q, abs=1.1e-3)


@given(TABLES)
def test_friedman_as_scipys(scores: list[list[float]]) -> None:
    table = np.asarray(scores)
    assert ranks(table) == pytest.approx(scipy.stats.rankdata(-table, axis=1))
    if all(len(set(row)) == 1 for row in scores):  # scipy divides by zero
        found = friedman(table)
        assert (found.chi_square, found.p_value, found.f, found.f_p_value) == (0, 1, 0, 1)
        return
    found = friedman(table)
    wanted = scipy.stats.friedmanchisquare(*table.T)
    assert found.chi_square == pytest.approx(wanted.statistic, abs=1e-9)
    assert found.p_value == pytest.approx(wanted.pvalue, abs=1e-9)
    if math.isfinite(found.f):
        down = (table.shape[0] - 1) * (table.shape[1] - 1)
        assert found.f_p_value == pytest.approx(scipy.stats.f.sf(found.f, table.shape[1] - 1, down))


def test_every_target_ranks_alike() -> None:
    found = friedman([[1, 2, 3], [10, 20, 30], [0, 5, 6]])
    assert found.average_ranks == (3, 2, 1)
    assert (found.chi_square, found.f, found.f_p_value) == (pytest.approx(6.0), math.inf, 0.0)


@given(TABLES, st.randoms(use_true_random=False))
def test_the_order_of_targets_and_systems_does_not_matter(scores: list[list[float]], order: object) -> None:
    table = np.asarray(scores)
    generator = np.random.default_rng(order.randrange(2**32))  # type: ignore[attr-defined]
    rows, columns = generator.permutation(table.shape[0]), generator.permutation(table.shape[1])
    found, shuffled = friedman(table), friedman(table[rows][:, columns])
    assert shuffled.chi_square == pytest.approx(found.chi_square)
    assert np.asarray(found.average_ranks)[columns] == pytest.approx(np.asarray(shuffled.average_ranks))
    # Borda points, win rates and average ranks are one order.
    systems = table.shape[1]
    wins = win_rates(table)
    assert wins + wins.T == pytest.approx(np.ones((systems, systems)))
    points = np.asarray(borda(table))
    assert points == pytest.approx((systems - np.asarray(found.average_ranks)) * len(table))
    assert points == pytest.approx((wins.sum(axis=1) - 0.5) * len(table))


def test_borda_and_win_rates_by_hand() -> None:
    scores = [[3.0, 2.0, 1.0], [5.0, 5.0, 1.0]]
    assert borda(scores) == (3.5, 2.5, 0.0)
    assert borda_ranks(scores) == (1, 2, 3)
    assert borda_ranks([[1.0, 1.0, 0.0]]) == (1.5, 1.5, 3)
    assert win_rates(scores).tolist() == [[0.5, 0.75, 1.0], [0.25, 0.5, 1.0], [0.0, 0.0, 0.5]]


@pytest.mark.parametrize(
    ("average", "difference", "groups"),
    [
        ((3.143, 2.000, 2.893, 1.964), 1.25, ((3, 1, 2, 0),)),
        ((3.143, 2.000, 2.893, 1.964), 1.12, ((3, 1, 2), (2, 0))),
        ((1.0, 2.0, 3.0), 0.5, ()),
        ((2.0, 1.0, 3.0), 9.0, ((1, 0, 2),)),
        ((1.0, 1.4, 3.0, 3.1), 0.5, ((0, 1), (2, 3))),
    ],
)
def test_groups_within_the_critical_difference(
    average: tuple[float, ...], difference: float, groups: tuple[tuple[int, ...], ...]
) -> None:
    assert indistinct(average, difference) == groups


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        ([1.0, 2.0], r"shape \(2,\)"),
        ([[1.0], [2.0]], "two systems at least"),
        ([[1.0, 2.0, 3.0], [1.0, math.nan, 3.0]], "the score of system 1 on target 1 is nan"),
        ([[1.0, 2.0], [2.0, 3.0]], "2 systems on 2 targets: the Friedman test needs three and two"),
    ],
)
def test_refused(scores: object, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        friedman(scores)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="1 systems on 3 targets"):
        critical_difference(1, 3)
