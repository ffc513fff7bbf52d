"""Which examples are compared, and what is refused."""

from __future__ import annotations

import pytest

from adapter_stilts.errors import UsageError
from adapter_stilts.evaluation.aggregation import Row
from adapter_stilts.report.counts import Counts, counts, mined_counts
from adapter_stilts.report.matching import blocks, match


def scored(ids: str, name: str = "one") -> Counts:
    return counts([{"id": each, "f1": float(place)} for place, each in enumerate(ids)], "f1", name)


def test_examples_are_matched_by_id_whatever_their_order() -> None:
    found = match([scored("abc"), scored("cba", "two")])
    assert found.ids == ("a", "b", "c")
    assert found.numerators.tolist() == [[0, 2], [1, 1], [2, 0]]


@pytest.mark.parametrize(
    ("one", "two", "told"),
    [
        ("abc", "ab", "two lacks 1 of the 3 examples of one .ids 'c'."),
        ("ab", "abcdef", "one lacks 4 of the 6 examples of two .ids 'c', 'd', 'e' …."),
        ("abc", "abd", "two lacks 1 of the 3 examples of one .ids 'c'."),
    ],
)
def test_unlike_examples_are_refused_by_name(one: str, two: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        match([scored(one), scored(two, "two")])


def test_unlike_gold_answers_are_refused() -> None:
    def tagged(gold: int, name: str) -> Counts:
        return counts([{"id": "a", "gold": gold, "predicted": 1, "correct": 1}], "f1", name)

    with pytest.raises(UsageError, match=r"one and two have unlike gold answers for example 'a' \(2 and 3"):
        match([tagged(2, "one"), tagged(3, "two")])


def test_a_sentence_without_mined_pairs_counts_for_nothing() -> None:
    def mined(*pairs: tuple[str, int, int], name: str) -> Counts:
        rows: list[Row] = [
            {"id": pair, "gold": gold, "predicted": predicted, "correct": gold * predicted}
            for pair, gold, predicted in pairs
        ]
        return mined_counts(rows, name)

    found = match([
        mined(("d1 e1", 1, 1), ("d2 e9", 0, 1), name="one"),
        mined(("d1 e1", 1, 0), ("d3 e1", 0, 1), name="two"),
    ])  # fmt: skip
    assert found.ids == ("d1", "d2", "d3")
    assert found.numerators.tolist() == [[200, 0], [0, 0], [0, 0]]
    assert found.denominators.tolist() == [[2, 1], [1, 0], [0, 1]]
    with pytest.raises(UsageError, match="unlike gold answers for example 'd2'"):
        match([mined(("d1 e1", 1, 1), name="one"), mined(("d1 e1", 1, 1), ("d2 e2", 1, 0), name="two")])


def test_languages_that_share_examples_are_drawn_together() -> None:
    """MLQA's questions are in some languages each: en and de share b, de and es share c."""
    found = blocks({
        "en": match([scored("ab")]),
        "ja": match([scored("xy")]),
        "es": match([scored("cd")]),
        "de": match([scored("bc")]),
    })  # fmt: skip
    assert [block.languages for block in found] == [("ja",), ("en", "es", "de")]
    together = found[1]
    assert together.denominators[:, :, 0].tolist() == [[1, 0, 0], [1, 0, 1], [0, 1, 1], [0, 1, 0]]
    assert together.numerators[:, :, 0].tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]
