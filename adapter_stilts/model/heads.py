"""Heads from their shape. Parameter shapes are those of Transformers' task classes (see families.py)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from adapter_stilts.formats.base import HeadShape


class Head(nn.Module):
    """Dropout, optionally a square layer with tanh and dropout, then the output layer.

    Dense heads follow RobertaClassificationHead, which jiant uses for classification and for choices.

    Args:
        shape: see `HeadShape`.
        hidden_size: width of the encoder's states.
        dropout: rate before each layer of a dense head and before a tagger's output.
        initializer_range: standard deviation of new weights.
        seed: of new weights; a head depends on nothing else that was drawn before.
        activation: after the square layer, by Transformers' name (see `families.activation`).
    """

    def __init__(
        self,
        shape: HeadShape,
        hidden_size: int,
        dropout: float,
        initializer_range: float,
        seed: int,
        activation: str = "tanh",
    ) -> None:
        super().__init__()
        self.activation: Callable[[Tensor], Tensor] = (
            torch.tanh if activation == "tanh" else ACT2FN[activation]
        )
        self.first_token = shape.states == "first_token"
        self.dense = nn.Linear(hidden_size, hidden_size) if shape.dense else None
        self.output = nn.Linear(hidden_size, shape.outputs)
        self.dropout = nn.Dropout(dropout)
        generator = torch.Generator().manual_seed(seed)
        for layer in (self.dense, self.output):
            if layer is not None:
                nn.init.normal_(layer.weight, std=initializer_range, generator=generator)
                nn.init.zeros_(layer.bias)

    def forward(self, states: Tensor) -> Tensor:
        """(sequences, tokens, hidden) to (sequences, outputs) or (sequences, tokens, outputs)."""
        hidden = self.dropout(states[:, 0] if self.first_token else states)
        if self.dense is not None:
            hidden = self.dropout(self.activation(self.dense(hidden)))
        return self.output(hidden)  # type: ignore[no-any-return]
