"""Single texts: encoded as the tokenizer does, answered as pairs are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adapter_stilts.formats import get_format, pair_classification, text_classification
from adapter_stilts.formats.examples import TextClassificationExample

LABELS = ("travel", "sports")


@pytest.mark.parametrize("max_length", [8, 9, 33, 256])
def test_texts_are_encoded_as_the_tokenizer_does(tokenizer: Any, max_length: int) -> None:
    texts = ["the red dog " * n for n in (0, 1, 2, 5, 30)]
    examples = [TextClassificationExample(str(n), text, "sports") for n, text in enumerate(texts)]
    settings = text_classification.Settings(max_length=max_length)
    features = text_classification.encode(examples, tokenizer, settings, LABELS)
    for row, text in enumerate(texts):
        expected = tokenizer(text, truncation=True, max_length=max_length)["input_ids"]
        assert features.input_ids[row].tolist() == expected


def test_segments_follow_encoders_that_have_them(bert_tokenizer: Any) -> None:
    examples = [TextClassificationExample("a", "the red dog", None)]
    features = text_classification.encode(examples, bert_tokenizer, text_classification.Settings(), LABELS)
    expected = bert_tokenizer("the red dog")
    assert features.input_ids[0].tolist() == expected["input_ids"]
    assert features.token_types is not None
    assert features.token_types[0].tolist() == expected["token_type_ids"]
    assert features.per_example["label"].tolist() == [-1]


def test_labels_by_name(tokenizer: Any) -> None:
    import torch

    examples = [TextClassificationExample(str(n), "dog", label) for n, label in enumerate(LABELS)]
    settings, rows, logits = text_classification.Settings(), np.arange(2), torch.eye(2) * 4
    features = text_classification.encode(examples, tokenizer, settings, LABELS)
    reduced = text_classification.reduce(logits, features, rows, settings)
    assert text_classification.decode(examples, features, reduced, settings, LABELS) == list(LABELS)
    loss = text_classification.loss_sum([logits[1:], logits[:1]], [rows[1:], rows[:1]], features, rows)
    assert float(loss) == pytest.approx(2 * -float(torch.tensor([4.0, 0]).log_softmax(0)[0]), rel=1e-5)


def test_its_head_and_classes_are_those_of_pairs() -> None:
    ours, pairs = get_format("text_classification"), get_format("pair_classification")
    assert ours.head_shape(LABELS) == pairs.head_shape(LABELS)
    for fact in ("TASK_CLASS", "PEFT_TASK", "PIPELINE", "ITEMS", "JUDGED"):
        assert getattr(ours, fact) == getattr(pairs, fact)
    assert text_classification.Settings().part() == pair_classification.Settings().part()
