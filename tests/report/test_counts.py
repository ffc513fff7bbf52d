"""What metrics are counted from: for every kind of rows what `aggregate` gives, and refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_stilts.errors import DataError, UnknownNameError
from adapter_stilts.evaluation import aggregation
from adapter_stilts.evaluation.aggregation import Row, aggregate
from adapter_stilts.report import counts as module
from adapter_stilts.report.counts import counts, mined_counts

PERCENT = st.sampled_from([0.0, 28.6, 40.0, 66.7, 100.0])
NUMBER = st.integers(0, 5)
KINDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "accuracy": {"accuracy": st.sampled_from([0.0, 100.0])},
    "answers": {"exact_match": st.sampled_from([0.0, 100.0]), "f1": PERCENT},
    "spans": {"gold": NUMBER, "predicted": NUMBER, "correct": NUMBER},
    "words": {"words": NUMBER, "correct": NUMBER},
    "ranked": {"map@20": PERCENT},
    "of an outside scorer": {"mrr": PERCENT},
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_as_aggregate_counts(kind: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.fixed_dictionaries(KINDS[kind]), min_size=1, max_size=12))
    for value in values:
        if "correct" in value:
            value["correct"] = min(value.values())
    rows: list[Row] = [{"id": f"q{number}", **value} for number, value in enumerate(values)]
    for metric, percent in aggregate(rows).items():
        assert counts(rows, metric, "here").percent == pytest.approx(percent, abs=1e-9)


def test_every_kind_of_aggregate_is_known() -> None:
    assert module._KINDS.keys() == aggregation._COUNTED.keys()


def test_examples_stand_by_id() -> None:
    found = counts([{"id": "b", "f1": 40.0}, {"id": "a", "f1": 100.0}], "f1", "here")
    assert (found.ids, found.numerators.tolist(), found.gold) == (("a", "b"), [100.0, 40.0], None)
    spans = counts([{"id": "b", "gold": 2, "predicted": 1, "correct": 1}], "f1", "here")
    assert (spans.numerators.tolist(), spans.denominators.tolist()) == ([200.0], [3.0])
    assert spans.gold is not None
    assert spans.gold.tolist() == [2.0]


def test_mined_pairs_of_a_sentence_go_together() -> None:
    rows: list[Row] = [
        {"id": "de-2 en-9", "gold": 0, "predicted": 1, "correct": 0},
        {"id": "de-1 en-1", "gold": 1, "predicted": 1, "correct": 1},
        {"id": "de-2 en-2", "gold": 1, "predicted": 0, "correct": 0},
    ]
    found = mined_counts(rows, "bucc2018 de")
    assert found.ids == ("de-1", "de-2")
    assert found.numerators.tolist() == [200.0, 0.0]
    assert found.denominators.tolist() == [2.0, 2.0]
    assert found.percent == aggregate(rows)["f1"] == 50.0
    assert not found.complete


@pytest.mark.parametrize(
    ("rows", "error", "told"),
    [
        ([], DataError, "no example"),
        ([{"id": "a", "f1": 1.0}, {"id": "a", "f1": 2.0}], DataError, "two rows have the id 'a'"),
        ([{"id": "a", "f1": math.nan}], DataError, "f1 of 'a' is nan and no finite number"),
        ([{"id": "a", "f1": "much"}], DataError, "f1 of 'a' is 'much'"),
        ([{"id": "a", "f1": 1.0}, {"id": "b", "accuracy": 2.0}], DataError, "f1 of 'b' is None"),
        ([{"id": "a", "exact_match": 1.0}], UnknownNameError, "unknown metric of stage-1, de 'f1'"),
        ([{"id": "a", "words": 2, "correct": 1}], UnknownNameError, "Choices: accuracy"),
    ],
)  # fmt: skip
def test_refused(rows: list[Row], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        counts(rows, "f1", "stage-1, de")


def test_a_pair_needs_two_ids() -> None:
    with pytest.raises(DataError, match="id 'de-1' is no pair"):
        mined_counts([{"id": "de-1", "gold": 1, "predicted": 1, "correct": 1}], "bucc2018 de")
