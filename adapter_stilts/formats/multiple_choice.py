"""A prompt and several continuations; each choice is scored with one output, softmax runs over the choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from adapter_stilts.formats.base import CUT, FormatSettings, HeadShape, Judged
from adapter_stilts.formats.examples import MultipleChoiceExample
from adapter_stilts.formats.features import Array, Column, Features, Indices, slice_indices
from adapter_stilts.formats.tokens import assemble, template_of
from adapter_stilts.formats.wordwise import token_ids

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA = 2
ITEMS: Literal["examples", "sequences"] = "examples"
JUDGED = {"accuracy": Judged("labels", "choices")}
TASK_CLASS = "AutoModelForMultipleChoice"
PEFT_TASK = None
PIPELINE = None


class Settings(FormatSettings):
    LATER = OF_HEAD = frozenset({"pooler"})

    max_length: int = Field(default=256, ge=8)
    """Tokens of prompt and choice, special ones included. The prompt is cut at its start."""
    too_long: Literal["cut", "error"] = "cut"
    """A choice that fills the window alone: cut as the study's code (jiant) does, at the start of prompt and choice,
    whichever is longer at the time; or an error."""
    pooler: bool = False
    """Whether the head reads the encoder's pooler, as the study's code (jiant) has it, or the first token's state."""


def head_shape(labels: Sequence[str]) -> HeadShape:
    return HeadShape("first_token", dense=True, outputs=1)


def encode(
    examples: Sequence[MultipleChoiceExample], tokenizer: Any, settings: Settings, labels: Sequence[str]
) -> Features:
    """Raises ValueError naming the example where a choice alone exceeds the window, if `too_long` is ``error``."""
    counts = np.asarray([len(example.choices) for example in examples], dtype=np.int64)
    owners = np.repeat(np.arange(len(examples)), counts)
    prompts, choices = token_ids(
        tokenizer,
        [example.prompt for example in examples],
        [choice for example in examples for choice in example.choices],
    )
    template = template_of(tokenizer, pair=True)
    window = settings.max_length - template.num_special
    room = window - choices.lengths
    cut = room < 0
    if cut.any() and settings.too_long == "error":
        row = int(room.argmin())
        raise ValueError(
            f"example {examples[owners[row]].id!r}: a choice has {choices.lengths[row]} tokens, more than fit "
            f"a window of {settings.max_length}; raise --set formats.multiple_choice.max_length, or leave "
            "formats.multiple_choice.too_long at 'cut'"
        )
    # Tokens are taken from the longer of the two until both fit: a short prompt stays whole, a long one keeps half.
    kept = np.minimum(prompts.lengths[owners], np.where(cut, window // 2, room))
    whole = np.where(cut, window - kept, choices.lengths)
    layout = assemble(
        template,
        prompts,
        (prompts.offsets[1:][owners] - kept, kept),
        choices,
        (choices.offsets[1:] - whole, whole),
    )
    gold = np.asarray([-1 if e.label is None else e.label for e in examples], dtype=np.int64)
    sequences = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    beside = {"label": gold, CUT: np.bincount(owners, cut, len(examples)).astype(np.int64)}
    return Features(layout.input_ids, sequences, layout.token_types, per_example=beside)


def units(features: Features, items: Indices) -> float:
    return float(len(items))


def loss_sum(
    outputs: Sequence[Tensor], parts: Sequence[Indices], features: Features, items: Indices
) -> Tensor:
    """The choices of a row may have run in different sub-batches: scores are gathered before the softmax."""
    import torch

    scores = torch.cat([output.float().reshape(-1) for output in outputs])
    sequences = np.concatenate(parts)
    counts = np.diff(features.sequences)[items]
    wanted = slice_indices(features.sequences[:-1][items], counts)
    order = np.argsort(sequences)
    places = order[np.searchsorted(sequences, wanted, sorter=order)]
    table = scores.new_full((len(items), int(counts.max())), -torch.inf)
    rows, columns = np.repeat(np.arange(len(items)), counts), slice_indices(np.zeros_like(counts), counts)
    index = (torch.as_tensor(rows, device=scores.device), torch.as_tensor(columns, device=scores.device))
    table = table.index_put(index, scores[torch.as_tensor(places, device=scores.device)])
    labels = torch.as_tensor(features.per_example["label"][items], device=scores.device)
    return torch.nn.functional.cross_entropy(table, labels, reduction="sum")


def reduce(outputs: Tensor, features: Features, rows: Indices, settings: Settings) -> dict[str, Column]:
    return {"score": outputs.float().reshape(-1).cpu().numpy()}


def decode(
    examples: Sequence[MultipleChoiceExample],
    features: Features,
    reduced: Mapping[str, Column],
    settings: Settings,
    labels: Sequence[str],
) -> list[int]:
    """Index of the best-scored choice of each row; the first of equals."""
    score = reduced["score"]
    assert isinstance(score, np.ndarray)
    bounds: Array = features.sequences
    return [int(score[start:end].argmax()) for start, end in pairwise(bounds)]
