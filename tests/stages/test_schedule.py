"""The order of stages: parents first, the longest chain first, and what failed keeps back its descendants alone."""

from __future__ import annotations

from pathlib import Path

from adapter_stilts.errors import StageError
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.parts import FetchPart
from adapter_stilts.stages.schedule import Schedule, longest_chain_first
from adapter_stilts.stages.states import StageState


def stage(name: str, *parents: Stage) -> Stage:
    return Stage(name, FetchPart(name), parents)


def state(of: Stage, status: str) -> StageState:
    return StageState(of, status, Path(of.name), StageError("no") if status == "failed" else None)


A = stage("a")
B = stage("b", A)
C = stage("c", B)
D = stage("d", A)
E = stage("e")
ALL = (A, B, C, D, E)


def test_a_stage_is_ready_when_its_parents_are_through() -> None:
    schedule = Schedule(ALL)
    assert schedule.ready(0.0) == [A, E]
    schedule.give(A)
    assert schedule.ready(0.0) == [E]
    assert schedule.given == (A,)
    schedule.end(state(A, "ran"))
    assert schedule.ready(0.0) == [B, D, E]
    assert (schedule.place(D), schedule.count) == (4, 5)


def test_what_failed_keeps_back_its_descendants_alone() -> None:
    schedule = Schedule(ALL)
    schedule.end(state(A, "ran"))
    schedule.end(state(B, "failed"))
    assert schedule.is_lost(C)
    assert not schedule.is_lost(D)
    schedule.end(state(C, "skipped"))
    schedule.end(state(D, "ran"))
    assert not schedule.done
    schedule.end(state(E, "cached"))
    assert schedule.done


def test_the_longest_chain_comes_first() -> None:
    costs = {A: 1.0, B: 1.0, C: 5.0, D: 2.0, E: 6.5}
    schedule = Schedule(ALL, longest_chain_first(ALL, costs.__getitem__))
    assert schedule.ready(0.0) == [A, E]  # 1 + 1 + 5 are more than 6.5
    schedule.end(state(A, "ran"))
    assert schedule.ready(0.0) == [E, B, D]


def test_a_stage_is_tried_again_after_a_while_and_not_for_ever() -> None:
    schedule = Schedule(ALL, retries=(2.0, 10.0))
    schedule.give(A)
    assert schedule.again(A, now=100.0) == 2.0
    assert schedule.ready(101.0) == [E]
    assert schedule.next_time() == 102.0
    assert schedule.ready(102.0) == [A, E]
    schedule.give(A)
    assert schedule.again(A, now=200.0) == 10.0
    schedule.give(A)
    assert schedule.again(A, now=300.0) is None
    assert Schedule(ALL).again(A, now=0.0) is None


def test_a_stage_of_another_run_comes_back_as_it_was() -> None:
    schedule = Schedule(ALL, retries=(1.0,))
    schedule.give(A)
    schedule.later(A, 5.0)
    assert schedule.ready(4.0) == [E]
    schedule.give(A)
    assert schedule.again(A, now=9.0) == 1.0  # being busy was no try
