"""The results of a plan without weights: a folder that is a store too, small enough to commit or attach to a paper.

<out>/store.json, plans/<digest>.json      of which a reader tells what the stages answer
<out>/<stage>/stage.json                   of every finished stage
<out>/<stage>/metrics.json, scores/        of evaluations; what they are computed from
<out>/SHA256SUMS, <out>/<stage>/SHA256SUMS

The folder may be one zip file (`archives.py`). It lacks bundles, predictions and logs. It answers for the stages that
it holds, and runs nothing (`Store.open`).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from adapter_stilts.errors import StoreError, UsageError
from adapter_stilts.io import (
    DIGESTS,
    broken_seal,
    bytes_below,
    disk_errors,
    seal,
    whole_directory,
    write_json,
)
from adapter_stilts.stages.archives import is_archive, pack, unpack
from adapter_stilts.stages.locking import alone
from adapter_stilts.stages.parts import EvaluatePart
from adapter_stilts.stages.plans import PLANS, PlanFile
from adapter_stilts.stages.record import METRICS, SCORES, STAGE, read_metrics, read_stage
from adapter_stilts.stages.store import MARKER, SCHEMA, Store

ANOTHER = "another DIR"


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
    """Copy the records of a plan's finished stages; waits where another process exports into `out`.

    Args:
        out: a folder that does not exist or is empty, or that was exported before, of this plan or another: what it
            lacks is added. With a name that ends in .zip, one file.
        rows: whether each example's score comes too; without, averages can be read and nothing be tested with them.

    Raises:
        UsageError: `out` holds other files, or nothing of the plan is finished.
        StoreError: a stage is damaged, `out` holds another result of one, or it cannot be written.
    """
    names = _stages_of(plan)
    finished = [name for name in names if (plan.store / name / STAGE).is_file()]
    if not finished:
        raise UsageError(f"{plan.path}: no stage of it is finished in {plan.store}: run it first")
    with _alone(out), _made(out) as aside:
        write_json(aside / MARKER, {"schema": SCHEMA, "exported": True})
        (aside / PLANS).mkdir(exist_ok=True)
        shutil.copyfile(plan.path, aside / PLANS / plan.path.name)
        for name in finished:
            if not (aside / name).exists() or _lacks_rows(plan.store / name, aside / name, rows):
                _copy(plan.store / name, aside / name, rows)
        seal(aside)
    missing = tuple(name for name in names if name not in set(finished))
    return Exported(out, tuple(finished), missing, bytes_below(out))


def _exported(folder: Path) -> bool:
    return folder.is_dir() and (folder / MARKER).is_file() and Store(folder).exported


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Waits for other exports into `out`: two at once would each replace what the other adds."""
    if out.parent.is_file():
        raise UsageError(f"{out}: {out.parent} is a file: name {ANOTHER}")
    with disk_errors(out, ANOTHER):
        out.parent.mkdir(parents=True, exist_ok=True)
    with alone(out.parent / f".{out.name}.lock" / "export.lock", ANOTHER):
        yield


@contextmanager
def _made(out: Path) -> Iterator[Path]:
    """A folder with what `out` holds, which takes its place once it is complete."""
    empty = out.is_dir() and not any(out.iterdir())
    there = out.exists() and not empty
    if is_archive(out) and out.is_dir():
        raise UsageError(f"{out} is a folder, and its name that of a zip file: name another, or remove it")
    if there and not (is_archive(out) or _exported(out)):
        raise UsageError(
            f"{out} holds files already, and was not exported: name a new folder, one that was, or remove it"
        )
    if not is_archive(out):
        with whole_directory(out, ANOTHER) as aside:
            if there:
                shutil.copytree(out, aside, dirs_exist_ok=True)
            yield aside
        return
    beside = tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.")
    with disk_errors(out, ANOTHER), beside as name:
        if there:
            unpack(out, Path(name))
            if not _exported(Path(name)):
                raise UsageError(f"{out} holds something else than exported results: name another file")
        yield Path(name)
        pack(Path(name), out)


def _lacks_rows(stage: Path, there: Path, rows: bool) -> bool:
    """Whether each example's score is to be added to a stage that is there, which must be of the same result."""
    if not (there / METRICS).is_file():
        return False
    if read_metrics(stage) != read_metrics(there):
        raise StoreError(
            f"{there.name}: the export holds another result of this stage than {stage.parent}, as computed on another "
            "processor or with other threads; results of both stand in no one table: export into another DIR"
        )
    return rows and (stage / SCORES).is_dir() and not (there / SCORES).is_dir()


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
    to.mkdir(exist_ok=True)
    shutil.copyfile(stage / STAGE, to / STAGE)
    if evaluation:
        shutil.copyfile(stage / METRICS, to / METRICS)
        if rows and (stage / SCORES).is_dir():  # an export without rows may be exported again
            shutil.copytree(stage / SCORES, to / SCORES)
    seal(to)
