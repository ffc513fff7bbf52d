"""Padding removed inside a step: its sequences, cut into sub-batches of nearly equal length.

The sequences of a step are sorted by length and cut where that costs least: a sub-batch costs its padded tokens
plus a constant for passing through the layers at all. The cuts are the exact optimum (dynamic programming).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adapter_stilts.formats.features import Features, Indices, slice_indices


@dataclass(frozen=True)
class Cut:
    """One micro-batch: whole items, and their sequences in sub-batches."""

    items: Indices
    parts: list[Indices]


def sequences_of(features: Features, items: Indices, kind: str) -> tuple[Indices, Indices]:
    """Sequences of the items, one after another, and the number of each."""
    if kind == "sequences":
        return items, np.ones(len(items), dtype=np.int64)
    counts = np.diff(features.sequences)[items]
    return slice_indices(features.sequences[:-1][items], counts), counts


def item_lengths(features: Features, kind: str) -> Indices:
    """Tokens of each item: all its sequences together."""
    if kind == "sequences":
        return features.input_ids.lengths
    return np.diff(features.input_ids.offsets[features.sequences])


def cut_step(features: Features, items: Indices, kind: str, budget: int, overhead: int) -> list[Cut]:
    """Micro-batches of at most `budget` padded tokens (one item at least), each cut into sub-batches.

    Args:
        items: the items of an optimizer step, or of one process's share of it.
        kind: the format's ITEMS.
        overhead: cost of a sub-batch beside its tokens, in tokens.
    """
    rows, counts = sequences_of(features, items, kind)
    lengths = features.input_ids.lengths
    parts = sub_batches(lengths[rows], budget, overhead)
    if sum(_padded(lengths[rows], part) for part in parts) <= budget or len(items) == 1:
        return [Cut(items, [rows[part] for part in parts])]
    bounds = np.concatenate([[0], np.cumsum(counts)])
    longest = np.maximum.reduceat(lengths[rows], bounds[:-1])
    order = np.argsort(-longest, kind="stable")
    cuts: list[Cut] = []
    start = 0
    while start < len(order):
        width = counts[order[start:]].cumsum() * longest[order[start]]
        stop = start + max(1, int(np.searchsorted(width, budget, side="right")))
        chosen = items[order[start:stop]]
        own, _ = sequences_of(features, chosen, kind)
        cuts.append(Cut(chosen, [own[part] for part in sub_batches(lengths[own], budget, overhead)]))
        start = stop
    return cuts


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


def share(items: Indices, lengths: Indices, process: int, processes: int) -> Indices:
    """One process's part of a step: items dealt longest first, so that shares take about the same time."""
    if processes == 1:
        return items
    order = np.argsort(-lengths[items], kind="stable")
    return items[np.sort(order[process::processes])]


def _padded(lengths: Indices, part: Indices) -> int:
    return int(lengths[part].max()) * len(part)
