"""What goes from a store because no plan needs it, and what never does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.errors import StoreError, UnknownNameError, UsageError
from adapter_stilts.stages.collecting import Unneeded, collect, unneeded
from adapter_stilts.stages.locking import take
from adapter_stilts.stages.store import lock_path

BEFORE = {"evaluate-xquad-c": ("train-squad_v1-b",), "train-squad_v1-b": ("train-mnli-a",)}
ALL = ["evaluate-xquad-c", "train-mnli-a", "train-squad_v1-b"]


@pytest.fixture
def full(shelf: Any) -> Any:
    """Three stages in a row that a plan needs, and one that none does."""
    shelf.stage("train-mnli-a")
    shelf.stage("train-squad_v1-b", ("train-mnli-a",))
    shelf.stage("evaluate-xquad-c", ("train-squad_v1-b",))
    shelf.stage("train-snli-d", weight=5000)
    return shelf


def names(items: tuple[Unneeded, ...]) -> list[tuple[str, str]]:
    return [(item.kind, item.name.rstrip("0123456789abcdef")) for item in items]


def test_what_no_plan_needs_goes(full: Any, listing: Callable[[Path], list[str]]) -> None:
    full.plan("0" * 12, "evaluate-xquad-c", before=BEFORE)
    before = listing(full.root)
    items = unneeded(full.root)
    assert names(items) == [("stage", "train-snli-")]
    assert items[0].bytes > 5000
    assert listing(full.root) == before
    assert collect(full.root, items) == items
    assert listing(full.root) == [name for name in before if not name.startswith("train-snli-")]
    assert unneeded(full.root) == ()


def test_a_forgotten_plan_goes_with_what_only_it_needs(full: Any) -> None:
    full.plan("0" * 12, "evaluate-xquad-c", before=BEFORE)
    full.plan("1" * 12, "train-snli-d", cells=[], ends={"snli": full.name("train-snli-d")})
    assert unneeded(full.root) == ()
    for asked in ("1111", "1" * 12, str(full.root / "plans" / f"{'1' * 12}.json")):
        assert names(unneeded(full.root, [asked, asked])) == [("plan", ""), ("stage", "train-snli-")]
    assert full.stages == sorted([*ALL, "train-snli-d"])
    collect(full.root, unneeded(full.root, ["1111"]))
    assert full.stages == ALL
    collect(full.root, unneeded(full.root, ["0000"]))
    assert full.stages == []
    assert list((full.root / "plans").iterdir()) == []


def test_an_older_plan_tells_its_evaluations_alone(full: Any) -> None:
    full.plan("0" * 12, "evaluate-xquad-c", schema=1, recipes=[], stages=[])
    assert names(unneeded(full.root)) == [("stage", "train-snli-")]
    full.plan("1" * 12, "evaluate-xnli-e", schema=1, recipes=[], stages=[])
    with pytest.raises(
        StoreError, match=r"evaluate-xnli-eeeeeeeeeeee of it is not finished.*--forget 111111111111"
    ):
        unneeded(full.root)
    assert names(unneeded(full.root, ["1111"])) == [("plan", ""), ("stage", "train-snli-")]


@pytest.mark.parametrize("key", ["bundle", "recipes"])
def test_a_bundle_that_a_plan_names_by_its_path_stays(full: Any, key: str) -> None:
    """With what it started from."""
    path = f"../runs/{full.name('train-squad_v1-b')}/bundle"
    named: Any = (
        {"bundle": path} if key == "bundle" else {"recipes": [{"intermediate": {"tasks": [f"snli,{path}"]}}]}
    )
    full.plan("0" * 12, "train-snli-d", cells=[], **named)
    assert names(unneeded(full.root)) == [("stage", "evaluate-xquad-")]


def test_a_plan_that_cannot_be_read_keeps_all(full: Any) -> None:
    full.plan("0" * 12, "evaluate-xquad-c", before=BEFORE)
    (full.root / "plans" / f"{'1' * 12}.json").write_text('{"schema": 99, "cells": []}')
    with pytest.raises(StoreError, match="schema 99"):
        unneeded(full.root)
    (full.root / "plans" / f"{'1' * 12}.json").write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        unneeded(full.root)


def test_a_store_without_a_plan_keeps_all(full: Any) -> None:
    with pytest.raises(UsageError, match="the store has no plan"):
        unneeded(full.root)


def test_plans_that_are_not_there_or_elsewhere(full: Any, tmp_path: Path) -> None:
    path = full.plan("0" * 12, "evaluate-xquad-c", before=BEFORE)
    with pytest.raises(UnknownNameError, match="unknown plan 'ffff'"):
        unneeded(full.root, ["ffff"])
    (tmp_path / "copied.json").write_bytes(path.read_bytes())
    with pytest.raises(UsageError, match="a plan of another store"):
        unneeded(full.root, [str(tmp_path / "copied.json")])


def test_what_is_worked_on_stays(full: Any) -> None:
    full.plan("0" * 12, "evaluate-xquad-c", before=BEFORE)
    held = take(lock_path(full.root, full.name("train-snli-d")))
    assert held is not None
    assert unneeded(full.root) == ()
    held.release()
    items = unneeded(full.root)
    held = take(lock_path(full.root, full.name("train-snli-d")))
    assert held is not None
    assert collect(full.root, items) == ()
    assert "train-snli-d" in full.stages
    held.release()


def test_work_on_a_stage_of_no_plan_ends_it(full: Any) -> None:
    """It may start from what else is of no plan."""
    full.plan("0" * 12, "evaluate-xquad-c", before=BEFORE)
    held = take(lock_path(full.root, full.name("train-paws-e")))
    assert held is not None
    with pytest.raises(UsageError, match="a process works on train-paws-eeeeeeeeeeee, which is of no plan"):
        unneeded(full.root)
    held.release()


def test_a_plan_that_is_worked_on_is_not_forgotten(full: Any) -> None:
    full.plan("0" * 12, "evaluate-xquad-c", before=BEFORE)
    held = take(lock_path(full.root, full.name("train-squad_v1-b")))
    assert held is not None
    with pytest.raises(
        UsageError, match="--forget 0000: a process works on train-squad_v1-bbbbbbbbbbbb of it"
    ):
        unneeded(full.root, ["0000"])
    held.release()


def test_a_plan_that_came_meanwhile_keeps_its_stages(full: Any) -> None:
    full.plan("0" * 12, "evaluate-xquad-c", before=BEFORE)
    items = unneeded(full.root)
    full.plan("1" * 12, "train-snli-d", cells=[])
    assert collect(full.root, items) == ()
    assert full.stages == sorted([*ALL, "train-snli-d"])


def test_checkpoints_and_failures_of_no_plan_go(full: Any, listing: Callable[[Path], list[str]]) -> None:
    full.plan("0" * 12, "evaluate-xquad-c", "evaluate-xnli-f", before=BEFORE)
    whole = listing(full.root)
    for short in ("evaluate-xnli-f", "train-squad_v1-b", "train-paws-e"):  # to do, finished, of no plan
        name = full.name(short)
        (full.root / "work" / name / "checkpoint-1").mkdir(parents=True)
        (full.root / "work" / name / "checkpoint-1" / "state").write_bytes(bytes(70))
        (full.root / "work" / f"{name}.lock").write_text("")  # of a process that was killed
        (full.root / "failed").mkdir(exist_ok=True)
        (full.root / "failed" / f"{name}.json").write_text("{}")
    items = unneeded(full.root)
    kept = {"train-snli-", "train-squad_v1-", "train-paws-"}
    assert {name for kind, name in names(items) if kind == "stage"} == {"train-snli-"}
    assert {name for kind, name in names(items) if kind == "work"} == kept - {"train-snli-"}
    assert {name for kind, name in names(items) if kind == "failure"} == kept - {"train-snli-"}
    assert {item.bytes for item in items if item.kind == "work"} == {70}
    assert set(collect(full.root, items)) == set(items)
    name = full.name("evaluate-xnli-f")
    left = [f"failed/{name}.json", f"work/{name}.lock", f"work/{name}/checkpoint-1/state"]
    assert listing(full.root) == sorted([path for path in whole if "snli" not in path] + left)


def test_half_written_files_go_too(full: Any) -> None:
    full.plan("0" * 12, "train-snli-d", cells=[])
    for folder in ("plans", "failed"):
        (full.root / folder).mkdir(exist_ok=True)
        half = full.root / folder / f".x.json.partial-ffffff-1-{'0' * 8}"
        half.write_text("")
        os.utime(half, (0, 0))
    collect(full.root, unneeded(full.root))
    assert not list(full.root.rglob(".x.json*"))


def test_links_and_what_is_not_ours_stay(full: Any, tmp_path: Path) -> None:
    full.plan("0" * 12, "evaluate-xquad-c", before=BEFORE)
    name = full.name("train-snli-d")
    (full.root / name).rename(tmp_path / name)
    (full.root / name).symlink_to(tmp_path / name)
    (full.root / "trackers").mkdir()
    (full.root / f"train-mnli-{'e' * 12}").mkdir()
    assert unneeded(full.root) == ()
