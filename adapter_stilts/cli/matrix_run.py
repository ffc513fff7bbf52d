"""What `matrix` does with its study: the dry run's count, and the run itself."""

from __future__ import annotations

from typing import Any

from adapter_stilts.cli import show
from adapter_stilts.cli.running import run, tell_notices
from adapter_stilts.cli.terminal import say, say_json
from adapter_stilts.stages.executors import Executor
from adapter_stilts.study import Study


def show_matrix(study: Study, as_json: bool) -> int:
    """Print what would be run: cells, stages, what sharing saves and what the store holds."""
    states = [state.to_json() for state in study.states()]
    tell_notices(study)
    if as_json:
        say_json(graph(study, states))
        return 0
    show.stages(states)
    say(counted(study, states))
    return 0


def graph(study: Study, states: list[dict[str, Any]]) -> dict[str, Any]:
    """The plan as JSON: its stages with their parents, and its cells."""
    parents = {stage.key: [parent.key for parent in stage.parents] for stage in study.plan().stages}
    return {
        "plan": None,
        "stages": [{**state, "parents": parents[state["key"]]} for state in states],
        "cells": [
            {**cell.about(), "target": cell.target, "stage": cell.evaluate.key} for cell in study.plan().cells
        ],
    }


def counted(study: Study, states: list[dict[str, Any]]) -> str:
    """Cells and stages in a line, with what sharing saves: the stages of each cell alone, less those of the plan."""
    from adapter_stilts.stages.graph import in_order

    cells = study.plan().cells
    alone = sum(len(in_order((cell.evaluate,))) for cell in cells)
    held = sum(state["status"] == "cached" for state in states)
    shared = f" ({alone - len(states)} fewer than {alone} one by one)" if alone > len(states) else ""
    return f"{len(cells)} cells, {len(states)} stages{shared}, {held} of them in the store"


def run_matrix(study: Study, as_json: bool, executor: Executor | None) -> int:
    """Run what is missing, print the results; the exit code of what failed, or 0."""
    return run(study, as_json, executor)
