"""Columns: malformed values are ValueErrors that say what was met."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter_stilts.formats.examples import Answer
from adapter_stilts.tasks import Task, all_tasks, columns
from adapter_stilts.tasks.base import INDEX
from adapter_stilts.tasks.holdout import held_out
from adapter_stilts.tasks.rows import alternatives

CONTEXT = "\ufeffDie Lampe 💡 brannte ab 1822."


def test_a_missing_column_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="column 'a' is missing; there are: 'b', 'c'"):
        columns.text({"b": 1, "c": 2, "#": 0, "@": "x"}, "a")


@pytest.mark.parametrize(
    "held",
    [
        {"text": ["1822", "💡"], "answer_start": [24, 11]},
        [{"text": "1822", "answer_start": 24}, {"answer_start": 11, "text": "💡"}],
    ],
    ids=["dict of lists", "list of dicts"],
)
def test_offsets_count_code_points_of_the_untouched_context(held: Any) -> None:
    start = CONTEXT.index("1822")
    assert start == 24
    assert columns.answers({"answers": held}, CONTEXT) == (Answer("1822", 24), Answer("💡", 11))


@pytest.mark.parametrize(
    ("held", "why"),
    [
        ([{"text": "1822", "answer_start": 23}], "answer '1822' is not at answer_start 23; there is ' 182'"),
        ([{"text": "1822", "answer_start": -5}], "answer_start -5 is not an offset"),
        ([{"text": "1822", "answer_start": "24"}], "answer_start '24' is not an offset"),
        ([{"text": "", "answer_start": 3}], "answer '' is not at answer_start 3"),
        ([{"text": "1822"}], "column 'answer_start' is missing"),
        ({"text": ["1822"], "answer_start": []}, "lists of one length"),
        ("1822", "should be a list of objects, not '1822'"),
    ],
)
def test_answers_have_to_be_slices_of_the_context(held: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        columns.answers({"answers": held}, CONTEXT)


@pytest.mark.parametrize("held", [4, -1, "", "4", "x", None, True, 1.0])
def test_a_choice_is_one_of_four(held: Any) -> None:
    with pytest.raises(ValueError, match="is not one of: 0, 1, 2, 3"):
        columns.choice({"label": held}, "label", 4)


def test_half_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(ValueError, match="half of a surrogate pair at character 1"):
        columns.text({"a": "x\ud800"}, "a")


def test_a_tenth_is_held_out_whatever_the_order() -> None:
    texts = [f"context {number}" for number in range(5000)]
    share = sum(map(held_out, texts)) / len(texts)
    assert 0.08 < share < 0.12
    # Fixed by the text alone: a change here changes everyone's dev set.
    assert [number for number, text in enumerate(texts[:40]) if held_out(text)] == [0, 3, 19, 20, 26, 32]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("english-1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
NAMES = ["id", "context", "question", "answers", "label", "endings", "ctx_a", "ctx_b", "choices", "answerKey"]
NAMES += [
    "sentence1",
    "sentence2",
    "gold_label",
    "language",
    "words",
    "tags",
    "foreign",
    "english",
    "premise",
    "is_impossible",
    "is_duplicate",
    "correct",
    "side",
    "pair",
    "topics",
    "text",
    "tokens",
    "ner_tags",
]
NAMES += [f"question{number}" for number in (1, 2)] + [f"answer{name}" for name in "ABC0123"]


@pytest.mark.parametrize("task", all_tasks(), ids=lambda task: task.name)
@settings(max_examples=60)
@given(row=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=len(NAMES)))
def test_any_row_is_an_example_or_a_value_error(task: Task, row: dict[str, Any]) -> None:
    for spec in [spec for each in (*task.files.values(), *task.hub.values()) for spec in alternatives(each)]:
        for function in (spec.example, spec.language):
            if function is not None:
                with contextlib.suppress(ValueError):
                    function({**row, INDEX: 0})
