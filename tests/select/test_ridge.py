"""Estimators put together by fitted weights: the least of its sum, and never of the target at hand."""

from __future__ import annotations

import numpy as np
import pytest

from adapter_stilts.select.estimators import ESTIMATORS
from adapter_stilts.select.ridge import Ridge, fitted, relevance, standardised, stored


def test_scores_of_a_target_have_one_mean_and_deviation() -> None:
    found = standardised([[1, 2, 3], [5, 5, 5]])
    third = np.sqrt(1.5)
    np.testing.assert_allclose(found, [[-third, 0], [0, 0], [third, 0]])


def test_what_sources_brought_lies_between_the_worst_and_the_best() -> None:
    assert relevance([-2.0, 8.0, 3.0]).tolist() == [0.0, 1.0, 0.5]
    assert relevance([4.0, 4.0]).tolist() == [0.0, 0.0]


def test_weights_by_hand() -> None:
    """One estimator, -1 and 1 in two targets, where 1 and 0.5 come of it; a penalty of 4 halves its weight."""
    columns = [np.asarray([[-1.0], [1.0]])] * 2
    truth = [np.asarray([0.0, 1.0]), np.asarray([0.0, 0.5])]
    assert fitted(columns, truth, 0.0).tolist() == pytest.approx([(1 + 0.5) / 4])
    assert fitted(columns, truth, 4.0).tolist() == pytest.approx([(1 + 0.5) / 8])


def test_weights_are_the_least_of_their_sum() -> None:
    """Against least squares on rows that are added for the penalty."""
    generator = np.random.default_rng(0)
    columns = [generator.standard_normal((9, 3)) for _ in range(4)]
    truth = [generator.random(9) for _ in range(4)]
    features = np.concatenate([*columns, np.sqrt(7.0) * np.eye(3)])
    wanted = np.concatenate([*(values - values.mean() for values in truth), np.zeros(3)])
    expected = np.linalg.lstsq(features, wanted, rcond=None)[0]
    np.testing.assert_allclose(fitted(columns, truth, 7.0), expected)


def test_shuffled_truth_is_told_by_the_number() -> None:
    """A planted bug: what the sources brought belongs to others."""
    generator = np.random.default_rng(1)
    columns = [standardised(generator.standard_normal((1, 9))) for _ in range(6)]
    truth = [relevance(one[:, 0]) for one in columns]
    shuffled = [generator.permutation(values) for values in truth]
    assert fitted(columns, truth, 1.0)[0] > 0.2
    assert abs(fitted(columns, shuffled, 1.0)[0]) < 0.1


def test_the_weighted_sum_by_hand() -> None:
    ridge = Ridge("0", {"size": 2.0, "lengths": -1.0}, ())
    scores = {"lengths": [0.0, 2.0], "size": [10.0, 30.0], "other": [7.0, 9.0]}
    assert ridge.combined(scores) == pytest.approx([-2.0 + 1.0, 2.0 - 1.0])


def test_stored_weights_are_never_of_the_target_at_hand() -> None:
    whole, without = stored("none of these"), stored("tydiqa")
    assert list(whole.weights) == list(without.weights) == list(ESTIMATORS)
    assert set(whole.targets) - set(without.targets) == {"tydiqa"}
    assert whole.weights != without.weights
