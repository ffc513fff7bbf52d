"""What `train` does between its flags and its table: plan, execute, collect, show."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from adapter_stilts.cli import show
from adapter_stilts.cli.terminal import say, say_json
from adapter_stilts.errors import StoreError, UsageError
from adapter_stilts.evaluation.membership import BENCHMARKS
from adapter_stilts.model.backbone import ResolvedBase, resolve_base
from adapter_stilts.recipe import MINIATURE, Base, Recipe
from adapter_stilts.runtime import Runtime
from adapter_stilts.stages.cells import write_cells
from adapter_stilts.stages.plan import Plan, plan, plan_evaluation
from adapter_stilts.stages.store import Store
from adapter_stilts.stages.targets import wanted_languages
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.sources import Source, open_source


@dataclass(frozen=True)
class Session:
    """One `train` or `evaluate` command.

    Args:
        bundle: what `evaluate` evaluates; None trains.
        told: what to say before all else.
    """

    recipe: Recipe
    runtime: Runtime
    as_json: bool
    bundle: Path | None = None
    told: str | None = None

    @cached_property
    def source(self) -> Source:
        if self.recipe.data == "real":
            return open_source(self.runtime.data)
        if self.runtime.data is not None:
            raise UsageError(
                f'--data {self.runtime.data}: the recipe generates its data (data = "miniature"); leave out --data, or '
                "read the folder with --set data=real"
            )
        from adapter_stilts.miniature import MiniatureSource

        return MiniatureSource()

    @cached_property
    def plan(self) -> Plan:
        source = self.source  # a missing data folder is told before the base is looked for
        if self.bundle is not None:
            return plan_evaluation(self.recipe, lambda: self.base, source, self.bundle)
        return plan(self.recipe, lambda: self.base, source)

    @cached_property
    def base(self) -> ResolvedBase:
        return find_base(self.recipe.base)

    def show_plan(self) -> int:
        """Print the stages, and which of them the store holds."""
        store = Store(self.runtime.store)
        stages = [
            {
                "key": stage.key,
                "kind": stage.kind,
                "task": stage.task,
                "status": "cached" if store.find(stage) else "to run",
                "dir": str(store.root / stage.name),
            }
            for stage in self.plan.stages
        ]
        self._notices()
        if not _prints():
            return 0
        if self.as_json:
            say_json({"stages": stages})
        else:
            show.stages(stages)
        return 0

    def run(self) -> int:
        """Run what is missing, print the results; 1 where a stage failed."""
        store = Store(self.runtime.store)
        self._notices()
        try:
            outcomes = self._execute(store)
        finally:  # of what is finished, also where the rest was interrupted
            self._keep_names(store)
        if outcomes is None:  # not the main process of its launch
            return 0
        stages = [
            {
                "key": outcome.stage.key,
                "kind": outcome.stage.kind,
                "task": outcome.stage.task,
                "status": outcome.status,
                "dir": str(store.root / outcome.stage.name),
                **({"error": str(outcome.error)} if outcome.error else {}),
            }
            for outcome in outcomes
        ]
        cells = self._cells(store)
        if self.as_json:
            value = {"benchmark": self.recipe.benchmark, "stages": stages, **self._results(cells)}
            say_json(value)
        else:
            show.results(cells, None if self.source.levels else BENCHMARKS[self.recipe.benchmark])
        failed = [outcome for outcome in outcomes if outcome.status == "failed"]
        codes = [outcome.error.exit_code for outcome in failed if outcome.error is not None]
        return max(codes, default=0)

    def _keep_names(self, store: Store) -> None:
        """Under which names finished evaluations were asked for, which `submit` goes by."""
        try:
            if _prints() and any(store.find(cell.evaluate) for cell in self.plan.cells):
                write_cells(store.root, self.plan.cells)
        except StoreError as error:
            say(f"note: `submit --inter` will not know these results by name: {error}", err=True)

    def _results(self, cells: list[dict[str, Any]]) -> dict[str, Any]:
        """What was asked for, by target; several intermediate tasks as cells; a baseline that was added, apart."""
        added = {cell.inter for cell in self.plan.cells if cell.added}
        asked = [cell for cell in cells if cell["inter"] not in added]
        found: dict[str, Any] = {"results": asked[0]["results"] if asked else {}}
        if len(asked) > 1:
            found["cells"] = asked
        if added:
            found["baseline"] = next(cell["results"] for cell in cells if cell["inter"] in added)
        return found

    def _execute(self, store: Store) -> Any:
        if all(store.find(stage) for stage in self.plan.stages):
            # Nothing to run: the answer is in the store, and torch need not be loaded to read it.
            store.sweep()
            for stage in self.plan.stages:
                store.tidy(stage)
            return [_Cached(stage) for stage in self.plan.stages] if _prints() else None
        from adapter_stilts.cli.execute import execute_plan

        return execute_plan(self.plan, self.base, self.runtime, self.source, store)

    def _cells(self, store: Store) -> list[dict[str, Any]]:
        """Per intermediate task: its results by target, as far as they are there."""
        cells: dict[str, dict[str, Any]] = {}
        for cell in self.plan.cells:
            results = cells.setdefault(cell.inter, {})
            directory = store.find(cell.evaluate)
            if directory is not None:
                metrics = json.loads((directory / "metrics.json").read_text(encoding="utf-8"))
                # The benchmark is not in the stage's key: only languages at hand are, and they may be the same.
                wanted = wanted_languages(get_task(cell.target), self.recipe, self.source)
                missing = [language for language in wanted if language not in metrics["languages"]]
                results[cell.target] = {**cell.about(), **_result({**metrics, "missing": missing})}
        return [{"inter": inter, "results": results} for inter, results in cells.items()]

    def _notices(self) -> None:
        notices = (self.told, *self.plan.notices) if self.told else self.plan.notices
        for notice in notices if _prints() else ():
            say(f"note: {notice}", err=True)


def find_base(base: Base) -> ResolvedBase:
    """A base of a recipe or a bundle: a folder, a hub id, or the miniature's, which is made where it is missing."""
    if base.id != MINIATURE:
        return resolve_base(base)
    from adapter_stilts.miniature.pretrained import encoder_folder

    return replace(resolve_base(Base(id=str(encoder_folder()))), id=MINIATURE)


def _prints() -> bool:
    """False in a process that is not the first of its launch (as torchrun and accelerate number them)."""
    return os.environ.get("RANK", "0") == "0"


@dataclass(frozen=True)
class _Cached:
    stage: Any
    status: str = "cached"
    error: None = None


def _result(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: metrics[name]
        for name in ("languages", "average", "outside", "missing", "beside", "levels")
        if name in ("languages", "average") or metrics.get(name)
    }
