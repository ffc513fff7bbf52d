"""How sequences of unequal length pass through an encoder together: cut into sub-batches, run, and gathered again.

Cutting, running and gathering stand here and nowhere else. Whoever trains or predicts asks a model's layout which
sequences pass together, has each sub-batch laid out and run, and takes states that are dense again: (sequences,
tokens, hidden), what is padding told by the features' lengths. So formats and heads do not know how they lay.

`PADDED` removes padding inside a step: its sequences are sorted by length and cut where that costs least. A sub-batch
costs its padded tokens plus a constant for passing through the layers at all; the cuts are the exact optimum (dynamic
programming).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from adapter_stilts.formats.features import Features, Indices, Ragged, sequences_of
from adapter_stilts.model.encoders import mean_state


@dataclass(frozen=True)
class Cut:
    """One micro-batch: whole items, and their sequences in sub-batches.

    Args:
        tokens: of all sub-batches, padding included.
    """

    items: Indices
    parts: list[Indices]
    tokens: int


class SubBatch(Protocol):
    """Sequences laid out for one pass."""

    @property
    def input_ids(self) -> Tensor:
        """Ids in the layout's own shape."""

    def run(self, encoder: Callable[..., Any], **given: Tensor) -> Tensor:
        """The encoder's last states in the layout's own shape.

        Args:
            given: ``input_ids``, or ``inputs_embeds`` with one dimension more.
        """

    def every(self, states: Tensor) -> Tensor:
        """Every token's state: (sequences, longest sequence, hidden)."""

    def first(self, states: Tensor) -> Tensor:
        """Each sequence's first state: (sequences, 1, hidden)."""

    def mean(self, states: Tensor) -> Tensor:
        """Each sequence's mean state: (sequences, 1, hidden)."""

    def chosen(self, states: Tensor, flags: Ragged) -> Tensor:
        """The states of flagged tokens, sequence after sequence: (tokens, hidden).

        Args:
            flags: a truth value for each token, a row a sequence.
        """


class Layout(Protocol):
    """A way to lay sequences of unequal length side by side."""

    def cut(self, features: Features, items: Indices, kind: str, budget: int, overhead: int) -> list[Cut]:
        """Micro-batches of at most `budget` tokens, padding included (one item at least), each cut into sub-batches.

        Args:
            items: the items of an optimizer step, or of one process's share of it.
            kind: the format's ITEMS.
            overhead: cost of a sub-batch beside its tokens, in tokens.
        """

    def batches(self, lengths: Indices, budget: int) -> list[Indices]:
        """Batches for prediction, of at most `budget` tokens, padding included (one sequence at least)."""

    def lay(self, features: Features, rows: Indices, padding_id: int, device: torch.device | str) -> SubBatch:
        """The given sequences as one sub-batch on a device."""


@dataclass(frozen=True)
class PaddedSubBatch:
    """Padded on the right: ids, mask and segments (sequences, tokens)."""

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor | None

    def run(self, encoder: Callable[..., Any], **given: Tensor) -> Tensor:
        if self.token_type_ids is not None:
            given["token_type_ids"] = self.token_type_ids
        return encoder(attention_mask=self.attention_mask, **given).last_hidden_state  # type: ignore[no-any-return]

    def every(self, states: Tensor) -> Tensor:
        return states

    def first(self, states: Tensor) -> Tensor:
        return states[:, :1]

    def mean(self, states: Tensor) -> Tensor:
        return mean_state(states, self.attention_mask)

    def chosen(self, states: Tensor, flags: Ragged) -> Tensor:
        flagged = flags.padded(np.arange(len(flags)), False)
        return states[torch.as_tensor(flagged, device=states.device)]


class Padded:
    """Sub-batches of nearly equal length, padded to their longest sequence."""

    def cut(self, features: Features, items: Indices, kind: str, budget: int, overhead: int) -> list[Cut]:
        rows, counts = sequences_of(features, items, kind)
        lengths = features.input_ids.lengths
        whole = _cut(items, rows, lengths, budget, overhead)
        if whole.tokens <= budget or len(items) == 1:
            return [whole]
        bounds = np.concatenate([[0], np.cumsum(counts)])
        longest = np.maximum.reduceat(lengths[rows], bounds[:-1])
        order = np.argsort(-longest, kind="stable")
        cuts: list[Cut] = []
        start = 0
        while start < len(order):
            width = counts[order[start:]].cumsum() * longest[order[start]]
            stop = start + max(1, int(np.searchsorted(width, budget, side="right")))
            chosen = items[order[start:stop]]
            cuts.append(_cut(chosen, sequences_of(features, chosen, kind)[0], lengths, budget, overhead))
            start = stop
        return cuts

    def batches(self, lengths: Indices, budget: int) -> list[Indices]:
        """Sorted longest first, and cut where the budget ends."""
        order = np.argsort(-lengths, kind="stable")
        batches = []
        start = 0
        while start < len(order):
            count = max(1, budget // max(1, int(lengths[order[start]])))
            batches.append(order[start : start + count])
            start += count
        return batches

    def lay(
        self, features: Features, rows: Indices, padding_id: int, device: torch.device | str
    ) -> PaddedSubBatch:
        ids = features.input_ids.padded(rows, padding_id)
        mask = np.arange(ids.shape[1]) < features.input_ids.lengths[rows][:, None]
        types = features.token_types
        return PaddedSubBatch(
            torch.as_tensor(ids, dtype=torch.long).to(device, non_blocking=True),
            torch.as_tensor(mask, dtype=torch.long).to(device, non_blocking=True),
            None if types is None else torch.as_tensor(types.padded(rows, 0), dtype=torch.long).to(device),
        )


PADDED = Padded()


def sub_batches(lengths: Indices, budget: int, overhead: int) -> list[Indices]:
    """Cut sequences, longest first, into sub-batches of least total cost, none above `budget` padded tokens."""
    order = np.argsort(-lengths, kind="stable")
    ordered = lengths[order].astype(np.float64)
    count = len(order)
    best = np.zeros(count + 1)
    origin = np.zeros(count + 1, dtype=np.int64)
    for stop in range(1, count + 1):
        tokens = np.arange(stop, 0, -1) * ordered[:stop]
        cost = best[:stop] + tokens + overhead
        cost[:-1][tokens[:-1] > budget] = np.inf  # a single sequence is always allowed
        origin[stop] = cost.argmin()
        best[stop] = cost[origin[stop]]
    parts = []
    stop = count
    while stop > 0:
        parts.append(order[origin[stop] : stop])
        stop = int(origin[stop])
    return parts[::-1]


def _cut(items: Indices, rows: Indices, lengths: Indices, budget: int, overhead: int) -> Cut:
    parts = [rows[part] for part in sub_batches(lengths[rows], budget, overhead)]
    return Cut(items, parts, sum(len(part) * int(lengths[part].max()) for part in parts))
