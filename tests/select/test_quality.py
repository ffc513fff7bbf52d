"""NDCG, regret and ranks on cases small enough for paper."""

from __future__ import annotations

import math
from itertools import permutations

import pytest

from adapter_stilts.select.quality import chance_ndcg, ndcg, regret
from adapter_stilts.select.ranks import mean_reciprocal_rank, ranks_of

# Relevances 1, 0 and 1/2, so gains 1, 0 and sqrt(2) - 1; discounts 1, 1 / log2(3) and 1/2.
TRUTH = (3.0, 1.0, 2.0)
SECOND, MIDDLE = 1 / math.log2(3), math.sqrt(2) - 1
IDEAL = 1 + MIDDLE * SECOND


def test_ndcg_by_hand() -> None:
    assert ndcg((9, 7, 8), TRUTH) == pytest.approx(1.0)
    assert ndcg((1, 3, 2), TRUTH) == pytest.approx((MIDDLE * SECOND + 0.5) / IDEAL)
    assert ndcg((1, 2, 3), TRUTH) == pytest.approx((MIDDLE + 0.5) / IDEAL)


def test_ndcg_is_of_the_target_s_own_scale() -> None:
    assert ndcg((1, 3, 2), [10 * value - 70 for value in TRUTH]) == pytest.approx(ndcg((1, 3, 2), TRUTH))


def test_equal_scores_count_as_the_mean_over_their_orders() -> None:
    either = [ndcg(scores, TRUTH) for scores in ((3, 1, 2), (2, 1, 3))]
    assert ndcg((5, 1, 5), TRUTH) == pytest.approx(sum(either) / 2)
    assert chance_ndcg(TRUTH) == pytest.approx((1 + MIDDLE) / 3 * (1 + SECOND + 0.5) / IDEAL)


def test_where_all_sources_are_equally_good_every_order_is_right() -> None:
    assert ndcg((1, 2, 3), (4, 4, 4)) == 1.0


def test_regret_is_the_points_that_the_picks_leave() -> None:
    assert regret((1, 3, 2), TRUTH, 1) == pytest.approx(2.0)
    assert regret((1, 3, 2), TRUTH, 2) == pytest.approx(1.0)
    assert regret((1, 3, 2), TRUTH, 3) == 0.0
    assert regret((3, 1, 2), TRUTH, 1) == 0.0


def test_regret_of_equal_scores_is_the_mean_over_what_may_be_picked() -> None:
    assert regret((0, 5, 5), TRUTH, 1) == pytest.approx(1.5)
    assert regret((0, 5, 5), TRUTH, 2) == pytest.approx(1.0)
    assert regret((9, 5, 5), TRUTH, 2) == 0.0
    assert regret((5, 5, 5), TRUTH, 2) == pytest.approx((0 + 0 + 1) / 3)


def test_equal_scores_share_the_mean_of_their_ranks() -> None:
    assert ranks_of((5, 1, 5, 0)) == [1.5, 3.0, 1.5, 4.0]
    assert ranks_of((2,)) == [1.0]


def test_the_same_ranks_by_other_estimators_are_a_tie() -> None:
    """Summed one after another, some of these differ in the last bit, and one would stand before the other."""
    for ranks in permutations((1, 2, 3, 4, 5)):
        of_estimators = {str(place): [one, place + 1] for place, one in enumerate(ranks)}
        one, other = mean_reciprocal_rank(of_estimators)
        assert one == other == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 5)


def test_mean_reciprocal_rank_by_hand() -> None:
    combined = mean_reciprocal_rank({"one": [1, 2, 3], "other": [2, 1, 3]})
    assert combined == pytest.approx([0.75, 0.75, 1 / 3])
