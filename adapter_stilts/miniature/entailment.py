"""Pairs of statements: does the one follow from the other, and do both mean the same?

Whether a hypothesis holds is judged in the world of the premise (`world.py`); whether two sentences are
paraphrases, by their clauses. Neither can be read off the words: roles are exchanged, and converse
verbs exchange them back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from adapter_stilts.formats.examples import Example, PairClassificationExample
from adapter_stilts.miniature.concepts import EVENTS, OPPOSITE_OF, OPPOSITES, PLACES, PREDICATES
from adapter_stilts.miniature.english import English
from adapter_stilts.miniature.entries import entry
from adapter_stilts.miniature.events import (
    BIOGRAPHY,
    EVERYDAY,
    SOCIAL,
    TRANSFERS,
    another,
    event,
    people,
    place,
    tell,
)
from adapter_stilts.miniature.grammar import Grammar, voices
from adapter_stilts.miniature.items import Candidate, Propose
from adapter_stilts.miniature.meaning import Clause, Phrase, Role, Sentence, write
from adapter_stilts.miniature.splits import split_of
from adapter_stilts.miniature.stories import story
from adapter_stilts.miniature.world import World, broader, mutual
from adapter_stilts.tasks.base import Split

NLI_LABELS = ("entailment", "neutral", "contradiction")
_ENGLISH = English()
_RELATION = {True: "entailment", None: "neutral", False: "contradiction"}


class Pair(NamedTuple):
    """Sentences, a further one, and how it relates to them."""

    premise: tuple[Sentence, ...]
    hypothesis: Sentence
    label: str

    def render(self, grammar: Grammar, id: str) -> tuple[Example, ...]:
        premise = write([grammar.realise(sentence) for sentence in self.premise])
        hypothesis = write([grammar.realise(self.hypothesis)])
        return (PairClassificationExample(id, premise, hypothesis, self.label),)


def inference(*, sentences: tuple[int, int], entries: float, tries: int = 12) -> Propose:
    """Entailment: premises of so many sentences, that share of them from entries instead of stories."""

    def propose(rng: Random, split: Split) -> Iterator[Candidate]:
        if sentences == (1, 1):
            premise = _single(rng, split, entries)
        elif rng.random() < entries:
            premise = entry(rng, split, facts=(1, 2)).sentences
        else:
            premise = story(rng, split, steps=sentences, aside=0.2).document.sentences
        if rng.random() < 0.3:
            premise = _with_denial(rng, premise)
        clauses = tuple(sentence.clause for sentence in premise)
        if split_of(clauses) != split:
            return
        world = World(clauses)
        for _ in range(tries):
            clause, finally_ = _hypothesis(rng, clauses)
            label = _RELATION[world.judge(clause, finally_=finally_)]
            told = tell(rng, clause, plain=0.85)._replace(link="finally" if finally_ else "")
            words = sum(
                len(phrase.names) + bool(phrase.noun) + bool(phrase.adjective) for _, phrase in clause.roles
            )
            denied = (clause.negated, any(other.negated for other in clauses))
            look = (clause.predicate, told.voice, denied, words)
            yield Candidate(Pair(premise, told, label), look, label)

    return propose


def _single(rng: Random, split: Split, entries: float) -> tuple[Sentence, ...]:
    while True:
        names = BIOGRAPHY if rng.random() < entries else EVERYDAY
        clause = event(rng, rng.choice(names), people(rng, 2, described=0.3), optional=0.5)
        if split_of((clause,)) == split:
            return (tell(rng, clause),)


def _with_denial(rng: Random, premise: tuple[Sentence, ...]) -> tuple[Sentence, ...]:
    """The premise with something that did not happen, or one sentence denied where it is the only one."""
    if len(premise) == 1:
        return (premise[0]._replace(clause=premise[0].clause.denied()),)
    clauses = [sentence.clause for sentence in premise]
    denied, finally_ = _hypothesis(rng, clauses)
    if finally_ or denied.negated or World(clauses).judge(denied) is not None:
        return premise
    return (*premise, tell(rng, denied.denied()))


def _hypothesis(rng: Random, told: Sequence[Clause]) -> tuple[Clause, bool]:
    """Something to say about what was told, true or not; and whether it is about the end of the story."""
    clause = rng.choice(told)
    kind = rng.random()
    finally_ = False
    if kind < 0.4:
        clause = _less(rng, clause._replace(negated=False))
    elif kind < 0.8:
        clause = altered(rng, clause._replace(negated=False), told, new=0.6)
    elif kind < 0.9:
        outcome = _outcome(rng, told)
        finally_ = outcome is not None
        clause = outcome or _less(rng, clause._replace(negated=False))
    elif clause.predicate in EVENTS:
        alike = [name for name in _alike(clause.predicate) if name != clause.predicate]
        clause = clause._replace(predicate=rng.choice(alike) if alike else clause.predicate, negated=False)
        clause = _legal(clause)
    negated = rng.random() < 0.1
    return clause._replace(negated=negated), finally_


def _alike(predicate: str) -> tuple[str, ...]:
    return next((group for group in (SOCIAL, TRANSFERS) if predicate in group), ())


def _legal(clause: Clause) -> Clause:
    """Without circumstances that its predicate does not take."""
    frame = PREDICATES[clause.predicate]
    kept = (*frame.roles, *frame.optional)
    return clause._replace(roles=tuple(pair for pair in clause.roles if pair[0] in kept))


def _less(rng: Random, clause: Clause) -> Clause:
    """The clause, or less than it says."""
    for role in PREDICATES[clause.predicate].optional:
        if clause.phrase(role) and rng.random() < 0.5:
            clause = clause.without(role)
    theme = clause.phrase("theme")
    if theme and (kind := broader(theme)) and rng.random() < 0.3:
        clause = clause.put("theme", kind)
    return clause


def altered(rng: Random, clause: Clause, told: Sequence[Clause], *, new: float = 0.4) -> Clause:
    """The clause with two roles exchanged, or one filled by another of its kind: from the same text, or ``new``."""
    pairs = exchangeable(clause)
    if pairs and rng.random() < 0.5:
        return clause.swapped(*rng.choice(pairs))
    roles = [role for role, phrase in clause.roles if phrase.kind != "manner"]
    if not roles:
        return clause
    role = rng.choice(roles)
    old = clause.phrase(role)
    assert old is not None
    here = [
        phrase
        for said in told
        for _, phrase in said.roles
        if phrase.kind == old.kind and phrase != old and clause_has_not(clause, phrase)
    ]
    if here and rng.random() >= new:
        return clause.put(role, rng.choice(here))
    for _ in range(8):
        other = another(rng, clause.predicate, old)
        if clause_has_not(clause, other):
            return clause.put(role, other)
    return clause


def clause_has_not(clause: Clause, phrase: Phrase) -> bool:
    return all(phrase != other for _, other in clause.roles)


def exchangeable(clause: Clause) -> list[tuple[Role, Role]]:
    """The pairs of roles that people play in it."""
    roles = [role for role, phrase in clause.roles if phrase.kind == "person"]
    return [(one, other) for n, one in enumerate(roles) for other in roles[n + 1 :]]


def _outcome(rng: Random, told: Sequence[Clause]) -> Clause | None:
    """How things may stand in the end: who has what, where somebody is, in what state."""
    phrases = list(dict.fromkeys(phrase for clause in told for _, phrase in clause.roles))
    persons = [phrase for phrase in phrases if phrase.kind == "person"]
    things = [phrase for phrase in phrases if phrase.kind == "thing"]
    places = [phrase for phrase in phrases if phrase.kind == "place"]
    match rng.randrange(3):
        case 0 if persons and things:
            return Clause("have", (("agent", rng.choice(persons)), ("theme", rng.choice(things))))
        case 1 if persons:
            where = rng.choice(places) if places and rng.random() < 0.6 else place(rng.choice(PLACES))
            return Clause("at", (("theme", rng.choice(persons)), ("place", where)))
    states = [clause for clause in told if OPPOSITE_OF.get(clause.predicate)]
    if states and rng.random() < 0.7:
        state = rng.choice(states)
        options = (state.predicate, *sorted(OPPOSITE_OF[state.predicate]))
        return Clause(rng.choice(options), state.roles)._replace(negated=False)
    if persons:
        state_name = rng.choice(sorted(OPPOSITES)[:9])
        return Clause(state_name, (("theme", rng.choice(persons)),))
    return None


def paraphrase(labels: tuple[str, str], *, ask: bool, plain: float = 0.6) -> Propose:
    """Same meaning or not, told differently either way (``ask``: two questions for the same role).

    Args:
        labels: for different and same meaning.
        plain: share of the pairs, of verbs with a synonym, in which the voice stays the same.
    """

    def propose(rng: Random, split: Split) -> Iterator[Candidate]:
        names = rng.choice((TRANSFERS, SOCIAL, ("marry", "sell", "lend", "meet")))
        clause = event(rng, rng.choice(names), people(rng, 2, described=0.4), optional=0.4)
        role = _asked(rng, clause) if ask else ""
        first = tell(rng, clause, plain=0.5, ask=role)
        if split_of((first.said,)) != split:
            return
        for _ in range(6):
            other = _reversed(rng, clause) if rng.random() < 0.6 else clause
            second = tell(rng, other, plain=0.5, unlike=first, ask=role)
            if PREDICATES[clause.predicate].synonym and rng.random() < plain:
                # Another word in the same voice: only the places of the words tell.
                second = first._replace(clause=other, variant=1 - first.variant)
            if (second.voice, second.variant) == (first.voice, first.variant) or len(voices(clause)) == 1:
                continue
            if write([_ENGLISH.realise(first)]) == write([_ENGLISH.realise(second)]):
                # Both sides of a mutual relation exchanged: the same words again.
                continue
            same = same_meaning(clause, other, role)
            look = (clause.predicate, first.voice, second.voice, first.variant, second.variant, role)
            kinds = tuple(bool(phrase.adjective) for _, phrase in clause.roles)
            yield Candidate(Pair((first,), second, labels[same]), (look, kinds), labels[same])

    return propose


def _asked(rng: Random, clause: Clause) -> str:
    if rng.random() < 0.4:
        return "whether"
    return rng.choice([name for name, phrase in clause.roles if phrase.kind != "manner"])


def _reversed(rng: Random, clause: Clause) -> Clause:
    """The clause with people, or what they are like, exchanged."""
    one, other = rng.choice(exchangeable(clause) or [("", "")])
    first, second = clause.phrase(one), clause.phrase(other)
    if first is None or second is None:
        return clause
    if first.adjective != second.adjective and first.adjective and second.adjective and rng.random() < 0.5:
        first, second = (
            first._replace(adjective=second.adjective),
            second._replace(adjective=first.adjective),
        )
        return clause.put(one, first).put(other, second)
    return clause.swapped(one, other)


def same_meaning(first: Clause, second: Clause, ask: str = "") -> bool:
    """Whether two clauses (or the questions for a role of theirs) mean the same."""
    if ask and ask != "whether":
        first, second = first.without(ask), second.without(ask)
    if mutual(first.predicate) and second.phrase("agent") and second.phrase("theme"):
        return first in (second, second.swapped("agent", "theme"))
    return first == second
