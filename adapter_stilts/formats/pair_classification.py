"""Two sentences, one label: NLI and paraphrase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from adapter_stilts.formats.base import FormatSettings, HeadShape, Judged
from adapter_stilts.formats.examples import PairClassificationExample
from adapter_stilts.formats.features import Column, Features, Indices
from adapter_stilts.formats.tokens import Layout, assemble, template_of
from adapter_stilts.formats.wordwise import token_ids

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA = 1
ITEMS: Literal["examples", "sequences"] = "examples"
JUDGED = {"accuracy": Judged("labels", "labels")}
TASK_CLASS = "AutoModelForSequenceClassification"
PEFT_TASK = "SEQ_CLS"
PIPELINE = "text-classification"


class Settings(FormatSettings):
    LATER = OF_HEAD = frozenset({"pooler"})

    max_length: int = Field(default=256, ge=8)
    """Tokens of a sequence, special ones included; the longer sentence is cut first, at its end."""
    pooler: bool = False
    """Whether the head reads the encoder's pooler, as the study's code (jiant) has it, or the first token's state."""


def head_shape(labels: Sequence[str]) -> HeadShape:
    return HeadShape("first_token", dense=True, outputs=len(labels))


def encode(
    examples: Sequence[PairClassificationExample], tokenizer: Any, settings: Settings, labels: Sequence[str]
) -> Features:
    premises = [example.premise for example in examples]
    hypotheses = [example.hypothesis for example in examples]
    layout = laid_out(tokenizer, premises, hypotheses, settings.max_length)
    return labelled(layout, [example.label for example in examples], labels)


def laid_out(tokenizer: Any, firsts: Sequence[str], seconds: Sequence[str], max_length: int) -> Layout:
    """One sequence a pair of texts, the longer of which is cut first, at its end."""
    first, second = token_ids(tokenizer, firsts, seconds)
    template = template_of(tokenizer, pair=True)
    kept = cut_longest_first(first.lengths, second.lengths, max_length - template.num_special)
    return assemble(template, first, (first.offsets[:-1], kept[0]), second, (second.offsets[:-1], kept[1]))


def labelled(layout: Layout, given: Sequence[str | None], labels: Sequence[str]) -> Features:
    """Features of one sequence an example, with the row of its label; -1 where it has none."""
    index = {label: row for row, label in enumerate(labels)}
    gold = np.asarray([-1 if label is None else index[label] for label in given], dtype=np.int64)
    return Features(
        layout.input_ids, np.arange(len(given) + 1), layout.token_types, per_example={"label": gold}
    )


def cut_longest_first(first: Indices, second: Indices, room: int) -> tuple[Indices, Indices]:
    """Lengths after cutting the longer of two texts first (Transformers' ``longest_first``)."""
    shorter = np.minimum(first, second)
    longer = np.where(first + second > room, np.maximum(shorter, room - shorter), np.maximum(first, second))
    both_long = shorter + longer > room
    shorter = np.where(both_long, room // 2, shorter)
    longer = np.where(both_long, room - room // 2, longer)
    swapped = first > second
    return np.where(swapped, longer, shorter), np.where(swapped, shorter, longer)


def units(features: Features, items: Indices) -> float:
    return float(len(items))


def loss_sum(
    outputs: Sequence[Tensor], parts: Sequence[Indices], features: Features, items: Indices
) -> Tensor:
    import torch

    logits = torch.cat(list(outputs)).float()
    labels = torch.as_tensor(features.per_example["label"][np.concatenate(parts)], device=logits.device)
    return torch.nn.functional.cross_entropy(logits, labels, reduction="sum")


def reduce(outputs: Tensor, features: Features, rows: Indices, settings: Settings) -> dict[str, Column]:
    return {"logits": outputs.float().cpu().numpy()}


def decode(
    examples: Sequence[PairClassificationExample],
    features: Features,
    reduced: Mapping[str, Column],
    settings: Settings,
    labels: Sequence[str],
) -> list[str]:
    logits = reduced["logits"]
    assert isinstance(logits, np.ndarray)
    return [labels[row] for row in logits.argmax(axis=1)]
