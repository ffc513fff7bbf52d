"""Tasks of TOML files: read, checked, and made a `Task` like any other."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapter_stilts.errors import DataError, UnknownNameError, UsageError
from adapter_stilts.formats import format_names
from adapter_stilts.tasks.base import Files, Hub, Parsed, Row, Split, Task
from adapter_stilts.tasks.declaration import SPLITS, Declaration, Where, line_of
from adapter_stilts.tasks.declared_checks import check
from adapter_stilts.tasks.declared_rows import SHAPES, Columns, column
from adapter_stilts.tasks.lines import read_text
from adapter_stilts.validation import first_error, validated

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_declared(path: Path) -> Task:
    """The task of a TOML file.

    Raises:
        UsageError: it is no declaration, or says what cannot be; with the line and what to change.
    """
    values, where = _values(path)
    return task_of(declaration_of({"name": path.stem, **values}, where), path.parent)


def is_declaration(path: Path) -> bool:
    """Whether a TOML file says a format, as a task's does and a recipe does not. Raises UsageError."""
    return "format" in _values(path)[0]


def declaration_of(values: Mapping[str, Any], where: Where) -> Declaration:
    """What was declared, checked; the same whatever it left unsaid. Raises UsageError."""
    try:
        found = validated(Declaration, values, where="task file")
    except UsageError as error:
        cause = error.__cause__
        first = first_error(cause) if isinstance(cause, ValidationError) else {"loc": (), "type": ""}
        key = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
        choices = f"; choices: {', '.join(SHAPES)}" if (key, first["type"]) == ("format", "missing") else ""
        raise where.error(key, f"{error}{choices}") from None
    if found.format not in SHAPES:
        kind = "format" if found.format not in format_names() else "format that a file can declare:"
        raise where.error("format", str(UnknownNameError(kind, found.format, SHAPES)))
    shape = SHAPES[found.format]
    found = found.model_copy(
        update={
            "metric": found.metric or shape.metric,
            "languages": found.languages or found.train_languages,
            "dataset": found.dataset or found.hub.dataset or found.name,
        }
    )
    check(found, where)
    return found


def task_of(declared: Declaration, home: Path | None) -> Task:
    """The task that is declared, to be used like any other.

    Args:
        home: the folder of its files; None looks for them wherever other tasks' are.
    """
    named = {split: getattr(declared.files, split) for split in SPLITS if getattr(declared.files, split)}
    on_hub = {split: getattr(declared.hub, split) for split in SPLITS if getattr(declared.hub, split)}
    trains = "train" in named or "train" in on_hub
    return Task(
        name=declared.name,
        role=declared.role,
        format=declared.format,
        metric=declared.metric,
        languages=declared.languages,
        train_task=declared.name if trains else declared.train_task or declared.name,
        dataset=declared.dataset,
        paper=declared.citation,
        licence=declared.licence,
        address=declared.address,
        labels=_outputs(declared),
        folder=".",
        codes=declared.codes,
        files={split: _files(declared, split, names) for split, names in named.items()},
        hub={split: _hub(declared, split, name) for split, name in on_hub.items()},
        no_hub="" if on_hub else "it is declared with files of its own",
        declared=json.dumps(declared.model_dump(mode="json", exclude_defaults=True), sort_keys=True),
        home=home,
        trained_in=declared.train_languages,
    )


def _outputs(declared: Declaration) -> tuple[str, ...]:
    """The names of the head's outputs, by which two tasks have one head or not.

    A number is named after the task that trains it: what another task measures is no answer to this one.
    """
    if declared.format == "text_regression":
        return (declared.train_task or declared.name,)
    return declared.labels if SHAPES[declared.format].labels else ()


def check_files(task: Task, where: str) -> None:
    """Raises DataError where a file that a declaration names is not beside it, in none of its languages."""
    if task.home is None:
        return
    for split, spec in task.files.items():
        assert isinstance(spec, Files)
        languages = task.languages if split == "test" else task.trained_in
        tried = [
            pattern.format_map({"language": language, "code": task.codes.get(language, language)})
            for language in languages
            for pattern in spec.patterns
        ]
        parts = [part for name in dict.fromkeys(tried) for part in name.split(" + ")]
        if not any(any(task.home.glob(part)) for part in parts):
            raise DataError(
                where,
                line_of(_text(Path(where)), f"files.{split}"),
                f"files.{split}: no such file beside it: {', '.join(parts)}. Paths count from the folder of the task's "
                "file; put it there, or mend its name",
            )


def declarations(tasks: Iterable[Task]) -> dict[str, Any]:
    """What declared tasks are declared as, by name: what a bundle carries."""
    return {task.name: json.loads(task.declared) for task in tasks if task.declared}


def _values(path: Path) -> tuple[dict[str, Any], Where]:
    if not path.is_file():
        raise UsageError(f"{path}: no such file; a task's file is TOML and says a format (docs/own-tasks.md)")
    text = _text(path)
    try:
        return tomllib.loads(text), Where(str(path), text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise UsageError(f"{path}{f':{line[1]}' if line else ''}: is not TOML: {error}") from None


def _text(path: Path) -> str:
    # TOML's lines may end in CRLF; the parser takes no lone CR.
    return read_text(path).replace("\r\n", "\n")


def _columns(declared: Declaration) -> Columns:
    fields = [field for field in SHAPES[declared.format].fields if field not in declared.columns]
    return {**{field: (field,) for field in fields}, **declared.columns}


def _files(declared: Declaration, split: Split, names: Sequence[str]) -> Files:
    reader = declared.reader(names[0])
    delimited = reader == "csv" and declared.files.delimiter is not None
    return Files(
        (" + ".join(names),),
        reader,
        _Example(declared),
        options={"delimiter": declared.files.delimiter} if delimited else {},
        language=_Language(declared) if "language" in declared.columns else None,
        languages=declared.train_languages if split == "train" else (),
    )


def _hub(declared: Declaration, split: Split, name: str) -> Hub:
    return Hub(
        declared.hub.dataset,
        declared.hub.config,
        name,
        _Example(declared),
        language=_Language(declared) if "language" in declared.columns else None,
        revision=declared.hub.revision,
        languages=declared.train_languages if split == "train" else (),
    )


class _Example:
    """From a row to an example, as declared."""

    def __init__(self, declared: Declaration) -> None:
        self._columns, self._labels = _columns(declared), declared.labels
        self._example = SHAPES[declared.format].example

    def __call__(self, row: Row) -> Parsed:
        return self._example(row, self._columns, self._labels)


class _Language:
    """From a row to its language, by the name that the declaration says the data have for it."""

    def __init__(self, declared: Declaration) -> None:
        self._columns = declared.columns
        self._languages = {code: language for language, code in declared.codes.items()}

    def __call__(self, row: Row) -> str:
        name = str(column(row, self._columns, "language"))
        return self._languages.get(name, name)
