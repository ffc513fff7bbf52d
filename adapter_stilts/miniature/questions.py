"""Questions on a text, answered by a span of it, or by nothing in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from adapter_stilts.formats.examples import Answer, Example, SpanQAExample
from adapter_stilts.miniature.concepts import PREDICATES
from adapter_stilts.miniature.entailment import altered
from adapter_stilts.miniature.entries import entry
from adapter_stilts.miniature.events import tell
from adapter_stilts.miniature.grammar import Grammar, subject_of
from adapter_stilts.miniature.items import Candidate, Propose
from adapter_stilts.miniature.meaning import Clause, Sentence, span, write
from adapter_stilts.miniature.stories import story
from adapter_stilts.miniature.world import includes, mutual
from adapter_stilts.tasks.base import Split

ASKED = ("agent", "theme", "recipient", "source", "goal", "place", "time")


class Question(NamedTuple):
    """A text, a question, and the sentence and role that answer it (None: it has no answer there)."""

    context: tuple[Sentence, ...]
    question: Sentence
    answer: tuple[int, str] | None

    def render(self, grammar: Grammar, id: str) -> tuple[Example, ...]:
        told = [grammar.realise(sentence) for sentence in self.context]
        context = write(told)
        answers: tuple[Answer, ...] = ()
        if self.answer is not None:
            found = span(told, *self.answer)
            assert found is not None, "the sentence tells the role"
            answers = (Answer(context[slice(*found)], found[0]),)
        return (SpanQAExample(id, write([grammar.realise(self.question)]), context, answers),)


def questions(*, entries: float, unanswerable: float = 0.0, steps: tuple[int, int] = (4, 5)) -> Propose:
    """Questions for any role told in a text.

    Args:
        entries: share of the texts that are encyclopaedia entries; the others are stories of so many ``steps``.
        unanswerable: share of the questions proposed that the text does not answer.
    """

    def propose(rng: Random, split: Split) -> Iterator[Candidate]:
        if rng.random() < entries:
            context = entry(rng, split).sentences
        else:
            context = story(rng, split, steps=steps, aside=0.5).document.sentences
        clauses = [sentence.clause for sentence in context]
        for _ in range(8):
            index = rng.randrange(len(clauses))
            askable = [role for role, _ in clauses[index].roles if role in ASKED]
            if not askable or PREDICATES[clauses[index].predicate].shape != "event":
                continue
            role = rng.choice(askable)
            asked = _without_details(rng, clauses[index], role)
            answerable = rng.random() >= unanswerable
            if not answerable:
                asked = altered(rng, asked, clauses)
            answers = matches(clauses, asked, role)
            if answers != ([index] if answerable else []):
                continue
            question = tell(rng, asked, plain=0.6, ask=role)
            where = mention(context, index, role) if answerable else None
            look = (asked.predicate, role, question.voice, len(asked.roles))
            yield Candidate(Question(context, question, where), look, answerable)

    return propose


def _without_details(rng: Random, clause: Clause, role: str) -> Clause:
    """The clause with some of the circumstances that are not asked for left out, and all manners."""
    for other in PREDICATES[clause.predicate].optional:
        if other != role and clause.phrase(other) and (other == "manner" or rng.random() < 0.6):
            clause = clause.without(other)
    return clause


def matches(clauses: Sequence[Clause], asked: Clause, role: str) -> list[int]:
    """Which clauses answer a question: they fill the role and agree with the rest of it."""
    rest = asked.without(role)
    return [
        index
        for index, clause in enumerate(clauses)
        if clause.predicate == asked.predicate and clause.phrase(role) is not None and _agrees(clause, rest)
    ]


def _agrees(clause: Clause, rest: Clause) -> bool:
    forms = [clause]
    if mutual(clause.predicate):
        forms.append(clause.swapped("agent", "theme"))
    return any(
        all(
            (known := form.phrase(role)) is not None and includes(phrase, known)
            for role, phrase in rest.roles
        )
        for form in forms
    )


def mention(context: Sequence[Sentence], index: int, role: str) -> tuple[int, str]:
    """The sentence and role that name the answer: of an earlier sentence, where this one has a pronoun for it."""
    answer = context[index].clause.phrase(role)
    while context[index].pronoun and subject_of(context[index]) == answer:
        index -= 1
        role = next(name for name, phrase in context[index].clause.roles if phrase == answer)
    return index, role
