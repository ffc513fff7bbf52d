"""One text, one label: topics, sentiment, what a sentence is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from adapter_stilts.formats.base import FormatSettings
from adapter_stilts.formats.examples import TextClassificationExample
from adapter_stilts.formats.features import Features

# The head, what a label is learned from and how it is read off and judged: the same, of one text as of two.
from adapter_stilts.formats.pair_classification import ITEMS as ITEMS
from adapter_stilts.formats.pair_classification import JUDGED as JUDGED
from adapter_stilts.formats.pair_classification import PEFT_TASK as PEFT_TASK
from adapter_stilts.formats.pair_classification import PIPELINE as PIPELINE
from adapter_stilts.formats.pair_classification import TASK_CLASS as TASK_CLASS
from adapter_stilts.formats.pair_classification import decode as decode
from adapter_stilts.formats.pair_classification import head_shape as head_shape
from adapter_stilts.formats.pair_classification import labelled
from adapter_stilts.formats.pair_classification import loss_sum as loss_sum
from adapter_stilts.formats.pair_classification import reduce as reduce
from adapter_stilts.formats.pair_classification import units as units
from adapter_stilts.formats.tokens import Layout, assemble, template_of
from adapter_stilts.formats.wordwise import token_ids

SCHEMA = 1


class Settings(FormatSettings):
    LATER = OF_HEAD = frozenset({"pooler"})

    max_length: int = Field(default=256, ge=8)
    """Tokens of a sequence, special ones included; a longer text is cut at its end."""
    pooler: bool = False
    """Whether the head reads the encoder's pooler, as the study's code (jiant) has it, or the first token's state."""


def encode(
    examples: Sequence[TextClassificationExample], tokenizer: Any, settings: Settings, labels: Sequence[str]
) -> Features:
    layout = laid_out(tokenizer, [example.text for example in examples], settings.max_length)
    return labelled(layout, [example.label for example in examples], labels)


def laid_out(tokenizer: Any, texts: Sequence[str], max_length: int) -> Layout:
    """One sequence a text, which is cut at its end."""
    (pieces,) = token_ids(tokenizer, texts)
    template = template_of(tokenizer, pair=False)
    kept = np.minimum(pieces.lengths, max_length - template.num_special)
    return assemble(template, pieces, (pieces.offsets[:-1], kept))
