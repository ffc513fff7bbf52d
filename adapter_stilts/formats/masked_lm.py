"""Text with some pieces hidden, which the encoder's own embeddings are asked to tell.

Shares as in BERT (Devlin et al. 2019) and XLM-R. Two texts that translate each other stand in one sequence
(translation language modelling, Conneau and Lample 2019), so that a piece may be told from the other language.
What is hidden is drawn anew each time a sequence is trained on, by a generator that the step seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from adapter_stilts.formats.base import FormatSettings, HeadShape, Judged
from adapter_stilts.formats.examples import TextExample
from adapter_stilts.formats.features import Array, Column, Features, Indices, Ragged, slice_indices
from adapter_stilts.formats.pair_classification import cut_longest_first
from adapter_stilts.formats.tokens import Layout, assemble, template_of, tokenize

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA = 1
ITEMS: Literal["examples", "sequences"] = "sequences"
JUDGED: Mapping[str, Judged] = {}
TASK_CLASS = None
PEFT_TASK = None
PIPELINE = "fill-mask"
IGNORED = -100


class Settings(FormatSettings):
    max_length: int = Field(default=256, ge=8)
    """Tokens of a sequence, special ones included. Longer documents become several; of two texts the longer is cut."""
    hidden: float = Field(default=0.15, gt=0, lt=1)
    """Share of the pieces to tell; at least one of each sequence."""
    masked: float = Field(default=0.8, ge=0, le=1)
    """Share of these that the mask piece stands for."""
    exchanged: float = Field(default=0.1, ge=0, le=1)
    """Share of these that a random piece stands for; the others stay as they are."""

    @model_validator(mode="after")
    def _whole(self) -> Settings:
        if self.masked + self.exchanged > 1:
            raise ValueError(
                f"formats.masked_lm: masked = {self.masked} and exchanged = {self.exchanged} are more than 1 together"
            )
        return self


def head_shape(labels: Sequence[str]) -> HeadShape:
    return HeadShape("masked_tokens", dense=True, outputs=0)


def encode(
    examples: Sequence[TextExample], tokenizer: Any, settings: Settings, labels: Sequence[str]
) -> Features:
    """All examples alone, or all with a translation. A text without a piece makes no sequence."""
    parallel = bool(examples) and examples[0].translation is not None
    layout, owner = (_pairs if parallel else _windows)(examples, tokenizer, settings.max_length)
    ordinary = (layout.first >= 0) | (layout.second >= 0)
    return Features(
        layout.input_ids,
        np.searchsorted(owner, np.arange(len(examples) + 1)).astype(np.int64),
        layout.token_types,
        per_sequence={"ordinary": Ragged(ordinary, layout.input_ids.offsets)},
    )


def _windows(examples: Sequence[TextExample], tokenizer: Any, max_length: int) -> tuple[Layout, Indices]:
    """Each text in consecutive windows, and the example of each."""
    pieces = tokenize(tokenizer, [example.text for example in examples]).ids
    template = template_of(tokenizer, pair=False)
    room = max_length - template.num_special
    counts = -(-pieces.lengths // room)
    owner = np.repeat(np.arange(len(examples)), counts)
    skipped = slice_indices(np.zeros_like(counts), counts) * room
    length = np.minimum(room, pieces.lengths[owner] - skipped)
    return assemble(template, pieces, (pieces.offsets[:-1][owner] + skipped, length)), owner


def _pairs(examples: Sequence[TextExample], tokenizer: Any, max_length: int) -> tuple[Layout, Indices]:
    texts = tokenize(tokenizer, [example.text for example in examples]).ids
    others = tokenize(tokenizer, [example.translation or "" for example in examples]).ids
    template = template_of(tokenizer, pair=True)
    owner = np.flatnonzero(texts.lengths + others.lengths)
    first, second = cut_longest_first(
        texts.lengths[owner], others.lengths[owner], max_length - template.num_special
    )
    starts = (texts.offsets[:-1][owner], others.offsets[:-1][owner])
    return assemble(template, texts, (starts[0], first), others, (starts[1], second)), owner


def hide(
    features: Features, settings: Settings, random: np.random.Generator, mask_id: int, pieces: Array
) -> Features:
    """The same sequences with some pieces hidden, and in column ``gold`` what stood there.

    Args:
        random: what is hidden depends on it alone.
        mask_id: the tokenizer's mask piece.
        pieces: ids that may be exchanged in.
    """
    ids, offsets = features.input_ids.values, features.input_ids.offsets
    ordinary = features.per_sequence["ordinary"]
    assert isinstance(ordinary, Ragged)
    drawn = np.where(ordinary.values, random.random(len(ids)), 2.0)  # special tokens are never hidden
    least = np.minimum.reduceat(drawn, offsets[:-1])
    hidden = drawn <= np.repeat(np.maximum(settings.hidden, least), np.diff(offsets))
    way = random.random(len(ids))
    exchange = random.choice(pieces, len(ids))
    seen = np.where(way < settings.masked, mask_id, ids)
    seen = np.where((way >= settings.masked) & (way < settings.masked + settings.exchanged), exchange, seen)
    return Features(
        Ragged(np.where(hidden, seen, ids).astype(ids.dtype), offsets),
        features.sequences,
        features.token_types,
        {**features.per_sequence, "gold": Ragged(np.where(hidden, ids, IGNORED).astype(np.int64), offsets)},
        features.per_example,
    )


def hidden(features: Features, rows: Indices) -> Ragged:
    """Which tokens of some sequences are to be told, a row a sequence."""
    gold = _gold(features).take(rows)
    return Ragged(gold.values != IGNORED, gold.offsets)


def _gold(features: Features) -> Ragged:
    gold = features.per_sequence["gold"]
    assert isinstance(gold, Ragged)
    return gold


def units(features: Features, items: Indices) -> float:
    return float((_gold(features).take(items).values != IGNORED).sum())


def loss_sum(
    outputs: Sequence[Tensor], parts: Sequence[Indices], features: Features, items: Indices
) -> Tensor:
    """Cross-entropy summed over hidden pieces; `outputs` are (hidden pieces, vocabulary), row after row."""
    import torch

    gold = np.concatenate([_gold(features).take(rows).values for rows in parts])
    labels = torch.as_tensor(gold[gold != IGNORED], device=outputs[0].device)
    return torch.nn.functional.cross_entropy(torch.cat(list(outputs)).float(), labels, reduction="sum")


def reduce(outputs: Tensor, features: Features, rows: Indices, settings: Settings) -> dict[str, Column]:
    raise TypeError("masked language modelling is trained, not evaluated")


def decode(
    examples: Sequence[TextExample],
    features: Features,
    reduced: Mapping[str, Column],
    settings: Settings,
    labels: Sequence[str],
) -> list[Any]:
    raise TypeError("masked language modelling is trained, not evaluated")
