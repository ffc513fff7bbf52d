"""Laying out a cell's intermediate stages: one task, several in one stage, with text beside or before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapter_stilts.errors import DataError, UsageError
from adapter_stilts.hub.address import is_address
from adapter_stilts.miniature.corpus import MiniatureText
from adapter_stilts.recipe import MINIATURE, Text
from adapter_stilts.recipe_sections import EACH
from adapter_stilts.stages.parts import Member, TrainedTask, TrainedText
from adapter_stilts.stages.planning.fetched import plan_fetching
from adapter_stilts.stages.planning.names import (
    NONE,
    held_languages,
    intermediate_task,
    trainable,
    where_translations_lie,
)
from adapter_stilts.stages.planning.reading import fitting_settings
from adapter_stilts.stages.planning.request import Added, Request, together
from adapter_stilts.stages.planning.training import (
    TaughtTask,
    as_it_is,
    plan_mixture,
    plan_training,
    trained_task,
)
from adapter_stilts.tasks import all_tasks, get_task
from adapter_stilts.tasks.base import Task
from adapter_stilts.tasks.groups import ALL, STUDY, TEXTS, UNIONS
from adapter_stilts.tasks.hub_text import PREFIX, HubText
from adapter_stilts.tasks.text import TextFolder, TextSource


@dataclass(frozen=True)
class _Named:
    """One task of an entry; a union (``anli_plus``) is one task made of several."""

    name: str
    tasks: tuple[Task, ...]


def entries(request: Request) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The recipe's entries, ``each`` as those of the study's tasks that the data hold, and what is left out of it.

    Raises:
        DataError: ``each``, and the data hold none.
    """
    names: list[str] = []
    notices: tuple[str, ...] = ()
    for entry in request.recipe.intermediate.tasks:
        if entry != EACH:
            names.append(entry)
            continue
        found, told = _named(request, [ALL], entry)
        names += sorted((one.name for one in found), key=STUDY.index)
        notices += told
    return tuple(dict.fromkeys(names)), tuple(dict.fromkeys(notices))


def tasks_of_entry(request: Request, entry: str) -> tuple[tuple[Task, ...], tuple[str, ...]]:
    """The tasks that an entry trains on, as far as the data hold them, and what was left out.

    Args:
        entry: of `intermediate.tasks`, of tasks alone.

    Raises:
        UsageError: an unknown name.
        DataError: the data hold nothing of a task.
    """
    names = list(dict.fromkeys(name.strip() for name in entry.split(",") if name.strip()))
    found, notices = _named(request, names, entry)
    return tuple(task for one in found for task in one.tasks), notices


def plan_intermediate(request: Request, entry: str) -> Added:
    """The stage that a cell's target starts from, if any.

    Args:
        entry: of `intermediate.tasks`: names with commas between, ``all``, ``none``, or a bundle's address.

    Raises:
        UsageError: an unknown name, or names that do not fit together.
        DataError: the data hold nothing of a task, or of a language asked for.
    """
    names = list(dict.fromkeys(name.strip() for name in entry.split(",") if name.strip()))
    if names == [NONE]:
        return Added()
    if not names or NONE in names:
        raise UsageError(
            f"--inter {entry!r}: {NONE!r} is the baseline and stands alone; repeat --inter to compare cells"
        )
    if any(is_address(name) for name in names):
        return plan_fetching(request, names)
    settings = request.recipe.intermediate
    named, notices = _named(request, [name for name in names if name not in TEXTS], entry)
    asked = {name: text for name, text in _texts(request).items() if text.weight or name in names}
    before = {name: text for name, text in asked.items() if not named or text.when == "before"}
    beside = {name: text for name, text in asked.items() if name not in before}
    for name, text in beside.items():
        if text.steps is not None:
            raise UsageError(
                f"intermediate.{name}.steps = {text.steps}, but {name} is interleaved with {entry}, where it takes as "
                f"many steps as its weight says; set intermediate.{name}.when=before, or intermediate.{name}.weight"
            )
    first = _plan_text(request, before) if before else Added()
    told = Added(notices=notices)
    if not named:
        return together([told, first])
    if len(named) == 1 and not beside and _plain(named[0], settings.languages):
        return together([told, plan_training(request, as_it_is(named[0].tasks[0]), settings, first)])
    members, without_dev = _members(request, named)
    read = _trained_texts(request, beside)
    mixed = plan_mixture(request, members, [text for text, _ in read], first)
    return together([told, without_dev, mixed, *(added for _, added in read)])


def _texts(request: Request) -> dict[str, Text]:
    return {name: getattr(request.recipe.intermediate, name) for name in TEXTS}


def _plain(named: _Named, languages: tuple[str, ...] | None) -> bool:
    return named.name == named.tasks[0].name and languages in (None, named.tasks[0].trained_in)


def _named(request: Request, names: Sequence[str], entry: str) -> tuple[list[_Named], tuple[str, ...]]:
    """An entry's tasks, and what was left out of them."""
    found: dict[str, _Named] = {}
    notices: tuple[str, ...] = ()
    expanded = [part for name in names for part in (STUDY if name == ALL else (name,))]
    for name in dict.fromkeys(expanded):
        one, told = _one(request, name, optional=name not in names, entry=entry)
        notices += told
        if one is not None:
            found[name] = one
    if names and not found:
        raise DataError(
            request.source.place, None, f"holds no train split of any task of {entry!r} ({', '.join(STUDY)})"
        )
    notices += _check_languages(request, list(found.values()), entry)
    return [found[name] for name in sorted(found)], notices


