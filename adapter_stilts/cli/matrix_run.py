"""What `matrix` does with its study: the dry run's count, and the run itself."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from adapter_stilts.cli import show
from adapter_stilts.cli.board import Board, endings
from adapter_stilts.cli.matrix_table import tables
from adapter_stilts.cli.progress import Progress
from adapter_stilts.cli.running import StoppingAtAStep, report_line, tell_notices, watch_line
from adapter_stilts.cli.terminal import say, say_json
from adapter_stilts.errors import StoreError
from adapter_stilts.matrices import Forecast, forecast
from adapter_stilts.runtime import is_first_process
from adapter_stilts.stages.executors import Executor
from adapter_stilts.stages.executors.slurm_options import SlurmOptions
from adapter_stilts.stages.overview import Onlooker
from adapter_stilts.stages.plans import read_plan
from adapter_stilts.study import Results, Study

SHOWN_STAGES = 60
"""In a dry run; above it they are counted alone."""


def show_matrix(study: Study, as_json: bool, measure: bool, workers: int) -> int:
    """Print what would be run: cells, stages, what sharing saves and the store holds, memory and hours.

    Args:
        measure: whether each kind of stage is measured first.
        workers: among which the hours are divided.
    """
    study.check(here=False)
    states = [state.to_json() for state in study.states()]
    tell_notices(study)
    found = forecast(study, measure, lambda message: say(message, err=True))
    if as_json:
        hours = None if found.unknown else round(found.seconds / 3600, 3)
        told = {"hours": hours, "unknown": found.unknown, "memory": dict(found.memory)}
        say_json({**graph(study, states), "forecast": told})
        return 0
    if len(states) <= SHOWN_STAGES:
        show.stages(states)
    say(counted(study, states))
    for line in told_forecast(found, workers):
        say(line)
    return 0


def told_forecast(found: Forecast, workers: int) -> list[str]:
    """Memory and hours in words."""
    memory = ", ".join(f"{name} {size / 2**30:.1f} GiB" for name, size in found.memory.items())
    lines = [f"memory of the largest training: {memory}"] if memory else []
    if found.unknown and not found.seconds:
        return [
            *lines,
            f"hours: not known of {found.unknown} stages; --dry-run --calibrate measures a few steps of each kind",
        ]
    of = f" with {workers} workers, if none waits for another" if workers > 1 else " in one process"
    hours = f"hours: {found.seconds / workers / 3600:.2f}{of}"
    if found.unknown:
        hours += f", and {found.unknown} stages that nothing tells of (--calibrate measures each kind)"
    return [*lines, hours]


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
    numbers = f"{_number(len(cells), 'cell')}, {_number(len(states), 'stage')}"
    return f"{numbers}{shared}, {held} of them in the store"


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def run_matrix(study: Study, as_json: bool, executor: Executor | None) -> int:
    """Run what is missing, print a table of all cells; the exit code of what failed, or 0."""
    tell_notices(study)
    states = study.states()
    missing = any(state.status != "cached" for state in states)
    if missing:
        study.check(here=executor is None or executor.here)
    say(counted(study, [state.to_json() for state in states]), err=True)
    try:
        saved = study.save()
    except StoreError:
        if missing:
            raise
        return _answer(study, as_json)
    if missing and is_first_process():
        say(watch_line(study.runtime.store, saved), err=True)
    onlooker = Onlooker(read_plan(saved))
    board = Board(onlooker)
    with board, StoppingAtAStep(board):
        results = study.run(board, check=False, executor=executor)
    if not is_first_process():
        return 0
    _show(results, as_json, saved)
    onlooker.look()
    errors = {state.stage.name: str(state.error) for state in results.failed}  # a full disk keeps none
    for line in endings(saved, onlooker.failures(errors)):
        say(line, err=True)
    say(f"plan:    {saved}    # adapter-stilts status {shlex.quote(str(study.runtime.store))}", err=True)
    if any(result.metrics is not None for result in results.cells):
        say(report_line(study.runtime.store), err=True)
    codes = [state.error.exit_code for state in results.failed if state.error is not None]
    return max(codes, default=0)


def _answer(study: Study, as_json: bool) -> int:
    """Show what a store holds that can only be read."""
    _show(study.run(Progress(), check=False), as_json, None)
    return 0


def _show(results: Results, as_json: bool, saved: Path | None) -> None:
    if as_json:
        say_json(results.matrix_json(saved))
    elif results.trained:
        show.trained([one.to_json() for one in results.trained if one.dev is not None])
    else:
        tables(results)


def queue_matrix(study: Study, options: SlurmOptions, dry_run: bool, as_json: bool) -> int:
    """Give Slurm the stages that the store lacks, or write the scripts that do; it does not wait for them."""
    from adapter_stilts.stages.executors.slurm import submit, write_scripts

    tell_notices(study)
    states = [state.to_json() for state in study.states()]
    study.check(here=False)
    say(counted(study, states), err=True)
    saved = study.save()
    told: dict[str, Any] = {**graph(study, states), "plan": str(saved)}
    if dry_run:
        scripts = write_scripts(saved, options)
        told["scripts"] = [str(path) for path in scripts]
        lines = [f"written: {path}" for path in scripts] + [
            f"next:    bash {shlex.quote(str(path))}" for path in scripts[:1]
        ]
    else:
        queued = submit(saved, options)
        told["jobs"] = queued.jobs
        lines = (
            [f"queued:  {len(queued.jobs)} stages; what they print is in {queued.logs}"]
            if queued.jobs
            else []
        )
    lines = lines or ["nothing to run: the store holds every stage"]
    if as_json:
        say_json(told)
    for line in [
        *lines,
        f"plan:    {saved}    # adapter-stilts status {shlex.quote(str(study.runtime.store))}",
        watch_line(study.runtime.store, saved),
    ]:
        say(line, err=as_json)
    return 0
