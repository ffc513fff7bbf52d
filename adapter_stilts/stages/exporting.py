"""The results of a plan without weights: a folder that is a store too, small enough to commit or attach to a paper.

<out>/store.json, plans/<digest>.json      of which a reader tells what the stages answer
<out>/<stage>/stage.json                   of every finished stage
<out>/<stage>/metrics.json, scores/        of evaluations; what they are computed from
<out>/SHA256SUMS, <out>/<stage>/SHA256SUMS

It lacks bundles, predictions and logs. It answers for the stages that it holds, and runs nothing (`Store.open`).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from adapter_stilts.errors import StoreError, UsageError
from adapter_stilts.io import DIGESTS, broken_seal, bytes_below, seal, whole_directory, write_json
from adapter_stilts.stages.parts import EvaluatePart
from adapter_stilts.stages.plans import PLANS, PlanFile
from adapter_stilts.stages.record import METRICS, SCORES, STAGE, read_stage
from adapter_stilts.stages.store import MARKER, SCHEMA


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        stages: names, parents first.
        missing: names of the plan's stages that are not finished.
    """

    directory: Path
    stages: tuple[str, ...]
    missing: tuple[str, ...]
    bytes: int


def export_results(plan: PlanFile, out: Path, rows: bool = True) -> Exported:
    """Copy the records of a plan's finished stages.

    Args:
        out: a folder that does not exist or is empty.
        rows: whether each example's score comes too; without, averages can be read and nothing be tested with them.

    Raises:
        UsageError: `out` holds files, or nothing of the plan is finished.
        StoreError: a stage is damaged, or `out` cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} holds files already: name a new folder, or remove it")
    names = _stages_of(plan)
    finished = [name for name in names if (plan.store / name / STAGE).is_file()]
    if not finished:
        raise UsageError(f"{plan.path}: no stage of it is finished in {plan.store}: run it first")
    with whole_directory(out, "another DIR") as aside:
        write_json(aside / MARKER, {"schema": SCHEMA, "exported": True})
        (aside / PLANS).mkdir()
        shutil.copyfile(plan.path, aside / PLANS / plan.path.name)
        for name in finished:
            _copy(plan.store / name, aside / name, rows)
        seal(aside)
    missing = tuple(name for name in names if name not in set(finished))
    return Exported(out, tuple(finished), missing, bytes_below(out))


def _stages_of(plan: PlanFile) -> list[str]:
    """Names of its stages, parents first; of an older version's plan, as far as the finished ones tell."""
    ordered: dict[str, None] = {}

    def visit(name: str) -> None:
        if name not in ordered and (plan.store / name / STAGE).is_file():
            for parent in read_stage(plan.store / name)["parents"]:
                visit(parent)
        ordered[name] = None

    for stage in plan.stages:
        if plan.recipes:
            ordered[stage.name] = None
        else:
            visit(stage.name)
    return list(ordered)


def _copy(stage: Path, to: Path, rows: bool) -> None:
    """Copy a stage's records, once they are what was written."""
    record = read_stage(stage)
    evaluation = record["kind"] == EvaluatePart.KIND
    damage = broken_seal(stage, (STAGE, METRICS) if evaluation else (STAGE,))
    if damage is not None and (evaluation or (stage / DIGESTS).is_file()):
        raise StoreError(f"{stage}: {damage}: run the command that made it again, or remove the directory")
    to.mkdir()
    shutil.copyfile(stage / STAGE, to / STAGE)
    if evaluation:
        shutil.copyfile(stage / METRICS, to / METRICS)
        if rows and (stage / SCORES).is_dir():  # an export without rows may be exported again
            shutil.copytree(stage / SCORES, to / SCORES)
    seal(to)
