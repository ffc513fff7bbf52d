"""From a recipe to a plan: the stages of all its cells, equal ones once.

A cell is one intermediate task (or none) and one target. Its chain is base → train(intermediate) →
train(target's train task) → evaluate(target); retrieval has no target training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from adapter_stilts.errors import BundleError, DataError, UnknownNameError, UsageError
from adapter_stilts.evaluation.judging import beside
from adapter_stilts.formats import format_names, get_format
from adapter_stilts.formats.base import FormatSettings
from adapter_stilts.hub.address import address_of
from adapter_stilts.model.backbone import ResolvedBase
from adapter_stilts.model.bundle import bundle_digest, read_bundle
from adapter_stilts.model.combinations import WAYS
from adapter_stilts.model.merge import Merge, equal_weights
from adapter_stilts.model.pooler import check_pooler
from adapter_stilts.model.tuning import check_installed, get_tuning, tuning_settings
from adapter_stilts.recipe import MINIATURE, Intermediate, Recipe, Target, TrainingSettings, validated
from adapter_stilts.stages.cells import Cell, Limits
from adapter_stilts.stages.graph import Stage, in_order
from adapter_stilts.stages.intermediate import NONE, lay_out, robust_part
from adapter_stilts.stages.targets import expanded, miniature_notice, wanted_languages
from adapter_stilts.tasks import all_tasks, get_task
from adapter_stilts.tasks.base import Task
from adapter_stilts.tasks.groups import ALL, TEXTS, UNIONS
from adapter_stilts.tasks.rows import check_options
from adapter_stilts.tasks.sources import Source
from adapter_stilts.tasks.text import TextSource


@dataclass(frozen=True)
class Plan:
    """All cells of a recipe.

    Args:
        notices: what a user should know before it runs (languages the data lack, a missing dev split).
        bundles: folders of bundles that stages start from, by their digest in the stage's part.
        texts: text that stages train on, by name (``mlm``, ``tlm``).
    """

    cells: tuple[Cell, ...]
    notices: tuple[str, ...]
    bundles: Mapping[str, Path] = field(default_factory=dict)
    texts: Mapping[str, TextSource] = field(default_factory=dict)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Every stage once, parents first."""
        return in_order(tuple(cell.evaluate for cell in self.cells))


def plan(recipe: Recipe, resolve: Callable[[], ResolvedBase], source: Source) -> Plan:
    """Resolve everything a result depends on and lay out the stages.

    Args:
        resolve: finds the base; called last, so that a misspelt task is told before the network is asked.

    Raises:
        UsageError: an unknown task, language or option, or tasks that do not fit together.
        DataError, SourceUnavailableError: the data are not there.
    """
    return _Planner(recipe, resolve, source).plan()


def plan_evaluation(
    recipe: Recipe, resolve: Callable[[], ResolvedBase], source: Source, bundle: Path
) -> Plan:
    """The plan of evaluating a bundle on the recipe's one target.

    Args:
        resolve: finds the bundle's own encoder.

    Raises:
        BundleError: the bundle is damaged, or has no head for the target.
    """
    info = read_bundle(bundle)
    check_installed(info.tuning)
    planner = _Planner(recipe, resolve, source)
    target = planner.target(recipe.target.tasks[0])
    if target.train_task is not None and not info.answers(target.format, target.labels):
        fitting = [task.name for task in all_tasks() if task.role == "target" and task.train_task is None]
        fitting += [t.name for t in all_tasks() if info.answers(t.format, t.labels)]
        raise BundleError(
            f"{bundle} was trained on {info.task!r} ({info.format}); its head cannot answer {target.name!r} "
            f"({target.format}). Targets it can be evaluated on: "
            f"{', '.join(sorted({name for name in fitting if get_task(name).role == 'target'}))}"
        )
    digest = bundle_digest(bundle)
    stage = planner.evaluate(target, planner.languages([target])[target.name], (), {"bundle": digest})
    training, seed = info.settings.get("training"), info.settings.get("seed")
    limits = Limits(
        None, training.get("limit_train") if isinstance(training, dict) else None, recipe.evaluation.limit
    )
    cell = Cell(
        address_of(bundle), target.name, stage, info.tuning, recipe.precision, info.base, seed, limits
    )
    return Plan((cell,), tuple(planner.notices), {digest: bundle})


