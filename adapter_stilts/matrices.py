"""A matrix as functions: every combination of several intermediate tasks, targets, tunings, encoders and seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, TypeAlias

from adapter_stilts.axes import AXES, CONTINUE, NONE, axes_of, combinations
from adapter_stilts.errors import UsageError
from adapter_stilts.io import canonical_json
from adapter_stilts.library import add_tasks, plan_train, several

if TYPE_CHECKING:
    from adapter_stilts.select.next_cells import Next
    from adapter_stilts.stages.estimating import Work
    from adapter_stilts.stages.graph import Stage
    from adapter_stilts.stages.watch import Watch
    from adapter_stilts.study import Results, Study


RETRIES = (2.0, 10.0, 30.0)
"""Seconds before a stage that failed of a cause that may pass is tried again. Ours: a disk is cleared in less."""


def matrix(watch: Watch | None = None, **flags: Any) -> Results:
    """Train and evaluate every cell of a matrix; equal stages are computed once.

    Args:
        watch: is told what happens.
        flags: as `plan_matrix` takes them.

    Raises:
        AdapterStiltsError: what was asked for cannot be, or a stage failed.
    """
    return plan_matrix(**flags).run(watch)


def plan_matrix(
    *,
    recipe: str | Path | None = None,
    seeds: int | None = None,
    tasks: str | Path | None = None,
    **flags: Any,
) -> Study:
    """The study of a `matrix`: all combinations of what is given, in one plan. What cannot be is left out and told.

    Args:
        recipe: its section ``[matrix]`` says what the flags leave open.
        seeds: seeds from 0, in the place of ``seed``.
        flags: ``inter``, ``target``, ``mode``, ``precision``, ``base``, ``combine`` and ``seed`` may each be several,
            in a list or with commas between; in ``inter``, ``+`` joins the tasks of one stage, and ``each`` is every
            task of the study on its own. The others as `plan_train` takes them: ``data``, ``store``, ``settings`` …

    Raises:
        UsageError: no such recipe, name, key or value; or nothing of what is given can be.
    """
    from adapter_stilts.stages.planning.several import LeftOut

    add_tasks(tasks)
    given = {axis: several(axis, flags.pop(axis, None)) for axis in AXES}
    left_out, studies = LeftOut(), []
    for varied in combinations(axes_of(None if recipe is None else str(recipe), {**given, "seeds": seeds})):
        try:
            studies.append(plan_train(recipe=recipe, **varied, **flags))
        except UsageError as error:
            left_out(" ".join(str(varied.get(axis, "")) for axis in ("mode", "precision")).strip(), error)
    if not studies:
        assert left_out.error is not None
        raise left_out.error
    told = dict.fromkeys(notice for study in studies for notice in study.told)
    return replace(
        studies[0],
        runtime=replace(studies[0].runtime, retries=RETRIES),
        told=tuple(told),
        further=tuple(study.recipe for study in studies[1:]),
        left_out=left_out,
    )


@dataclass(frozen=True)
class Forecast:
    """What a matrix will take.

    Args:
        seconds: of the stages that are to run, one after another, as far as it is known.
        unknown: how many stages no measurement tells of.
        memory: bytes of the training that takes most, by mode and precision; empty where nothing is trained.
    """

    seconds: float
    unknown: int
    memory: Mapping[str, int]


def forecast(study: Study, measure: bool = False, say: Callable[[str], None] = print) -> Forecast:
    """How long the stages that a store lacks will take, and how much memory the largest training does.

    Args:
        measure: whether to measure the speed of each kind of stage first, on a few steps, and keep it in the store.
        say: told what is measured.

    Raises:
        AdapterStiltsError: the data cannot be read, or what is measured fails.
    """
    from adapter_stilts.stages.calibrating import calibrate
    from adapter_stilts.stages.estimating import Experience, estimate, work_of, write_speeds
    from adapter_stilts.stages.store import Store
    from adapter_stilts.stages.watch import Watch

    states = study.states()
    missing = [state.stage for state in states if state.status != "cached"]
    contexts, _ = study.contexts(Watch())
    store = Store(study.runtime.store)
    if measure:
        store.open()
        write_speeds(store.root, ())  # a store that can only be read is told before minutes of measuring
        write_speeds(store.root, calibrate(missing, contexts, say))
    experience = Experience(store.root, (state.stage for state in states if state.status == "cached"))
    alike: dict[str, Work | None] = {}

    def counted(stage: Stage) -> Work | None:
        # Stages that differ in their start, seed or mode have the same to do.
        what = canonical_json(_reads(stage))
        if what not in alike:
            alike[what] = work_of(stage, contexts(stage))
        return alike[what]

    found = estimate(missing, counted, experience)
    return Forecast(found.seconds, len(found.unknown), _memory(study, missing))


def _reads(stage: Stage) -> dict[str, Any]:
    """What decides how much a stage has to do."""
    told = dict(stage.part.to_json())
    return {
        "task": stage.task,
        **{n: v for n, v in told.items() if n not in ("seed", "mode", "tuning", "precision")},
    }


def _memory(study: Study, stages: Sequence[Stage]) -> dict[str, int]:
    """Bytes of the largest training of each mode and precision, on the device that it would run on."""
    from adapter_stilts.runtime import default_device, total_memory
    from adapter_stilts.stages.parts import TrainPart
    from adapter_stilts.stages.stage_memory import StageMemory

    device = study.runtime.device or default_device()
    configs = {fingerprint: base.config for fingerprint, base in study.plan().bases.items()}
    memory = StageMemory(stages, configs, device, total_memory(device))
    found: dict[str, int] = {}
    for stage in stages:
        if isinstance(stage.part, TrainPart):
            name = f"{stage.part.mode} {stage.part.precision}"
            found[name] = max(found.get(name, 0), memory.training(stage))
    return found


@dataclass(frozen=True)
class Column:
    """What intermediate entries come before: a target, in one of the matrix's modes, precisions and encoders."""

    target: str
    mode: str
    precision: str
    base: str


NextCells: TypeAlias = "Next[str, Column]"
"""Cells by the name of their intermediate entry and their column."""


def next_cells(study: Study, count: int) -> NextCells:
    """The cells of a partly run matrix to run next, by what its finished ones tell; nothing is run.

    A cell's score is the mean over its finished seeds, of each the mean of the task's metrics; it is known where one
    seed is finished. Cells that combine several entries are left out.

    Args:
        count: of cells to name, at most.

    Raises:
        UsageError: the store holds no cell of it, or all, or too few to go by.
    """
    from adapter_stilts.select import next_cells as choosing

    scores: dict[tuple[str, Column], list[float]] = {}
    for result in study.finished().cells:
        cell = result.cell
        if cell.combine == CONTINUE:
            column = Column(cell.target, cell.mode, cell.precision, cell.base)
            known = [value for value in result.average.values() if value is not None]
            scores.setdefault((cell.label, column), []).extend([fmean(known)] if known else [])
    rows = list(dict.fromkeys(row for row, _ in scores))
    columns = list(dict.fromkeys(column for _, column in scores))
    means = {cell: fmean(values) for cell, values in scores.items() if values}
    return choosing.next_cells(rows, columns, means, NONE if NONE in rows else None, count)
