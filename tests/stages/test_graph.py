"""Stages as values: equal content, equal key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_stilts.model.merge import Merge
from adapter_stilts.stages.graph import Stage, in_order
from adapter_stilts.stages.parts import ComposePart, FetchPart

PART = FetchPart("a")


def test_a_key_is_of_the_content() -> None:
    parent = Stage("hellaswag", PART)
    stage = Stage("squad_v1", PART, (parent,))
    same = Stage("squad_v1", FetchPart("a"), (Stage("hellaswag", FetchPart("a")),))
    assert stage == same
    assert len({stage, same}) == 1
    assert stage.name == f"fetch-squad_v1-{stage.key[:12]}"
    assert len(stage.key) == 64
    others = [
        Stage("squad_v1", ComposePart("a", "lora", Merge("linear", (1.0,))), (parent,)),
        Stage("squad_v2", PART, (parent,)),
        Stage("squad_v1", FetchPart("b"), (parent,)),
        Stage("squad_v1", PART),
        Stage("squad_v1", PART, (Stage("hellaswag", FetchPart("b")),)),
    ]
    assert len({other.key for other in [stage, *others]}) == 6


def test_a_new_schema_is_a_new_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Stage("x", PART).key
    monkeypatch.setattr(FetchPart, "SCHEMA", 99)
    assert Stage("x", PART).key != before


@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 10), max_size=2)), max_size=12))
def test_parents_come_first_and_each_stage_once(rows: list[tuple[int, list[int]]]) -> None:
    stages: list[Stage] = []
    for value, parents in rows:
        stages.append(
            Stage("t", FetchPart(str(value)), tuple(stages[p % len(stages)] for p in parents if stages))
        )
    ordered = in_order(tuple(stages))
    assert set(ordered) == set(stages)
    assert len({stage.key for stage in ordered}) == len(ordered)
    places = {stage.key: place for place, stage in enumerate(ordered)}
    assert all(places[parent.key] < places[stage.key] for stage in ordered for parent in stage.parents)
