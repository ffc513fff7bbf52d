"""Choosing: the plausible ending, the cause, the motive, what everybody knows.

What is right follows from the scripts (`stories.py`). Wrong choices are right ones of other stories told of the
same people and, where they can be, the same things; and where the right one also stands with its roles or things
exchanged, so does a wrong one, so that neither what a choice says nor how it resembles the others gives it away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import NamedTuple

from adapter_stilts.formats.examples import Example, MultipleChoiceExample
from adapter_stilts.miniature.concepts import NEEDS, PROFESSIONS
from adapter_stilts.miniature.entailment import altered
from adapter_stilts.miniature.entries import need, practice
from adapter_stilts.miniature.events import place, tell, thing
from adapter_stilts.miniature.grammar import Grammar
from adapter_stilts.miniature.items import Candidate, Propose
from adapter_stilts.miniature.meaning import Clause, Phrase, Sentence, write
from adapter_stilts.miniature.splits import split_of
from adapter_stilts.miniature.stories import Script, cast_of, consequences, narrate, scripts, story
from adapter_stilts.tasks.base import Split

_X = Phrase("thing", "cause")
CAUSE = Sentence(Clause("cause", (("theme", _X),)), ask="theme")
RESULT = Sentence(Clause("result", (("theme", _X),)), ask="theme")
"""What was the cause? What was the result?"""


class Choice(NamedTuple):
    """A prompt, the ways it may go on or be answered, and which is right."""

    prompt: tuple[Sentence, ...]
    choices: tuple[Sentence | Phrase, ...]
    label: int

    def render(self, grammar: Grammar, id: str) -> tuple[Example, ...]:
        told = (
            grammar.realise(choice) if isinstance(choice, Sentence) else grammar.name(choice)
            for choice in self.choices
        )
        prompt = write([grammar.realise(sentence) for sentence in self.prompt])
        return (MultipleChoiceExample(id, prompt, tuple(write([one]) for one in told), self.label),)


def offer(
    rng: Random, prompt: Sequence[Sentence], right: Sentence | Phrase, wrong: Sequence[Sentence | Phrase]
) -> Candidate:
    """The item with its choices in random order."""
    at = rng.randrange(len(wrong) + 1)
    return Candidate(Choice(tuple(prompt), (*wrong[:at], right, *wrong[at:]), at))


def endings(rng: Random, split: Split) -> Iterator[Candidate]:
    """What happens next: the story's own next step, the same with an exchange, and another story's, likewise."""
    start = story(rng, split, steps=(2, 4), aside=0.2)
    told = start.document.clauses
    right = start.script.steps[start.shown].fill(start.cast)
    known_here = {clause.predicate for clause in told}
    for _ in range(4):
        other = _elsewhere(rng, start.script, start.cast, index=(2, 4))
        if other.predicate in known_here or any(
            other.predicate in consequences().get(clause.predicate, ()) for clause in told
        ):
            continue
        changed = [altered(rng, clause, told, new=0.1) for clause in (right, other)]
        clauses = [other, *changed]
        if len({right, *clauses}) == 4:
            yield offer(rng, start.document.sentences, tell(rng, right), [tell(rng, c) for c in clauses])


def _elsewhere(rng: Random, script: Script, cast: Mapping[str, Phrase], *, index: tuple[int, int]) -> Clause:
    """A step of another script, told of the same people, often of the same thing."""
    while True:
        other = rng.choice(scripts())
        if other is not script:
            break
    return other.steps[rng.randint(*index)].fill(_same_people(rng, other, cast))


def unsaid(rng: Random, split: Split) -> Iterator[Candidate]:
    """Why somebody did something, or what came of it, where the story leaves that out."""
    start = story(rng, split, steps=(4, 5), aside=0.0)
    clauses = list(start.document.clauses)
    causes = start.document.causes
    why = rng.random() < 0.5
    # "What was the result?" is asked of what was told last.
    links = [
        (cause, at)
        for at, cause in enumerate(causes)
        if cause >= 0 and (why or (at, cause) == (len(causes) - 1, len(causes) - 2))
    ]
    if not links:
        return
    cause, effect = rng.choice(links)
    asked = clauses[effect if why else cause]
    right = clauses.pop(cause if why else effect)
    if split_of(clauses) != split:
        return
    question = tell(rng, asked, plain=1.0, ask="reason") if why else RESULT
    prompt = (*narrate(rng, clauses), question)
    for _ in range(4):
        other, linked = _other_link(rng, start.script, start.cast, why=why, final=not why)
        if (
            _plausible(asked.predicate, other.predicate, why=why)
            or other in clauses
            or linked == asked.predicate
        ):
            continue
        wrong = [other, *(altered(rng, clause, clauses, new=0.1) for clause in (right, other))]
        if len({right, *wrong}) == 4:
            yield offer(rng, prompt, tell(rng, right), [tell(rng, clause) for clause in wrong])


def _other_link(
    rng: Random, script: Script, cast: Mapping[str, Phrase], *, why: bool, final: bool = False
) -> tuple[Clause, str]:
    """A cause (or effect) in another script, and the predicate it is the cause (effect) of.

    Args:
        final: only steps late in the script that follow from the one just before.
    """
    links: list[int] = []
    while not links:
        other = rng.choice(scripts())
        if other is not script:
            links = [
                at
                for at, step in enumerate(other.steps)
                if step.cause >= 0 and (not final or (at > 2 and step.cause == at - 1))
            ]
    effect = other.steps[rng.choice(links)]
    cause = other.steps[effect.cause]
    taken, left = (cause, effect) if why else (effect, cause)
    return taken.fill(_same_people(rng, other, cast)), left.predicate


def _same_people(rng: Random, script: Script, cast: Mapping[str, Phrase]) -> Mapping[str, Phrase]:
    """A cast for a script with the people, and often the thing, of another story."""
    again = {**cast_of(rng, script), "P": cast["P"], "Q": cast["Q"]}
    if "X" in cast and "X" in again and rng.random() < 0.9:
        again["X"] = cast["X"]
    return again


def _plausible(given: str, other: str, *, why: bool) -> bool:
    cause, effect = (other, given) if why else (given, other)
    return effect in consequences().get(cause, ())


def causes(*, choices: int, motives: bool) -> Propose:
    """One event; its cause or its result among so many choices.

    Args:
        motives: the questions are "why did she do this?" and "what did she do then?".
    """

    def propose(rng: Random, split: Split) -> Iterator[Candidate]:
        script = rng.choice(scripts())
        cast = cast_of(rng, script)
        effect = rng.choice([step for step in script.steps if step.cause >= 0])
        cause = script.steps[effect.cause]
        why = rng.random() < 0.5
        asked, right = (effect, cause) if why else (cause, effect)
        premise = asked.fill(cast)
        if split_of((premise,)) != split:
            return
        told = tell(rng, premise, plain=0.8)
        if not motives:
            question = CAUSE if why else RESULT
        elif why:
            question = Sentence(premise, ask="reason")
        else:
            question = RESULT
        for _ in range(3):
            wrong = [_other_link(rng, script, cast, why=why)[0] for _ in range(choices - 1)]
            if any(_plausible(asked.predicate, one.predicate, why=why) or one == premise for one in wrong):
                continue
            if len({one.predicate for one in wrong} | {right.predicate, asked.predicate}) == choices + 1:
                yield offer(
                    rng, (told, question), tell(rng, right.fill(cast)), [tell(rng, one) for one in wrong]
                )

    return propose


def commonplaces(rng: Random, split: Split) -> Iterator[Candidate]:
    """What everybody knows: where a baker works, what the thirsty need."""
    if rng.random() < 0.4:
        given, fact = need(rng)
        role = "theme"
        others = [thing(noun) for noun in NEEDS.values()]
    else:
        given, fact = practice(rng)
        role = rng.choice([name for name, _ in fact.roles if name != "agent"])
        others = [_answer(trade, fact.predicate, role) for trade in PROFESSIONS]
    if role == "theme":
        fact = fact.without("place")
    if split_of((given, fact.without(role))) != split:
        return
    right = fact.phrase(role)
    assert right is not None
    others = [other for other in dict.fromkeys(others) if other != right]
    prompt = (Sentence(given), tell(rng, fact, plain=0.7, ask=role))
    yield offer(rng, prompt, right, rng.sample(others, 4))


def _answer(trade: str, predicate: str, role: str) -> Phrase:
    what = PROFESSIONS[trade]
    if role == "place":
        return place(what.place)
    return thing(what.tool if predicate == "use" else what.theme)
