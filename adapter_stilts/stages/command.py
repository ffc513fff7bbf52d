"""The command that makes a stage: what a bundle's card tells a reader to type.

It is worked out from the stage itself, so that equal stages write equal cards. The recipe it names is the shipped one
that leaves least to be set.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from adapter_stilts.errors import UsageError
from adapter_stilts.evaluation.membership import in_a_benchmark
from adapter_stilts.hub.address import address_of, is_adopted
from adapter_stilts.model.bundle import read_info
from adapter_stilts.model.tuning import tuning_settings
from adapter_stilts.recipe import Recipe, load_recipe, shipped_recipes
from adapter_stilts.recipe_sections import SAME
from adapter_stilts.stages.context import Inputs
from adapter_stilts.stages.graph import Stage, in_order
from adapter_stilts.stages.parts import ComposePart, FetchPart, Reading, TrainedTask, TrainPart
from adapter_stilts.stages.planning.reading import format_settings
from adapter_stilts.tasks import all_tasks, get_task, is_added
from adapter_stilts.tasks.base import Split, Task
from adapter_stilts.tasks.sources import FLAG, Source, overlay_of

_FLAGS = {"base.id": "--base", "precision": "--precision", "seed": "--seed", "combine": "--combine"}


def command_of(stage: Stage, inputs: Inputs) -> str | None:
    """A `train` that runs this stage; None where it has text of the user's own, or translated intermediate train sets.

    Args:
        stage: of training or composing. ``--data DIR`` stands for whatever folder of release files there is.
    """
    part, source, base = stage.part, inputs.source, inputs.base
    assert isinstance(part, TrainPart | ComposePart)
    taught = _taught(stage)
    # What a few examples go on from is the target's own training.
    stage = stage.parents[0] if isinstance(part, TrainPart) and part.after else stage
    inters, combine = _starts(stage)
    entries = [_entry(inter, inputs) for inter in inters]
    own = stage if isinstance(part, TrainPart) else None
    trained = [inter for inter in inters if isinstance(inter.part, TrainPart)]
    target, train_task = None, None
    if own is not None and not inters and not taught:
        entries, trained, own = [_entry(own, inputs)], [own], None
    if None in entries:
        return None
    if own is not None:
        fitting = _target(own, inputs)
        if fitting is None:
            return None
        target, train_task = fitting
    values: dict[str, Any] = {"combine": combine, "target.train_task": train_task, "merge": _merge(stage)}
    values |= {"data": "miniature" if source.constructed else "real", "base.id": base.id}
    values |= {"base.revision": base.commit or "main"}
    for section, stages in (("intermediate", trained), ("target", [own] if own is not None else [])):
        for one in stages:
            assert isinstance(one.part, TrainPart)
            values |= _of_stage(one.part, section)
    values["target"] = {**values.get("target", {}), **taught}
    values["mode"] = part.mode
    name, changed = _least(_flat(values))
    if any(isinstance(inter.part, FetchPart) for inter in inters) and "precision" in values:
        changed["precision"] = values["precision"]  # else the bundles' own is taken
    words = ["adapter-stilts", "train", *(word for entry in entries for word in ("--inter", str(entry)))]
    words += [word for inter in inters for word in _adopted(inter, inputs)]
    # A stage that is no target's is an end of its own.
    words += ["--target", target] if target is not None else []
    words += ["--mode", part.mode]
    words += [] if name == "study" else ["--recipe", name]
    words += data_words(stage, source)
    words += ["--tasks", "DIR"] if any(is_added(task) for task in _tasks(stage)) else []
    for key, value in changed.items():
        flag = _FLAGS.get(key)
        words += [flag, _toml(value)] if flag else ["--set", f"{key}={_toml(value)}"]
    return shlex.join(words)


def _adopted(inter: Stage, inputs: Inputs) -> list[str]:
    """What has to be said of a plain adapter: what it was trained on."""
    if not isinstance(inter.part, FetchPart):
        return []
    folder = inputs.bundles[inter.part.bundle]
    return ["--inter-task", read_info(folder).task] if is_adopted(folder) else []


def data_words(stage: Stage, source: Source) -> list[str]:
    """Where a stage's splits are from, however more was named: a folder, the hub, or both."""
    overlay = overlay_of(source)
    if overlay is None:
        return ["--data", "DIR"] if getattr(source, "root", None) is not None else []
    from_files = {
        overlay.from_files(get_task(reading.task), split, language, reading.options)
        for one in in_order((stage,))
        if isinstance(one.part, TrainPart)
        for member in one.part.members
        for task in member.tasks
        for reading, split, language in _read(task)
    }
    return ["--data", "DIR"] * (True in from_files) + [FLAG] * (from_files == {True, False})


def _read(task: TrainedTask) -> Iterator[tuple[Reading, Split, str]]:
    """The splits that a stage reads of a task it trains."""
    yield from ((task.reading, "train", language) for language in task.train)
    yield from ((split.reading, "dev", split.language) for split in task.dev)


def _tasks(stage: Stage) -> set[str]:
    """The tasks that a stage and those before it train."""
    parts = [one.part for one in in_order((stage,)) if isinstance(one.part, TrainPart)]
    return {task.task for part in parts for member in part.members for task in member.tasks}


def _starts(stage: Stage) -> tuple[tuple[Stage, ...], str]:
    """The intermediate stages of a stage, and how they come together in it."""
    composed = _composed(stage)
    if composed is not None:
        assert isinstance(composed.part, ComposePart)
        return composed.parents, f"merge:{composed.part.merge.method}"
    how = stage.part.combine if isinstance(stage.part, TrainPart) else None
    return stage.parents, how or "continue"


