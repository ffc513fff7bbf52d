"""Estimators on train sets that are written by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from adapter_stilts.select.estimators import ESTIMATORS, WITH_TRAINING
from adapter_stilts.select.train_set import TrainSet, cosine, union


def train_set(
    format: str = "span_qa",
    examples: int = 100,
    pieces: tuple[float, ...] = (1.0, 1.0),
    length: float = 20.0,
    embedding: tuple[float, ...] | None = (1.0, 0.0),
) -> TrainSet:
    vector = None if embedding is None else np.asarray(embedding)
    return TrainSet(format, examples, np.asarray(pieces), length, vector)


TARGET = train_set()


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("size", train_set(examples=7), 7.0),
        ("same_format", train_set(), 1.0),
        ("same_format", train_set("tagging"), 0.0),
        ("vocabulary", train_set(pieces=(30.0, 30.0)), 1.0),
        ("vocabulary", train_set(pieces=(3.0, 0.0)), 1 / np.sqrt(2)),
        ("vocabulary", train_set(pieces=(0.0, 0.0)), 0.0),
        ("lengths", train_set(length=10.0), 0.5),
        ("lengths", train_set(length=40.0), 0.5),
        ("text_embedding", train_set(embedding=(0.0, 2.0)), 0.0),
        ("text_embedding", train_set(embedding=(-3.0, 0.0)), -1.0),
        ("text_embedding", train_set(embedding=(3.0, 4.0)), 0.6),
    ],
)
def test_a_score_by_hand(name: str, source: TrainSet, expected: float) -> None:
    assert ESTIMATORS[name].score(source, TARGET) == pytest.approx(expected)


def test_every_estimator_says_what_it_compares() -> None:
    assert list(ESTIMATORS) == ["size", "same_format", "vocabulary", "lengths", "text_embedding"]
    assert list(WITH_TRAINING) == ["task_embedding"]
    assert all(estimator.WHAT for estimator in (*ESTIMATORS.values(), *WITH_TRAINING.values()))
    assert [name for name, estimator in ESTIMATORS.items() if estimator.NEEDS_ENCODER] == ["text_embedding"]


def test_a_union_is_drawn_from_in_proportion() -> None:
    one = train_set("pair_classification", 100, (4.0, 0.0), 10.0, (1.0, 0.0))
    other = train_set("pair_classification", 300, (0.0, 4.0), 30.0, (0.0, 1.0))
    both = union([one, other])
    assert (both.format, both.examples, both.length) == ("pair_classification", 400, 25.0)
    assert both.pieces.tolist() == [1.0, 3.0]
    assert both.embedding is not None
    assert both.embedding.tolist() == [0.25, 0.75]
    assert union([one, train_set(embedding=None)]).embedding is None
    assert both.fisher is None


def test_task_embeddings_by_hand() -> None:
    """Of two layers, with cosines of 0.6 and 1; of a union, drawn from in proportion."""
    target = replace(TARGET, fisher={"a": np.asarray([3.0, 4.0]), "b": np.asarray([0.0, 1.0])})
    source = replace(TARGET, fisher={"a": np.asarray([1.0, 0.0]), "b": np.asarray([0.0, 7.0])})
    score = WITH_TRAINING["task_embedding"].score
    assert score(source, target) == pytest.approx(0.8)
    other = replace(
        train_set(examples=300), fisher={"a": np.asarray([0.0, 1.0]), "b": np.asarray([1.0, 0.0])}
    )
    both = union([source, other])
    assert both.fisher is not None
    assert both.fisher["a"].tolist() == [0.25, 0.75]
    assert both.fisher["b"].tolist() == [0.75, 1.75]


def test_no_direction_has_no_cosine() -> None:
    assert cosine(np.zeros(2), np.ones(2)) == 0.0
