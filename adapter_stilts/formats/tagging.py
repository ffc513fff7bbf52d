"""One tag a word. The first piece of a word carries its tag; long sentences are split and rejoined.

Sentences beyond the window are cut at word boundaries into consecutive windows (as XTREME's own preparation
does), so every word gets exactly one prediction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from adapter_stilts.formats.base import FormatSettings, HeadShape, Judged
from adapter_stilts.formats.examples import TaggingExample
from adapter_stilts.formats.features import Column, Features, Indices, Ragged, slice_indices
from adapter_stilts.formats.tokens import assemble, template_of
from adapter_stilts.formats.wordwise import word_ids

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA = 2
ITEMS: Literal["examples", "sequences"] = "sequences"
JUDGED = {"f1": Judged("spans", "tags"), "accuracy": Judged("words", "tags")}
TASK_CLASS = "AutoModelForTokenClassification"
PEFT_TASK = "TOKEN_CLS"
PIPELINE = "token-classification"
IGNORED = -100


class Settings(FormatSettings):
    max_length: int = Field(default=256, ge=8)
    """Tokens of a window, special ones included."""


def head_shape(labels: Sequence[str]) -> HeadShape:
    return HeadShape("all_tokens", dense=False, outputs=len(labels))


def encode(
    examples: Sequence[TaggingExample], tokenizer: Any, settings: Settings, labels: Sequence[str]
) -> Features:
    counts = np.asarray([len(example.words) for example in examples], dtype=np.int64)
    template = template_of(tokenizer, pair=False)
    room = settings.max_length - template.num_special
    first_word = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    begins = np.zeros(first_word[-1], dtype=bool)
    begins[first_word[:-1][counts > 0]] = True
    words = _at_least_one(
        word_ids(tokenizer, [word for example in examples for word in example.words], begins),
        tokenizer.unk_token_id,
    )
    # A word longer than the whole window keeps its first pieces; the tag stands on the first anyway.
    words = _clipped(words, room)
    word_start = np.zeros(len(words.values), dtype=bool)
    word_start[words.offsets[:-1]] = True
    index = {label: row for row, label in enumerate(labels)}
    gold = np.full(len(words.values), IGNORED, dtype=np.int16)
    gold[words.offsets[:-1]] = [
        index[tag] for e in examples for tag in (e.tags if e.tags is not None else ())
    ] if all(e.tags is not None for e in examples) else IGNORED  # fmt: skip
    piece_start, piece_count, owner = _windows(words, first_word, room)
    layout = assemble(template, words, (piece_start, piece_count))
    beside = layout.first
    own = beside >= 0
    return Features(
        layout.input_ids,
        np.searchsorted(owner, np.arange(len(examples) + 1)).astype(np.int64),
        layout.token_types,
        per_sequence={
            "gold": Ragged(np.where(own, gold[beside], IGNORED).astype(np.int16), layout.input_ids.offsets),
            "word_start": Ragged(own & word_start[beside], layout.input_ids.offsets),
        },
    )


def _at_least_one(words: Ragged, unknown: int) -> Ragged:
    """A word that tokenises to nothing (a lone control character) becomes the unknown piece."""
    empty = words.lengths == 0
    if not empty.any():
        return words
    lengths = np.where(empty, 1, words.lengths)
    starts = np.where(empty, len(words.values), words.offsets[:-1])
    pool = np.append(words.values, np.asarray([unknown], dtype=words.values.dtype))
    return Ragged.from_lengths(pool[slice_indices(starts, lengths)], lengths)


def _clipped(words: Ragged, room: int) -> Ragged:
    lengths = np.minimum(words.lengths, room)
    if (lengths == words.lengths).all():
        return words
    return Ragged.from_lengths(words.values[slice_indices(words.offsets[:-1], lengths)], lengths)


def _windows(words: Ragged, first_word: Indices, room: int) -> tuple[Indices, Indices, Indices]:
    """First piece, number of pieces and example of every window."""
    bounds = words.offsets[first_word]  # in pieces
    long = np.flatnonzero(np.diff(bounds) > room)
    cuts = [bounds[:-1]]
    owners = [np.arange(len(first_word) - 1)]
    for row in long:  # few: only sentences longer than a window
        ends = words.offsets[first_word[row] + 1 : first_word[row + 1] + 1]
        start, extra = bounds[row], []
        while ends[-1] - start > room:
            start = ends[np.searchsorted(ends, start + room, side="right") - 1]
            extra.append(start)
        cuts.append(np.asarray(extra, dtype=np.int64))
        owners.append(np.full(len(extra), row))
    starts, owner = np.concatenate(cuts), np.concatenate(owners)
    order = np.lexsort((starts, owner))
    starts, owner = starts[order], owner[order]
    return starts, np.append(starts[1:], bounds[-1:]) - starts, owner


def units(features: Features, items: Indices) -> float:
    gold = features.per_sequence["gold"]
    assert isinstance(gold, Ragged)
    return float((gold.take(items).values != IGNORED).sum())


def loss_sum(
    outputs: Sequence[Tensor], parts: Sequence[Indices], features: Features, items: Indices
) -> Tensor:
    """Cross-entropy summed over labelled words."""
    import torch

    gold = features.per_sequence["gold"]
    assert isinstance(gold, Ragged)
    losses = []
    for output, rows in zip(outputs, parts, strict=True):
        labels = torch.as_tensor(gold.padded(rows, IGNORED).astype(np.int64), device=output.device)
        losses.append(
            torch.nn.functional.cross_entropy(
                output.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum"
            )
        )
    return torch.stack(losses).sum()


def reduce(outputs: Tensor, features: Features, rows: Indices, settings: Settings) -> dict[str, Column]:
    """The best label of every word of each window, in order."""
    starts = features.per_sequence["word_start"]
    assert isinstance(starts, Ragged)
    mask = starts.padded(rows, 0).astype(bool)
    best = outputs.argmax(dim=-1).cpu().numpy()
    return {"label": Ragged.from_lengths(best[mask].astype(np.int16), mask.sum(axis=1))}


def decode(
    examples: Sequence[TaggingExample],
    features: Features,
    reduced: Mapping[str, Column],
    settings: Settings,
    labels: Sequence[str],
) -> list[tuple[str, ...]]:
    """One tag a word: the windows of a sentence joined again."""
    label = reduced["label"]
    assert isinstance(label, Ragged)
    bounds = label.offsets[features.sequences]
    tags = [tuple(labels[row] for row in label.values[start:end]) for start, end in pairwise(bounds)]
    for example, predicted in zip(examples, tags, strict=True):
        assert len(predicted) == len(example.words), example.id
    return tags
