"""A plan that stands for one of ours, and a verb `stage` that stands for the real one: both keep its contract."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

# Called as PYTHON verb.py adapter_stilts stage PLAN STAGE. A stage makes steps of 0.05 s, says when it begins and from
# which step, stops after one with a checkpoint where it gets SIGTERM, and at once where it gets a second.
VERB = """
import json, os, signal, sys, time
from pathlib import Path

plan, name = Path(sys.argv[3]), sys.argv[4]
assert sys.argv[1:3] == ["adapter_stilts", "stage"], sys.argv
stages = {stage["name"]: stage for stage in json.loads(plan.read_text())["stages"]}
store, stage, told = plan.parent.parent, stages[name], []
if (store / name / "stage.json").exists():
    sys.exit(0)
for parent in stage["parents"]:
    if not (store / parent / "stage.json").exists():
        sys.exit(f"error: {parent} is missing")
work = store / "work" / name
work.mkdir(parents=True, exist_ok=True)
checkpoint = work / "step"
step = int(checkpoint.read_text()) if checkpoint.exists() else 0

def say(word):
    with (store / "told.log").open("a") as log:
        log.write(json.dumps([word, name, step, time.time()]) + "\\n")

def stop(number, frame):
    if told:
        say("killed")
        os._exit(1)
    told.append(number)

signal.signal(signal.SIGTERM, stop)
say("began")
while step < stage.get("steps", 1):
    time.sleep(0.05)
    step += 1
    if told and not stage.get("deaf"):
        time.sleep(stage.get("writes", 0))
        checkpoint.write_text(str(step))
        say("stopped")
        sys.exit(stage.get("leaves", 143))
if stage.get("fails"):
    say("failed")
    sys.exit(1)
(store / name).mkdir()
(store / name / "stage.json").write_text("{}")
say("finished")
"""


@pytest.fixture(scope="session")
def verb(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What stands before `adapter_stilts stage PLAN STAGE`, as `command_prefix` takes it."""
    path = tmp_path_factory.mktemp("verb") / "verb.py"
    path.write_text(VERB, encoding="utf-8")
    return shlex.join([sys.executable, str(path)])


@pytest.fixture
def make_plan(tmp_path: Path) -> Callable[..., Path]:
    """A plan file of stages by name, each with its parents; `about` says how a stage behaves."""

    def make(
        parents: Mapping[str, Sequence[str]], about: Mapping[str, Mapping[str, Any]] | None = None
    ) -> Path:
        stages = [
            {"name": name, "key": f"{number:064x}", "kind": "train", "task": "mnli", "parents": list(before)}
            | dict((about or {}).get(name, {}))
            for number, (name, before) in enumerate(parents.items())
        ]
        plan = tmp_path / "store" / "plans" / "0123456789ab.json"
        plan.parent.mkdir(parents=True, exist_ok=True)
        plan.write_text(json.dumps({"schema": 2, "stages": stages, "cells": []}), encoding="utf-8")
        return plan

    return make


@pytest.fixture
def finish(tmp_path: Path) -> Callable[..., None]:
    """Make stages of that plan finished ones."""

    def call(*names: str) -> None:
        for name in names:
            (tmp_path / "store" / name).mkdir()
            (tmp_path / "store" / name / "stage.json").write_text("{}", encoding="utf-8")

    return call


@pytest.fixture
def told(tmp_path: Path) -> Callable[[], list[tuple[str, str, int, float]]]:
    """What the stages said: a word, the stage, its step, the time in seconds."""

    def read() -> list[tuple[str, str, int, float]]:
        path = tmp_path / "store" / "told.log"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [tuple(json.loads(line)) for line in lines]

    return read