class _Planner:
    def __init__(self, recipe: Recipe, resolve: Callable[[], ResolvedBase], source: Source) -> None:
        self.recipe, self.source = recipe, source
        self._resolve = resolve
        self.notices: dict[str, None] = {}
        self.texts: dict[str, TextSource] = {}
        self.bundles: dict[str, Path] = {}
        self._with_pooler: set[str] = set()

    @cached_property
    def base(self) -> ResolvedBase:
        return self._resolve()

    @cached_property
    def tuning_part(self) -> dict[str, Any]:
        """What the mode's settings put into a stage's key."""
        return tuning_settings(self.recipe.mode, self.recipe.tuning).part()

    def plan(self) -> Plan:
        recipe = self.recipe
        for name in recipe.formats:
            if name not in format_names():
                raise UnknownNameError("recipe key formats", name, format_names())
        for name, chosen in recipe.options.items():
            check_options(get_task(name), chosen)
        if not recipe.target.tasks:
            choices = ", ".join(task.name for task in all_tasks() if task.role == "target")
            raise UsageError(f"no target task: name one or several with --target, or all. Choices: {choices}")
        own = tuning_settings(recipe.mode, recipe.tuning)
        check_installed(recipe.mode)
        get_tuning(recipe.mode).backbone_weights(own, recipe.precision)
        names = recipe.intermediate.tasks
        if recipe.intermediate.baseline and NONE not in names:
            names = (NONE, *names)
        inters = {name: lay_out(self, name) for name in names}
        targets = [self.target(name) for name in expanded(recipe, self.source, self.notice)]
        languages = self.languages(targets)
        cells = []
        together = recipe.frozen_under
        starts = inters if recipe.combine == "continue" else self._combined(inters)
        for inter_name, parents in starts.items():
            for target in targets:
                limits = Limits(
                    recipe.intermediate.limit_train if parents else None,
                    recipe.target.limit_train if target.train_task is not None else None,
                    recipe.evaluation.limit,
                )
                trained = parents
                if target.train_task is not None:
                    how = together if parents else None
                    trained = (self.train(self._train_task(target), recipe.target, parents, how),)
                elif together and parents:
                    named, instead = f"--combine {together}", "merge:linear"
                    if recipe.combine != together:
                        named, instead = f"merge.then = {together!r}", recipe.combine
                    raise UsageError(
                        f"{named} is trained on the target, and {target.name!r} trains nothing: --combine {instead} "
                        "alone needs no training"
                    )
                stage = self.evaluate(target, languages[target.name], trained)
                about = (recipe.mode, recipe.precision, recipe.base.id, recipe.seed, limits)
                added = inter_name == NONE and NONE not in recipe.intermediate.tasks
                cells.append(Cell(inter_name, target.name, stage, *about, added))
        return Plan(tuple(cells), tuple(self.notices), self.bundles, self.texts)

    def _combined(self, starts: Mapping[str, tuple[Stage, ...]]) -> dict[str, tuple[Stage, ...]]:
        """All intermediate tasks as one start, beside the baseline where that is asked for."""
        alone: dict[str, tuple[Stage, ...]] = {name: () for name in starts if name == NONE}
        kind, _, method = self.recipe.combine.partition(":")
        if kind not in WAYS or (method and kind != "merge"):
            raise UnknownNameError("way to combine", self.recipe.combine, WAYS, "As in merge:ties.")
        parents = tuple(stage for stages in starts.values() for stage in stages)
        names = [name for name, stages in starts.items() if stages]
        least = 1 if kind == "stack" else 2
        if len(parents) < least:
            raise UsageError(
                f"--combine {self.recipe.combine} takes {least} or more intermediate tasks, e.g. --inter mnli --inter "
                f"squad_v1; got {', '.join(names) or 'none'}"
            )
        own, tuning = tuning_settings(self.recipe.mode, self.recipe.tuning), get_tuning(self.recipe.mode)
        if self.recipe.frozen_under is not None:
            tuning.check_combine(self.recipe.frozen_under, own)
        if any(stage.kind == "fetch" for stage in parents):
            fetched = [self.bundles.get(stage.part.get("bundle", "")) for stage in parents]
            tuning.check_bundles(kind, fetched, own, self.base.config)
        if kind != "merge":
            return {**alone, f"{kind} of {', '.join(names)}": parents}
        settings = self.recipe.merge
        weights = settings.weights or equal_weights(len(parents))
        if len(weights) != len(parents):
            raise UsageError(
                f"merge.weights names {len(weights)} weights for {len(parents)} intermediate tasks"
            )
        how = Merge(method or "linear", weights, settings.density, settings.rank, self.recipe.seed)
        tuning.check_merge(how)
        if not how.has_mean:
            self.notice(
                f"merge.weights sum to {sum(weights):g}: the merge has no head, as heads have no such mean; a target's "
                "training makes its own"
            )
        part = {"base": self.base.fingerprint, "mode": self.recipe.mode, "merge": how.settings()}
        merged = Stage("compose", "+".join(stage.task for stage in parents), part, parents)
        stacked = ", under a stack" if settings.then == "stack" else ""
        return {**alone, f"{how.method} of {', '.join(names)}{stacked}": (merged,)}

    def intermediate_task(self, name: str) -> Task:
        """A task that may be trained on first: it has a train split of its own. Raises UnknownNameError."""
        extra = (NONE, ALL, *UNIONS, *TEXTS)
        return _known_task(name, "intermediate task", extra, lambda task: task.train_task == task.name)

    def target(self, name: str) -> Task:
        return _known_task(name, "target task", (ALL,), lambda task: task.role == "target")

    def _train_task(self, target: Task) -> Task:
        name = self.recipe.target.train_task or target.train_task
        assert name is not None
        task = get_task(name)
        if task.format != target.format or task.labels != target.labels:
            fitting = [t.name for t in _same_head(target)]
            raise UsageError(
                f"target.train_task = {name!r} cannot train {target.name!r}: another format or label set. "
                f"Choices: {', '.join(fitting)}"
            )
        return self.trainable(task, target)

    def trainable(self, task: Task, target: Task | None = None) -> Task:
        """The task, if its English train split is at hand. Raises DataError."""
        if "en" in self.source.languages(task, "train"):
            return task
        message = f"holds no English train split of {task.name!r}"
        others = [t.name for t in _same_head(target or task) if "en" in self.source.languages(t, "train")]
        if target is not None and others:
            trains = f", which trains {target.name!r}" if target.name != task.name else ""
            message += f"{trains}; it holds {', '.join(others)}: --set target.train_task={others[0]}"
        else:
            message += f"; get it ({task.dataset}), or leave out --data to read the hub"
        raise DataError(self.source.place, None, message)

    def languages(self, targets: list[Task]) -> dict[str, tuple[str, ...]]:
        asked = self.recipe.evaluation.languages
        told = miniature_notice(self.recipe, self.source)
        if told:
            self.notice(told)
        known = dict.fromkeys(language for task in targets for language in self.source.offered(task))
        for language in asked or ():
            if language not in known and not any(self.source.further(task, language) for task in targets):
                names = ", ".join(task.name for task in targets)
                hint = "The miniature's languages are constructed." if self.source.levels else ""
                raise UnknownNameError(f"language of {names}", language, known, hint)
        return {task.name: self._languages_of(task, asked) for task in targets}

    def _languages_of(self, task: Task, asked: tuple[str, ...] | None) -> tuple[str, ...]:
        held = self.source.languages(task, "test")
        wanted = wanted_languages(task, self.recipe, self.source)
        if asked is not None:
            # Whichever benchmark has them: what is asked for by name counts.
            further = tuple(language for language in asked if self.source.further(task, language))
            wanted = (*(each for each in self.source.offered(task) if each in asked), *further)
            held += further
            if further:
                self.notice(
                    f"{task.name}: {', '.join(further)} in no benchmark: evaluated, and no part of the average"
                )
        absent = [language for language in wanted if language not in held]
        found = tuple(language for language in wanted if language in held)
        if absent and asked is not None:
            raise DataError(
                self.source.place,
                None,
                f"holds no {task.name} test split in {', '.join(absent)}; it holds {', '.join(held) or 'none'}",
            )
        if not found:
            raise DataError(
                self.source.place, None, f"holds no test split of {task.name!r} in any of its languages"
            )
        if absent:
            self.notice(
                f"{task.name}: {len(found)} of {len(wanted)} languages are at hand and averaged; "
                f"missing: {', '.join(absent)}"
            )
        return found

    def train(
        self,
        task: Task,
        settings: Intermediate | Target,
        parents: tuple[Stage, ...],
        combine: str | None = None,
    ) -> Stage:
        """The stage that trains one task in English.

        Args:
            combine: ``stack`` or ``fuse``: how it takes its parents' modules together.
        """
        options = dict(self.recipe.options.get(task.name, {}))
        has_dev = self.has_dev(task)
        part = {
            **self._common(task, options, trains=True),
            **self.trained(settings),
            **({"combine": combine} if combine else {}),
            # A key of their own: such stages once took one adapter of several.
            **({"nested": True} if combine and any(map(self._is_composition, parents)) else {}),
            **robust_part(settings.robust, [task], task.name),
            "data": {
                split: self.source.fingerprint(task, split, "en", options)
                for split in (("train", "dev") if has_dev else ("train",))
            },
        }
        return Stage("train", task.name, part, parents)

    def _is_composition(self, stage: Stage) -> bool:
        """Whether a stage brings several adapters in one bundle."""
        from adapter_stilts.model.tuning.libraries.adapterhub_files import SETUP

        return stage.kind == "fetch" and (self.bundles[stage.part["bundle"]] / SETUP).is_file()

    def trained(self, settings: TrainingSettings) -> dict[str, Any]:
        """What every train stage's part says of how it trains."""
        training = TrainingSettings.model_validate(
            {name: getattr(settings, name) for name in TrainingSettings.model_fields}
        )
        return {
            "mode": self.recipe.mode,
            **({"tuning": self.tuning_part} if self.tuning_part else {}),
            "optimizer": self.recipe.optimizer,
            "gradient_checkpointing": self.recipe.gradient_checkpointing,
            "seed": self.recipe.seed,
            "training": training.model_dump(mode="json"),
        }

    def has_dev(self, task: Task) -> bool:
        """Whether there is an English dev split; says so where there is none."""
        found = "en" in self.source.languages(task, "dev")
        if not found:
            self.notice(f"{task.name}: no English dev split at hand; the last weights are kept, not the best")
        return found

    def evaluate(
        self,
        task: Task,
        languages: tuple[str, ...],
        parents: tuple[Stage, ...],
        extra: Mapping[str, Any] = MappingProxyType({}),
    ) -> Stage:
        options = dict(self.recipe.options.get(task.name, {}))
        held = self.source.languages(task, "test")
        others = beside(task, languages, held)
        absent = [language for language in task.languages if language not in held]
        if absent and any(split == "test" for split, _ in others):
            self.notice(f"{task.name}: the pool that is searched lacks the candidates of {', '.join(absent)}")
        part = {
            **self._common(task, options, trains=False),
            **extra,
            "limit": self.recipe.evaluation.limit,
            "data": {
                language: self.source.fingerprint(task, "test", language, options) for language in languages
            },
        }
        if others:
            part["beside"] = {
                f"{split}/{language}": self.source.fingerprint(task, split, language, options)
                for split, language in others
            }
        return Stage("evaluate", task.name, part, parents)

    def _common(self, task: Task, options: Mapping[str, str], trains: bool) -> dict[str, Any]:
        read = self.read(task, options, trains)
        return {"base": self.base.fingerprint, "precision": self.recipe.precision, **read}

    def read(self, task: Task, options: Mapping[str, str], trains: bool) -> dict[str, Any]:
        """How a task's rows become features and, where a stage trains, what its new head is."""
        defaults = {name: values[0] for name, values in task.options.items()}
        encoded = get_format(task.format).SCHEMA
        return {
            "format": self.fitting(task.format, trains),
            # Rows that are encoded otherwise train and score otherwise.
            **({"encoding": encoded} if encoded > 1 else {}),
            "options": {**defaults, **options},
        }

    def fitting(self, format_name: str, trains: bool) -> dict[str, Any]:
        """A format's settings, as they are part of a stage that trains or not.

        Raises UsageError where the encoder has no positions for them, or no pooler.
        """
        settings = format_settings(self.recipe, format_name)
        room = self.base.max_length
        max_length = settings.model_dump().get("max_length", 0)
        if room is not None and max_length > room:
            step = f"--set formats.{format_name}.max_length={room}"
            if self.base.id == MINIATURE and self.recipe.data != MINIATURE:
                step = "--recipe miniature"
            raise UsageError(
                f"formats.{format_name}.max_length = {max_length}: {self.base.id} has positions for {room} tokens; "
                f"{step}"
            )
        part = settings.part()
        if trains and part.get("pooler") and format_name not in self._with_pooler:
            check_pooler(self.base.config, self.base.id, f"formats.{format_name}.pooler")
            self._with_pooler.add(format_name)
        return part if trains else settings.reading()

    def notice(self, message: str) -> None:
        self.notices[message] = None


def format_settings(recipe: Recipe, name: str) -> FormatSettings:
    """A format's settings: its defaults under the recipe's values. Raises UsageError."""
    values = {key: None if value == "none" else value for key, value in recipe.formats.get(name, {}).items()}
    return validated(get_format(name).Settings, values, where=f"formats.{name}")


def _known_task(name: str, kind: str, extra: tuple[str, ...], wanted: Any) -> Task:
    choices = [task.name for task in all_tasks() if wanted(task)]
    if name in choices:
        return get_task(name)
    known = {task.name for task in all_tasks()}
    hint = "`adapter-stilts tasks` lists all."
    if name in known and get_task(name).role == "intermediate":
        hint = f"{name!r} is trained on, not evaluated: --inter {name}."
    elif name in known:
        hint = f"{name!r} has no train set of its own; it is evaluated: --target {name}."
    raise UnknownNameError(kind, name, [*extra, *choices], hint)


def _same_head(task: Task) -> list[Task]:
    """Tasks whose head fits: the same format and label set."""
    return [
        other
        for other in all_tasks()
        if other.format == task.format and other.labels == task.labels and other.train_task in (None, other.name)
        and (other.role == "intermediate" or other.train_task is not None)
    ]  # fmt: skip
