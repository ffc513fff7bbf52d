"""A few examples of a train split: balanced where labels allow, by the seed alone, the fewer among the more."""

from __future__ import annotations

from collections import Counter

import pytest

from adapter_stilts.formats.examples import (
    Answer,
    Example,
    MultipleChoiceExample,
    PairClassificationExample,
    SpanQAExample,
    TaggingExample,
    TextRegressionExample,
)
from adapter_stilts.stages.drawing import Draw, drawn

PAIRS: list[Example] = [
    PairClassificationExample(str(n), "a", "b", "rare" if n % 10 == 0 else "often") for n in range(60)
]
SENTENCES: list[Example] = [
    TaggingExample(str(n), ("a", "b"), ("O", "B-LOC" if n % 3 == 0 else "O")) for n in range(60)
]
OTHERS: dict[str, list[Example]] = {
    "questions": [SpanQAExample(str(n), "q", "c", (Answer("c", 0),)) for n in range(60)],
    "numbers": [TextRegressionExample(str(n), "a", n / 10) for n in range(60)],
    "choices": [MultipleChoiceExample(str(n), "p", ("a", "b"), n % 2) for n in range(60)],
}


def ids(examples: list[Example], count: int, seed: int = 0) -> list[str]:
    return [example.id for example in drawn(examples, Draw(count, seed))]


def labels(count: int, seed: int = 0) -> Counter[str | None]:
    return Counter(example.label for example in drawn(PAIRS, Draw(count, seed)))  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", range(3))
def test_labels_are_balanced_as_far_as_they_go(seed: int) -> None:
    assert labels(8, seed) == {"rare": 4, "often": 4}
    assert sorted(labels(7, seed).values()) == [3, 4]
    # There are six of the rare one.
    assert labels(20, seed) == {"rare": 6, "often": 14}


@pytest.mark.parametrize("seed", range(3))
def test_sentences_with_a_span_come_first(seed: int) -> None:
    spans = [example for example in drawn(SENTENCES, Draw(12, seed)) if "B-LOC" in example.tags]  # type: ignore[union-attr, operator]
    assert len(spans) == 12
    assert len(drawn(SENTENCES, Draw(30, seed))) == 30
    with_spans = {example.id for example in SENTENCES if int(example.id) % 3 == 0}
    assert with_spans <= set(ids(SENTENCES, 30, seed))


@pytest.mark.parametrize("examples", [PAIRS, SENTENCES, *OTHERS.values()], ids=["pairs", "tags", *OTHERS])
def test_the_seed_draws(examples: list[Example]) -> None:
    assert ids(examples, 9) == ids(list(examples), 9)
    assert ids(examples, 9) != ids(examples, 9, seed=1)
    assert set(ids(examples, 4)) < set(ids(examples, 9))
    found = ids(examples, 9)
    assert found == sorted(found, key=int)
    assert len(set(ids(examples, 60))) == 60


def test_there_are_no_more_than_there_are() -> None:
    with pytest.raises(ValueError, match="61 of 60 examples"):
        drawn(PAIRS, Draw(61, 0))
