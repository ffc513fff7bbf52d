"""Laying out a cell's intermediate stages: one task, several in one stage, with text beside or before them.

One task in English is a stage like any other (`plan._Planner.train`). Whatever else an entry asks for makes a stage
whose part holds `mixture`: its tasks with their languages, its text, and how each step's task is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import DataError, UsageError
from adapter_stilts.hub.address import is_address
from adapter_stilts.miniature.corpus import MiniatureText
from adapter_stilts.miniature.source import MiniatureSource
from adapter_stilts.recipe import MINIATURE, Robust, Text
from adapter_stilts.stages.fetched import lay_out_fetched
from adapter_stilts.stages.graph import LONGEST_NAME, Stage
from adapter_stilts.tasks import all_tasks, get_task
from adapter_stilts.tasks.base import Task
from adapter_stilts.tasks.groups import ALL, STUDY, TEXTS, UNIONS
from adapter_stilts.tasks.hub_text import PREFIX, HubText
from adapter_stilts.tasks.text import TextFolder, TextSource

if TYPE_CHECKING:
    from adapter_stilts.stages.plan import _Planner

NONE = "none"
ROBUST_FORMAT = "pair_classification"
ROBUST_KEYS = {"adversarial": ("norm", "step_size", "steps"), "smoothing": ("deviation",)}


@dataclass(frozen=True)
class Member:
    """One task of a stage; a union (``anli_plus``) is one task made of several."""

    name: str
    tasks: tuple[Task, ...]


def lay_out(planner: _Planner, entry: str) -> tuple[Stage, ...]:
    """The stage that a cell's target starts from, if any.

    Args:
        entry: of `intermediate.tasks`: names with commas between, ``all``, ``none``, or a bundle's address.

    Raises:
        UsageError: an unknown name, or names that do not fit together.
        DataError: the data hold nothing of a task, or of a language asked for.
    """
    names = list(dict.fromkeys(name.strip() for name in entry.split(",") if name.strip()))
    if names == [NONE]:
        return ()
    if not names or NONE in names:
        raise UsageError(
            f"--inter {entry!r}: {NONE!r} is the baseline and stands alone; repeat --inter to compare cells"
        )
    if any(is_address(name) for name in names):
        return (lay_out_fetched(planner, names),)
    settings = planner.recipe.intermediate
    members = _members(planner, [name for name in names if name not in TEXTS], entry)
    asked = {name: text for name, text in _texts(planner).items() if text.weight or name in names}
    before = {name: text for name, text in asked.items() if not members or text.when == "before"}
    beside = {name: text for name, text in asked.items() if name not in before}
    for name, text in beside.items():
        if text.steps is not None:
            raise UsageError(
                f"intermediate.{name}.steps = {text.steps}, but {name} is interleaved with {entry}, where it takes as "
                f"many steps as its weight says; set intermediate.{name}.when=before, or intermediate.{name}.weight"
            )
    parents = (_text_stage(planner, before),) if before else ()
    if not members:
        return parents
    if len(members) == 1 and not beside and _plain(members[0], settings.languages):
        return (planner.train(members[0].tasks[0], settings, parents),)
    return (_mixed_stage(planner, members, beside, parents),)


def _texts(planner: _Planner) -> dict[str, Text]:
    return {name: getattr(planner.recipe.intermediate, name) for name in TEXTS}


def _plain(member: Member, languages: tuple[str, ...] | None) -> bool:
    return member.name == member.tasks[0].name and languages in (None, ("en",))


def _members(planner: _Planner, names: Sequence[str], entry: str) -> list[Member]:
    """Sorted by name, so that the order they are typed in changes no key."""
    found = {}
    expanded = [part for name in names for part in (STUDY if name == ALL else (name,))]
    for name in dict.fromkeys(expanded):
        member = _member(planner, name, optional=name not in names, entry=entry)
        if member is not None:
            found[name] = member
    if names and not found:
        raise DataError(
            planner.source.place, None, f"holds no train split of any task of {entry!r} ({', '.join(STUDY)})"
        )
    _check_languages(planner, list(found.values()), entry)
    return [found[name] for name in sorted(found)]


def _member(planner: _Planner, name: str, optional: bool, entry: str) -> Member | None:
    """A task or union, of what is at hand; None where it may be left out and nothing of it is."""
    if name not in UNIONS and not optional:
        task = planner.intermediate_task(name)
        if planner.recipe.intermediate.languages is None:
            planner.trainable(task)
        elif not _held(planner, task):
            raise DataError(planner.source.place, None, _no_language(planner, task))
        return Member(name, (task,))
    registry = {task.name for task in all_tasks()}
    parts, lost = [], {}
    for part in UNIONS.get(name, (name,)):
        if part not in registry:
            lost[part] = "this version has no such task"
            continue
        try:
            held = _held(planner, get_task(part))
        except UsageError as error:  # the hub cannot serve it
            lost[part] = str(error)
            continue
        if held:
            parts.append(get_task(part))
        else:
            lost[part] = "no train split at hand"
    of = f"{name} of {entry}" if optional else name
    if not parts and not optional:
        raise DataError(planner.source.place, None, f"holds no train split of {name!r}: {_told(lost)}")
    if lost:
        planner.notice(f"{of}: left out {_told(lost)}")
    return Member(name, tuple(parts)) if parts else None


def _told(lost: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({why})" for name, why in lost.items())


def _held(planner: _Planner, task: Task) -> tuple[str, ...]:
    """Of the languages to train in, those that the train split is held in."""
    languages = planner.recipe.intermediate.languages
    if languages is None:
        return ("en",) if "en" in planner.source.languages(task, "train") else ()
    held = planner.source.training_languages(task)
    return tuple(sorted(language for language in set(languages) if language in held))


def _no_language(planner: _Planner, task: Task) -> str:
    asked = ", ".join(planner.recipe.intermediate.languages or ("en",))
    held = ", ".join(planner.source.training_languages(task)) or "none"
    return (
        f"holds no train split of {task.name!r} in {asked}; it holds: {held}. Translated train sets are read from "
        f"{task.folder or task.name}/translated/<language>/, under the release's file names"
    )


def _check_languages(planner: _Planner, members: Sequence[Member], entry: str) -> None:
    """Every language asked for is in some task; tasks that lack one are told."""
    languages = planner.recipe.intermediate.languages
    tasks = {task.name: task for member in members for task in member.tasks}
    if languages is None or not tasks:
        return
    held = {name: _held(planner, task) for name, task in tasks.items()}
    for language in languages:
        lacking = [name for name in tasks if language not in held[name]]
        if len(lacking) == len(tasks):
            found = sorted(
                {other for task in tasks.values() for other in planner.source.training_languages(task)}
            )
            raise DataError(
                planner.source.place,
                None,
                f"holds no train split of {entry} in {language!r}; it holds: {', '.join(found)}",
            )
        for name in lacking:
            planner.notice(
                f"{name}: no train split in {language} at hand; trained in {', '.join(held[name])}"
            )


def _text_stage(planner: _Planner, texts: Mapping[str, Text]) -> Stage:
    """A stage of language modelling alone."""
    steps = [text.steps or planner.recipe.intermediate.text_steps for text in texts.values()]
    stage = _mixed_stage(planner, [], texts, ())
    if None in steps:
        return stage
    training = {**stage.part["training"], "max_steps": sum(count for count in steps if count is not None)}
    return Stage(stage.kind, stage.task, {**stage.part, "training": training})


def _mixed_stage(
    planner: _Planner, members: Sequence[Member], texts: Mapping[str, Text], parents: tuple[Stage, ...]
) -> Stage:
    settings = planner.recipe.intermediate
    heads: dict[tuple[str, ...], str] = {}
    mixture: dict[str, Any] = {"tasks": [], "texts": []}
    for member in members:
        first = member.tasks[0]
        # Labels left to the data are a set of their own.
        labels = (member.name,) if first.open_labels else first.labels
        head = heads.setdefault((first.format, *labels), member.name)
        parts = [_task_part(planner, task) for task in member.tasks]
        mixture["tasks"].append({"name": member.name, "head": head, "parts": parts})
    for name, text in sorted(texts.items()):
        mixture["texts"].append(_text_part(planner, name, text))
    if len(members) > 1:
        kept = settings.mixture.model_dump(mode="json")
        mixture["sampling"] = {k: v for k, v in kept.items() if k != "temperature" or kept["sampling"] == k}
    names = [member.name for member in members] + sorted(texts)
    label = "+".join(names)
    tasks = [task for member in members for task in member.tasks]
    part = {
        "base": planner.base.fingerprint,
        "precision": planner.recipe.precision,
        **planner.trained(settings),
        **(robust_part(settings.robust, tasks, label) if members else {}),
        "mixture": mixture,
    }
    return Stage("train", label if len(label) <= LONGEST_NAME else f"{len(names)}_tasks", part, parents)


def _task_part(planner: _Planner, task: Task) -> dict[str, Any]:
    options = dict(planner.recipe.options.get(task.name, {}))
    data: dict[str, Any] = {
        "train": {
            language: planner.source.fingerprint(task, "train", language, options)
            for language in _held(planner, task)
        }
    }
    if "en" in planner.source.languages(task, "dev"):
        data["dev"] = planner.source.fingerprint(task, "dev", "en", options)
    else:
        planner.notice(
            f"{task.name}: no English dev split at hand; it has no say in which checkpoint is kept"
        )
    return {"task": task.name, **planner.read(task, options, trains=True), "data": data}


def _text_part(planner: _Planner, name: str, text: Text) -> dict[str, Any]:
    source = planner.texts.setdefault(name, _open(planner, name, text))
    held = source.languages()
    absent = [language for language in text.languages or () if language not in held]
    if absent:
        raise DataError(
            source.place,
            None,
            f"holds no text in {', '.join(absent)}; it holds: {', '.join(held)}",
        )
    return {
        "name": name,
        "format": planner.fitting("masked_lm", trains=True),
        # Named after --inter, text weighs as much as the tasks unless the recipe says otherwise.
        "weight": text.weight or 1.0,
        "smoothing": text.smoothing,
        "data": {language: source.fingerprint(language) for language in sorted(text.languages or held)},
    }


def _open(planner: _Planner, name: str, text: Text) -> TextSource:
    parallel = name == "tlm"
    if text.text == MINIATURE or (text.text is None and isinstance(planner.source, MiniatureSource)):
        return MiniatureText(parallel, getattr(planner.source, "seed", 0))
    if text.text is None:
        files = "<pair>.tsv, two texts a line" if parallel else "<code>.txt, a sentence or document a line"
        raise UsageError(f"{name} needs text: --set intermediate.{name}.text=DIR, a folder of files {files}")
    if text.text.startswith(PREFIX):
        if not text.languages:
            kind = "pairs" if parallel else "languages"
            raise UsageError(
                f"intermediate.{name}.text = {text.text!r}: name the {kind} to take, e.g. --set "
                f"intermediate.{name}.languages=['{'de-en' if parallel else 'de'}']"
            )
        return HubText(text.text.removeprefix(PREFIX), text.config, text.languages, parallel)
    return TextFolder(Path(text.text).expanduser(), parallel)


def robust_part(robust: Robust, tasks: Sequence[Task], name: str) -> dict[str, Any]:
    """What a stage's part says of robust training; nothing where it is off.

    Raises:
        UsageError: no task of the stage is pair classification.
    """
    if robust.kind == NONE:
        return {}
    if not any(task.format == ROBUST_FORMAT for task in tasks):
        formats = ", ".join(sorted({task.format for task in tasks}))
        raise UsageError(
            f"robust.kind = {robust.kind!r} trains pair classification; {name} is {formats or 'text'}. "
            "Leave it at 'none', or name tasks such as mnli or pawsx"
        )
    values = robust.model_dump(mode="json")
    return {"robust": {key: values[key] for key in ("kind", *ROBUST_KEYS[robust.kind])}}
