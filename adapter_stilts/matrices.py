"""A matrix as functions: every combination of several intermediate tasks, targets, tunings, encoders and seeds."""

from __future__ import annotations

import math
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
    from adapter_stilts.stages.cells import Cell
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
    """What intermediate entries come before: a target, in one of the matrix's modes, precisions and encoders.

    Args:
        taught: what else than English the target is trained in; empty of English alone, or where nothing is trained.
    """

    target: str
    mode: str
    precision: str
    base: str
    taught: str

    @classmethod
    def of(cls, cell: Cell) -> Column:
        """A cell's."""
        return cls(cell.target, cell.mode, cell.precision, cell.base, cell.taught.told)

    @property
    def told(self) -> str:
        """For messages."""
        return f"{self.target} ({', '.join(filter(None, (self.mode, self.precision, self.taught)))})"


NextCells: TypeAlias = "Next[str, Column]"
"""Cells by their intermediate entry and their column."""


@dataclass(frozen=True)
class KnownCells:
    """What the store holds of a matrix, of the cells that do not combine several entries.

    Args:
        scores: of every cell that is planned and can have one, by seed, each the mean of the task's metrics.
        columns: all of them, also those that can have no score.
        notices: what was left out, and why.
    """

    scores: Mapping[tuple[str, Column], Mapping[int | None, float]]
    columns: tuple[Column, ...]
    notices: tuple[str, ...]


def known_cells(study: Study) -> KnownCells:
    """The scores that a partly run matrix has; nothing is run.

    A finished evaluation that is damaged is none. What is finished and has no score, as where no test row has a label,
    is left out: it would be missing for ever.
    """
    from adapter_stilts.stages.store import Store

    store = Store(study.runtime.store)
    scores: dict[tuple[str, Column], dict[int | None, float]] = {}
    damaged: dict[str, str] = {}
    bare: dict[tuple[str, Column], None] = {}
    for result in study.finished().cells:
        cell = result.cell
        if cell.combine != CONTINUE:
            continue
        place = (cell.inter, Column.of(cell))
        seeds = scores.setdefault(place, {})
        known = [value for value in result.average.values() if value is not None and math.isfinite(value)]
        if known:
            seeds[cell.seed] = fmean(known)
        elif result.metrics is not None:
            bare[place] = None
        elif (damage := store.damage(cell.evaluate)) is not None:
            name = cell.evaluate.name
            told = f"{cell.inter} before {place[1].told}, seed {cell.seed}"
            damaged.setdefault(name, f"{name} ({told}): {damage}; left out: its command makes it again")
    columns = tuple(dict.fromkeys(column for _, column in scores))
    lost, notices = _without_score(scores, [place for place in bare if not scores[place]])
    kept = {place: seeds for place, seeds in scores.items() if place not in lost}
    return KnownCells(kept, columns, (*damaged.values(), *notices))


def _without_score(
    scores: Mapping[tuple[str, Column], Mapping[int | None, float]], bare: Sequence[tuple[str, Column]]
) -> tuple[set[tuple[str, Column]], list[str]]:
    """The cells that can have no score, or no gain, and what to tell of them.

    Args:
        bare: cells that are finished without one.
    """
    lost: set[tuple[str, Column]] = set()
    notices = []
    for column in dict.fromkeys(column for _, column in bare):
        cells = [place for place in scores if place[1] == column]
        rows = [row for row, other in bare if other == column]
        whole = NONE in rows or not any(scores[place] for place in cells)
        lost |= set(cells) if whole else {(row, column) for row in rows}
        named = ", ".join(rows)
        what = column.told if whole else f"{named} before {column.told}"
        notices.append(f"left out {what}: {named} finished without a score, as where no test row has a label")
    return lost, notices


def next_cells(known: KnownCells, count: int) -> NextCells:
    """The cells of a partly run matrix to run next, by what its finished ones tell.

    Args:
        count: of cells to name, at most.

    Raises:
        UsageError: the store holds no cell of it, or all, or too few to go by.
    """
    from adapter_stilts.select import next_cells as choosing

    if not known.scores:
        raise UsageError(
            f"--next {count}: no cell of the matrix can have a score to go by; the same command without --next runs "
            "what is missing"
        )
    rows = {row for row, _ in known.scores}
    return choosing.next_cells(known.scores, NONE if NONE in rows else None, count)
