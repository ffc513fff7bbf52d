"""A study: a recipe's plan, run here, and its results. The command line is one caller of it, a notebook another.

study = Study(load_recipe("miniature", [("intermediate.tasks", ["hellaswag"]), ("target.tasks", ["tydiqa"])]))
results = study.run()
results.frame()
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from adapter_stilts.errors import StoreError, UsageError
from adapter_stilts.io import remove_partials
from adapter_stilts.model.backbone import ResolvedBase
from adapter_stilts.recipe import Recipe
from adapter_stilts.results import CellResult, Results, Trained
from adapter_stilts.runtime import Runtime, is_first_process
from adapter_stilts.stages.cells import Cell
from adapter_stilts.stages.context import (
    Contexts,
    Machine,
    build_accelerator,
    check_runtime,
    find_base,
    find_source,
)
from adapter_stilts.stages.executors import Executor
from adapter_stilts.stages.graph import KEY_DIGITS, Stage
from adapter_stilts.stages.parts import TrainPart, tasks_of
from adapter_stilts.stages.planning.plan import Plan, plan, plan_evaluation
from adapter_stilts.stages.planning.several import LeftOut, plan_several
from adapter_stilts.stages.planning.targets import wanted_languages
from adapter_stilts.stages.plans import PlanFile, mark_latest, plan_path, write_plan
from adapter_stilts.stages.record import read_metrics, read_stage
from adapter_stilts.stages.states import StageState
from adapter_stilts.stages.store import Store
from adapter_stilts.stages.watch import Watch
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.sources import Source
from adapter_stilts.validation import validated

__all__ = ["CellResult", "Results", "StageState", "Study", "Trained"]


@dataclass(frozen=True)
class Study:
    """A recipe, or those of a matrix, and how it is computed.

    Args:
        bundle: folder of a bundle that is evaluated on the recipe's one target; None trains.
        told: notices of how the recipe came about, before those of the plan.
        further: recipes whose cells stand in the same plan, of the same benchmark and data.
        left_out: takes the cells that cannot be; None, and the first of them ends planning.
    """

    recipe: Recipe
    runtime: Runtime = field(default_factory=Runtime)
    bundle: Path | None = None
    told: tuple[str, ...] = ()
    further: tuple[Recipe, ...] = ()
    left_out: LeftOut | None = None

    @classmethod
    def load(cls, plan: PlanFile, runtime: Runtime) -> Study:
        """The study of a plan file, to be gone on with from the directory that it was made in.

        Args:
            runtime: where data lie is taken from the plan.

        Raises:
            StoreError: an older version wrote it, which kept the names of cells alone.
            UsageError, DataError: it names what is no longer there.
        """
        from adapter_stilts.tasks import add_files

        if not plan.recipes:
            raise StoreError(
                f"{plan.path} was written by a version that kept no recipes: run the command that made it again"
            )
        add_files(plan.inputs["tasks"])
        first, *further = (validated(Recipe, values, where=f"{plan.path}: recipe") for values in plan.recipes)
        inputs = {name: plan.inputs[name] for name in ("data", "fill_from_hub")}
        bundle = None if plan.bundle is None else Path(plan.bundle)
        # Cells that were left out are no part of the plan, and left out again.
        return cls(first, replace(runtime, **inputs), bundle, (), tuple(further), LeftOut())

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """All recipes; one, where it is no matrix."""
        return (self.recipe, *self.further)

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
        if self.left_out is None:
            return plan(self.recipe, lambda: self.base, source)
        return plan_several(self.recipes, find_base, source, self.left_out)

    @property
    def notices(self) -> tuple[str, ...]:
        """What a user should know before it runs."""
        planned = self.plan().notices
        return (*self.told, *planned, *(self.left_out.notices if self.left_out is not None else ()))

    def save(self) -> Path:
        """Keep the plan in the store, for other processes and for who asks what the store is for; returns its file.

        Raises:
            StoreError: the store cannot be written, or was exported without it or some of its stages.
        """
        return self._saved

    @cached_property
    def _saved(self) -> Path:
        from adapter_stilts.tasks import added_files

        used = {task for stage in self.plan().stages for task in tasks_of(stage)}
        used |= {cell.target for cell in self.plan().cells}
        inputs = {
            "directory": os.getcwd(),
            "data": self.runtime.data,
            "fill_from_hub": self.runtime.fill_from_hub,
            "tasks": added_files(used),
        }
        recipes = [recipe.model_dump(mode="json", exclude_unset=True) for recipe in self.recipes]
        plan, store = self.plan(), Store(self.runtime.store)
        if store.exported:  # it stays as it was sealed
            path = plan_path(store.root, plan, recipes, self.bundle)
            if not path.is_file() or not all(store.has(stage) for stage in plan.stages):
                store.refuse()
            return path
        path = write_plan(store.root, plan, recipes, self.bundle, inputs)
        store.publish_plan(path)
        return path

    def check(self, here: bool) -> None:
        """Refuse a device or a tracker that is none, before anything is written.

        Args:
            here: whether stages run on this machine: then also those are refused that it lacks.

        Raises:
            UsageError: no such device or tracker, or no such time between checkpoints.
        """
        check_runtime(self.runtime, here)

    def states(self) -> tuple[StageState, ...]:
        """Every stage: ``cached`` where the store holds it, else ``to run``."""
        store = Store(self.runtime.store)
        return tuple(
            StageState(stage, "cached" if store.has(stage) else "to run", store.root / stage.name)
            for stage in self.plan().stages
        )

    def finished(self) -> Results:
        """What the store holds of it; nothing is run, and nothing is written."""
        store = Store(self.runtime.store)
        return Results(
            self.recipe.benchmark, self._collect(store), self.states(), self.notices, self._trained(store)
        )

    def run(
        self, watch: Watch | None = None, check: bool = True, executor: Executor | None = None
    ) -> Results:
        """Run the stages that the store does not hold.

        A stage that fails keeps those that start from it from running, and no others. An interrupted run goes on from
        its last checkpoint when it is called again, here or by the command line.

        Args:
            watch: is told what happens.
            check: whether to raise where a stage failed, after all others are through; without, `Results.failed` says.
            executor: where the stages run; None is this process.

        Raises:
            AdapterStiltsError: the error of the first stage that failed.
            KeyboardInterrupt: the watch asked to stop.
        """
        store = Store(self.runtime.store)
        watch = Watch() if watch is None else watch
        states = self._execute(store, watch, executor)
        results = Results(
            self.recipe.benchmark, self._collect(store), states, self.notices, self._trained(store)
        )
        return results.check() if check else results

    def _execute(self, store: Store, watch: Watch, executor: Executor | None) -> tuple[StageState, ...]:
        stages = self.plan().stages
        if all(store.has(stage) for stage in stages):
            # Nothing to run: the answer is in the store, and torch need not be loaded to read it.
            if not store.exported:  # that stays as it was sealed
                self._keep_plan(watch)
                store.sweep()
                for stage in stages:
                    store.tidy(stage)
            return tuple(StageState(stage, "cached", store.root / stage.name) for stage in stages)
        self.check(here=executor is None or executor.here)
        store.open()
        saved = None
        if is_first_process():
            saved = self.save()
            mark_latest(saved)
            remove_partials(self.runtime.cache, ("features/*/*",))
        if executor is not None and saved is not None:
            return executor.execute(saved, stages, self.runtime, watch)
        from adapter_stilts.stages.executors.local import execute

        contexts, machine = self.contexts(watch)
        states = execute(stages, contexts, machine)
        machine.accelerator.end_training()
        return states

    def run_stage(self, key: str, watch: Watch | None = None) -> StageState:
        """Run one stage of the plan, if the store does not hold it; waits while another process works on it.

        Raises:
            UsageError: a stage that it starts from is not finished.
            StoreError: the plan has no such stage any more.
        """
        stage = self.stage(key)
        store = Store(self.runtime.store)
        waiting = [parent for parent in stage.parents if not store.has(parent)]
        if waiting and not store.has(stage):
            names = ", ".join(parent.name for parent in waiting)
            raise UsageError(
                f"{stage.name} starts from {names}, which the store {store.root} lacks: run that first"
            )
        from adapter_stilts.stages.executors.attempt import attempt

        store.open()
        watch = Watch() if watch is None else watch
        contexts, machine = self.contexts(watch)
        began = time.perf_counter()
        watch.started(stage, 1, 1)
        state = attempt(stage, contexts(stage), wait=True)
        assert state is not None
        watch.finished(stage, state.status, time.perf_counter() - began)
        machine.accelerator.end_training()
        return state

    def stage(self, key: str) -> Stage:
        """The stage with a key. Raises StoreError where the recipes no longer make one."""
        for stage in self.plan().stages:
            if stage.key == key:
                return stage
        raise StoreError(
            f"the recipes of the plan no longer make a stage {key[:KEY_DIGITS]}: data, encoder or version are others "
            "than they were; run the command that made the plan again"
        )

    def contexts(self, watch: Watch) -> tuple[Contexts, Machine]:
        """What each stage runs with in this process, and the machine they share."""
        planned = self.plan()
        machine = Machine(build_accelerator(self.runtime), self.runtime, Store(self.runtime.store), watch)
        watch.attached(machine.accelerator, planned.stages)
        return Contexts(planned.bases, self.source, planned.bundles, planned.texts, machine), machine

    def _keep_plan(self, watch: Watch) -> None:
        """Keep under which names finished evaluations were asked for, which `submit` goes by."""
        try:
            if is_first_process():
                self.save()
        except StoreError as error:
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
