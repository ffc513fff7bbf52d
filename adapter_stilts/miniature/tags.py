"""Tags of words: parts of speech, categories, names. The grammars know them all; here they are read off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Literal, NamedTuple

from adapter_stilts.formats.examples import Example, TaggingExample
from adapter_stilts.miniature.concepts import EVENTS, STEMS
from adapter_stilts.miniature.entries import LIFE
from adapter_stilts.miniature.events import PEOPLE, event, people, tell
from adapter_stilts.miniature.grammar import Grammar
from adapter_stilts.miniature.items import Candidate, Propose
from adapter_stilts.miniature.meaning import Phrase, Sentence
from adapter_stilts.miniature.splits import split_of
from adapter_stilts.miniature.stories import cast_of, scripts
from adapter_stilts.tasks.base import Split

Tags = Literal["upos", "category", "entity"]


class Tagged(NamedTuple):
    """A sentence and which of its tags are asked for."""

    sentence: Sentence
    tags: Tags

    def render(self, grammar: Grammar, id: str) -> tuple[Example, ...]:
        tokens = grammar.realise(self.sentence)
        words = tuple(token.text for token in tokens)
        return (TaggingExample(id, words, tuple(getattr(token, self.tags) for token in tokens)),)


def tagged(tags: Tags, sentence: Callable[[Random], Sentence]) -> Propose:
    """Sentences of a kind with tags of a kind."""

    def propose(rng: Random, split: Split) -> Iterator[Candidate]:
        drawn = sentence(rng)
        if split_of((drawn.said,)) == split:
            yield Candidate(Tagged(drawn, tags))

    return propose


def any_sentence(rng: Random) -> Sentence:
    """Statements, questions and reasons of all kinds, with every circumstance that can be told."""
    roll = rng.random()
    if roll < 0.2:
        return reasoned(rng)
    clause = event(rng, rng.choice(tuple(EVENTS)), people(rng, 2, described=0.4), optional=0.5)
    if rng.random() < 0.15:
        clause = clause.denied()
    ask = ""
    if roll > 0.8:
        ask = rng.choice(
            ("whether", "reason", *(role for role, phrase in clause.roles if phrase.kind != "manner"))
        )
    link = "then" if not ask and rng.random() < 0.15 else ""
    return tell(rng, clause, plain=0.6, ask=ask)._replace(link=link)


def reasoned(rng: Random) -> Sentence:
    """Something and why it came about."""
    script = rng.choice(scripts())
    step = rng.choice([step for step in script.steps if step.cause >= 0])
    cast = cast_of(rng, script)
    return tell(rng, step.fill(cast), plain=0.8)._replace(reason=script.steps[step.cause].fill(cast))


def naming_sentence(rng: Random) -> Sentence:
    """Sentences with names of people, places and groups, which share their names.

    A surname alone is a person ("Tolan married Mira"), as a bare name of a group is a group: only what is said
    of them tells.
    """
    who = [_named(rng) for _ in range(2)]
    names = (*LIFE, "hire", "found", "study", "work", "live", "visit", "praise", "give")
    clause = event(rng, rng.choice(names), who, optional=0.6)
    return tell(rng, clause, plain=0.6)


def _named(rng: Random) -> Phrase:
    """Somebody by first name, surname or both."""
    first, surname = rng.choice(PEOPLE), rng.choice(STEMS)
    names = rng.choice(((first,), (surname,), (first, surname)))
    return Phrase("person", names=names)
