"""Entries: what an encyclopaedia says of people, who was born where and who founded what, and what everybody knows."""

from __future__ import annotations

from random import Random

from adapter_stilts.miniature.concepts import NEEDS, PROFESSIONS, STEMS, YEARS
from adapter_stilts.miniature.events import event, people, person, place, thing
from adapter_stilts.miniature.meaning import Clause, Document, Phrase, Role
from adapter_stilts.miniature.splits import split_of
from adapter_stilts.miniature.stories import narrate
from adapter_stilts.miniature.world import consistent
from adapter_stilts.tasks.base import Split

# In the order of a life.
LIFE = ("born", "study", "hire", "found", "marry", "move", "build", "die")


def entry(rng: Random, split: Split, *, facts: tuple[int, int] = (2, 3)) -> Document:
    """Two people's lives, told one after the other; only the names keep them apart.

    Args:
        facts: fewest and most facts about each.
    """
    while True:
        first, second, third = (
            person(one.names[0], rng.choice(STEMS) if rng.random() < 0.4 else "") for one in people(rng, 3)
        )
        clauses = life(rng, first, third, rng.randint(*facts))
        if len(clauses) > 1 and split_of(clauses) != split:
            continue
        clauses += life(rng, second, third, rng.randint(*facts))
        if split_of(clauses) == split and consistent(clauses):
            return Document(narrate(rng, clauses, plain=0.8), (-1,) * len(clauses), "entry")


def life(rng: Random, who: Phrase, other: Phrase, count: int) -> list[Clause]:
    """Some events of a life, in order of their years."""
    chosen = sorted(rng.sample(range(len(LIFE)), count))
    years = sorted(rng.sample(YEARS, count))
    clauses = []
    for number, year in zip(chosen, years, strict=True):
        clause = event(rng, LIFE[number], (who, other), optional=0.7)
        clauses.append(clause.put("time", Phrase("year", names=(year,))))
    return clauses


def known(rng: Random) -> Clause:
    """Something that everybody knows: where a baker works, what the thirsty need."""
    trade = rng.choice(tuple(PROFESSIONS))
    what = PROFESSIONS[trade]
    who = Phrase("person", trade)
    agent: tuple[Role, Phrase] = ("agent", who)
    match rng.randrange(4):
        case 0:
            return Clause("work", (agent, ("place", place(what.place))))
        case 1:
            return Clause(what.predicate, (agent, ("theme", thing(what.theme))))
        case 2:
            return Clause("use", (agent, ("theme", thing(what.tool))))
        case _:
            return Clause("use", (agent, ("theme", thing(what.tool)), ("place", place(what.place))))


def need(rng: Random) -> tuple[Clause, Clause]:
    """Somebody's state and what they need in it."""
    (who,) = people(rng, 1)
    state = rng.choice(tuple(NEEDS))
    return Clause(state, (("theme", who),)), wanted(who, state)


def wanted(who: Phrase, state: str) -> Clause:
    return Clause("need", (("agent", who), ("theme", thing(NEEDS[state]))))


def practice(rng: Random) -> tuple[Clause, Clause]:
    """Somebody's trade, and something that follows from it."""
    (who,) = people(rng, 1)
    fact = known(rng)
    trade = fact.phrase("agent")
    assert trade is not None
    return Clause(trade.noun, (("theme", who),)), fact.put("agent", who)
