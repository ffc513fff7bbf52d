"""LogME and H-score against their definitions, on cases small enough to say them outright."""

from __future__ import annotations

import numpy as np
import pytest

from adapter_stilts.select.trained import TRAINED, h_score, logme
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
