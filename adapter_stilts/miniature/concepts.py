"""What there is in the world, by concept: predicates with their frames, kinds of things, and what goes with what.

A concept's key is its English base form (``clean_state`` the adjective, ``clean`` the verb), which the other
languages never look at: they have words of their own (`lexicon.py`). Names and numerals are shared by all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

from adapter_stilts.miniature.meaning import Role


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


WOMEN = _words("Mira Lena Ines Nadia Sara Olga Ruth Tara Eva Dora Lucia Hana Greta Irma Zoe Vera")
MEN = _words("Tomas Oskar Pavel Bruno Emil Hugo Ivan Karl Leo Marko Nils Omar Peter Rafi Sven Timo")
STEMS = _words(
    "Velor Nemar Tolan Karsa Brenik Ostar Liman Dorva Sulen Pelta Ravik Zelin Gorin Halva Irsk Jomar"
)
"""Surnames, towns, lakes and groups bear the same names: only the context tells which is meant."""

YEARS = tuple(str(year) for year in range(1800, 1900, 2))

THINGS: Mapping[str, tuple[str, ...]] = {
    "food": ("bread", "soup", "apple", "cake", "fish", "cheese"),
    "drink": ("water", "milk", "tea"),
    "tool": ("rope", "hammer", "knife", "axe", "net", "lamp"),
    "garment": ("coat", "hat", "shirt", "boot"),
    "vehicle": ("boat", "cart", "bicycle"),
    "paper": ("book", "letter", "map", "picture"),
    "treasure": ("ring", "coin", "watch"),
}
"""Kinds of things: every member is one of its kind, whose name is a noun too."""

MORE_THINGS = ("door", "window", "medicine", "bed", "bridge", "tower", "mill", "cause", "result")
PLACES = _words(
    "market bakery kitchen school river forest garden house barn harbour field hospital well workshop library"
)
GROUPS = ("bank", "club", "company", "theatre")
ANIMALS = ("dog", "goat", "horse")


Shape: TypeAlias = Literal["event", "state", "kind", "at", "weather"]


class Profession(NamedTuple):
    """Where somebody works and what with, as everybody knows."""

    place: str
    predicate: str
    theme: str
    tool: str


PROFESSIONS: Mapping[str, Profession] = {
    "baker": Profession("bakery", "make", "bread", "bowl"),
    "fisher": Profession("harbour", "catch", "fish", "net"),
    "farmer": Profession("field", "catch", "goat", "cart"),
    "teacher": Profession("school", "read", "book", "map"),
    "doctor": Profession("hospital", "make", "medicine", "watch"),
    "smith": Profession("workshop", "mend", "knife", "hammer"),
    "cook": Profession("kitchen", "make", "soup", "pot"),
    "hunter": Profession("forest", "see", "bear", "axe"),
    "gardener": Profession("garden", "find", "rose", "spade"),
    "writer": Profession("library", "write", "letter", "pen"),
}
NEEDS: Mapping[str, str] = {
    "hungry": "bread",
    "thirsty": "water",
    "tired": "bed",
    "cold": "coat",
    "ill": "medicine",
    "lost": "map",
}
"""What somebody in a state wants."""

PERSON_ADJECTIVES = ("old", "young", "tall", "short", "rich", "poor")
THING_ADJECTIVES = ("old", "new", "big", "small", "red", "blue", "green", "black")
MANNERS = ("slowly", "quickly", "often", "soon")

OPPOSITES: Mapping[str, str] = {
    "hungry": "full",
    "thirsty": "refreshed",
    "tired": "rested",
    "cold": "warm",
    "wet": "dry",
    "sad": "happy",
    "angry": "calm",
    "afraid": "calm",
    "ill": "healthy",
    "broken": "whole",
    "dirty": "clean_state",
    "closed": "open_state",
}
"""States that exclude each other."""


class Frame(NamedTuple):
    """How a predicate takes its participants.

    Args:
        roles: those it needs; ``optional`` those it may have.
        shape: ``state`` is told by an adjective, ``kind`` by a noun, ``at`` by a place alone.
        converse: the concept that tells it from the other side; itself where the relation is symmetric.
        synonym: another concept that means the same.
        once: the participant to whom it happens at most once in a document: that another one gave the rope to
            somebody else then is false, not merely untold. Empty where it may happen again.
        passive: whether the theme may be made the subject.
    """

    roles: tuple[Role, ...]
    optional: tuple[Role, ...] = ()
    shape: Shape = "event"
    converse: str = ""
    synonym: str = ""
    once: str = ""
    passive: bool = True


_DO: tuple[Role, ...] = ("agent", "theme")
_GIVE: tuple[Role, ...] = ("agent", "theme", "recipient")
_WHERE: tuple[Role, ...] = ("place",)
_WHEN: tuple[Role, ...] = ("time",)
_HOW: tuple[Role, ...] = ("place", "manner")


def _on_things(*names: str, **synonyms: str) -> dict[str, Frame]:
    plain = {name: Frame(_DO, _HOW, once="theme") for name in names}
    return plain | {name: Frame(_DO, _HOW, synonym=other, once="theme") for name, other in synonyms.items()}


EVENTS: Mapping[str, Frame] = {
    "give": Frame(_GIVE, _HOW, converse="get", once="theme"),
    "sell": Frame(_GIVE, _HOW, converse="buy", once="theme"),
    "lend": Frame(_GIVE, _HOW, converse="borrow", once="theme"),
    "send": Frame(_GIVE, _WHEN, converse="receive", once="theme"),
    "show": Frame(_GIVE, _HOW, once="theme"),
    "return": Frame(_GIVE, _HOW, once="theme"),
    "take": Frame((*_DO, "source"), once="theme"),
    "hide": Frame((*_DO, "place"), once="theme"),
    "bring": Frame((*_DO, "goal"), synonym="carry", once="theme"),
    **_on_things(
        "eat", "drink", "make", "break", "lose", "open", "read", "write", "wear", "need", "drop", "use"
    ),
    **_on_things(mend="repair", clean="wash", find="discover", close="shut", catch="grab", paint="draw"),
    "help": Frame(_DO, _HOW, synonym="assist"),
    "follow": Frame(_DO, _HOW, converse="lead"),
    "chase": Frame(_DO, _HOW, converse="flee"),
    "teach": Frame(_DO, _WHERE),
    "meet": Frame(_DO, (*_HOW, "time"), converse="meet", passive=False),
    "marry": Frame(_DO, ("place", "time"), converse="marry", once="agent", passive=False),
    "call": Frame(_DO, _HOW, synonym="invite"),
    "thank": Frame(_DO, _HOW),
    "praise": Frame(_DO, _HOW, synonym="admire"),
    "visit": Frame(_DO, ("manner", "time")),
    "see": Frame(_DO, _HOW, synonym="notice"),
    "forgive": Frame(_DO),
    "go": Frame(("agent", "goal"), ("manner",), synonym="walk", once="agent"),
    "run": Frame(("agent", "goal"), ("manner",), once="agent"),
    "sleep": Frame(("agent",), _HOW),
    "rest": Frame(("agent",), _HOW),
    "laugh": Frame(("agent",), _HOW),
    "cry": Frame(("agent",), _HOW, synonym="weep"),
    "fall": Frame(("agent",), _HOW),
    "work": Frame(("agent", "place"), ("manner", "time")),
    "born": Frame(("theme",), ("place", "time"), once="theme", passive=False),
    "die": Frame(("agent",), ("place", "time"), once="agent"),
    "live": Frame(("agent", "place")),
    "move": Frame(("agent", "goal"), _WHEN, once="agent"),
    "study": Frame(("agent", "place"), _WHEN, once="agent"),
    "found": Frame(_DO, ("place", "time"), synonym="start", once="theme"),
    "build": Frame(_DO, ("place", "time"), once="theme"),
    "hire": Frame(_DO, _WHEN, synonym="employ", once="theme"),
    "own": Frame(_DO, _WHEN, once="theme"),
}

STATES: Mapping[str, Frame] = {
    name: Frame(("theme",), shape="state", synonym={"happy": "glad", "angry": "furious", "ill": "sick"}.get(name, ""))
    for name in (*dict.fromkeys((*OPPOSITES, *OPPOSITES.values())), "proud", "lost", "rich")
}  # fmt: skip

PREDICATES: Mapping[str, Frame] = {
    **EVENTS,
    **STATES,
    **{name: Frame(("theme",), shape="kind") for name in (*PROFESSIONS, "cause", "result")},
    "have": Frame(_DO, once="theme", passive=False),
    "at": Frame(("theme", "place"), shape="at", once="theme"),
    "do": Frame(_DO, passive=False),
    "rain": Frame((), shape="weather"),
    "snow": Frame((), shape="weather"),
}

KIND_OF: Mapping[str, str] = {noun: kind for kind, nouns in THINGS.items() for noun in nouns}
OPPOSITE_OF: Mapping[str, frozenset[str]] = {
    state: frozenset(
        [b for a, b in OPPOSITES.items() if a == state] + [a for a, b in OPPOSITES.items() if b == state]
    )
    for state in STATES
}


def lexemes() -> tuple[str, ...]:
    """Every concept that needs a word, function words aside; in a fixed order."""
    words: dict[str, None] = {}
    for name, frame in PREDICATES.items():
        words.update(dict.fromkeys(word for word in (name, frame.converse, frame.synonym) if word))
    for group in (THINGS, *THINGS.values(), MORE_THINGS, PLACES, GROUPS, ANIMALS, ("lake",)):
        words.update(dict.fromkeys(group))
    for profession in PROFESSIONS.values():
        words.update(dict.fromkeys((profession.theme, profession.tool)))
    words.update(dict.fromkeys((*PERSON_ADJECTIVES, *THING_ADJECTIVES, *MANNERS)))
    return tuple(words)
