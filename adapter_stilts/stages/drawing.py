"""Few examples of a train split, drawn by the seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adapter_stilts.formats.examples import Example, TaggingExample, label_names

OUTSIDE = "O"
"""The tag of a word in no span."""


@dataclass(frozen=True)
class Draw:
    """How many examples are drawn, and by which seed."""

    count: int
    seed: int


def drawn(examples: Sequence[Example], draw: Draw) -> list[Example]:
    """Some of the examples, in their order. Those of a smaller count are among those of a larger one.

    - of labels (pair classification): as many of each as there are, from the label that is rarest among those drawn;
    - of tags: sentences with a tag other than ``O`` first;
    - of all else (questions, choices, numbers): each as likely as another.

    Raises:
        ValueError: there are fewer examples.
    """
    if draw.count > len(examples):
        raise ValueError(f"{draw.count} of {len(examples)} examples")
    order = np.random.default_rng([draw.seed, 2]).permutation(len(examples)).tolist()
    chosen = _in_turn(examples, order)[: draw.count]
    return [examples[row] for row in sorted(chosen)]


def _in_turn(examples: Sequence[Example], order: Sequence[int]) -> list[int]:
    """The rows in the order in which they are taken."""
    groups: dict[str, list[int]] = {}
    for row in order:
        groups.setdefault(_group(examples[row]), []).append(row)
    if all(isinstance(example, TaggingExample) for example in examples):
        return [*groups.get("", ()), *groups.get(OUTSIDE, ())]
    longest = max((len(rows) for rows in groups.values()), default=0)
    return [rows[turn] for turn in range(longest) for rows in groups.values() if turn < len(rows)]


def _group(example: Example) -> str:
    """What is balanced: the label; of sentences, whether they hold a span; one for all where there is neither."""
    names = label_names(example)
    if isinstance(example, TaggingExample):
        return "" if any(name != OUTSIDE for name in names) else OUTSIDE
    return names[0] if names else ""
