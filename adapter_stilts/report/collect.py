"""The cells that a store's plans name, and what their evaluations left."""

from __future__ import annotations

import math
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from adapter_stilts.errors import NothingToReportError, StoreError, UsageError
from adapter_stilts.io import DIGESTS, broken_seal
from adapter_stilts.report.chains import Chains, differing, told
from adapter_stilts.report.scores import BASELINE, Setting
from adapter_stilts.runtime import default_cache
from adapter_stilts.stages.archives import is_archive, unpacked
from adapter_stilts.stages.keeping import read_found_plan
from adapter_stilts.stages.plans import PLANS, PlanFile, plans_of
from adapter_stilts.stages.record import METRICS, STAGE, read_metrics, read_stage
from adapter_stilts.stages.remote import folder_of
from adapter_stilts.stages.store import Store

REPAIR = "remove its directory and run its command again"

_OF_CELLS: Mapping[Any, tuple[str, ...]] = {
    str: ("inter", "label", "mode", "precision", "combine", "base", "split", "target", "evaluate"),
    int | None: ("seed", "averaged_steps"),
    str | None: ("few_shot_when",),
    list: ("train_languages",),
    list | None: ("dev",),
    dict: ("few_shot", "limits"),
}
"""What parts of a cell are, as far as a plan has them; tables join, sort and compare them."""


@dataclass(frozen=True)
class System:
    """What is compared within a setting.

    Args:
        inter: the intermediate entry, as it was asked for; ``none`` is without.
        combine: how several enter target training; ``continue`` where they do not.
        limit: first examples of the intermediate train sets; None took all.
    """

    inter: str
    combine: str = "continue"
    limit: int | None = None


@dataclass(frozen=True)
class Planned:
    """A cell as a plan names it.

    Args:
        label: its name among the cells of its target.
        stage: the evaluate stage that answers it.
        taught: what else than English the target was taught in; empty of English alone.
    """

    system: System
    setting: Setting
    seed: int | None
    label: str
    stage: str
    plan: Path

    @property
    def taught(self) -> str:
        return self.label.removeprefix(self.system.inter).removeprefix(", ")

    @property
    def told(self) -> str:
        """For messages."""
        setting = self.setting
        seed = "" if self.seed is None else f", seed {self.seed}"
        return f"{self.label} before {setting.target} ({setting.mode}, {setting.precision}{seed})"


@dataclass(frozen=True)
class Evaluated:
    """A cell whose evaluation is finished and sound.

    Args:
        metrics: metrics.json.
    """

    cell: Planned
    directory: Path
    metrics: Mapping[str, Any]

    @property
    def languages(self) -> tuple[str, ...]:
        """Those that have a score."""
        return tuple(language for language, metrics in self.metrics["languages"].items() if metrics)

    @cached_property
    def averaged(self) -> tuple[str, ...]:
        """Those whose scores are averaged: of no benchmark only where there are no others."""
        outside = set(self.metrics.get("outside", ()))
        inside = tuple(language for language in self.languages if language not in outside)
        return inside or self.languages

    @property
    def missing(self) -> tuple[str, ...]:
        """Languages of the target that were not evaluated, or had no example."""
        empty = [language for language, metrics in self.metrics["languages"].items() if not metrics]
        return (*self.metrics.get("missing", ()), *empty)

    def score(self, language: str) -> float:
        """The task's score in percent: the mean of its metrics ((EM + F1) / 2 of questions, as XTREME has it)."""
        metrics = self.metrics["languages"][language]
        return math.fsum(metrics.values()) / len(metrics)


@dataclass(frozen=True)
class Collection:
    """What a report is made of.

    Args:
        planned: every cell once, in the order of the plans: as they were named, else the largest first.
        found: those that are finished.
        notes: what was left out, and why, with the stage's name.
        exported: whether the store holds results without weights, and runs nothing.
    """

    store: Path
    planned: tuple[Planned, ...]
    found: tuple[Evaluated, ...]
    notes: tuple[str, ...]
    chains: Chains
    exported: bool

    @property
    def unfinished(self) -> tuple[Planned, ...]:
        """Cells without a result, whatever the cause."""
        done = {one.cell for one in self.found}
        return tuple(cell for cell in self.planned if cell not in done)


