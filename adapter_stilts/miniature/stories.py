"""Stories: what people do, and why one thing follows from another.

A script is a chain of steps; the variables in it are people (P, Q), a thing (X) and places (L, M). Each step
names the step that brought it about. What follows from what in these scripts is all that the plausible
endings, causes and motives of the miniature's tasks are made of.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

from adapter_stilts.miniature.concepts import PLACES
from adapter_stilts.miniature.events import (
    EVERYDAY,
    TRADES,
    event,
    people,
    place,
    pool,
    some_thing,
    tell,
    thing,
)
from adapter_stilts.miniature.grammar import subject_of
from adapter_stilts.miniature.meaning import Clause, Document, Phrase, Role, Sentence
from adapter_stilts.miniature.splits import split_of
from adapter_stilts.miniature.world import consistent
from adapter_stilts.tasks.base import Split

# One line a script: name; pools of X, L and M; steps "predicate role=variable ... <cause", causes counted from 0.
SCRIPTS = """
hunger; X=food L=market,bakery,barn; hungry t=P | go a=P g=L <0 | sell a=Q t=X r=P <1 | eat a=P t=X <0 | thank a=P t=Q <2
thirst; X=drink L=well,river,kitchen M=field,garden,workshop; work a=P p=M | thirsty t=P <0 | go a=P g=L <1 | drink a=P t=X <1 | rest a=P <0
weariness; L=field,forest,harbour M=house,barn; work a=P p=L | tired t=P <0 | go a=P g=M <1 | sleep a=P <1 | rested t=P <3
winter; X=garment; snow | cold t=P <0 | lend a=Q t=X r=P <1 | wear a=P t=X <1 | warm t=P <3
rain; X=garment M=house,barn,school; rain | wet t=P <0 | run a=P g=M <0 | call a=P t=Q <1 | bring a=Q t=X g=M <3
repair; X=tool,vehicle,watch; drop a=P t=X | broken t=X <0 | send a=P t=X r=Q <1 | mend a=Q t=X <1 | praise a=P t=Q <3
loss; X=treasure,paper; lose a=P t=X | sad t=P <0 | find a=Q t=X | give a=Q t=X r=P <2 | happy t=P <3
loan; X=tool,vehicle; need a=P t=X | visit a=P t=Q <0 | lend a=Q t=X r=P <0 | use a=P t=X <2 | return a=P t=X r=Q <3
illness; X=medicine M=house; ill t=P | call a=P t=Q <0 | visit a=Q t=P <1 | bring a=Q t=X g=M <0 | healthy t=P <3
gift; X=treasure,garment; find a=P t=X | give a=P t=X r=Q <0 | happy t=Q <1 | thank a=Q t=P <1 | proud t=P <3
quarrel; X=tool,vehicle,treasure; break a=Q t=X | angry t=P <0 | cry a=Q <1 | mend a=Q t=X <0 | forgive a=P t=Q <3
theft; X=treasure,food L=house,kitchen,workshop; take a=Q t=X s=L | see a=P t=Q | follow a=P t=Q <0 | catch a=P t=Q <2 | return a=Q t=X r=P <3
letter; X=letter; write a=P t=X | send a=P t=X r=Q <0 | read a=Q t=X <1 | laugh a=Q <2 | visit a=Q t=P <2
dirt; X=garment L=field,forest,garden; fall a=P p=L | dirty t=X <0 | clean a=P t=X <1 | clean_state t=X <2 | wear a=P t=X <3
door; X=door L=school,library,workshop; go a=P g=L | closed t=X | call a=P t=Q <1 | open a=Q t=X <2 | thank a=P t=Q <3
fishing; X=net M=river,harbour; take a=P t=X s=house | go a=P g=M <0 | catch a=P t=fish <1 | sell a=P t=fish r=Q <2 | rich t=P <3
painting; X=picture,map; paint a=P t=X | show a=P t=X r=Q <0 | praise a=Q t=P <1 | proud t=P <2 | hide a=P t=X p=house
lesson; X=book,letter L=school,library; teach a=Q t=P p=L | read a=P t=X <0 | praise a=Q t=P <1 | proud t=P <2 | thank a=P t=Q <0
fear; X=door M=house,barn; chase a=dog t=P | afraid t=P <0 | run a=P g=M <1 | close a=P t=X <1 | calm t=P <3
secret; X=treasure,letter L=garden,forest,well; hide a=P t=X p=L | see a=Q t=P | find a=Q t=X <1 | take a=Q t=X s=L <2 | angry t=P <3
meal; X=soup,cake L=kitchen; make a=P t=X p=L | call a=P t=Q <0 | eat a=Q t=X <1 | full t=Q <2 | praise a=Q t=P <2
journey; X=map L=forest,river; go a=P g=L | lost t=P <0 | call a=P t=Q <1 | show a=Q t=X r=P <2 | thank a=P t=Q <3
"""  # fmt: skip  # noqa: E501

_ROLES: Mapping[str, Role] = {
    "a": "agent",
    "t": "theme",
    "r": "recipient",
    "s": "source",
    "g": "goal",
    "p": "place",
}


class Step(NamedTuple):
    """One clause of a script: predicate, variables (or concepts) by role, the step that caused it (-1: none)."""

    predicate: str
    roles: tuple[tuple[Role, str], ...]
    cause: int

    def fill(self, cast: Mapping[str, Phrase]) -> Clause:
        """The clause, with the variables' phrases. A noun stands for itself."""
        return Clause(
            self.predicate,
            tuple((role, cast[name] if name in cast else _named(name)) for role, name in self.roles),
        )


