"""Rows to metrics, by hand and against the official scorers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_stilts.evaluation.aggregation import Row, aggregate
from adapter_stilts.evaluation.metrics import bucc_scores, tagging_scores
from adapter_stilts.evaluation.spans import spans

TAGS = st.lists(st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]), min_size=1, max_size=5)


def test_no_rows_have_no_metrics() -> None:
    assert aggregate([]) == {}


@pytest.mark.parametrize(
    ("rows", "metrics"),
    [
        ([{"id": "a", "accuracy": 100.0}, {"id": "b", "accuracy": 0.0}], {"accuracy": 50.0}),
        (
            [{"id": "a", "exact_match": 0.0, "f1": 40.0}, {"id": "b", "exact_match": 100.0, "f1": 100.0}],
            {"exact_match": 50.0, "f1": 70.0},
        ),
        ([{"id": "a", "words": 3, "correct": 1}, {"id": "b", "words": 1, "correct": 1}], {"accuracy": 50.0}),
        (
            [
                {"id": "a", "gold": 2, "predicted": 1, "correct": 1},
                {"id": "b", "gold": 0, "predicted": 1, "correct": 0},
            ],
            {"f1": 50.0},
        ),
        ([{"id": "a", "gold": 1, "predicted": 0, "correct": 0}], {"f1": 0.0}),
        # (1, 2, 4) and (5, 7, 9): 4 + 4/3 of 14/3 and 8, and of both the ranks are 1, 2, 3.
        (
            [
                {"id": "a", "gold": 1.0, "predicted": 5.0},
                {"id": "b", "gold": 2.0, "predicted": 7.0},
                {"id": "c", "gold": 4.0, "predicted": 9.0},
            ],
            {"pearson": pytest.approx(600 / (14 / 3 * 8) ** 0.5), "spearman": pytest.approx(100.0)},
        ),
        ([{"id": "a", "gold": 2.0, "predicted": 3.0}], {"pearson": 0.0, "spearman": 0.0}),
    ],
)  # fmt: skip
def test_by_hand(rows: list[Row], metrics: dict[str, float]) -> None:
    assert aggregate(rows) == metrics


@given(st.lists(TAGS, min_size=1, max_size=6), st.randoms())
def test_spans_as_seqeval_counts_them(gold: list[list[str]], random: object) -> None:
    predicted = [random.sample(tags, len(tags)) for tags in gold]  # type: ignore[attr-defined]
    rows: list[Row] = [
        {"id": "x", "gold": len(spans(a)), "predicted": len(spans(b)), "correct": len(spans(a) & spans(b))}
        for a, b in zip(gold, predicted, strict=True)
    ]
    assert aggregate(rows)["f1"] == tagging_scores(gold, predicted)["f1"]


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_pairs_as_xtremes_scorer_counts_them(gold: set[int], predicted: set[int]) -> None:
    rows: list[Row] = [
        {"id": "x", "gold": int(n in gold), "predicted": int(n in predicted), "correct": int(n in gold & predicted)}
        for n in gold | predicted
    ]  # fmt: skip
    wanted = bucc_scores([(str(n),) for n in gold], [(str(n),) for n in predicted])["f1"]
    assert aggregate(rows).get("f1", 0.0) == pytest.approx(wanted)
