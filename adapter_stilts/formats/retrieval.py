"""Sentences of two languages; nothing is trained: the encoder's mean-pooled states are compared.

Source of the layer: XTREME and the study take the mean of the token states of layer 14 of XLM-R Large's 24
(jiant includes the special tokens in the mean, so do we). Another depth takes the same fraction of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from adapter_stilts.formats.base import FormatSettings, Judged
from adapter_stilts.formats.examples import RetrievalExample
from adapter_stilts.formats.features import Column, Features, Indices
from adapter_stilts.formats.tokens import assemble, template_of
from adapter_stilts.formats.wordwise import token_ids

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA = 1
ITEMS: Literal["examples", "sequences"] = "examples"
JUDGED = {
    "accuracy": Judged("nearest", "labels"),
    "f1": Judged("mined", "pairs"),
    "map@20": Judged("ranked", "rankings"),
}
TASK_CLASS = None
PEFT_TASK = None
PIPELINE = None
STUDY_LAYER, STUDY_DEPTH = 14, 24


class Settings(FormatSettings):
    max_length: int = Field(default=512, ge=8)
    """Tokens of a sentence, special ones included; longer ones are cut at the end."""
    layer: int | None = Field(default=None, ge=0)
    """Index into the encoder's hidden states (0 is the embeddings); none takes 14/24 of the depth."""
    neighbours: int = Field(default=4, ge=1)
    """Where pairs are mined: neighbours whose mean cosine is the measure of a candidate's (the margin)."""
    pairs: Literal["max", "intersect", "forward", "backward"] = "max"
    """Where pairs are mined: which candidates become pairs; see `evaluation/mining.py`."""


def layer_for(settings: Settings, depth: int) -> int:
    """The hidden state to pool for an encoder of `depth` layers. Raises ValueError where there is none such."""
    if settings.layer is None:
        return round(STUDY_LAYER / STUDY_DEPTH * depth)
    if settings.layer > depth:
        raise ValueError(
            f"formats.retrieval.layer = {settings.layer}: the encoder has hidden states 0 to {depth}"
        )
    return settings.layer


def head_shape(labels: Sequence[str]) -> None:
    return None


def encode(
    examples: Sequence[RetrievalExample], tokenizer: Any, settings: Settings, labels: Sequence[str]
) -> Features:
    (texts,) = token_ids(tokenizer, [example.text for example in examples])
    template = template_of(tokenizer, pair=False)
    kept = np.minimum(texts.lengths, settings.max_length - template.num_special)
    layout = assemble(template, texts, (texts.offsets[:-1], kept))
    return Features(layout.input_ids, np.arange(len(examples) + 1), layout.token_types)


def units(features: Features, items: Indices) -> float:
    raise TypeError("retrieval is not trained")


def loss_sum(
    outputs: Sequence[Tensor], parts: Sequence[Indices], features: Features, items: Indices
) -> Tensor:
    raise TypeError("retrieval is not trained")


def reduce(outputs: Tensor, features: Features, rows: Indices, settings: Settings) -> dict[str, Column]:
    """Mean over the real tokens of `outputs` (sequences, tokens, hidden size), in fp32."""
    import torch

    lengths = torch.as_tensor(features.input_ids.lengths[rows], device=outputs.device)
    real = torch.arange(outputs.shape[1], device=outputs.device) < lengths[:, None]
    states = torch.where(real[..., None], outputs.float(), 0.0).sum(dim=1) / lengths[:, None]
    return {"vector": states.cpu().numpy()}


def decode(
    examples: Sequence[RetrievalExample],
    features: Features,
    reduced: Mapping[str, Column],
    settings: Settings,
    labels: Sequence[str],
) -> list[int]:
    """For each English sentence the index of its nearest foreign one (cosine), among foreign sentences in order.

    Foreign sentences get the index of their nearest English one: the other direction, reported beside it.
    """
    vectors = reduced["vector"]
    assert isinstance(vectors, np.ndarray)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    english = np.asarray([example.side == "english" for example in examples])
    similarity = vectors[english] @ vectors[~english].T  # (english, foreign)
    nearest = np.empty(len(examples), dtype=np.int64)
    nearest[english] = similarity.argmax(axis=1)
    nearest[~english] = similarity.argmax(axis=0)
    return [int(index) for index in nearest]
