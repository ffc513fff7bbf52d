"""Finding what belongs together by vectors alone: translations, mined or given, answers, and who is meant."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from adapter_stilts.formats.examples import Example, RetrievalExample
from adapter_stilts.miniature.concepts import EVENTS
from adapter_stilts.miniature.constructed import grammar as grammar_of
from adapter_stilts.miniature.entries import entry
from adapter_stilts.miniature.events import PEOPLE, event, person, tell
from adapter_stilts.miniature.grammar import Grammar
from adapter_stilts.miniature.items import Candidate
from adapter_stilts.miniature.meaning import Sentence, write
from adapter_stilts.miniature.questions import Question, questions
from adapter_stilts.miniature.splits import split_of
from adapter_stilts.tasks.base import Split


class Parallel(NamedTuple):
    """A sentence that stands on the foreign side, on the English one, or on both."""

    sentence: Sentence
    foreign: bool = True
    english: bool = True

    def render(self, grammar: Grammar, id: str) -> tuple[Example, ...]:
        pair = id if self.foreign and self.english else None
        found = []
        if self.foreign:
            text = write([grammar.realise(self.sentence)])
            found.append(RetrievalExample(f"foreign-{id}", text, "foreign", pair))
        if self.english:
            found.append(RetrievalExample(f"english-{id}", _in_english(self.sentence), "english", pair))
        return tuple(found)


def parallel(rng: Random, split: Split) -> Iterator[Candidate]:
    """Sentences with their translations."""
    sentence = _sentence(rng, split)
    yield Candidate(Parallel(sentence), key=_in_english(sentence))


def mining(rng: Random, split: Split) -> Iterator[Candidate]:
    """A third of the sentences stand on both sides, the others on one: distractors like them."""
    sentence, side = _sentence(rng, split), rng.randrange(3)
    yield Candidate(Parallel(sentence, side != 0, side != 1), key=_in_english(sentence))


class Answered(NamedTuple):
    """A question, and the sentences of its text, one of which answers it."""

    question: Question

    def render(self, grammar: Grammar, id: str) -> tuple[Example, ...]:
        assert self.question.answer is not None
        right, _ = self.question.answer
        asked = write([grammar.realise(self.question.question)])
        told = [
            RetrievalExample(
                f"{grammar.code}-{id}-{number}",
                write([grammar.realise(sentence)]),
                "candidate",
                None,
                (id,) if number == right else (),
            )
            for number, sentence in enumerate(self.question.context)
        ]
        return (RetrievalExample(f"{grammar.code}-{id}", asked, "query", None, (id,)), *told)


class Described(NamedTuple):
    """Sentences about somebody, and one more that names them."""

    description: tuple[Sentence, ...]
    mention: Sentence

    def render(self, grammar: Grammar, id: str) -> tuple[Example, ...]:
        code = grammar.code
        told = write([grammar.realise(sentence) for sentence in self.description])
        mention = write([grammar.realise(self.mention)])
        return (
            RetrievalExample(f"{code}-{id}", mention, "query", None, (id,)),
            RetrievalExample(f"{code}-{id}-entry", told, "candidate", None, (id,)),
        )


_ask = questions(entries=0.4)


def answering(rng: Random, split: Split) -> Iterator[Candidate]:
    """A question and its text, sentence by sentence."""
    for item, *_ in _ask(rng, split):
        assert isinstance(item, Question)
        yield Candidate(Answered(item), key=item.context)


def described(rng: Random, split: Split) -> Iterator[Candidate]:
    """An entry but for its last sentence, and that one."""
    *description, mention = entry(rng, split).sentences
    if description:
        yield Candidate(
            Described(tuple(description), mention._replace(pronoun=False)), key=tuple(description)
        )


def _in_english(sentence: Sentence) -> str:
    """What no two sentences of a pool have in common: a distractor must not be a translation after all."""
    return write([grammar_of("en").realise(sentence)])


def _sentence(rng: Random, split: Split) -> Sentence:
    """An event among a few people, so that names alone find no translation."""
    while True:
        someone = [person(name) for name in rng.sample(PEOPLE[::4], 2)]
        clause = event(rng, rng.choice(tuple(EVENTS)), someone, optional=0.5)
        if split_of((clause,)) == split:
            return tell(rng, clause, plain=0.7)
