"""Plan files: written once, read by other processes and later versions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from adapter_stilts.errors import StoreError, UnknownNameError, UsageError
from adapter_stilts.stages.planning.plan import Plan
from adapter_stilts.stages.plans import names_of, plans_of, read_plan, write_plan

Planned = Callable[..., Plan]


def test_a_plan_is_read_as_it_was_written(planned: Planned, tmp_path: Path) -> None:
    plan = planned(inter="none,hellaswag")
    path = write_plan(tmp_path, plan, [{"seed": 1}], None, {"directory": "/here"})
    assert path.parent == tmp_path / "plans"
    found = read_plan(path)
    assert found.store == tmp_path
    assert (found.recipes, found.inputs, found.bundle) == (({"seed": 1},), {"directory": "/here"}, None)
    assert [stage.key for stage in found.stages] == [stage.key for stage in plan.stages]
    assert [stage.parents for stage in found.stages] == [
        tuple(parent.name for parent in stage.parents) for stage in plan.stages
    ]
    assert [cell["evaluate"] for cell in found.cells] == [cell.evaluate.name for cell in plan.cells]
    assert [cell["combine"] for cell in found.cells] == ["continue", "continue"]


def test_an_equal_plan_is_one_file(planned: Planned, tmp_path: Path) -> None:
    inputs = {"directory": "/here"}
    path = write_plan(tmp_path, planned(), [], None, inputs)
    written = path.stat().st_mtime_ns
    assert write_plan(tmp_path, planned(), [], None, inputs) == path
    assert path.stat().st_mtime_ns == written
    # Where it was made is kept, and makes no other plan.
    assert write_plan(tmp_path, planned(), [], None, {"directory": "/there"}) == path
    assert read_plan(path).inputs["directory"] == "/there"
    assert write_plan(tmp_path, planned(("seed", 1)), [], None, inputs) != path


def test_a_stage_is_found_by_key_name_and_first_digits(planned: Planned, tmp_path: Path) -> None:
    plan = planned()
    found = read_plan(write_plan(tmp_path, plan, [], None, {}))
    stage = plan.stages[0]
    for key in (stage.key, stage.name, stage.key[:12], stage.key[:4]):
        assert found.stage(key).name == stage.name
    for key in (stage.key[:3], "train-mnli-000000000000", ""):
        with pytest.raises(UnknownNameError, match=f"unknown stage of the plan {key!r}.*{stage.name}"):
            found.stage(key)
    with pytest.raises(UnknownNameError, match="It takes 4 digits at least"):
        found.stage(stage.key[:3])


def test_digits_of_several_stages_of_a_plan_name_those_alone(planned: Planned, tmp_path: Path) -> None:
    found = read_plan(write_plan(tmp_path, planned(), [], None, {}))
    first, second, *others = found.stages
    alike = (replace(first, key="abcd1" * 8), replace(second, key="abcd2" * 8), *others)
    with pytest.raises(UnknownNameError, match="Give more digits: several begin so") as caught:
        replace(found, stages=alike).stage("abcd")
    assert set(caught.value.choices) == {first.name, second.name}
    assert replace(found, stages=alike).stage("abcd2").name == second.name


def test_a_newer_plan_is_refused_and_an_older_one_read(planned: Planned, tmp_path: Path) -> None:
    path = write_plan(tmp_path, planned(), [], None, {})
    value = json.loads(path.read_text())
    path.write_text(json.dumps({**value, "schema": 3}))
    with pytest.raises(
        StoreError, match="has schema 3, this version reads up to 2: upgrade adapter-stilts, or run"
    ):
        read_plan(path)
    with pytest.raises(StoreError, match="schema 3"):
        names_of(tmp_path)
    path.write_text(json.dumps({"schema": 1, "cells": value["cells"]}))
    found = read_plan(path)
    assert found.recipes == ()
    (evaluate,) = found.stages
    assert (evaluate.kind, evaluate.task, evaluate.name) == (
        "evaluate",
        "xquad",
        value["cells"][0]["evaluate"],
    )
    assert names_of(tmp_path) == {evaluate.name: ("hellaswag",)}


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"schema": 2}', '{"schema": "x"}', '{"schema": 2, "cells": [1]}']
)
def test_a_damaged_plan_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    path = tmp_path / "plans" / "0.json"
    path.write_text(text)
    with pytest.raises(
        StoreError, match=r"plans/0\.json cannot be read .*: remove it, and run the same command"
    ):
        list(plans_of(tmp_path))
    with pytest.raises(UsageError, match="no such plan file"):
        read_plan(tmp_path / "plans" / "1.json")


def test_a_link_to_nothing_among_plans_is_told_by_name(planned: Planned, tmp_path: Path) -> None:
    path = write_plan(tmp_path, planned(), [], None, {})
    broken = path.with_name("0000.json")
    broken.symlink_to("nowhere")
    found = plans_of(tmp_path)
    assert next(found).path == path
    with pytest.raises(UsageError, match=r"0000\.json: no such plan file"):
        next(found)
