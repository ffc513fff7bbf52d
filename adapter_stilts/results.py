"""Results of a study: its stages and what became of them, its cells and their scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import UnknownNameError
from adapter_stilts.stages.cells import Cell
from adapter_stilts.stages.planning.names import NONE
from adapter_stilts.stages.states import StageState

if TYPE_CHECKING:
    import pandas

SHOWN = ("outside", "missing", "beside", "levels", "oracle")
"""Of metrics.json, what stands in a result where there is something of it."""


@dataclass(frozen=True)
class CellResult:
    """One intermediate task (or ``none``) and one target, evaluated.

    Args:
        metrics: per language, averages, and what is missing; None where the evaluation is not finished.
        directory: of the evaluate stage.
        bundle: folder of the bundle that was evaluated; None of the base itself.
    """

    cell: Cell
    metrics: Mapping[str, Any] | None
    directory: Path
    bundle: Path | None

    @property
    def average(self) -> Mapping[str, float]:
        """Each metric's average over languages, in percent; empty where the evaluation is not finished."""
        return {} if self.metrics is None else dict(self.metrics["average"])

    def __str__(self) -> str:
        """A line: what it is of, and its averages."""
        cell = self.cell
        about = ", ".join(
            filter(None, (cell.mode, cell.precision, "" if cell.seed is None else f"seed {cell.seed}"))
        )
        scores = ", ".join(f"{metric} {value:.2f}" for metric, value in self.average.items())
        return f"{cell.label}, {cell.target} ({about}): {scores or 'not finished'}"

    def to_json(self) -> dict[str, Any]:
        assert self.metrics is not None
        told = {name: self.metrics[name] for name in SHOWN if self.metrics.get(name)}
        scores = {name: self.metrics[name] for name in ("languages", "average")}
        return {**self.cell.about(), **scores, **told}


@dataclass(frozen=True)
class Trained:
    """The end of an intermediate task that no target follows.

    Args:
        inter: as it was asked for.
        bundle: its folder.
        dev: scores on the dev split, in percent; empty where there is none, None where it is not finished.
        languages: of the dev split.
    """

    inter: str
    task: str
    bundle: Path
    dev: Mapping[str, float] | None
    languages: tuple[str, ...]

    def __str__(self) -> str:
        """A line: what it is, and its scores on dev."""
        scores = ", ".join(f"{metric} {value:.2f}" for metric, value in (self.dev or {}).items())
        if self.dev is None:
            return f"{self.inter}, trained: not finished"
        return f"{self.inter}, trained: {f'{scores} on dev' if scores else 'no dev split'}"

    def to_json(self) -> dict[str, Any]:
        told = {"inter": self.inter, "task": self.task, "bundle": str(self.bundle)}
        return {**told, "metrics": dict(self.dev or {}), "dev": list(self.languages)}


