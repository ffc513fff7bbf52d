"""The command that makes a stage: what a bundle's card tells a reader to type.

It is worked out from the stage itself, so that equal stages write equal cards. The recipe it names is the shipped one
that leaves least to be set.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import UsageError
from adapter_stilts.hub.address import address_of
from adapter_stilts.recipe import Recipe, load_recipe, shipped_recipes
from adapter_stilts.stages.graph import Stage
from adapter_stilts.tasks import all_tasks, get_task
from adapter_stilts.tasks.base import Task

if TYPE_CHECKING:
    from adapter_stilts.stages.run import Context

# Evaluated after a stage that is no target's: it trains nothing.
UNTRAINED_TARGET = "tatoeba"
_FLAGS = {"base.id": "--base", "precision": "--precision", "seed": "--seed", "combine": "--combine"}


def command_of(stage: Stage, context: Context) -> str | None:
    """A `train` that runs this stage; None where it has text of the user's own or translated train sets.

    Args:
        stage: of training or composing. ``--data DIR`` stands for whatever folder of release files there is.
    """
    inters, combine = _starts(stage)
    entries = [_entry(inter, context) for inter in inters]
    own = stage if stage.kind == "train" else None
    trained = [inter for inter in inters if inter.kind == "train"]
    target, train_task = UNTRAINED_TARGET, None
    if own is not None and not inters:
        entries, trained, own = [_entry(own, context)], [own], None
    if None in entries:
        return None
    if own is not None:
        target, train_task = _target(own.task, context)
    values = {"combine": combine, "target.train_task": train_task, "merge": _merge(stage)}
    values |= {"data": "miniature" if context.source.levels else "real", "base.id": context.base.id}
    values |= {"base.revision": context.base.commit or "main"}
    for section, stages in (("intermediate", trained), ("target", [own] if own is not None else [])):
        for one in stages:
            values |= _of_stage(one, section)
    values["mode"] = stage.part["mode"]
    name, changed = _least(_flat(values))
    if any(inter.kind == "fetch" for inter in inters) and "precision" in values:
        changed["precision"] = values["precision"]  # else the bundles' own is taken
    words = ["adapter-stilts", "train", *(word for entry in entries for word in ("--inter", str(entry)))]
    words += ["--target", target, "--mode", stage.part["mode"]]
    words += [] if name == "study" else ["--recipe", name]
    words += ["--data", "DIR"] if getattr(context.source, "root", None) is not None else []
    for key, value in changed.items():
        flag = _FLAGS.get(key)
        words += [flag, _toml(value)] if flag else ["--set", f"{key}={_toml(value)}"]
    return shlex.join(words)


def _starts(stage: Stage) -> tuple[tuple[Stage, ...], str]:
    """The intermediate stages of a stage, and how they come together in it."""
    composed = stage if stage.kind == "compose" else None
    if stage.parents and stage.parents[0].kind == "compose":
        composed = stage.parents[0]
    if composed is not None:
        return composed.parents, f"merge:{composed.part['merge']['method']}"
    return stage.parents, str(stage.part.get("combine", "continue"))


def _merge(stage: Stage) -> Mapping[str, Any]:
    found = next((one for one in (stage, *stage.parents) if one.kind == "compose"), None)
    if found is None:
        return {}
    return {key: found.part["merge"][key] for key in ("weights", "density", "rank")}


def _entry(stage: Stage, context: Context) -> str | None:
    """What `--inter` says of a stage."""
    if stage.kind == "fetch":
        return address_of(context.bundles[stage.part["bundle"]])
    if stage.kind != "train" or stage.parents:
        return None
    mixture = stage.part.get("mixture")
    if mixture is None:
        return stage.task
    languages = {
        language
        for member in mixture["tasks"]
        for part in member["parts"]
        for language in part["data"]["train"]
    }
    if mixture["texts"] or languages != {"en"}:
        return None
    return ",".join(member["name"] for member in mixture["tasks"])


def _target(trained: str, context: Context) -> tuple[str, str | None]:
    """A target that trains on this task, and what has to be said that it does; the data at hand hold it if they can."""
    task = get_task(trained)
    fitting = [
        other
        for other in all_tasks()
        if other.role == "target" and (other.format, other.labels) == (task.format, task.labels)
    ]
    fitting.sort(key=lambda other: (other.train_task != trained, not _is_held(other, context)))
    return fitting[0].name, None if fitting[0].train_task == trained else trained


def _is_held(task: Task, context: Context) -> bool:
    try:
        return bool(context.source.languages(task, "test"))
    except UsageError:  # the hub cannot serve it
        return False


def _of_stage(stage: Stage, section: str) -> dict[str, Any]:
    part = stage.part
    found = {key: part[key] for key in ("precision", "optimizer", "gradient_checkpointing", "seed")}
    found[section] = {**part["training"], "robust": part.get("robust", {})}
    found["tuning"] = {part["mode"]: part.get("tuning", {})}
    mixture = part.get("mixture", {})
    if "sampling" in mixture:
        found[section]["mixture"] = mixture["sampling"]
    read = [one for member in mixture.get("tasks", ()) for one in member["parts"]] or [
        {**part, "task": stage.task}
    ]
    for one in read:
        found[f"formats.{get_task(one['task']).format}"] = one["format"]
        found[f"options.{one['task']}"] = one["options"]
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
    from adapter_stilts.model.tuning import tuning_settings
    from adapter_stilts.stages.plan import format_settings

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