class Script(NamedTuple):
    """A kind of story: what X, L and M may be, and the steps in order; it is told from the first."""

    name: str
    pools: Mapping[str, str]
    steps: tuple[Step, ...]


@functools.cache
def scripts() -> tuple[Script, ...]:
    """All of them, read from `SCRIPTS`."""
    return tuple(_script(line) for line in SCRIPTS.strip().splitlines())


@functools.cache
def consequences() -> Mapping[str, frozenset[str]]:
    """For each predicate those that it brings about in some script, directly."""
    found: dict[str, set[str]] = {}
    for script in scripts():
        for step in script.steps:
            if step.cause >= 0:
                found.setdefault(script.steps[step.cause].predicate, set()).add(step.predicate)
    return {cause: frozenset(effects) for cause, effects in found.items()}


def _script(line: str) -> Script:
    name, pools, steps = (part.strip() for part in line.split(";"))
    told = []
    for step in steps.split("|"):
        predicate, *words = step.split()
        roles = tuple((_ROLES[word[0]], word[2:]) for word in words if "=" in word)
        told.append(Step(predicate, roles, next((int(word[1:]) for word in words if word[0] == "<"), -1)))
    return Script(name, dict(pool.split("=", 1) for pool in pools.split()), tuple(told))


def _named(noun: str) -> Phrase:
    return place(noun) if noun in PLACES else thing(noun)


def cast_of(rng: Random, script: Script) -> dict[str, Phrase]:
    """Who and what the variables of a script are in one story."""
    first, second = people(rng, 2)
    if rng.random() < 0.3:
        second = Phrase("person", rng.choice(TRADES))
    chosen = {"P": first, "Q": second}
    for name, kinds in script.pools.items():
        chosen[name] = place(rng.choice(pool(kinds))) if name in "LM" else some_thing(rng, kinds)
    return chosen


class Story(NamedTuple):
    """A document with the script and cast it was told from; ``shown`` is how many steps it tells."""

    document: Document
    script: Script
    cast: Mapping[str, Phrase]
    shown: int


def story(rng: Random, split: Split, *, steps: tuple[int, int] = (3, 5), aside: float = 0.3) -> Story:
    """A story that belongs to a split.

    Args:
        steps: fewest and most of the script's steps to tell.
        aside: the chance of a further event, of somebody else, in between.
    """
    while True:
        script = rng.choice(scripts())
        cast = cast_of(rng, script)
        if split_of([step.fill(cast) for step in script.steps[:2]]) != split:
            continue
        shown = rng.randint(*steps)
        clauses = [step.fill(cast) for step in script.steps[:shown]]
        causes = [step.cause for step in script.steps[:shown]]
        if rng.random() < aside:
            others = [one for one in people(rng, 4) if one not in cast.values()]
            clause = event(rng, rng.choice(EVERYDAY), others, optional=0.0)
            # Not within the opening, which tells the split.
            at = rng.randint(2, len(clauses))
            clauses.insert(at, clause)
            causes = [cause + (cause >= at) for cause in causes]
            causes.insert(at, -1)
            if not consistent(clauses):
                continue
        return Story(Document(narrate(rng, clauses), tuple(causes), script.name), script, cast, shown)


def narrate(rng: Random, clauses: Sequence[Clause], *, plain: float = 0.7) -> tuple[Sentence, ...]:
    """Clauses told one after another: voices vary, a subject told just before becomes a pronoun."""
    sentences: list[Sentence] = []
    for clause in clauses:
        sentence = tell(rng, clause, plain=plain)
        subject = subject_of(sentence)
        named = subject is not None and subject.kind == "person" and bool(subject.names)
        if sentences and named and subject == subject_of(sentences[-1]) and rng.random() < 0.6:
            sentence = sentence._replace(pronoun=True)
        if sentences and rng.random() < 0.2:
            sentence = sentence._replace(link="then")
        sentences.append(sentence)
    return tuple(sentences)