def _composed(stage: Stage) -> Stage | None:
    """The stage itself or the parent of it that composes."""
    return next((one for one in (stage, *stage.parents) if isinstance(one.part, ComposePart)), None)


def _merge(stage: Stage) -> Mapping[str, Any]:
    composed = _composed(stage)
    if composed is None:
        return {}
    assert isinstance(composed.part, ComposePart)
    settings = composed.part.merge.settings()
    return {key: settings[key] for key in ("weights", "density", "rank")}


def _entry(stage: Stage, inputs: Inputs) -> str | None:
    """What `--inter` says of a stage."""
    part = stage.part
    if isinstance(part, FetchPart):
        return address_of(inputs.bundles[part.bundle])
    if not isinstance(part, TrainPart) or stage.parents or part.texts:
        return None
    tasks = [get_task(task.task) for member in part.members for task in member.tasks]
    if part.languages != {language for task in tasks for language in task.trained_in}:
        return None
    files = {task.name: _typed(task) for task in tasks}
    return ",".join(files.get(member.name, member.name) for member in part.members)


def _typed(task: Task) -> str:
    """A task as a command names it; a declared one by a file, wherever that is."""
    return f"{task.name}.toml" if task.declared else task.name


def _target(stage: Stage, inputs: Inputs) -> tuple[str, str | None] | None:
    """A target that trains as a stage does, and what has to be said that it does; None where no target does.

    One whose own dev split has a say comes first, then one of XTREME's or XTREME-R's, then those that the data at hand
    hold.
    """
    trained, part = stage.task, stage.part
    assert isinstance(part, TrainPart)
    task = get_task(trained)
    dev = {split.reading.task for member in part.members for one in member.tasks for split in one.dev}
    fitting = [
        other
        for other in all_tasks()
        if other.role == "target" and (other.format, other.labels) == (task.format, task.labels)
    ]
    fitting.sort(
        key=lambda other: (
            other.name not in dev,
            other.train_task != trained,
            not in_a_benchmark(other.name),
            not _is_held(other, inputs),
        )
    )
    if not fitting:
        return None
    return _typed(fitting[0]), None if fitting[0].train_task == trained else _typed(task)


def _taught(stage: Stage) -> dict[str, Any]:
    """What a recipe says of a target's languages, where they are not English alone."""
    part = stage.part
    if (
        not isinstance(part, TrainPart)
        or part.texts
        or [member.name for member in part.members] != [stage.task]
    ):
        return {}
    if [task.task for task in part.members[0].tasks] != [stage.task]:  # a union
        return {}
    first = stage.parents[0].part if part.after else part
    assert isinstance(first, TrainPart)
    found: dict[str, Any] = {}
    whole = sorted(first.languages - first.drawn.keys())
    if whole != ["en"]:
        found["languages"] = whole
    if part.drawn:
        found["few_shot"] = part.drawn
    if part.drawn and not part.after:
        found["few_shot_when"] = "mixed"
    if part.after:
        found["few_shot_epochs"] = part.training.epochs
        if part.training.learning_rate != first.training.learning_rate:
            found["few_shot_learning_rate"] = part.training.learning_rate
    if any(one.dev_languages not in ((), ("en",)) for one in (first, part)):
        same = all(one.dev_languages == tuple(sorted(one.languages)) for one in (first, part))
        found["dev_languages"] = [SAME] if same else list(part.dev_languages)
    return found


def _is_held(task: Task, inputs: Inputs) -> bool:
    try:
        return bool(inputs.source.languages(task, "test"))
    except UsageError:  # the hub cannot serve it
        return False


def _of_stage(part: TrainPart, section: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "precision": part.precision,
        "optimizer": part.optimizer,
        "gradient_checkpointing": part.gradient_checkpointing,
        "seed": part.seed,
    }
    settings = part.settings()
    found[section] = {**settings["training"], "robust": settings.get("robust", {})}
    found["tuning"] = {part.mode: part.tuning.part()}
    if "sampling" in settings.get("mixture", {}):
        found[section]["mixture"] = settings["mixture"]["sampling"]
    for reading in (task.reading for member in part.members for task in member.tasks):
        found[f"formats.{get_task(reading.task).format}"] = reading.settings.part()
        found[f"options.{reading.task}"] = dict(reading.options)
    return found


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{before}{key}.")
        elif value is not None or before:
            found[before + key] = value
    return found


def _least(values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The shipped recipe from which least is changed, and what is."""
    found = {}
    for name in shipped_recipes():
        try:
            recipe = load_recipe(name, [("mode", values["mode"])])
        except UsageError:  # a recipe for another mode, whose other values do not go with this one
            continue
        there = dict(_resolved(recipe, values))
        found[name] = {key: value for key, value in values.items() if _plain(there[key]) != _plain(value)}
    name = min(found, key=lambda name: (len(found[name]), name != "study"))
    return name, found[name]


def _resolved(recipe: Recipe, keys: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What a recipe says for some keys, with the defaults of formats, tunings and tasks."""
    values = _flat(recipe.model_dump(mode="json"))
    for key in keys:
        section, _, rest = key.partition(".")
        name, _, field = rest.partition(".")
        if section == "formats":
            yield key, format_settings(recipe, name).model_dump(mode="json")[field]
        elif section == "tuning":
            yield key, tuning_settings(name, recipe.tuning).model_dump(mode="json")[field]
        elif section == "options":
            yield key, recipe.options.get(name, {}).get(field, get_task(name).options[field][0])
        else:
            yield key, values.get(key)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


def _toml(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(repr(one) for one in value)}]"
    return str(value)
