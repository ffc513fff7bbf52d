"""From rows to examples: what every source does alike, whatever it reads."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from adapter_stilts.errors import DataError, UnknownNameError, UsageError
from adapter_stilts.formats.examples import Example, is_labelled
from adapter_stilts.tasks.base import INDEX, LEFT_OUT, LOCATION, Files, Hub, Parsed, Row, Split, Task
from adapter_stilts.tasks.columns import UnusableAnswer

_log = logging.getLogger(__name__)

SpecT = TypeVar("SpecT", Files, Hub)


def split_languages(task: Task, split: Split) -> tuple[str, ...]:
    """The languages a split is used in: the benchmarks' for test, else English, or what a declaration says.

    Transfer is zero-shot: nothing but English is trained on, and nothing but English chooses a checkpoint.
    Where nothing is trained, dev is what a threshold is chosen on, in each language by itself.
    """
    if split == "test" or task.train_task is None:
        return task.all_languages
    return task.trained_in if split == "train" else task.trained_in[:1]


def serves(spec: Files | Hub, fields: Mapping[str, str]) -> bool:
    """Whether the files (or the hub's copy) can serve the options in ``fields``."""
    return all(fields[option] in values for option, values in spec.only.items())


def alternatives(specs: SpecT | tuple[SpecT, ...]) -> tuple[SpecT, ...]:
    """A split's descriptions, of which there may be one or several."""
    return specs if isinstance(specs, tuple) else (specs,)


def train_languages(task: Task, given: tuple[str, ...], templates: Collection[str]) -> tuple[str, ...]:
    """The languages that a description of a train split serves: those given, or as its templates say."""
    return given or (task.languages if _name_a_language(templates) else ("en",))


def dev_languages(task: Task, spec: Files | Hub, templates: Collection[str]) -> tuple[str, ...]:
    """The languages that a description of a dev split serves: those given, or as its templates or rows say."""
    told = _name_a_language(templates) or spec.language is not None
    return spec.languages or (task.all_languages if told else task.trained_in[:1])


def _name_a_language(templates: Collection[str]) -> bool:
    return any("{language}" in template or "{code}" in template for template in templates)


def template_fields(
    task: Task,
    split: Split,
    language: str,
    options: Mapping[str, str],
    splits: Collection[Split],
    others: Collection[str] = (),
) -> dict[str, str]:
    """The values of a template's fields but ``code``: the language, and every option, chosen or default.

    Args:
        others: further languages that the source holds the split in.

    Raises:
        UnknownNameError: an option, its value or the language is not one of the task's.
        UsageError: the task has no such split in this source.
    """
    if split not in splits:
        held = ", ".join(splits) or "none"
        raise UsageError(f"task {task.name!r} has no {split} split here; splits: {held}.")
    valid = dict.fromkeys([*split_languages(task, split), *others])
    if language not in valid:
        raise UnknownNameError(f"language of {task.name} {split}", language, valid)
    check_options(task, options)
    defaults = {name: values[0] for name, values in task.options.items()}
    return {"language": language, **defaults, **options}


def check_options(task: Task, options: Mapping[str, str]) -> None:
    """Raises UnknownNameError where an option or its value is not one of the task's."""
    for name, value in options.items():
        if name not in task.options:
            raise UnknownNameError(f"option of task {task.name!r}", name, task.options)
        if value not in task.options[name]:
            raise UnknownNameError(
                f"value of option {name!r} of task {task.name!r}", value, task.options[name]
            )


@dataclass(frozen=True)
class Located:
    """A row with the file (or hub split) and line (or record) it was read from."""

    path: str | Path
    line: int
    row: dict[str, Any]


def label_check(task: Task, split: Split) -> Callable[[Example], None]:
    """Refuses (ValueError) an example whose label a split needs: train learns it, dev chooses the checkpoint by it."""
    needed = split != "test" and task.train_task is not None

    def check(example: Example) -> None:
        if needed and not is_labelled(example, task.unanswerable):
            use = "is trained on" if split == "train" else "chooses the checkpoint"
            raise ValueError(f"has no label, but {task.name} {split} {use}: give the split with its labels")

    return check


def gather(
    rows: Iterable[Located],
    example: Callable[[Row], Parsed],
    language_of: Callable[[Row], str] | None,
    languages: Collection[str],
    *,
    skip_others: bool,
    known: Collection[str] = (),
    check: Callable[[Example], None] = lambda example: None,
    translated: bool = False,
) -> dict[str, list[Example]]:
    """The examples of each of ``languages``; all under the first one where rows do not name theirs.

    Args:
        rows: in the order of the release.
        example, language_of: the task's functions.
        languages: rows of others are skipped, or an error where ``skip_others`` is false.
        known: where given, a row in none of these is an error even where others are skipped.
        check: raises ValueError(why) for an example that the split cannot hold.
        translated: whether the rows were translated, so that answers may have been lost; such questions are left
            out, and counted in a notice.

    Raises:
        DataError: a row is malformed, or an id stands twice in a language.
    """
    found: dict[str, list[Example]] = {language: [] for language in languages}
    counts = dict.fromkeys(languages, 0)
    seen: dict[tuple[str, str], tuple[str | Path, int]] = {}
    only = next(iter(languages))
    read: Counter[str] = Counter()
    lost: Counter[tuple[str, str]] = Counter()
    for located in rows:
        read[str(located.path)] += 1
        if LEFT_OUT in located.row:
            lost[str(located.path), located.row[LEFT_OUT]] += 1
            continue
        try:
            language = language_of(located.row) if language_of else only
            if language not in found:
                if skip_others and (not known or language in known):
                    continue
                if skip_others:
                    raise ValueError(f"is in {language!r}, not one of: {', '.join(sorted(set(known)))}")
                raise ValueError(f"is in {language!r}, the file's name says {only!r}")
            located.row[INDEX] = counts[language]
            counts[language] += 1
            parsed = example(located.row)
            items = parsed if isinstance(parsed, tuple) else () if parsed is None else (parsed,)
            for item in items:
                check(item)
        except ValueError as error:
            if translated and isinstance(error, UnusableAnswer):
                lost[str(located.path), "the translation holds no such answer"] += 1
                continue
            inside = f" ({located.row[LOCATION]})" if LOCATION in located.row else ""
            raise DataError(located.path, located.line, f"{error}{inside}") from None
        for item in items:
            place = (located.path, located.line)
            path, line = seen.setdefault((language, item.id), place)
            if (path, line) != place:
                raise DataError(*place, f"id {item.id!r} stands already at {path}:{line}")
            found[language].append(item)
    for (file, why), count in lost.items():
        _tell_lost(file, count, read[file], why)
    return found


@cache  # once a run, however often the file is read
def _tell_lost(file: str, count: int, of: int, why: str) -> None:
    _log.warning("%s: %d of %d rows are left out: %s", file, count, of, why)
