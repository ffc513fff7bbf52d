"""The same examples in what is compared: matched by id, languages that share examples together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adapter_stilts.errors import UsageError
from adapter_stilts.report.counts import Counts, Floats

SHOWN = 3
"""Ids that a message names."""


@dataclass(frozen=True)
class Matched:
    """Several systems on the same examples.

    Args:
        ids: sorted.
        numerators, denominators: (examples, systems).
        complete: whether every system has a row of every example.
    """

    ids: tuple[str, ...]
    numerators: Floats
    denominators: Floats
    complete: bool


def match(systems: Sequence[Counts]) -> Matched:
    """Systems on the examples of one language.

    Raises:
        UsageError: they were evaluated on unlike examples, or on unlike gold answers.
    """
    first = systems[0]
    if all(system.ids == first.ids for system in systems):
        ids, aligned = first.ids, list(systems)
    else:
        for system in systems[1:]:
            if first.complete and system.complete:
                _refuse_unlike(first, system)
        every = sorted({each for system in systems for each in system.ids})
        ids, aligned = tuple(every), [_with_absent(system, every) for system in systems]
    for system in aligned[1:]:
        _refuse_other_gold(aligned[0], system)
    return Matched(
        ids,
        np.stack([system.numerators for system in aligned], axis=1),
        np.stack([system.denominators for system in aligned], axis=1),
        all(system.complete for system in systems),
    )


def _refuse_unlike(first: Counts, other: Counts) -> None:
    for one, two in ((first, other), (other, first)):
        lacking = sorted(set(one.ids) - set(two.ids))
        if lacking:
            named = ", ".join(repr(each) for each in lacking[:SHOWN])
            raise UsageError(
                f"{two.name} lacks {len(lacking)} of the {len(one.ids)} examples of {one.name} (ids {named}"
                f"{' …' if len(lacking) > SHOWN else ''}): compare evaluations of the same test set and the same limit"
            )


def _refuse_other_gold(first: Counts, other: Counts) -> None:
    if first.gold is None or other.gold is None:
        return
    unlike = np.flatnonzero(first.gold != other.gold)
    if len(unlike):
        place = int(unlike[0])
        raise UsageError(
            f"{first.name} and {other.name} have unlike gold answers for example {first.ids[place]!r} "
            f"({first.gold[place]:g} and {other.gold[place]:g} of them): compare evaluations of the same test set"
        )


def _with_absent(system: Counts, every: Sequence[str]) -> Counts:
    """The system with zeros for the examples that it has no row of."""
    places = _places(system.ids, every)

    def spread(values: Floats) -> Floats:
        wide = np.zeros(len(every))
        wide[places] = values
        return wide

    gold = None if system.gold is None else spread(system.gold)
    numerators, denominators = spread(system.numerators), spread(system.denominators)
    return Counts(tuple(every), numerators, denominators, gold, system.complete, system.name)


def _places(ids: Sequence[str], every: Sequence[str]) -> list[int]:
    place = {each: row for row, each in enumerate(every)}
    return [place[each] for each in ids]


@dataclass(frozen=True)
class Block:
    """Languages whose examples are drawn together.

    Args:
        languages: in the order of the columns.
        ids: of the examples, sorted.
        numerators, denominators: (examples, languages, systems); 0 where a language has not the example.
        complete: as of `Matched`, of every language.
    """

    languages: tuple[str, ...]
    ids: tuple[str, ...]
    numerators: Floats
    denominators: Floats
    complete: bool


def blocks(languages: Mapping[str, Matched]) -> tuple[Block, ...]:
    """Languages that share an id stand in one block, directly or by others between them.

    A translated test set (XQuAD, XNLI) has each question in every language, and what makes it hard in one makes it hard
    in another: an average over languages is known less well than from as many questions of their own. Where equal ids
    are chance (the number of a line), drawing unrelated examples together changes nothing in expectation.
    """
    groups: list[tuple[set[str], list[str]]] = []
    for language, matched in languages.items():
        ids, members = set(matched.ids), [language]
        apart = []
        for group in groups:
            if ids & group[0]:
                ids, members = ids | group[0], [*group[1], *members]
            else:
                apart.append(group)
        groups = [*apart, (ids, members)]
    order = {language: place for place, language in enumerate(languages)}
    return tuple(
        _block(sorted(ids), {each: languages[each] for each in sorted(members, key=order.__getitem__)})
        for ids, members in groups
    )


def _block(every: Sequence[str], members: Mapping[str, Matched]) -> Block:
    systems = next(iter(members.values())).numerators.shape[1]
    numerators, denominators = np.zeros((2, len(every), len(members), systems))
    for column, matched in enumerate(members.values()):
        places = _places(matched.ids, every)
        numerators[places, column] = matched.numerators
        denominators[places, column] = matched.denominators
    complete = all(matched.complete for matched in members.values())
    return Block(tuple(members), tuple(every), numerators, denominators, complete)
