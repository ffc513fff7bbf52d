"""LogME, H-score, NLEEP and TransRate against their definitions, on cases small enough to say them outright."""

from __future__ import annotations

import numpy as np
import pytest

from adapter_stilts.select.trained import TRAINED, h_score, logme, nleep, transrate
from adapter_stilts.select.trained.labelled import Labelled


def labelled(classes: int = 3, rows: int = 60, width: int = 5, told: float = 1.0) -> Labelled:
    """States that tell their class along one axis each, and noise."""
    generator = np.random.default_rng(0)
    labels = generator.integers(classes, size=rows)
    states = generator.standard_normal((rows, width))
    states[np.arange(rows), labels] += 3 * told
    return Labelled(states, labels)


def log_density(y: np.ndarray, states: np.ndarray, alpha: float, beta: float) -> float:
    """Of N(0, 1 / beta + X X' / alpha), by row: the evidence as it is defined, without weights in between."""
    covariance = np.eye(len(y)) / beta + states @ states.T / alpha
    _, determinant = np.linalg.slogdet(covariance)
    quadratic = y @ np.linalg.solve(covariance, y)
    return float(-(quadratic + determinant + len(y) * np.log(2 * np.pi)) / 2 / len(y))


@pytest.mark.parametrize("width", [2, 5, 80])
def test_logme_is_the_greatest_evidence(width: int) -> None:
    """80 is wider than there are rows: directions without states count in the determinant."""
    given = labelled(2, 60, width)
    greatest = []
    for name in (0, 1):
        y = (given.labels == name).astype(float)
        grid = np.exp(np.linspace(-6, 9, 61))
        values = np.asarray([[log_density(y, given.states, alpha, beta) for beta in grid] for alpha in grid])
        row, column = np.unravel_index(values.argmax(), values.shape)
        assert 0 < row < 60
        assert 0 < column < 60
        greatest.append(values.max())
    assert logme.score(given) == pytest.approx(np.mean(greatest), abs=0.01)
    assert logme.score(given) >= np.mean(greatest) - 1e-3


def test_logme_by_hand() -> None:
    """One state, 1 in each of four rows, and a label that is 1 in all: the weight is 1 and nothing is left over.

    With s = 4 and p = 4 the fixed point is alpha = 1 and beta without end, held by the least divisor 1e-5: beta = 3e5.
    """
    found = logme.score(Labelled(np.ones((4, 1)), np.zeros(4, dtype=np.int64)))
    beta = 3e5
    by_hand = (4 * np.log(beta) - 4 * np.log(2 * np.pi) - 1 - np.log(1 + 4 * beta)) / 2 / 4
    assert found == pytest.approx(by_hand, abs=1e-3)


def test_h_score_by_hand() -> None:
    """Two classes at -1 and +1 along the first axis; along the second +-1 in each class, which tells nothing.

    The covariance is the unit matrix, which is its own shrinkage target; between classes there is the first axis alone.
    """
    states = np.asarray([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])
    assert h_score.score(Labelled(states, np.asarray([0, 0, 1, 1]))) == pytest.approx(1.0)
    assert h_score.score(Labelled(states, np.asarray([0, 1, 1, 0]))) == pytest.approx(0.0)
    assert h_score.score(Labelled(np.ones((4, 2)), np.asarray([0, 0, 1, 1]))) == 0.0


def test_the_shrinkage_is_ledoit_and_wolf_s() -> None:
    """The numbers are scikit-learn 1.9.1's (sklearn.covariance.ledoit_wolf_shrinkage)."""
    for rows, width, expected in ((60, 5, 0.1924185687), (20, 30, 0.6482870069)):
        given = labelled(3, rows, width).states
        assert h_score.shrinkage(given - given.mean(axis=0)) == pytest.approx(expected, abs=1e-6)


def test_nleep_by_hand() -> None:
    """Four heaps far apart, of six rows each: labels that are the heaps' are told without error, and of a label that
    two rows of three have in each heap no more than that is told.
    """
    heaps = np.repeat([[0.0, 0], [0, 50], [50, 0], [50, 50]], 6, axis=0)
    states = heaps + np.tile([[0.0, 0], [0.1, 0.1]], (12, 1))
    assert nleep.score(Labelled(states, np.repeat([0, 1, 1, 0], 6))) == pytest.approx(0.0, abs=1e-6)
    in_turn = np.tile([0, 0, 1], 8)
    assert nleep.clusters(states, 4).sum(axis=0).tolist() == pytest.approx([6, 6, 6, 6])
    by_hand = 2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3)
    assert leep(nleep.clusters(states, 4), in_turn) == pytest.approx(by_hand, abs=1e-6)
    same = nleep.score(Labelled(np.ones((8, 2)), np.tile([0, 0, 0, 1], 2)))
    assert same == pytest.approx(0.75 * np.log(0.75) + 0.25 * np.log(0.25))


