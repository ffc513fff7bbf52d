"""A study: a recipe's plan, run here, and its results. The command line is one caller of it, a notebook another.

study = Study(load_recipe("miniature", [("intermediate.tasks", ["hellaswag"]), ("target.tasks", ["tydiqa"])]))
results = study.run()
results.frame()
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from adapter_stilts.errors import StoreError
from adapter_stilts.model.backbone import ResolvedBase
from adapter_stilts.recipe import Recipe
from adapter_stilts.results import CellResult, Results, Trained
from adapter_stilts.runtime import Runtime, is_first_process
from adapter_stilts.stages.cells import Cell
from adapter_stilts.stages.context import Context, Inputs, Machine, build_accelerator, find_base, find_source
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.parts import TrainPart
from adapter_stilts.stages.planning.plan import Plan, plan, plan_evaluation
from adapter_stilts.stages.planning.targets import wanted_languages
from adapter_stilts.stages.record import read_metrics, read_stage, write_cells
from adapter_stilts.stages.states import StageState
from adapter_stilts.stages.store import Store
from adapter_stilts.stages.watch import Watch
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.sources import Source

__all__ = ["CellResult", "Results", "StageState", "Study", "Trained"]


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
        results = Results(
            self.recipe.benchmark, self._collect(store), states, self.notices, self._trained(store)
        )
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
        states = execute(stages, Context(inputs, machine, tokenizer))
        machine.accelerator.end_training()
        return states

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

    def _trained(self, store: Store) -> tuple[Trained, ...]:
        """What was trained of a plan without cells."""
        return tuple(self._end(inter, stage, store) for inter, stage in self.plan().ends.items())

    def _end(self, inter: str, stage: Stage, store: Store) -> Trained:
        directory = store.find(stage)
        dev = None if directory is None else read_stage(directory).get("dev", {})
        languages = stage.part.dev_languages if isinstance(stage.part, TrainPart) else ()
        return Trained(inter, stage.task, store.root / stage.name / "bundle", dev, languages)

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
