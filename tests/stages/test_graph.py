"""Stages as values: equal content, equal key."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_stilts.stages import graph
from adapter_stilts.stages.graph import Stage, in_order

PART: dict[str, Any] = {"seed": 1, "data": {"train": "a"}, "rate": 1e-5}


def test_a_key_is_of_the_content() -> None:
    parent = Stage("train", "hellaswag", PART)
    stage = Stage("train", "squad_v1", PART, (parent,))
    same = Stage("train", "squad_v1", dict(reversed(PART.items())), (Stage("train", "hellaswag", PART),))
    assert stage == same
    assert len({stage, same}) == 1
    assert stage.name == f"train-squad_v1-{stage.key[:12]}"
    assert len(stage.key) == 64
    others = [
        Stage("evaluate", "squad_v1", PART, (parent,)),
        Stage("train", "squad_v2", PART, (parent,)),
        Stage("train", "squad_v1", {**PART, "seed": 2}, (parent,)),
        Stage("train", "squad_v1", PART),
        Stage("train", "squad_v1", PART, (Stage("train", "hellaswag", {**PART, "seed": 2}),)),
    ]
    assert len({other.key for other in [stage, *others]}) == 6


def test_a_new_schema_is_a_new_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Stage("train", "x", PART).key
    monkeypatch.setattr(graph, "SCHEMA", {"train": 99, "evaluate": 1})
    assert Stage("train", "x", PART).key != before


@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 10), max_size=2)), max_size=12))
def test_parents_come_first_and_each_stage_once(rows: list[tuple[int, list[int]]]) -> None:
    stages: list[Stage] = []
    for value, parents in rows:
        stages.append(
            Stage("train", "t", {"v": value}, tuple(stages[p % len(stages)] for p in parents if stages))
        )
    ordered = in_order(tuple(stages))
    assert set(ordered) == set(stages)
    assert len({stage.key for stage in ordered}) == len(ordered)
    places = {stage.key: place for place, stage in enumerate(ordered)}
    assert all(places[parent.key] < places[stage.key] for stage in ordered for parent in stage.parents)
