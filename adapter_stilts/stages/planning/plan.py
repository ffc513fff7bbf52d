"""From a recipe to a plan: the stages of all its cells, equal ones once.

A cell is one intermediate task (or none), one target and the languages it is trained in. Its chain is base →
train(intermediate) → train(target's train task) → evaluate(target); retrieval has no target training, and a few
examples of another language may be trained on after it. Without a target the intermediate stages stand alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from adapter_stilts.errors import AdapterStiltsError, BundleError, UnknownNameError, UsageError
from adapter_stilts.formats import format_names
from adapter_stilts.hub.address import address_of
from adapter_stilts.model.backbone import ResolvedBase
from adapter_stilts.model.bundle import bundle_digest, check_base, read_bundle
from adapter_stilts.model.bundle_info import NO_HEAD, BundleInfo
from adapter_stilts.model.tuning import check_installed, get_tuning
from adapter_stilts.recipe import Recipe
from adapter_stilts.stages.cells import Cell, Limits, Taught, taught_by
from adapter_stilts.stages.graph import Stage, in_order
from adapter_stilts.stages.parts import FetchPart, TrainPart
from adapter_stilts.stages.planning.combining import plan_combination
from adapter_stilts.stages.planning.declared import looked_at
from adapter_stilts.stages.planning.evaluating import evaluation_languages, plan_evaluating
from adapter_stilts.stages.planning.intermediate import entries, plan_intermediate
from adapter_stilts.stages.planning.names import NONE, target_task
from adapter_stilts.stages.planning.request import Added, Request, together
from adapter_stilts.stages.planning.targets import expanded
from adapter_stilts.stages.planning.teaching import plan_teaching, teachings
from adapter_stilts.stages.titles import titles_of
from adapter_stilts.tasks import all_tasks, get_task
from adapter_stilts.tasks.base import Task
from adapter_stilts.tasks.rows import check_options
from adapter_stilts.tasks.sources import Source, overlay_of
from adapter_stilts.tasks.text import TextSource


@dataclass(frozen=True)
class Plan:
    """All cells of a recipe.

    Args:
        cells: empty where there is no target.
        notices: what a user should know before it runs (languages the data lack, a missing dev split).
        bundles: folders of bundles that stages start from, by their digest in the stage's part.
        texts: text that stages train on, by name (``mlm``, ``tlm``).
        ends: where there is no target, the intermediate stages that are asked for, by their name.
        bases: the encoders, by the fingerprint in the stages' parts.
    """

    cells: tuple[Cell, ...]
    notices: tuple[str, ...]
    bundles: Mapping[str, Path] = field(default_factory=dict)
    texts: Mapping[str, TextSource] = field(default_factory=dict)
    ends: Mapping[str, Stage] = field(default_factory=dict)
    bases: Mapping[str, ResolvedBase] = field(default_factory=dict)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Every stage once, parents first."""
        return in_order((*(cell.evaluate for cell in self.cells), *self.ends.values()))

    @cached_property
    def titles(self) -> dict[str, str]:
        """What a person reads of each stage, by its key."""
        return titles_of(self.stages, {key: Path(base.id).name for key, base in self.bases.items()})


LeaveOut: TypeAlias = Callable[[str, AdapterStiltsError], None]
"""Told of what cannot be, and why, where that is left out of a plan; raises the error where it is not."""


def refuse(what: str, error: AdapterStiltsError) -> None:
    """What cannot be ends planning."""
    raise error