def collect(store: str | Path, plans: Sequence[str | Path] = ()) -> Collection:
    """The cells of plans, and their results.

    Args:
        store: its folder, or exported results in one zip file.
        plans: files in its folder ``plans``, or the first digits of their names; all of them where none is named.

    Raises:
        UsageError: there is no such store, or no plan in it.
        NothingToReportError: nothing is finished in it.
        UnknownNameError: it has no such plan.
        StoreError: a plan that was named cannot be read.
    """
    root = folder_of(str(store), default_cache())
    if root.is_file() and is_archive(root):
        root = unpacked(root, default_cache())
    if not root.is_dir():
        raise UsageError(f"{store}: no such store; name the folder after --store of the command that ran")
    exported = Store(root).exported  # one of a newer version is told
    # Not by their times, which a copy of the store or an archive does not have.
    every = sorted(plans_of(root), key=lambda plan: (-len(plan.cells), plan.path.name))
    files = [read_found_plan(str(plan), root) for plan in plans] or every
    if not files:
        raise UsageError(
            f"{store}: no plan in its folder {PLANS}/; `adapter-stilts matrix` and `train` write one, "
            "and `store export` takes it along"
        )
    notes: list[str] = []
    planned = _planned(files, notes)
    chains = Chains(root)
    finished = {cell: one for cell in planned if (one := _evaluated(root, cell, notes)) is not None}
    found = tuple(one for one in _consistent(list(finished.values()), chains, notes))
    if not found:
        why = "; ".join(dict.fromkeys(notes)) or f"none of {len(planned)} planned cells is finished"
        raise NothingToReportError(
            f"{store}: nothing to report: {why}; `adapter-stilts status {shlex.quote(str(store))}` tells how far it is"
        )
    shown = {one.cell for one in found}
    results = {(cell.system, cell.setting, cell.seed) for cell in shown}
    # Of two that are one result, the other is no cell to wait for.
    same = {cell for cell in finished.keys() - shown if (cell.system, cell.setting, cell.seed) in results}
    cells = tuple(cell for cell in planned if cell not in same)
    return Collection(root, cells, found, tuple(dict.fromkeys(notes)), chains, exported)


def _planned(files: Iterable[PlanFile], notes: list[str]) -> tuple[Planned, ...]:
    """Every cell once; several plans may name the same."""
    found: dict[tuple[Any, ...], Planned] = {}
    for file in files:
        try:
            cells = [_cell(file, about) for about in file.cells]
        except KeyError as error:
            notes.append(
                f"{file.path}: written by an older version, lacks {error}: run its command again, which writes it anew"
            )
            continue
        except (TypeError, AttributeError) as error:
            notes.append(f"{file.path}: damaged ({error}): run its command again, which writes it anew")
            continue
        for cell in cells:
            found.setdefault((cell.system, cell.setting, cell.seed, cell.stage), cell)
    return tuple(found.values())


def _cell(file: PlanFile, about: Mapping[str, Any]) -> Planned:
    _check_cell(about)
    setting = Setting.of(about, str(about["target"]))
    if not setting.train_languages:  # no checkpoint of its own to be chosen
        setting = replace(setting, dev=None)
    inter = str(about["inter"])
    limit = None if inter == BASELINE else about["limits"]["intermediate"]
    system = System(inter, about.get("combine", "continue"), limit)
    label = str(about.get("label", inter))
    return Planned(system, setting, about["seed"], label, str(about["evaluate"]), file.path)


def _check_cell(about: Mapping[str, Any]) -> None:
    """Raises TypeError where a part of a cell is not of its kind."""
    for kinds, names in _OF_CELLS.items():
        for name in names:
            if name in about and not isinstance(about[name], kinds):
                raise TypeError(f"{name} of a cell is {about[name]!r}")
    texts = [*about["train_languages"], *(about["dev"] or ()), *about["few_shot"]]
    numbers = [*about["few_shot"].values(), *about["limits"].values()]
    if not all(isinstance(one, str) for one in texts):
        raise TypeError(f"languages of a cell are {texts!r}")
    if not all(isinstance(one, int | None) for one in numbers):
        raise TypeError(f"limits or few_shot of a cell hold {numbers!r}")


def _check_metrics(metrics: Mapping[str, Any]) -> None:
    """Raises ValueError where metrics.json is not as an evaluation writes it; its scores are looked at apart."""
    for name in ("languages", "counts", "levels"):
        if not isinstance(metrics.get(name, {}), dict):
            raise ValueError(f"{name} is {metrics[name]!r}")
    for name in ("missing", "outside"):
        found = metrics.get(name, [])
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise ValueError(f"{name} is {found!r} and no languages")
    for name, kind in (("languages", dict), ("counts", int), ("levels", str)):
        for language, value in metrics.get(name, {}).items():
            if not isinstance(value, kind):
                raise ValueError(f"{name} of {language} is {value!r}")