@dataclass(frozen=True)
class Results:
    """All cells of a run, and its stages.

    Args:
        benchmark: whose languages these are.
        cells: empty where there is no target.
        notices: what was told before it ran.
        trained: where there is no target, what was trained.
    """

    benchmark: str
    cells: tuple[CellResult, ...]
    stages: tuple[StageState, ...]
    notices: tuple[str, ...] = ()
    trained: tuple[Trained, ...] = ()

    def __str__(self) -> str:
        """A line a cell, or of what was trained where there is no target; then the notices."""
        lines = [str(each) for each in (*self.cells, *self.trained)]
        return "\n".join([*lines, *(f"note: {notice}" for notice in self.notices)])

    @property
    def failed(self) -> tuple[StageState, ...]:
        """The stages that failed; those that start from them were skipped."""
        return tuple(state for state in self.stages if state.status == "failed")

    def check(self) -> Results:
        """Raises the error of the first stage that failed."""
        for state in self.failed:
            assert state.error is not None
            raise state.error
        return self

    def cell(self, inter: str, target: str, **about: Any) -> CellResult:
        """The result of an intermediate task and a target.

        Args:
            inter: its name, or a cell's label (``none, trained in sw``), where there is one for each language.
            about: of a matrix also ``mode``, ``precision``, ``base``, ``combine`` or ``seed``.

        Raises:
            UnknownNameError: there is none, or several have the name, which the labels tell apart.
        """
        of_target = [
            result
            for result in self.cells
            if result.cell.target == target
            and all(getattr(result.cell, name) == value for name, value in about.items())
        ]
        for name in ("label", "inter"):
            found = [result for result in of_target if getattr(result.cell, name) == inter]
            if len(found) == 1:
                return found[0]
        known = [f"{result.cell.label}, {result.cell.target}" for result in self.cells]
        raise UnknownNameError("cell", f"{inter}, {target}", known)

    def frame(self) -> pandas.DataFrame:
        """A row for each cell, language and metric.

        Columns: inter, target, mode, precision, base, seed, language, metric, value (percent), n (examples), gain (over
        the cell without an intermediate task that was taught alike, in points; NaN where there is none), averaged
        (whether the language counts in the average), trained (the languages of the target's training, e.g. ``en``,
        ``de+sw``), few_shot (e.g. ``sw=32``; empty where there is none), dev (the languages whose dev split chose the
        checkpoint; empty where the last was kept, None where none was chosen), averaged_steps (of how many steps'
        weights it is the mean; None of a checkpoint), split (``test`` or ``dev``).
        """
        import pandas

        rows = [row for result in self.cells for row in self._rows(result)]
        columns = ["inter", "target", "mode", "precision", "base", "seed", "language", "metric", "value"]
        columns += ["n", "gain", "averaged", "trained", "few_shot", "dev", "averaged_steps", "split"]
        return pandas.DataFrame(rows, columns=columns)

    def baseline(self, result: CellResult) -> CellResult | None:
        """The cell without an intermediate task that is otherwise as a cell is; None where there is none."""

        def alike(cell: Cell) -> tuple[Any, ...]:
            return (cell.target, cell.taught, cell.mode, cell.precision, cell.base, cell.seed)

        found = (r for r in self.cells if r.cell.inter == NONE and alike(r.cell) == alike(result.cell))
        return next(found, None)

    def _rows(self, result: CellResult) -> list[dict[str, Any]]:
        if result.metrics is None:
            return []
        cell, outside = result.cell, result.metrics.get("outside", ())
        baseline = self.baseline(result)
        known: Mapping[str, Any] = {}
        if baseline is not None and baseline.metrics is not None:
            known = baseline.metrics["languages"]
        about = {
            name: getattr(cell, name) for name in ("inter", "target", "mode", "precision", "base", "seed")
        }
        return [
            {
                **about,
                "language": language,
                "metric": metric,
                "value": value,
                "n": result.metrics["counts"][language],
                "gain": value - known[language][metric]
                if metric in known.get(language, {})
                else float("nan"),
                "averaged": language not in outside or len(outside) == len(result.metrics["languages"]),
                **_taught(cell),
            }
            for language, metrics in result.metrics["languages"].items()
            for metric, value in metrics.items()
        ]

    def by_inter(self) -> list[dict[str, Any]]:
        """The finished cells as JSON: per intermediate task and way of teaching, its results by target."""
        found: dict[str, dict[str, Any]] = {}
        for result in self.cells:
            cell = result.cell
            group = found.setdefault(
                cell.label,
                {"inter": cell.inter, "label": cell.label, "taught": cell.taught.told, "results": {}},
            )
            if result.metrics is not None:
                group["results"][cell.target] = result.to_json()
        return list(found.values())

    def matrix_json(self, plan: Path | None) -> dict[str, Any]:
        """Of a matrix: its plan's file, its stages, and a row for each cell, whose results are null until they are.

        Args:
            plan: None where the store can only be read.
        """
        return {
            "plan": None if plan is None else str(plan),
            "stages": [state.to_json() for state in self.stages],
            "cells": [
                {
                    **result.cell.about(),
                    "target": result.cell.target,
                    "stage": result.cell.evaluate.key,
                    "results": None if result.metrics is None else result.to_json(),
                }
                for result in self.cells
            ],
        }

    def to_json(self) -> dict[str, Any]:
        """What was asked for, by target; several intermediate tasks as cells; a baseline that was added, apart.

        Where there is no target, the bundles.
        """
        cells = self.by_inter()
        added = {result.cell.inter for result in self.cells if result.cell.added}
        asked = [cell for cell in cells if cell["inter"] not in added]
        found: dict[str, Any] = {
            "benchmark": self.benchmark,
            "stages": [state.to_json() for state in self.stages],
            "results": asked[0]["results"] if asked else {},
        }
        if len(asked) > 1:
            found["cells"] = asked
        baselines = [cell for cell in cells if cell["inter"] in added]
        if baselines:
            found["baseline"] = baselines[0]["results"]
        if len(baselines) > 1:
            found["baselines"] = baselines
        if self.trained:
            found["bundles"] = [trained.to_json() for trained in self.trained]
        return found


def _taught(cell: Cell) -> dict[str, Any]:
    """What a frame says of how a cell's target was taught, chosen and evaluated."""
    shots = [f"{language}={count}" for language, count in cell.taught.few_shot.items()]
    mixed = " mixed" if shots and cell.taught.when == "mixed" else ""
    return {
        "trained": "+".join(cell.taught.languages),
        "few_shot": "+".join(shots) + mixed,
        "dev": None if cell.dev is None else "+".join(cell.dev),
        "averaged_steps": cell.averaged_steps,
        "split": cell.split,
    }