def plan(
    recipe: Recipe,
    resolve: Callable[[], ResolvedBase],
    source: Source,
    leave_out: LeaveOut = refuse,
) -> Plan:
    """Resolve everything a result depends on and lay out the stages.

    Args:
        resolve: finds the base; called last, so that a misspelt task is told before the network is asked.
        leave_out: takes a cell that cannot be, as one of a matrix.

    Raises:
        UsageError: an unknown task, language or option, or tasks that do not fit together.
        DataError, SourceUnavailableError: the data are not there.
    """
    request = Request(recipe, source, resolve)
    _check_names(request)
    if not recipe.target.tasks:
        return plan_alone(request)
    names, told = entries(request)
    whole = [Added(notices=told)]
    if recipe.intermediate.baseline and NONE not in names:
        names = (NONE, *names)
    starts: dict[str, Added] = {}
    for name in names:
        try:
            starts[name] = plan_intermediate(request, name)
        except (UsageError, BundleError) as error:
            leave_out(f"--inter {name}", error)
    target_names, told = expanded(recipe, source)
    targets = [target_task(name) for name in target_names]
    languages, more = evaluation_languages(request, targets)
    whole += [*starts.values(), Added(notices=told + more + looked_at(request, targets))]
    if recipe.combine != "continue":
        starts = plan_combination(request, starts)
        whole += starts.values()
    taught = {}
    for target in targets:
        taught[target.name], told = teachings(request, target, languages[target.name])
        whole.append(Added(notices=told))
    cells = []
    for inter, before in starts.items():
        for target in targets:
            for one in taught[target.name]:
                try:
                    added = _plan_cell(request, target, languages[target.name], before, one)
                except (UsageError, BundleError) as error:
                    leave_out(f"{inter}, {target.name}", error)
                    continue
                whole.append(added)
                cells.append(_cell(recipe, inter, before, target, added.stages[-1], one))
    found = together([*whole, _filled(source)])
    bases = {request.base.fingerprint: request.base}
    return Plan(tuple(cells), found.notices, found.bundles, found.texts, bases=bases)


def _filled(source: Source) -> Added:
    """What to tell of the hub where it fills a folder's gaps; every fingerprint is known by now."""
    overlay = overlay_of(source)
    notice = None if overlay is None else overlay.notice
    return Added(notices=() if notice is None else (notice,))


def _check_names(request: Request) -> None:
    """Raises UsageError where the recipe names what there is not, or what the mode cannot do."""
    recipe = request.recipe
    for name in recipe.formats:
        if name not in format_names():
            raise UnknownNameError("recipe key formats", name, format_names())
    for name, chosen in recipe.options.items():
        check_options(get_task(name), chosen)
    settings = request.tuning
    check_installed(recipe.mode)
    get_tuning(recipe.mode).backbone_weights(settings, recipe.precision)


def _plan_cell(
    request: Request, target: Task, languages: tuple[str, ...], before: Added, taught: Taught
) -> Added:
    """The stages from an intermediate start to an evaluation, which is the last of them."""
    recipe = request.recipe
    frozen = recipe.frozen_under if before.stages else None
    if target.train_task is not None:
        trained = plan_teaching(request, target, taught, before, frozen)
    elif frozen is not None:
        named, instead = f"--combine {frozen}", "merge:linear"
        if recipe.combine != frozen:
            named, instead = f"merge.then = {frozen!r}", recipe.combine
        raise UsageError(
            f"{named} is trained on the target, and {target.name!r} trains nothing: --combine {instead} "
            "alone needs no training"
        )
    else:
        trained = before
    return together([trained, plan_evaluating(request, target, languages, trained.stages)])


def _cell(recipe: Recipe, inter: str, before: Added, target: Task, stage: Stage, taught: Taught) -> Cell:
    limits = Limits(
        recipe.intermediate.limit_train if before.stages else None,
        recipe.target.limit_train if target.train_task is not None else None,
        recipe.evaluation.limit,
    )
    added = inter == NONE and NONE not in recipe.intermediate.tasks
    about = (recipe.mode, recipe.precision, recipe.base.id, recipe.seed, limits)
    combine = recipe.combine if before.stages else "continue"
    dev, averaged = _chosen_by(stage, before)
    return Cell(inter, target.name, stage, *about, added, taught, dev, combine, averaged)


