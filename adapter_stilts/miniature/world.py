"""What holds after what was told: the facts of a story's world, and whether a further statement is one of them.

A statement is true, false or untold, on these rules (and no others):

- what was told happened; of what was told, less may be said (a place left out, "tool" for "rope");
- what was denied did not happen;
- a thing is given, made, found ... once in a story, and one is born, marries, goes ... once (`Frame.once`): told
  otherwise, it is false; who helped whom may happen again, and is untold;
- meeting and marrying are mutual;
- "finally" speaks of the end: who has a thing, where somebody is and what state they are in follow from what
  happened, each has one value, and opposites exclude each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from adapter_stilts.miniature.concepts import EVENTS, KIND_OF, OPPOSITE_OF, PREDICATES
from adapter_stilts.miniature.meaning import Clause, Phrase, Role

TAKES: frozenset[str] = frozenset(("take", "find", "catch", "make", "own"))
GIVES: frozenset[str] = frozenset(("give", "sell", "lend", "send", "return"))
MOVES: frozenset[str] = frozenset(("go", "run"))
BRINGS_ABOUT: Mapping[str, tuple[str, str]] = {
    "break": ("theme", "broken"),
    "mend": ("theme", "whole"),
    "clean": ("theme", "clean_state"),
    "open": ("theme", "open_state"),
    "close": ("theme", "closed"),
    "eat": ("agent", "full"),
    "drink": ("agent", "refreshed"),
    "sleep": ("agent", "rested"),
    "rest": ("agent", "rested"),
    "forgive": ("agent", "calm"),
}
"""The state that an event leaves somebody or something in."""


class World:
    """The facts after a document."""

    def __init__(self, told: Iterable[Clause]) -> None:
        self.told: list[Clause] = []
        self.denied: list[Clause] = []
        self.holder: dict[Phrase, Phrase | None] = {}
        self.place: dict[Phrase, Phrase] = {}
        self.states: dict[Phrase, set[str]] = {}
        for clause in told:
            self.tell(clause)

    def tell(self, clause: Clause) -> None:
        """A further fact."""
        (self.denied if clause.negated else self.told).append(canonical(clause))
        if not clause.negated:
            self._happen(clause)

    def judge(self, clause: Clause, *, finally_: bool = False) -> bool | None:
        """Whether it is true, false, or untold (None).

        Args:
            finally_: the statement is about the end of the story.
        """
        positive = self._final(clause) if finally_ else self._occurred(canonical(clause))
        return positive if positive is None or not clause.negated else not positive

    def _happen(self, clause: Clause) -> None:
        agent, theme = clause.phrase("agent"), clause.phrase("theme")
        predicate = clause.predicate
        if predicate in GIVES and theme:
            self.holder[theme] = clause.phrase("recipient")
        elif predicate in TAKES and theme and theme.kind == "thing":
            self.holder[theme] = agent
        elif predicate in ("lose", "eat", "drink") and theme:
            self.holder[theme] = None
        place = clause.phrase("goal" if predicate in MOVES else "place")
        if agent and place and place.kind == "place":
            self.place[agent] = place
        role, state = BRINGS_ABOUT.get(predicate, ("theme", predicate if predicate in OPPOSITE_OF else ""))
        if state and (subject := clause.phrase(role)):
            kept = self.states.get(subject, set()) - OPPOSITE_OF[state]
            self.states[subject] = kept | {state}

    def _final(self, clause: Clause) -> bool | None:
        theme = clause.phrase("theme")
        assert theme is not None
        if clause.predicate == "have":
            if theme not in self.holder:
                return None
            return self.holder[theme] == clause.phrase("agent")
        if clause.predicate == "at":
            return self.place[theme] == clause.phrase("place") if theme in self.place else None
        known = self.states.get(theme, set())
        if clause.predicate in known:
            return True
        return False if OPPOSITE_OF[clause.predicate] & known else None

    def _occurred(self, clause: Clause) -> bool | None:
        if any(_entails(told, clause) for told in self.told):
            return True
        if any(_entails(clause, denied) for denied in self.denied):
            return False
        once = PREDICATES[clause.predicate].once
        if once and any(_excludes(told, clause, once) for told in self.told):
            return False
        return None


def canonical(clause: Clause) -> Clause:
    """One form for the two of a mutual relation, also where only one of the two is told."""
    if not mutual(clause.predicate):
        return clause
    agent, theme = clause.phrase("agent"), clause.phrase("theme")
    if agent and theme:
        return clause.swapped("agent", "theme") if theme < agent else clause
    other: Role = "agent"
    return clause._replace(
        roles=tuple((other if name == "theme" else name, one) for name, one in clause.roles)
    )


def mutual(predicate: str) -> bool:
    return PREDICATES[predicate].converse == predicate


def broader(phrase: Phrase) -> Phrase | None:
    """The kind of thing it is: "the tool" for "the rope"."""
    kind = KIND_OF.get(phrase.noun)
    return Phrase("thing", kind) if kind and not phrase.adjective else None


def includes(broad: Phrase, narrow: Phrase) -> bool:
    """Whether what is said of the one may be said of the other."""
    if broad == narrow or broad == broader(narrow):
        return True
    return bool(narrow.adjective) and not broad.adjective and broad == narrow._replace(adjective="")


def _entails(told: Clause, said: Clause) -> bool:
    """Whether the clause says no more than was told."""
    if told.predicate != said.predicate:
        return False
    return all(
        (known := told.phrase(role)) is not None and includes(phrase, known) for role, phrase in said.roles
    )


def _excludes(told: Clause, said: Clause, once: str) -> bool:
    if told.predicate != said.predicate:
        return False
    if mutual(told.predicate):
        couple = {told.phrase("agent"), told.phrase("theme")}
        other = {said.phrase("agent"), said.phrase("theme")}
        return bool(couple & other) and (couple != other or _differ(told, said, ("agent", "theme")))
    if told.phrase(once) != said.phrase(once):
        return False
    return _differ(told, said, (once,))


def _differ(told: Clause, said: Clause, apart_from: tuple[str, ...]) -> bool:
    """Whether a role that both name is filled by things that cannot be the same."""
    for role, phrase in said.roles:
        known = told.phrase(role)
        if role in apart_from or role == "manner" or known is None:
            continue
        if not includes(phrase, known) and not includes(known, phrase):
            return True
    return False


def consistent(clauses: Iterable[Clause]) -> bool:
    """Whether a document could be told: nothing in it is false by what came before."""
    world = World(())
    for clause in clauses:
        if clause.predicate in EVENTS and world.judge(clause) is False:
            return False
        world.tell(clause)
    return True
