"""Single events: who can do what with what, and the many ways to tell it."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from random import Random

from adapter_stilts.miniature.concepts import (
    ANIMALS,
    EVENTS,
    GROUPS,
    MANNERS,
    MEN,
    PERSON_ADJECTIVES,
    PLACES,
    PREDICATES,
    PROFESSIONS,
    STEMS,
    THING_ADJECTIVES,
    THINGS,
    WOMEN,
    YEARS,
)
from adapter_stilts.miniature.grammar import voices
from adapter_stilts.miniature.meaning import Clause, Phrase, Role, Sentence

PEOPLE = (*WOMEN, *MEN)
TRADES = tuple(PROFESSIONS)

_PORTABLE = "treasure,tool,paper,garment"
THEMES: Mapping[str, str] = {
    "eat": "food",
    "drink": "drink",
    "read": "book,letter",
    "write": "book,letter",
    "wear": "garment",
    "paint": "picture,boat,door",
    "open": "door,window",
    "close": "door,window",
    "mend": "tool,vehicle,boot",
    "break": "tool,vehicle,window",
    "use": "tool,vehicle",
    "drop": _PORTABLE,
    "clean": "garment,vehicle,window",
    "catch": "fish,goat,horse",
    "make": "food,garment",
    "build": "bridge,tower,mill",
    "sell": f"{_PORTABLE},food,vehicle",
    "lend": "tool,vehicle,book",
    "send": "paper,garment,food",
    "bring": "food,drink,tool",
    "own": "mill,boat,horse",
    **dict.fromkeys(("give", "show", "return", "take", "hide", "lose", "find", "need"), _PORTABLE),
}
"""What kind of thing an event happens to; a person where it is not listed."""

SOCIAL = ("help", "follow", "chase", "teach", "meet", "call", "thank", "praise", "visit", "see", "forgive")
TRANSFERS = ("give", "sell", "lend", "send", "show", "return")
BIOGRAPHY = ("born", "die", "live", "move", "study", "found", "hire", "marry", "build")
EVERYDAY = tuple(name for name in EVENTS if name not in BIOGRAPHY)


def person(name: str, surname: str = "") -> Phrase:
    return Phrase("person", names=(name, surname) if surname else (name,))


def thing(noun: str, adjective: str = "") -> Phrase:
    return Phrase("animal" if noun == "dog" else "thing", noun, (), adjective)


def place(noun: str) -> Phrase:
    return Phrase("place", noun)


@functools.cache
def pool(kinds: str) -> tuple[str, ...]:
    """The nouns of a list of kinds and concepts."""
    return tuple(noun for kind in kinds.split(",") for noun in THINGS.get(kind, (kind,)))


def people(rng: Random, count: int, *, described: float = 0.0) -> list[Phrase]:
    """Different people: by name, or with chance ``described`` by what they are ("the old baker")."""
    names = rng.sample(PEOPLE, count)
    if not described:
        return [person(name) for name in names]
    trades = rng.sample(TRADES, count)
    return [
        Phrase("person", trade, (), rng.choice(PERSON_ADJECTIVES))
        if rng.random() < described
        else person(name)
        for name, trade in zip(names, trades, strict=True)
    ]


def some_thing(rng: Random, kinds: str, *, described: float = 0.3) -> Phrase:
    adjective = rng.choice(THING_ADJECTIVES) if rng.random() < described else ""
    return thing(rng.choice(pool(kinds)), adjective)


def some_town(rng: Random) -> Phrase:
    return Phrase("town", "lake" if rng.random() < 0.2 else "", (rng.choice(STEMS),))


def some_group(rng: Random) -> Phrase:
    return Phrase("group", rng.choice(GROUPS) if rng.random() < 0.7 else "", (rng.choice(STEMS),))


def some_year(rng: Random) -> Phrase:
    return Phrase("year", names=(rng.choice(YEARS),))


def filler(rng: Random, predicate: str, role: Role, persons: Sequence[Phrase]) -> Phrase:
    """Somebody or something that can play a role; people in the order of ``persons``."""
    if role == "time":
        return some_year(rng)
    if role == "manner":
        return Phrase("manner", rng.choice(MANNERS))
    if role in ("place", "goal", "source"):
        if predicate in ("study", "work") and rng.random() < 0.5:
            return some_group(rng)
        return some_town(rng) if predicate in BIOGRAPHY else place(rng.choice(PLACES))
    if role == "theme" and predicate in THEMES:
        return some_thing(rng, THEMES[predicate])
    if (role, predicate) in (("agent", "hire"), ("theme", "found")):
        return some_group(rng)
    return persons[0 if role == "agent" or predicate in ("born", "hire") else 1]


def another(rng: Random, predicate: str, old: Phrase) -> Phrase:
    """Somebody or something of the same kind, that could stand in its place."""
    match old.kind:
        case "person":
            return people(rng, 1, described=float(bool(old.adjective)))[0]
        case "animal":
            return Phrase("animal", rng.choice(ANIMALS))
        case "thing":
            return some_thing(rng, THEMES.get(predicate, _PORTABLE))
        case "place":
            return place(rng.choice(PLACES))
        case "town":
            return some_town(rng)
        case "group":
            return some_group(rng)
        case "year":
            return some_year(rng)
        case "manner":
            return Phrase("manner", rng.choice(MANNERS))


def event(
    rng: Random, predicate: str, persons: Sequence[Phrase] | None = None, *, optional: float = 0.3
) -> Clause:
    """A clause of a predicate.

    Args:
        persons: who plays the people's roles, two at least; strangers where None.
        optional: the chance of each circumstance that the predicate may have.
    """
    frame = PREDICATES[predicate]
    persons = persons or people(rng, 2)
    more = [role for role in frame.optional if rng.random() < optional]
    if len(more) > 1 and predicate not in BIOGRAPHY:
        # Sentences stay short: of a life both place and year are told, of other events one circumstance.
        more = [rng.choice(more)]
    roles = (*frame.roles, *more)
    return Clause(predicate, tuple((role, filler(rng, predicate, role, persons)) for role in roles))


def tell(
    rng: Random, clause: Clause, *, plain: float = 0.6, unlike: Sentence | None = None, ask: str = ""
) -> Sentence:
    """One of the ways to tell a clause.

    Args:
        plain: the chance that it is told in the active voice though there are others.
        unlike: a telling to differ from in voice or word, where there is another one.
    """
    choices = voices(clause)
    voice = choices[0] if len(choices) == 1 or rng.random() < plain else rng.choice(choices[1:])
    variant = rng.randrange(2) if PREDICATES[clause.predicate].synonym else 0
    if unlike is not None and (voice, variant) == (unlike.voice, unlike.variant):
        others = [choice for choice in choices if choice != unlike.voice]
        if PREDICATES[clause.predicate].synonym and (not others or rng.random() < 0.5):
            variant = 1 - variant
        elif others:
            voice = rng.choice(others)
    return Sentence(clause, voice, variant, ask=ask)
