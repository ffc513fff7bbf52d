"""Which intermediate task should help a target, told before any is trained.

suggest("tydiqa", recipe="miniature").rows[0].source
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import UnknownNameError, UsageError
from adapter_stilts.library import Names, Settings, plan_train, several
from adapter_stilts.recipe import parse_override
from adapter_stilts.recipe_sections import EACH
from adapter_stilts.runtime import check_device, default_cache, default_device, seconds_of

if TYPE_CHECKING:
    from adapter_stilts.model.backbone import ResolvedBase
    from adapter_stilts.select.clock import Clock
    from adapter_stilts.select.reading import TrainSets
    from adapter_stilts.select.record import Record
    from adapter_stilts.select.ridge import Ridge
    from adapter_stilts.select.short import Short
    from adapter_stilts.select.suggestion import Ranking, Row, Source
    from adapter_stilts.stages.planning.request import Request
    from adapter_stilts.study import Study
    from adapter_stilts.tasks.base import Task
    from adapter_stilts.tasks.sources import Source as DataSource

SAMPLE = 256
"""Examples of each train set that are measured."""
NONE = "none"
"""The baseline after ``--inter``."""
PICKS = 3
"""Sources that the command trains."""
EQUAL, FITTED = WEIGHTS = ("equal", "fitted")
"""Of estimators."""
TASK_EMBEDDING_MODE = "lora"
"""What a short training of tasks trains, whatever the command does."""

SEED = "seed"
"""A recipe key that the command never sets: it trains over three seeds."""
KEYS = {"mode": "mode", "base": "base.id"}
"""Recipe keys that flags of the command say."""


@dataclass(frozen=True)
class Suggestion:
    """Sources in the order in which they should help a target.

    Args:
        target: the task, and `trained_on` the one whose train set trains it.
        base: the encoder.
        examples: of each train set that were measured, at most.
        ranking: the sources, the first one first.
        command: trains the first three, and the baseline beside them.
        record: how well such a ranking did on other targets whose truth is known.
    """

    target: str
    trained_on: str
    base: str
    mode: str
    device: str
    examples: int
    ranking: Ranking
    command: str
    record: Record | None
    notices: tuple[str, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        """A row a source."""
        return self.ranking.rows

    def __str__(self) -> str:
        """A line a source, the first one first; then the command."""
        lines = [f"{row.rank:g}. {row.source}" for row in self.rows]
        return "\n".join([f"before {self.target}, {self.mode}, {self.base}:", *lines, self.command])

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        seconds = {name: round(value, 2) for name, value in self.ranking.seconds.items()}
        record = None if self.record is None else vars(self.record)
        told = {
            **vars(self),
            "ranking": [row.to_json() for row in self.rows],
            "estimators": dict(self.ranking.estimators),
            "seconds": seconds,
            "record": record,
        }
        return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}


def suggest(
    target: str,
    *,
    among: Names = None,
    mode: str | None = None,
    recipe: str | Path | None = None,
    base: str | Path | None = None,
    data: str | Path | None = None,
    fill_from_hub: bool = False,
    examples: int = SAMPLE,
    steps: int | None = None,
    own: str | None = None,
    weights: str = EQUAL,
    budget: str | float | None = None,
    settings: Settings = (),
    tasks: str | Path | None = None,
    device: str | None = None,
) -> Suggestion:
    """Rank intermediate tasks, or bundles, for a target before training; the many keywords are the command's flags.

    Args:
        target: one task, or a TOML file.
        among: intermediate tasks, or addresses of bundles and folders of them; None is the study's nine tasks, as far
            as the data hold them.
        mode: of the command that trains the first ones; of bundles, those that are ranked.
        examples: of each train set that are measured.
        steps: of a short training, which further estimators take; None trains nothing.
        own: address of a bundle that was trained on the target; bundles are also ranked by how alike their updates are.
        weights: of estimators of tasks: ``equal``, one vote each, or ``fitted`` to the truth of other targets.
        budget: seconds, or ``"10m"``; what it leaves no time for is left out and told.

    Raises:
        UsageError: the target has no train set, there are fewer than two sources, too little time, or no such device.
        DataError: a train set is not at hand, or cannot be read.
    """
    from adapter_stilts.select.clock import Clock
    from adapter_stilts.select.record import record
    from adapter_stilts.stages.planning.declared import looked_at
    from adapter_stilts.stages.planning.names import train_task
    from adapter_stilts.stages.planning.request import Request

    settings = settings if isinstance(settings, Mapping) else list(settings)  # read more than once
    clock = Clock(seconds_of(budget) if isinstance(budget, str) else budget)
    typed = list(dict.fromkeys(several("among", EACH if among is None else among)))
    bundles = _bundles(typed)
    _check(own, weights, bundles, device)
    places = {"recipe": recipe, "base": base, "data": data, "tasks": tasks}
    fixed: dict[str, Any] = {"fill_from_hub": fill_from_hub, "settings": settings, **places}
    planned: Callable[..., Study] = partial(plan_train, target=target, **fixed)
    study = planned([NONE] if bundles else typed, mode=mode)
    more = _words({"mode": mode, **places}, fill_from_hub, settings)
    request = Request(study.recipe, study.source, lambda: study.base)
    wanted = _target(request, target, _command([EACH], target, more))
    trained_on = train_task(request, wanted)
    looked = looked_at(request, [wanted])
    opened = partial(_train_sets, request, device, examples)
    of_short = partial(planned, settings=_without(settings, {"mode"}))
    shortened = partial(_short, of_short, study.source, request.resolve, steps)
    if bundles:
        ranking, notices, trained = _ranked_bundles(
            bundles, trained_on, request, mode, opened, clock, shortened, own
        )
        more = _words({"mode": trained, **places}, fill_from_hub, settings)
    else:
        ranking, notices = _ranked_tasks(trained_on, wanted, request, opened, clock, shortened, weights)
        trained = study.recipe.mode
    as_typed = dict(zip(study.recipe.intermediate.tasks, typed, strict=True)) if not bundles else {}
    first = [as_typed.get(row.source, row.source) for row in ranking.rows[:PICKS]]
    return Suggestion(
        wanted.name,
        trained_on.name,
        request.base.id,
        trained,
        device or default_device(),
        examples,
        ranking,
        _command(first, target, more),
        record(_kind(bool(bundles), own, weights, ranking), wanted.name, trained),
        (*looked, *notices, *ranking.notices),
    )


def _train_sets(request: Request, device: str | None, examples: int) -> TrainSets:
    """Opened late: what is told before any train set is read needs no torch, which looks for a GPU."""
    from adapter_stilts.select.reading import TrainSets
    from adapter_stilts.stages.drawing import Draw

    return TrainSets(request, default_cache(), device or default_device(), Draw(examples, 0))


def _kind(bundles: bool, own: str | None, weights: str, ranking: Ranking) -> str:
    """What was ranked, and how, by the words of its record: a short training that was left out tells nothing."""
    if bundles:
        from adapter_stilts.select.short_runs import SHORT_RUNS
        from adapter_stilts.select.updates import UPDATES

        # The update of a bundle of the target comes without a training.
        trained = {*SHORT_RUNS, *(UPDATES if own is None else ())}
    else:
        from adapter_stilts.select.estimators import WITH_TRAINING

        trained = set(WITH_TRAINING)
    short = " with a short training" if trained & set(ranking.estimators) else ""
    return f"{'bundles' if bundles else 'tasks'}{' by fitted weights' if weights == FITTED else short}"


def _check(own: str | None, weights: str, bundles: Sequence[str], device: str | None) -> None:
    """Raises UsageError where what goes with tasks is given to bundles, or the other way around, or is no device."""
    check_device(device)
    if own is not None and not bundles:
        raise UsageError(
            f"--own {own!r}: a bundle of the target is held against bundles, and --among names tasks; name bundles "
            "there"
        )
    if weights not in WEIGHTS:
        raise UnknownNameError("weights", weights, WEIGHTS)
    if weights == FITTED and bundles:
        raise UsageError(
            "--weights fitted: weights were fitted for what estimators say of tasks; of bundles each has one vote: "
            "leave it out"
        )


def _of_weights(ridge: Ridge | None, ranking: Ranking) -> tuple[str, ...]:
    """Where weights come from, and which estimators have none."""
    if ridge is None:
        return ()
    told = ", ".join(f"{name} {value:+.3f}" for name, value in ridge.weights.items())
    without = [name for name in ranking.estimators if name not in ridge.weights]
    none = f"; {', '.join(without)} has none" if without else ""
    return (
        f"weights fitted on the miniature's {', '.join(ridge.targets)} (results {ridge.version}): {told}{none}",
    )


def _short(
    planned: Callable[..., Study],
    source: DataSource,
    resolve: Callable[[], ResolvedBase],
    steps: int | None,
    mode: str,
) -> Short | None:
    """A short training in a mode, as the recipe has it there; None where none was asked for."""
    if steps is None:
        return None
    from adapter_stilts.select.short import short_of
    from adapter_stilts.stages.planning.request import Request

    return short_of(Request(planned([NONE], mode=mode).recipe, source, resolve), steps)


def _bundles(typed: Sequence[str]) -> list[str]:
    """Those of what was named that are bundles: all of it, or nothing. Raises UsageError."""
    from adapter_stilts.select.bundles import names_bundles
    from adapter_stilts.tasks import is_file

    found = [name for name in typed if not is_file(name) and names_bundles(name)]
    if found and len(found) < len(typed):
        tasks = ", ".join(name for name in typed if name not in found)
        raise UsageError(
            f"--among {','.join(typed)}: {tasks} are tasks, and the others bundles: what tells of the ones does not of "
            "the others; rank them apart"
        )
    return found


def _ranked_tasks(
    trained_on: Task,
    target: Task,
    request: Request,
    opened: Callable[[], TrainSets],
    clock: Clock,
    shortened: Callable[[str], Short | None],
    weights: str,
) -> tuple[Ranking, tuple[str, ...]]:
    from adapter_stilts.select.ridge import stored
    from adapter_stilts.select.suggestion import rank

    sources, notices = _sources(request)
    limits = (request.recipe.intermediate.limit_train, request.recipe.target.limit_train)
    ridge = None if weights == EQUAL else stored(target.name)
    ranking = rank(sources, trained_on, opened(), limits, clock, shortened(TASK_EMBEDDING_MODE), ridge)
    return ranking, (*notices, *_of_weights(ridge, ranking), *_same(sources, trained_on, target))


def _ranked_bundles(
    typed: Sequence[str],
    trained_on: Task,
    request: Request,
    mode: str | None,
    opened: Callable[[], TrainSets],
    clock: Clock,
    shortened: Callable[[str], Short | None],
    own: str | None,
) -> tuple[Ranking, tuple[str, ...], str]:
    """The ranking, what to tell, and the mode of the bundles."""
    from adapter_stilts.select.bundles import own_source, trained_sources
    from adapter_stilts.select.trained.ranking import Further, rank_trained

    sources, notices = trained_sources(typed, request.base, mode)
    trained = sources[0].info.tuning
    held = None if own is None else own_source(own, request.base, trained, trained_on)
    further = Further(shortened(trained), held)
    ranking = rank_trained(sources, trained_on, opened(), request.recipe.target.limit_train, clock, further)
    return ranking, notices, trained


def _target(request: Request, typed: str, command: str) -> Task:
    """The target. Raises UsageError where it is not one task, or nothing trains it; `command` evaluates it anyway."""
    from adapter_stilts.stages.planning.names import target_task
    from adapter_stilts.tasks.groups import ALL

    names = request.recipe.target.tasks
    if len(names) != 1 or names == (ALL,):
        raise UsageError(f"--target {typed!r}: sources are ranked for one target at a time; name one")
    task = target_task(names[0])
    if (request.recipe.target.train_task or task.train_task) is None:
        raise UsageError(
            f"{task.name!r} has no English train set: nothing is trained for it, and every estimator compares sources "
            f"with what trains the target. Trained sources can be evaluated on it as they are: {command}"
        )
    return task


def _sources(request: Request) -> tuple[list[Source], tuple[str, ...]]:
    """What is ranked, and what was left out. Raises UsageError."""
    from adapter_stilts.select.suggestion import Source
    from adapter_stilts.stages.planning.intermediate import entries, tasks_of_entry
    from adapter_stilts.tasks.groups import ALL, TEXTS

    for name in request.recipe.intermediate.tasks:
        if name in (NONE, ALL, *TEXTS):
            what = {
                NONE: "the baseline",
                ALL: f"one stage of the study's tasks (each names them one by one: {EACH})",
            }
            raise UsageError(
                f"--among {name}: is {what.get(name, 'text, not a task')}, and no estimator tells of it; name tasks"
            )
    names, notices = entries(request)
    found = []
    for name in names:
        tasks, told = tasks_of_entry(request, name)
        found.append(Source(name, tasks))
        notices += told if name in request.recipe.intermediate.tasks else ()  # `entries` told of `each`
    if len(found) < 2:
        raise UsageError(
            f"--among {', '.join(names)}: one source leaves nothing to rank; name several, or leave out --among for "
            "the study's nine"
        )
    return found, tuple(dict.fromkeys(notices))


def _same(sources: Sequence[Source], trained_on: Task, target: Task) -> tuple[str, ...]:
    """A notice for each source that holds the target's own train set."""
    held = [source.name for source in sources if trained_on.name in {task.name for task in source.tasks}]
    return tuple(
        f"{name} holds the train set of {target.name} itself ({trained_on.name}): that they are alike says little"
        for name in held
    )


def _words(flags: Mapping[str, Any], fill: bool, settings: Settings) -> list[str]:
    """What was typed of the recipe and the data, to be typed again: each once, where the command has a flag for it."""
    given = {name: str(value) for name, value in flags.items() if value is not None}
    kept = _without(settings, {SEED, *(key for name, key in KEYS.items() if name in given)})
    texts = [f"{key}={value}" for key, value in kept.items()] if isinstance(kept, Mapping) else kept
    return [
        *(word for name, value in given.items() for word in (f"--{name}", value)),
        *(["--fill-from-hub"] if fill else []),
        *(word for text in texts for word in ("--set", text)),
    ]


def _without(settings: Settings, keys: Collection[str]) -> Settings:
    """Recipe keys with their values, or texts, but those of some keys."""
    if isinstance(settings, Mapping):
        return {key: value for key, value in settings.items() if key not in keys}
    return [text for text in settings if parse_override(text)[0] not in keys]


def _command(first: Sequence[str], target: str, more: Sequence[str]) -> str:
    """The line that trains sources and the baseline, over three seeds."""
    named = ",".join(["none", *first])
    return shlex.join(
        ["adapter-stilts", "matrix", "--inter", named, "--target", target, *more, "--seeds", "3"]
    )