def _chosen_by(stage: Stage, before: Added) -> tuple[tuple[str, ...] | None, int | None]:
    """What chose the weights that a stage evaluates: dev languages, or a mean (`Cell.dev`, `Cell.averaged_steps`)."""
    part = stage.parents[0].part if stage.parents else None
    if isinstance(part, FetchPart):
        info = read_bundle(before.bundles[part.bundle])
        return taught_by(info)[1], info.average
    if not isinstance(part, TrainPart):
        return None, None
    average = part.training.average
    return part.dev_languages if average is None else None, average


def plan_alone(request: Request) -> Plan:
    """The plan of intermediate stages that no target follows: their bundles are what is asked for.

    Raises:
        UsageError: nothing is trained, or what is asked for is trained on the target.
    """
    recipe = request.recipe
    names, told = entries(request)
    names = tuple(name for name in names if name != NONE)
    if not names:
        choices = ", ".join(task.name for task in all_tasks() if task.role == "target")
        raise UsageError(
            f"no target task: name one or several with --target, or all (choices: {choices}); or an intermediate task "
            "with --inter, to train it alone"
        )
    if recipe.combine in ("stack", "fuse"):
        raise UsageError(
            f"no target task: --combine {recipe.combine} trains on the target; name one with --target, or leave out "
            "--combine to train the intermediate tasks alone"
        )
    starts = {name: plan_intermediate(request, name) for name in names}
    idle = [name for name, added in starts.items() if isinstance(added.stages[0].part, FetchPart)]
    if idle and recipe.combine == "continue":
        raise UsageError(
            f"no target task: {', '.join(idle)} is trained already; name what to train it on with --target"
        )
    whole = list(starts.values())
    if recipe.combine != "continue":
        starts = plan_combination(request, starts)
        whole += starts.values()
    found = together(whole)
    alone = "no target: the intermediate stages are trained, and nothing is evaluated but dev"
    ends = {name: added.stages[0] for name, added in starts.items()}
    bases = {request.base.fingerprint: request.base}
    return Plan((), (alone, *told, *found.notices), found.bundles, found.texts, ends, bases)


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
    request = Request(recipe, source, resolve)
    target = target_task(recipe.target.tasks[0])
    _check_answers(bundle, info, target)
    check_base(bundle, info, request.base.id, request.base.fingerprint)
    digest = bundle_digest(bundle)
    languages, notices = evaluation_languages(request, [target])
    added = plan_evaluating(request, target, languages[target.name], (), digest)
    training, seed = info.settings.get("training"), info.settings.get("seed")
    limits = Limits(
        None, training.get("limit_train") if isinstance(training, dict) else None, recipe.evaluation.limit
    )
    about = (info.tuning, recipe.precision, info.base, seed, limits)
    taught, dev = taught_by(info)
    if target.train_task is None:
        taught = Taught(())
    combine = info.settings.get("combine")
    how = combine if isinstance(combine, str) else "continue"
    cell = Cell(
        address_of(bundle), target.name, added.stages[0], *about, False, taught, dev, how, info.average
    )
    told = notices + looked_at(request, [target]) + added.notices + _filled(source).notices
    bases = {request.base.fingerprint: request.base}
    return Plan((cell,), tuple(dict.fromkeys(told)), {digest: bundle}, bases=bases)


def _check_answers(bundle: Path, info: BundleInfo, target: Task) -> None:
    """Raises BundleError where a bundle has no head for a target, and names those that it has one for."""
    if target.train_task is None or info.answers(target.format, target.labels):
        return
    fitting = sorted(
        task.name
        for task in all_tasks()
        if task.role == "target" and (task.train_task is None or info.answers(task.format, task.labels))
    )
    told = f"was trained on {info.task!r} and has no head for"
    if info.format != NO_HEAD or info.heads:
        told = f"was trained on {info.task!r} ({info.format}); its head cannot answer"
    raise BundleError(
        f"{bundle} {told} {target.name!r} ({target.format}). Targets it can be evaluated on: {', '.join(fitting)}; "
        "or train a head from it (adapter-stilts train --inter)"
    )
