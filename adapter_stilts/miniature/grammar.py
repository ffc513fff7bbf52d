"""What every grammar does alike: from a sentence to its subject, object and the rest."""

from __future__ import annotations

import functools
from typing import NamedTuple, Protocol

from adapter_stilts.miniature.concepts import PREDICATES, WOMEN
from adapter_stilts.miniature.meaning import Clause, Phrase, Sentence, Token, Voice


class Grammar(Protocol):
    """A language: turns what is meant into words."""

    @property
    def code(self) -> str:
        """Its language code."""

    def realise(self, sentence: Sentence) -> tuple[Token, ...]:
        """The words of a sentence, punctuation last."""

    def name(self, phrase: Phrase) -> tuple[Token, ...]:
        """A phrase on its own, as an answer to choose."""


class Part(NamedTuple):
    """One participant in its place.

    Args:
        role: its role in the clause.
        phrase: who or what.
        marker: what its form shows: subject, object, recipient, source, goal, place, time, by, manner.
        needed: whether the predicate needs it (else it is an adjunct).
    """

    role: str
    phrase: Phrase
    marker: str
    needed: bool


class Arguments(NamedTuple):
    """A clause as seen from its subject."""

    lexeme: str
    subject: Part | None
    object: Part | None
    obliques: tuple[Part, ...]


_OBLIQUE = ("recipient", "source", "goal", "place", "time", "manner")


def arguments(sentence: Sentence) -> Arguments:
    """Who is subject and object, and the word of the predicate, under the sentence's voice."""
    return _arguments(sentence.clause, sentence.voice, sentence.variant)


@functools.lru_cache(maxsize=4096)
def _arguments(clause: Clause, voice: Voice, variant: int) -> Arguments:
    frame = PREDICATES[clause.predicate]
    subject, other = ("agent", "theme") if clause.phrase("agent") else ("theme", "")
    order, agent_marker = (*_OBLIQUE[:4], "agent", *_OBLIQUE[4:]), "by"
    lexeme = frame.synonym if variant and frame.synonym else clause.predicate
    if voice == "passive":
        subject, other = "theme", ""
    elif voice == "converse":
        lexeme = frame.converse
        order, agent_marker = ("agent", *_OBLIQUE), "source"
        subject, other = ("recipient", "theme") if clause.phrase("recipient") else ("theme", "agent")
    markers = {"agent": agent_marker, subject: "subject", other: "object"}
    parts: dict[str, Part] = {
        role: Part(role, phrase, markers.get(role, role), role in frame.roles)
        for role, phrase in clause.roles
    }
    return Arguments(
        lexeme,
        parts.pop(subject, None),
        parts.pop(other, None),
        tuple(parts[role] for role in order if role in parts),
    )


def subject_of(sentence: Sentence) -> Phrase | None:
    """Who the sentence is about; what a pronoun in the next one stands for."""
    subject = arguments(sentence).subject
    return subject.phrase if subject else None


def voices(clause: Clause) -> tuple[Voice, ...]:
    """The voices a clause can be told in."""
    frame = PREDICATES[clause.predicate]
    found: list[Voice] = ["active"]
    theme, agent = clause.phrase("theme"), clause.phrase("agent")
    if frame.shape != "event" or theme is None or agent is None:
        return ("active",)
    if frame.passive:
        found.append("passive")
    if frame.converse:
        found.append("converse")
    return tuple(found)


def because(sentence: Sentence) -> Sentence | None:
    """The reason a sentence gives, as a sentence: its subject is a pronoun where it is the main clause's."""
    if sentence.reason is None:
        return None
    reason = Sentence(sentence.reason)
    subject = subject_of(reason)
    return reason._replace(pronoun=subject is not None and subject == subject_of(sentence))


def gender(phrase: Phrase) -> str:
    """``she``, ``he`` or ``it``: agreement and the choice of pronoun."""
    if phrase.kind != "person":
        return "it"
    return "she" if phrase.names and phrase.names[0] in WOMEN else "he"


def entity_tags(phrase: Phrase, count: int) -> list[str]:
    """IOB2 tags of a phrase's ``count`` words."""
    kind = {"person": "PER", "town": "LOC", "group": "ORG"}.get(phrase.kind)
    if kind is None or not phrase.names:
        return ["O"] * count
    return [f"B-{kind}"] + [f"I-{kind}"] * (count - 1)


def wh_of(kind: str) -> str:
    """The question word for a phrase of a kind."""
    return {"person": "who", "place": "where", "town": "where", "year": "when"}.get(kind, "what")
