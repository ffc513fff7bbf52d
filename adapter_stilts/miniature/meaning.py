"""What is said, before any language says it: phrases, clauses, sentences, documents.

A `Clause` is a fact: who did what to whom, where, when. A `Sentence` is one way of telling it (active or passive,
from which side, with a pronoun, as a question). Grammars turn a sentence into `Token`s. Two sentences with
the same clause mean the same; everything that needs a gold answer reads it off the clause, never off a string.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["person", "animal", "thing", "place", "town", "group", "year", "manner"]
Role: TypeAlias = Literal["agent", "theme", "recipient", "source", "goal", "place", "time", "manner"]
Voice: TypeAlias = Literal["active", "passive", "converse"]


class Phrase(NamedTuple):
    """A participant or circumstance.

    Args:
        kind: what it is.
        noun: a concept (``rope``), absent from a bare name.
        names: proper names and numerals, the same in every language.
        adjective: a concept.
    """

    kind: Kind
    noun: str = ""
    names: tuple[str, ...] = ()
    adjective: str = ""


class Clause(NamedTuple):
    """A fact, or its denial: a predicate and who plays which role in it."""

    predicate: str
    roles: tuple[tuple[Role, Phrase], ...] = ()
    negated: bool = False

    def phrase(self, role: str) -> Phrase | None:
        for name, phrase in self.roles:
            if name == role:
                return phrase
        return None

    def put(self, role: str, phrase: Phrase) -> Clause:
        """The same with another phrase in a role it has."""
        return self._replace(roles=tuple((name, phrase if name == role else old) for name, old in self.roles))

    def without(self, role: str) -> Clause:
        return self._replace(roles=tuple(pair for pair in self.roles if pair[0] != role))

    def swapped(self, one: str, other: str) -> Clause:
        """The same with the phrases of two roles exchanged."""
        first, second = self.phrase(one), self.phrase(other)
        assert first is not None
        assert second is not None
        return self.put(one, second).put(other, first)

    def denied(self) -> Clause:
        return self._replace(negated=not self.negated)


class Sentence(NamedTuple):
    """A way of telling a clause.

    Args:
        clause: what is told or asked.
        voice: from whose side: ``passive`` makes the theme the subject, ``converse`` takes the verb of the
            opposite direction (Mira sold Emil the rope: Emil bought it from Mira).
        variant: 1 takes the predicate's synonym.
        pronoun: the subject is told by a pronoun; it is the subject of the sentence before.
        link: a word at the beginning: ``then``, ``finally``; of a second speaker ``yes``, ``no``, ``also``.
        ask: the role asked for, ``reason`` (why) or ``whether``; a statement where empty.
        reason: a clause told after "because".
    """

    clause: Clause
    voice: Voice = "active"
    variant: int = 0
    pronoun: bool = False
    link: str = ""
    ask: str = ""
    reason: Clause | None = None

    @property
    def said(self) -> Clause:
        """The clause as far as it is told: without what is asked for."""
        return self.clause.without(self.ask) if self.ask else self.clause


class Document(NamedTuple):
    """Sentences that belong together.

    Args:
        sentences: in the order told.
        causes: for each sentence the index of the one that brought it about, -1 where none did.
        script: the kind of story, or ``entry``.
    """

    sentences: tuple[Sentence, ...]
    causes: tuple[int, ...]
    script: str

    @property
    def clauses(self) -> tuple[Clause, ...]:
        return tuple(sentence.clause for sentence in self.sentences)


class Token(NamedTuple):
    """A word of a sentence with all that is known of it.

    Args:
        text: its form.
        upos: universal part of speech.
        category: what it combines with, in the manner of a categorial grammar without directions.
        entity: IOB2 tag of names.
        role: the role of the main clause whose content it tells; empty for adpositions, articles and the rest.
    """

    text: str
    upos: str
    category: str
    entity: str = "O"
    role: str = ""


def write(sentences: Iterable[Sequence[Token]]) -> str:
    """Sentences as text: words apart, punctuation attached."""
    parts: list[str] = []
    for token in (token for sentence in sentences for token in sentence):
        if token.upos != "PUNCT" and parts:
            parts.append(" ")
        parts.append(token.text)
    return "".join(parts)


def span(sentences: Sequence[Sequence[Token]], index: int, role: str) -> tuple[int, int] | None:
    """Start and end in `write(sentences)` of what sentence ``index`` tells for a role; None if it does not."""
    start = end = -1
    position = 0
    for number, sentence in enumerate(sentences):
        for token in sentence:
            if token.upos != "PUNCT" and position:
                position += 1
            if number == index and token.role == role:
                start = position if start < 0 else start
                end = position + len(token.text)
            position += len(token.text)
    return (start, end) if start >= 0 else None
