"""From candidates to a split: what every kind of task does alike.

A kind of task *proposes* candidates, each from a document of the split asked for. Where they have labels, a
candidate waits until there is one of every other label that looks alike (the same question or hypothesis but for
names and things), and they are taken together. So a label cannot be told from how an item looks, whatever the
proportions in which it is proposed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import NamedTuple, Protocol, TypeAlias

from adapter_stilts.formats.examples import Example
from adapter_stilts.miniature.grammar import Grammar
from adapter_stilts.tasks.base import Split


class Item(Protocol):
    """An example before it is put into a language; equal ones are the same example."""

    def __hash__(self) -> int: ...

    def render(self, grammar: Grammar, id: str) -> tuple[Example, ...]:
        """The example in a language (several where an item is a pair of sentences)."""


class Candidate(NamedTuple):
    """An item that may be taken.

    Args:
        look: how it looks but for names and things; label: what is balanced among those that look alike.
        key: what no second item may have in common with it; the item itself where None.
    """

    item: Item
    look: Hashable = None
    label: Hashable = None
    key: Hashable = None


QUEUE = 3
"""How many candidates of one look and label wait."""

Propose: TypeAlias = Callable[[Random, Split], Iterator[Candidate]]


@dataclass(frozen=True)
class Counterpart:
    """The miniature of a task.

    Args:
        propose: yields candidates made from one document.
        sizes: how many examples a split has (in each language, where it is in several).
        labels: what a candidate's label may be; empty where items have none to balance.
        of_one: at most how many of them are taken (the data sets themselves ask several questions on one text).
        foreign_only: whether there is nothing to do in English (retrieval finds English sentences).
    """

    propose: Propose
    sizes: Mapping[Split, int]
    labels: tuple[Hashable, ...] = ()
    of_one: int = 1
    foreign_only: bool = False


def collect(counterpart: Counterpart, split: Split, rng: Random) -> list[Item]:
    """The items of a split, none twice."""
    size, found = counterpart.sizes[split], list[Item]()
    seen: set[Hashable] = set()
    waiting: dict[Hashable, dict[Hashable, list[Item]]] = {}
    while len(found) < size:
        taken = 0
        for item, look, label, key in counterpart.propose(rng, split):
            if (key or item) in seen:
                continue
            if not counterpart.labels:
                found.append(item)
            else:
                alike = waiting.setdefault(look, {name: [] for name in counterpart.labels})
                if len(alike[label]) >= QUEUE:
                    continue
                alike[label].append(item)
                if all(alike.values()):
                    found.extend(queue.pop(0) for queue in alike.values())
            seen.add(key or item)
            taken += 1
            if taken == counterpart.of_one:
                break
    del found[size:]
    rng.shuffle(found)
    return found