def _one(request: Request, name: str, optional: bool, entry: str) -> tuple[_Named | None, tuple[str, ...]]:
    """A task or union, of what is at hand; None where it may be left out and nothing of it is."""
    if name not in UNIONS and not optional:
        task = intermediate_task(name)
        if request.recipe.intermediate.languages is None:
            trainable(request, task)
        elif not held_languages(request, task):
            raise DataError(request.source.place, None, _no_language(request, task))
        return _Named(name, (task,)), ()
    registry = {task.name for task in all_tasks()}
    parts, lost = [], {}
    for part in UNIONS.get(name, (name,)):
        if part not in registry:
            lost[part] = "this version has no such task"
            continue
        try:
            held = held_languages(request, get_task(part))
        except UsageError as error:  # the hub cannot serve it
            lost[part] = str(error)
            continue
        if held:
            parts.append(get_task(part))
        else:
            lost[part] = "no train split at hand"
    told = ", ".join(f"{part} ({why})" for part, why in lost.items())
    if not parts and not optional:
        raise DataError(request.source.place, None, f"holds no train split of {name!r}: {told}")
    of = f"{name} of {entry}" if optional else name
    notices = (f"{of}: left out {told}",) if lost else ()
    return (_Named(name, tuple(parts)) if parts else None), notices


def _no_language(request: Request, task: Task) -> str:
    asked = ", ".join(request.recipe.intermediate.languages or ("en",))
    held = ", ".join(request.source.training_languages(task)) or "none"
    told = f"holds no train split of {task.name!r} in {asked}; it holds: {held}"
    return f"{told}. {where_translations_lie(request, task)}"


def _check_languages(request: Request, named: Sequence[_Named], entry: str) -> tuple[str, ...]:
    """Every language asked for is in some task; tasks that lack one are told."""
    languages, source = request.recipe.intermediate.languages, request.source
    tasks = {task.name: task for one in named for task in one.tasks}
    if languages is None or not tasks:
        return ()
    held = {name: held_languages(request, task) for name, task in tasks.items()}
    notices = []
    for language in languages:
        lacking = [name for name in tasks if language not in held[name]]
        if len(lacking) == len(tasks):
            found = sorted({other for task in tasks.values() for other in source.training_languages(task)})
            raise DataError(
                source.place,
                None,
                f"holds no train split of {entry} in {language!r}; it holds: {', '.join(found)}",
            )
        notices += [
            f"{name}: no train split in {language} at hand; trained in {', '.join(held[name])}"
            for name in lacking
        ]
    return tuple(notices)


def _members(request: Request, named: Sequence[_Named]) -> tuple[list[Member], Added]:
    """The tasks of a mixture. Those of one format and label set share a head."""
    heads: dict[tuple[str, ...], str] = {}
    members: list[Member] = []
    notices: list[str] = []
    for one in named:
        first = one.tasks[0]
        # Labels left to the data are a set of their own.
        labels = (one.name,) if first.open_labels else first.labels
        head = heads.setdefault((first.format, *labels), one.name)
        tasks: list[TrainedTask] = []
        for task in one.tasks:
            trained, told = trained_task(
                request,
                TaughtTask(task, held_languages(request, task), task.trained_in[:1]),
                "it has no say in which checkpoint is kept",
            )
            tasks.append(trained)
            notices += told
        members.append(Member(one.name, head, tuple(tasks)))
    return members, Added(notices=tuple(notices))


def _plan_text(request: Request, texts: Mapping[str, Text]) -> Added:
    """A stage of language modelling alone."""
    steps = [text.steps or request.recipe.intermediate.text_steps for text in texts.values()]
    known = [count for count in steps if count is not None]
    read = _trained_texts(request, texts)
    whole = sum(known) if len(known) == len(steps) else None
    stage = plan_mixture(request, [], [text for text, _ in read], Added(), whole)
    return together([stage, *(added for _, added in read)])


def _trained_texts(request: Request, texts: Mapping[str, Text]) -> list[tuple[TrainedText, Added]]:
    """Texts sorted by name, and where each is read."""
    return [_trained_text(request, name, text) for name, text in sorted(texts.items())]


def _trained_text(request: Request, name: str, text: Text) -> tuple[TrainedText, Added]:
    source = _open(request, name, text)
    held = source.languages()
    absent = [language for language in text.languages or () if language not in held]
    if absent:
        raise DataError(
            source.place,
            None,
            f"holds no text in {', '.join(absent)}; it holds: {', '.join(held)}",
        )
    trained = TrainedText(
        name,
        fitting_settings(request, "masked_lm", trains=True),
        # Named after --inter, text weighs as much as the tasks unless the recipe says otherwise.
        text.weight or 1.0,
        text.smoothing,
        {language: source.fingerprint(language) for language in sorted(text.languages or held)},
    )
    return trained, Added(texts={name: source})


def _open(request: Request, name: str, text: Text) -> TextSource:
    parallel = name == "tlm"
    if text.text == MINIATURE or (text.text is None and request.source.constructed):
        return MiniatureText(parallel, getattr(request.source, "seed", 0))
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
