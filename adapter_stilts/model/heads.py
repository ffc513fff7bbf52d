"""Heads from their shape. Parameter shapes are those of Transformers' task classes (see task_classes.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from adapter_stilts.formats import get_format
from adapter_stilts.formats.base import HeadShape
from adapter_stilts.model.encoders import dropout_of
from adapter_stilts.model.task_classes import activation as activation_of


class Head(nn.Module):
    """Optionally a pooler; dropout, optionally a square layer with an activation and dropout; then the output layer.

    Dense heads follow RobertaClassificationHead, which jiant uses for classification and for choices. Behind a pooler
    they are jiant's own: tanh(pooler(state)) in the place of the first token's state.

    Args:
        shape: see `HeadShape`.
        hidden_size: width of the encoder's states.
        dropout: rate before each layer of a dense head and before a tagger's output.
        initializer_range: standard deviation of new weights.
        seed: of new weights; a head depends on nothing else that was drawn before.
        activation: after the square layer, by Transformers' name (see `task_classes.activation`).
        pooler: whether the encoder's pooler (`model/pooler.py`) stands before the head.
    """

    def __init__(
        self,
        shape: HeadShape,
        hidden_size: int,
        dropout: float,
        initializer_range: float,
        seed: int,
        activation: str = "tanh",
        pooler: bool = False,
    ) -> None:
        super().__init__()
        self.activation: Callable[[Tensor], Tensor] = (
            torch.tanh if activation == "tanh" else ACT2FN[activation]
        )
        self.first_token = shape.states == "first_token"
        self.pooler = nn.Linear(hidden_size, hidden_size) if pooler else None
        self.dense = nn.Linear(hidden_size, hidden_size) if shape.dense else None
        self.output = nn.Linear(hidden_size, shape.outputs)
        self.dropout = nn.Dropout(dropout)
        generator = torch.Generator().manual_seed(seed)
        # The pooler last, so that the other layers begin alike with and without one.
        for layer in (self.dense, self.output, self.pooler):
            if layer is not None:
                nn.init.normal_(layer.weight, std=initializer_range, generator=generator)
                nn.init.zeros_(layer.bias)

    def forward(self, states: Tensor) -> Tensor:
        """(sequences, tokens, hidden) to (sequences, outputs) or (sequences, tokens, outputs)."""
        hidden = states[:, 0] if self.first_token else states
        if self.pooler is not None:
            hidden = torch.tanh(self.pooler(hidden))
        hidden = self.dropout(hidden)
        if self.dense is not None:
            hidden = self.dropout(self.activation(self.dense(hidden)))
        return self.output(hidden)  # type: ignore[no-any-return]


def build_head(
    format_name: str,
    labels: tuple[str, ...],
    config: Any,
    pooler: bool = False,
    dropout: float | None = None,
    seed: int = 0,
) -> Head | None:
    """A new head on an encoder; None where the format has none.

    Args:
        config: the encoder's config object.
        dropout: replaces the encoder's own rate; None keeps it.
        pooler, seed: see `Head`.
    """
    shape = get_format(format_name).head_shape(labels)
    if shape is None:
        return None
    return Head(
        shape,
        int(config.hidden_size),
        dropout_of(config, dropout),
        float(getattr(config, "initializer_range", 0.02)),
        seed,
        activation_of(config),
        pooler,
    )


def share_pooler(heads: Iterable[nn.Module]) -> Head | None:
    """Let every head that has a pooler have the same one, as the encoder has one; returns a head that has it."""
    having = [head for head in heads if isinstance(head, Head) and head.pooler is not None]
    for head in having:
        head.pooler = having[0].pooler
    return having[0] if having else None