def _evaluated(store: Path, cell: Planned, notes: list[str]) -> Evaluated | None:
    """The finished evaluation; None where there is none, or what is there cannot be used, which is noted."""
    directory = store / cell.stage
    try:
        read_stage(directory)
        damage = damage_of(directory, alone=True)
        if damage is not None:
            raise StoreError(damage)
        metrics = read_metrics(directory)
        if not {"languages", "counts"} <= metrics.keys():
            raise ValueError("it lacks languages and counts")
        _check_metrics(metrics)
    except FileNotFoundError:
        if (directory / STAGE).is_file():
            notes.append(f"{cell.stage} ({cell.told}): no {METRICS}; left out: {REPAIR}")
        return None
    except (StoreError, ValueError, AttributeError, TypeError, OSError) as error:
        notes.append(f"{cell.stage} ({cell.told}): {error}; left out: {REPAIR}")
        return None
    found = Evaluated(cell, directory, metrics)
    for language, scores in metrics["languages"].items():
        for name, value in scores.items():
            if not isinstance(value, (int, float)) or not math.isfinite(value):
                why = f"{name} in {language} is {value} and no finite number"
                notes.append(f"{cell.stage} ({cell.told}): {why}; left out: {REPAIR}")
                return None
    if not found.languages:
        notes.append(f"{cell.stage} ({cell.told}): no language has an example; left out")
        return None
    return found


def damage_of(directory: Path, alone: bool = False) -> str | None:
    """What of an evaluation differs from its digests; None of one without, as an older version left it.

    Args:
        alone: whether its rows and predictions are left out, which are looked at when they are read.
    """
    if not (directory / DIGESTS).is_file():
        return None
    return broken_seal(directory, (STAGE, METRICS), alone)


def _consistent(found: Sequence[Evaluated], chains: Chains, notes: list[str]) -> list[Evaluated]:
    """Without cells of which there are two versions, and without seeds that were trained by other settings."""
    kept = []
    by_seed: dict[tuple[Any, ...], list[Evaluated]] = defaultdict(list)
    for one in found:
        by_seed[one.cell.system, one.cell.setting, one.cell.seed].append(one)
    by_cell: dict[tuple[Any, ...], list[Evaluated]] = defaultdict(list)
    for versions in by_seed.values():
        if len(versions) > 1 and not _same(versions, chains):
            notes.append(_versions(versions, chains))
        else:
            one = max(versions, key=lambda version: "oracle" in version.metrics)
            by_cell[one.cell.system, one.cell.setting].append(one)
    for seeds in by_cell.values():
        first = seeds[0]
        unlike = [(one, differences) for one in seeds[1:] if (differences := _unlike(first, one, chains))]
        if unlike:
            other, differences = unlike[0]
            notes.append(
                f"{first.cell.stage} and {other.cell.stage} are seeds {first.cell.seed} and {other.cell.seed} of "
                f"{first.cell.told} by unlike settings ({told(differences)}): left out, all seeds; name one plan with "
                f"--plan ({first.cell.plan} or {other.cell.plan})"
            )
        else:
            kept += seeds
    order = {one.cell: place for place, one in enumerate(found)}
    return sorted(kept, key=lambda one: order[one.cell])


def _same(versions: Sequence[Evaluated], chains: Chains) -> bool:
    """Whether they are one result, as with its evaluations on dev kept and without."""
    first, *others = versions
    return all(
        one.metrics["languages"] == first.metrics["languages"] and not _unlike(first, one, chains)
        for one in others
    )


def _unlike(one: Evaluated, other: Evaluated, chains: Chains) -> dict[str, tuple[Any, Any]]:
    return differing(chains.settings(one.cell.stage), chains.settings(other.cell.stage))


def _versions(versions: Sequence[Evaluated], chains: Chains) -> str:
    first, second = versions[0], versions[1]
    differences = told(_unlike(first, second, chains)) or "of which their records tell no difference"
    stages = " and ".join(f"{one.cell.stage} (plan {one.cell.plan})" for one in versions)
    return (
        f"{first.cell.told}: {len(versions)} versions, {stages}: {differences}; left out, all of them: name one plan "
        "with --plan"
    )
