"""Numbers: texts encoded as those with labels are, squared errors, and what an output is read as."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adapter_stilts.formats import get_format, pair_classification, text_classification, text_regression
from adapter_stilts.formats.examples import (
    PairClassificationExample,
    TextClassificationExample,
    TextRegressionExample,
    is_labelled,
    label_names,
)
from adapter_stilts.formats.features import Features

SETTINGS = text_regression.Settings(max_length=9)
TEXTS = ["the red dog " * n for n in (0, 1, 2, 5)]


def encoded(examples: list[TextRegressionExample], tokenizer: Any) -> Features:
    return text_regression.encode(examples, tokenizer, SETTINGS, ("similarity",))


@pytest.mark.parametrize("name", ["tokenizer", "bert_tokenizer"])
def test_sequences_are_those_of_labelled_texts(request: pytest.FixtureRequest, name: str) -> None:
    """Of one text as of two, longer and shorter than a window, with segments where an encoder has them."""
    tokenizer = request.getfixturevalue(name)
    one = encoded([TextRegressionExample("a", text, 1.0) for text in TEXTS], tokenizer)
    two = encoded([TextRegressionExample("a", text, 1.0, "a cat saw") for text in TEXTS], tokenizer)
    labelled = [
        (one, text_classification, [TextClassificationExample("a", text, "x") for text in TEXTS]),
        (
            two,
            pair_classification,
            [PairClassificationExample("a", text, "a cat saw", "x") for text in TEXTS],
        ),
    ]
    for found, format, examples in labelled:
        wanted = format.encode(examples, tokenizer, format.Settings(max_length=9), ("x",))  # type: ignore[attr-defined]
        assert found.input_ids.values.tolist() == wanted.input_ids.values.tolist()
        assert found.input_ids.offsets.tolist() == wanted.input_ids.offsets.tolist()
        assert (found.token_types is None) == (wanted.token_types is None)
        if found.token_types is not None:
            assert found.token_types.values.tolist() == wanted.token_types.values.tolist()
    assert one.input_ids[1].tolist() == tokenizer(TEXTS[1])["input_ids"]
    assert (
        two.input_ids[1].tolist()
        == tokenizer(TEXTS[1], "a cat saw", max_length=9, truncation=True)["input_ids"]
    )


def test_numbers_stand_beside_as_they_are(tokenizer: Any) -> None:
    examples = [TextRegressionExample("a", "dog", 4), TextRegressionExample("b", "cat", None)]
    gold = encoded(examples, tokenizer).per_example["label"]
    assert (gold.dtype, gold[0], np.isnan(gold[1])) == (np.float32, 4.0, True)
    assert [is_labelled(example) for example in examples] == [True, False]
    assert label_names(examples[0]) == (), "nothing to balance few examples by"


def test_a_second_text_for_all_or_none(tokenizer: Any) -> None:
    examples = [TextRegressionExample("a", "dog", 1.0, "cat"), TextRegressionExample("b", "dog", 1.0)]
    with pytest.raises(ValueError, match="1 of 2 examples have a second text: give one to all, or to none"):
        encoded(examples, tokenizer)


def test_the_loss_is_the_sum_of_squared_errors(tokenizer: Any) -> None:
    """(1 - 3.5)^2 + (4 - 2)^2 = 10.25, whichever order the parts have, and in which a step was cut."""
    import torch

    numbers = (3.5, 2.0, 0.25)
    features = encoded([TextRegressionExample(str(n), "dog", n) for n in numbers], tokenizer)
    outputs = torch.tensor([[1.0], [4.0]], requires_grad=True)
    rows = np.arange(2)
    parts = ([outputs[1:], outputs[:1]], [rows[1:], rows[:1]])
    loss: torch.Tensor = text_regression.loss_sum(*parts, features, rows)
    assert loss.item() == 10.25
    loss.backward()
    assert outputs.grad is not None
    assert outputs.grad.tolist() == [[-5.0], [4.0]], "twice the error"
    assert text_regression.units(features, rows) == 2.0


def test_an_output_is_the_number(tokenizer: Any) -> None:
    import torch

    examples = [TextRegressionExample("a", "dog", None), TextRegressionExample("b", "dog", None)]
    features = encoded(examples, tokenizer)
    outputs = torch.tensor([[3.25], [-0.5]], dtype=torch.bfloat16)
    reduced = text_regression.reduce(outputs, features, np.arange(2), SETTINGS)
    found = text_regression.decode(examples, features, reduced, SETTINGS, ())
    assert found == [3.25, -0.5]
    assert {type(number) for number in found} == {float}


def test_its_head_has_one_output_and_the_classes_of_labelled_texts() -> None:
    ours, pairs = get_format("text_regression"), get_format("pair_classification")
    for labels in ((), ("similarity",)):
        assert ours.head_shape(labels) == pairs.head_shape(("one",))
    for fact in ("TASK_CLASS", "PEFT_TASK", "PIPELINE", "ITEMS"):
        assert getattr(ours, fact) == getattr(pairs, fact)
    assert set(ours.JUDGED) == {"pearson", "spearman"}
    assert text_regression.Settings().part() == pair_classification.Settings().part()