def leep(shares: np.ndarray, labels: np.ndarray) -> float:
    """Its definition, summed row by row."""
    total = 0.0
    for row, label in enumerate(labels):
        told = 0.0
        for component in range(shares.shape[1]):
            sums = [shares[labels == name, component].sum() for name in np.unique(labels)]
            told += shares[row, component] * sums[int(label)] / sum(sums)
        total += np.log(told)
    return total / len(labels)


def test_nleep_is_leep_of_its_clusters() -> None:
    given = labelled()
    left, values, _ = np.linalg.svd(given.states - given.states.mean(axis=0), full_matrices=False)
    kept = int((np.cumsum(values**2) < 0.8 * (values**2).sum()).sum()) + 1
    projected = left[:, :kept] * values[:kept] / values[0] * np.sqrt(60)
    assert nleep.score(given) == pytest.approx(leep(nleep.clusters(projected, 15), given.labels), abs=1e-9)


def test_clusters_are_a_mixture_that_scikit_learn_would_not_change() -> None:
    mixture = pytest.importorskip("sklearn.mixture")
    rows = labelled().states
    shares = nleep.clusters(rows, 3)
    sizes = shares.sum(axis=0)
    means = shares.T @ rows / sizes[:, None]
    variances = shares.T @ rows**2 / sizes[:, None] - means**2 + 1e-6
    theirs = mixture.GaussianMixture(
        3, covariance_type="diag", weights_init=sizes / 60, means_init=means, precisions_init=1 / variances
    ).fit(rows)
    np.testing.assert_allclose(shares, theirs.predict_proba(rows), atol=0.02)


def test_transrate_by_hand() -> None:
    """Rows of length 1 along the first axis in one class, along the second in the other; the mean is 0.

    All together vary by 1/2 along each axis, and each class by 1 along its own.
    """
    states = np.asarray([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    by_hand = np.log1p(0.5 / 1e-4) - np.log1p(1 / 1e-4) / 2
    assert transrate.score(Labelled(states, np.asarray([0, 0, 1, 1]))) == pytest.approx(by_hand)
    assert transrate.score(Labelled(7 * states + 3, np.asarray([0, 0, 1, 1]))) == pytest.approx(by_hand)
    assert transrate.score(Labelled(states, np.asarray([0, 0, 0, 0]))) == pytest.approx(0.0)
    assert transrate.score(Labelled(np.ones((4, 2)), np.asarray([0, 0, 1, 1]))) == 0.0


def test_classes_count_by_their_rows_in_transrate() -> None:
    """Three rows along the first axis and one along the second: the class of one is weighed by a quarter."""
    states = np.asarray([[1.0, 0], [-1, 0], [0, 1], [0, -1], [1, 0], [-1, 0]])
    by_hand = (np.log1p(2 / 3 / 1e-4) + np.log1p(1 / 3 / 1e-4)) / 2 - np.log1p(1 / 1e-4) / 2
    labels = np.asarray([0, 0, 1, 1, 0, 0])
    assert transrate.score(Labelled(states, labels)) == pytest.approx(by_hand)
    lone = np.asarray([0, 0, 1, 2, 0, 0])
    assert transrate.score(Labelled(states, lone)) == pytest.approx(by_hand)


@pytest.mark.parametrize("name", TRAINED)
def test_states_that_tell_more_score_higher(name: str) -> None:
    scores = [TRAINED[name].score(labelled(told=told)) for told in (0.0, 1.0, 2.0)]
    assert scores == sorted(scores)
    assert scores[0] < scores[2]


@pytest.mark.parametrize("name", TRAINED)
def test_shuffled_labels_are_told_by_the_number(name: str) -> None:
    """A planted bug: labels that belong to other rows."""
    given = labelled()
    order = np.random.default_rng(1).permutation(len(given.labels))
    right, wrong = (
        TRAINED[name].score(Labelled(given.states, labels)) for labels in (given.labels, given.labels[order])
    )
    assert right - wrong > 0.2


@pytest.mark.parametrize("name", TRAINED)
def test_turned_states_score_the_same(name: str) -> None:
    given = labelled()
    turn, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((5, 5)))
    assert TRAINED[name].score(Labelled(given.states @ turn, given.labels)) == pytest.approx(
        TRAINED[name].score(given), abs=1e-6
    )
