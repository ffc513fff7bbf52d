"""Which states of a target's train set tell its labels, by format: what the target's own head would read.

A sentence or pair has one state, a choice one with whether it is right, a word that of its first piece. Of a passage
every piece that begins or ends an answer counts, and ten others for each of them, drawn at random: all of them would
drown the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from adapter_stilts.formats.features import Features, Ragged

OTHERS = 10
"""Pieces beside each answer's first and last."""

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """The states that count.

    Args:
        flags: a truth value for each token, a row a sequence; None takes one state a sequence, which a head of
            sentences reads.
        labels: of the states, in the order of sequences and tokens.
    """

    flags: Ragged | None
    labels: Labels


def _sentences(features: Features) -> Rows:
    return Rows(None, features.per_example["label"].astype(np.int64))


def _choices(features: Features) -> Rows:
    counts = np.diff(features.sequences)
    right = np.zeros(features.num_sequences, dtype=np.int64)
    gold = features.per_example["label"]
    known = gold >= 0
    right[features.sequences[:-1][known] + gold[known]] = 1
    return Rows(None, np.where(np.repeat(known, counts), right, -1))


def _words(features: Features) -> Rows:
    gold = features.per_sequence["gold"]
    assert isinstance(gold, Ragged)
    flags = gold.values >= 0
    return Rows(Ragged(flags, gold.offsets), gold.values[flags].astype(np.int64))


def _passages(features: Features) -> Rows:
    ids, columns = features.input_ids, features.per_sequence
    starts, ends, context = (np.asarray(columns[name]) for name in ("start", "end", "context_start"))
    labels = np.full(len(ids.values), -1, dtype=np.int64)
    for row, length in enumerate(np.asarray(columns["context_length"])):
        first = ids.offsets[row] + context[row]
        labels[first : first + length] = 0
    # A window without the answer points at its first token, before any passage.
    held = starts >= context
    labels[ids.offsets[:-1][held] + ends[held]] = 2
    labels[ids.offsets[:-1][held] + starts[held]] = 1
    others = np.flatnonzero(labels == 0)
    wanted = min(len(others), OTHERS * int((labels > 0).sum()))
    flags = labels > 0
    flags[np.random.default_rng(0).permutation(others)[:wanted]] = True
    return Rows(Ragged(flags, ids.offsets), labels[flags])


ROWS: Mapping[str, Callable[[Features], Rows]] = {
    "pair_classification": _sentences,
    "text_classification": _sentences,
    "multiple_choice": _choices,
    "tagging": _words,
    "span_qa": _passages,
}
"""By format. Numbers (text_regression) are no classes, and formats of other packages say nothing of their rows."""
