"""A study: a recipe's plan, run here, and its results. The command line is one caller of it, a notebook another.

study = Study(load_recipe("miniature", [("intermediate.tasks", ["hellaswag"]), ("target.tasks", ["tydiqa"])]))
results = study.run()
results.frame()
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import AdapterStiltsError, StoreError, UnknownNameError
from adapter_stilts.model.backbone import ResolvedBase
from adapter_stilts.recipe import Recipe
from adapter_stilts.runtime import Runtime
from adapter_stilts.stages.cells import Cell
from adapter_stilts.stages.context import Context, Inputs, Machine, build_accelerator, find_base, find_source
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.planning.names import NONE
from adapter_stilts.stages.planning.plan import Plan, plan, plan_evaluation
from adapter_stilts.stages.planning.targets import wanted_languages
from adapter_stilts.stages.record import read_metrics, write_cells
from adapter_stilts.stages.store import Store
from adapter_stilts.stages.watch import Watch
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.sources import Source

if TYPE_CHECKING:
    import pandas

SHOWN = ("outside", "missing", "beside", "levels")
"""Of metrics.json, what stands in a result where there is something of it."""


@dataclass(frozen=True)
class StageState:
    """A stage of a plan, and what became of it.

    Args:
        status: ``to run`` or ``cached``; of a run, ``ran``, ``cached``, ``failed`` or ``skipped`` (a parent failed).
        directory: where it lies, or is going to.
        error: why it failed.
    """

    stage: Stage
    status: str
    directory: Path
    error: AdapterStiltsError | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "key": self.stage.key,
            "kind": self.stage.kind,
            "task": self.stage.task,
            "status": self.status,
            "dir": str(self.directory),
            **({"error": str(self.error)} if self.error else {}),
        }


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

    def to_json(self) -> dict[str, Any]:
        assert self.metrics is not None
        told = {name: self.metrics[name] for name in SHOWN if self.metrics.get(name)}
        scores = {name: self.metrics[name] for name in ("languages", "average")}
        return {**self.cell.about(), **scores, **told}


@dataclass(frozen=True)
class Results:
    """All cells of a run, and its stages.

    Args:
        benchmark: whose languages these are.
        notices: what was told before it ran.
    """

    benchmark: str
    cells: tuple[CellResult, ...]
    stages: tuple[StageState, ...]
    notices: tuple[str, ...] = ()

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

    def cell(self, inter: str, target: str) -> CellResult:
        """The result of an intermediate task and a target. Raises UnknownNameError."""
        for result in self.cells:
            if (result.cell.inter, result.cell.target) == (inter, target):
                return result
        known = [f"{result.cell.inter}, {result.cell.target}" for result in self.cells]
        raise UnknownNameError("cell", f"{inter}, {target}", known)

    def frame(self) -> pandas.DataFrame:
        """A row for each cell, language and metric.

        Columns: inter, target, mode, precision, base, seed, language, metric, value (percent), n (examples), gain (over
        the cell without an intermediate task, in points; NaN where there is none), averaged (whether the language
        counts in the average).
        """
        import pandas

        rows = [row for result in self.cells for row in self._rows(result)]
        columns = ["inter", "target", "mode", "precision", "base", "seed", "language", "metric", "value"]
        return pandas.DataFrame(rows, columns=[*columns, "n", "gain", "averaged"])

    def _rows(self, result: CellResult) -> list[dict[str, Any]]:
        if result.metrics is None:
            return []
        cell, outside = result.cell, result.metrics.get("outside", ())
        baseline = next(
            (r for r in self.cells if (r.cell.inter, r.cell.target) == (NONE, cell.target) and r.metrics),
            None,
        )
        known = {} if baseline is None or baseline.metrics is None else baseline.metrics["languages"]
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
            }
            for language, metrics in result.metrics["languages"].items()
            for metric, value in metrics.items()
        ]

    def by_inter(self) -> list[dict[str, Any]]:
        """The finished cells as JSON: per intermediate task, its results by target."""
        found: dict[str, dict[str, Any]] = {}
        for result in self.cells:
            results = found.setdefault(result.cell.inter, {})
            if result.metrics is not None:
                results[result.cell.target] = result.to_json()
        return [{"inter": inter, "results": results} for inter, results in found.items()]

    def to_json(self) -> dict[str, Any]:
        """What was asked for, by target; several intermediate tasks as cells; a baseline that was added, apart."""
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
        if added:
            found["baseline"] = next(cell["results"] for cell in cells if cell["inter"] in added)
        return found


@dataclass(frozen=True)
class Study:
    """A recipe, and how it is computed.

    Args:
        bundle: folder of a bundle that is evaluated on the recipe's one target; None trains.
        told: notices of how the recipe came about, before those of the plan.
    """

    recipe: Recipe
    runtime: Runtime = field(default_factory=Runtime)
    bundle: Path | None = None
    told: tuple[str, ...] = ()

    @cached_property
    def source(self) -> Source:
        """Where examples come from. Raises UsageError, DataError."""
        return find_source(self.recipe, self.runtime.data, self.runtime.fill_from_hub)

    @cached_property
    def base(self) -> ResolvedBase:
        """The encoder. Raises UsageError, SourceUnavailableError."""
        return find_base(self.recipe.base)

    def plan(self) -> Plan:
        """The stages and cells; nothing is run. Made once.

        Raises:
            UsageError, DataError, BundleError, SourceUnavailableError: what the recipe asks for cannot be.
        """
        return self._plan

    @cached_property
    def _plan(self) -> Plan:
        source = self.source  # a missing data folder is told before the base is looked for
        if self.bundle is not None:
            return plan_evaluation(self.recipe, lambda: self.base, source, self.bundle)
        return plan(self.recipe, lambda: self.base, source)

    @property
    def notices(self) -> tuple[str, ...]:
        """What a user should know before it runs."""
        return (*self.told, *self.plan().notices)

    def states(self) -> tuple[StageState, ...]:
        """Every stage: ``cached`` where the store holds it, else ``to run``."""
        store = Store(self.runtime.store)
        return tuple(
            StageState(stage, "cached" if store.find(stage) else "to run", store.root / stage.name)
            for stage in self.plan().stages
        )

    def run(self, watch: Watch | None = None, check: bool = True) -> Results:
        """Run the stages that the store does not hold.

        A stage that fails keeps those that start from it from running, and no others. An interrupted run goes on from
        its last checkpoint when it is called again, here or by the command line.

        Args:
            watch: is told what happens.
            check: whether to raise where a stage failed, after all others are through; without, `Results.failed` says.

        Raises:
            AdapterStiltsError: the error of the first stage that failed.
            KeyboardInterrupt: the watch asked to stop.
        """
        store = Store(self.runtime.store)
        try:
            states = self._execute(store, watch)
        finally:  # of what is finished, also where the rest was interrupted
            self._keep_names(store, watch)
        results = Results(self.recipe.benchmark, self._collect(store), states, self.notices)
        return results.check() if check else results

    def _execute(self, store: Store, watch: Watch | None) -> tuple[StageState, ...]:
        stages = self.plan().stages
        if all(store.find(stage) for stage in stages):
            # Nothing to run: the answer is in the store, and torch need not be loaded to read it.
            store.sweep()
            for stage in stages:
                store.tidy(stage)
            return tuple(StageState(stage, "cached", store.root / stage.name) for stage in stages)
        from adapter_stilts.io import remove_partials
        from adapter_stilts.model.backbone import load_tokenizer
        from adapter_stilts.stages.data import CachedTokenizer
        from adapter_stilts.stages.executors.local import execute

        watch = Watch() if watch is None else watch
        machine = Machine(build_accelerator(self.runtime), self.runtime, store, watch)
        watch.attached(machine.accelerator, stages)
        if machine.writes:
            remove_partials(self.runtime.cache, ("features/*/*",))
        inputs = Inputs(self.base, self.source, self.plan().bundles, self.plan().texts)
        tokenizer = CachedTokenizer(load_tokenizer(self.base), self.runtime.cache)
        outcomes = execute(stages, Context(inputs, machine, tokenizer))
        machine.accelerator.end_training()
        return tuple(
            StageState(outcome.stage, outcome.status, store.root / outcome.stage.name, outcome.error)
            for outcome in outcomes
        )

    def _keep_names(self, store: Store, watch: Watch | None) -> None:
        """Keep under which names finished evaluations were asked for, which `submit` goes by."""
        try:
            if is_first_process() and any(store.find(cell.evaluate) for cell in self.plan().cells):
                write_cells(store.root, self.plan().cells)
        except StoreError as error:
            if watch is None:
                raise
            watch.say(f"note: `submit --inter` will not know these results by name: {error}")

    def _collect(self, store: Store) -> tuple[CellResult, ...]:
        return tuple(self._result(cell, store) for cell in self.plan().cells)

    def _result(self, cell: Cell, store: Store) -> CellResult:
        directory, parents = store.find(cell.evaluate), cell.evaluate.parents
        bundle = (
            self.bundle if self.bundle is not None or not parents else store.root / parents[0].name / "bundle"
        )
        if directory is None:
            return CellResult(cell, None, store.root / cell.evaluate.name, bundle)
        metrics = read_metrics(directory)
        # The benchmark is not in the stage's key: only languages at hand are, and they may be the same.
        wanted = wanted_languages(get_task(cell.target), self.recipe, self.source)
        missing = [language for language in wanted if language not in metrics["languages"]]
        return CellResult(cell, {**metrics, "missing": missing}, directory, bundle)


def is_first_process() -> bool:
    """Whether this process is the first of its launch (as torchrun and accelerate number them)."""
    return os.environ.get("RANK", "0") == "0"
