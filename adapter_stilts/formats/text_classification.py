"""One text, one label: topics, sentiment, what a sentence is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field

from adapter_stilts.formats.base import FormatSettings, HeadShape, Judged
from adapter_stilts.formats.examples import TextClassificationExample
from adapter_stilts.formats.features import Features

# What a label is learned from and read off is the same, of one text as of two.
from adapter_stilts.formats.pair_classification import decode as decode
from adapter_stilts.formats.pair_classification import loss_sum as loss_sum
from adapter_stilts.formats.pair_classification import reduce as reduce
from adapter_stilts.formats.pair_classification import units as units
from adapter_stilts.formats.tokens import assemble, template_of
from adapter_stilts.formats.wordwise import token_ids

SCHEMA = 1
ITEMS: Literal["examples", "sequences"] = "examples"
JUDGED = {"accuracy": Judged("labels", "labels")}
TASK_CLASS = "AutoModelForSequenceClassification"
PEFT_TASK = "SEQ_CLS"
PIPELINE = "text-classification"


class Settings(FormatSettings):
    LATER = OF_HEAD = frozenset({"pooler"})

    max_length: int = Field(default=256, ge=8)
    """Tokens of a sequence, special ones included; a longer text is cut at its end."""
    pooler: bool = False
    """Whether the head reads the encoder's pooler, as the study's code (jiant) has it, or the first token's state."""


def head_shape(labels: Sequence[str]) -> HeadShape:
    return HeadShape("first_token", dense=True, outputs=len(labels))


def encode(
    examples: Sequence[TextClassificationExample], tokenizer: Any, settings: Settings, labels: Sequence[str]
) -> Features:
    (texts,) = token_ids(tokenizer, [example.text for example in examples])
    template = template_of(tokenizer, pair=False)
    kept = np.minimum(texts.lengths, settings.max_length - template.num_special)
    layout = assemble(template, texts, (texts.offsets[:-1], kept))
    index = {label: row for row, label in enumerate(labels)}
    gold = np.asarray([-1 if e.label is None else index[e.label] for e in examples], dtype=np.int64)
    return Features(
        layout.input_ids, np.arange(len(examples) + 1), layout.token_types, per_example={"label": gold}
    )
