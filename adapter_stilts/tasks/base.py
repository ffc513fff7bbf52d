"""Tasks: each a format, a metric, languages, where its rows come from, and all else that is true of it.

A task file holds one `TASK` value and the functions that turn one row into one example. Everything else
(reading files and hub data sets, locating an error, fingerprints) belongs to the sources.

Strings marked "template" may hold ``{language}`` (the task's language code), ``{code}`` (its name in the
source, see `Task.codes`) and the name of any of the task's options, ``{words}`` for instance.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from adapter_stilts.errors import UnknownNameError, UsageError
from adapter_stilts.formats import get_format
from adapter_stilts.formats.base import Judged
from adapter_stilts.formats.examples import Example

Split: TypeAlias = Literal["train", "dev", "test"]
Row: TypeAlias = Mapping[str, Any]
Parsed: TypeAlias = Example | tuple[Example, ...] | None

LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
"""A language as files are named after it; anything else would be a path or a wildcard."""

INDEX = "#"
"""Column that a source adds to each row: its number, from 0, among the rows of its language."""

LOCATION = "@"
"""Column in which a reader says where in a nested file the row stands; shown in errors."""

LEFT_OUT = "-"
"""Column in which a reader says why a row cannot be used; such rows are counted, and the counts told."""


@dataclass(frozen=True)
class Files:
    """Release files of one split.

    Args:
        patterns: templates of paths, each tried in the data set's folder (`Task.folder`) and then in the data
            folder itself; the first that matches is read. ``*`` matches several files, read in sorted order;
            `` + `` joins paths that are read one after another and must all be there.
        reader: name of a reader in `readers.READERS` (``jsonl``, ``squad_json``, ``tsv`` ...).
        example: one row to its example (or a tuple of them, where a row holds several), or None for a row
            the release itself says to skip. Raises ValueError(why) on a malformed row; the source adds file
            and line.
        options: passed to the reader; strings are templates.
        language: the language of a row, for files that hold several; rows of other languages are skipped,
            but are an error in a file whose pattern names the language. Raises ValueError(why).
        beside: templates of file names read together with the match, from the same folder, as further
            arguments of the reader (the English side of a parallel corpus).
        only: the values of an option that these files can serve, where they cannot serve all.
        languages: of a train or dev split, the languages these files hold (a translated train set's, or several at
            once). Where empty, English alone, or the task's where a pattern names the language (of dev, also where
            rows do).
        further: whether these files are those of languages that the task does not list.
    """

    patterns: tuple[str, ...]
    reader: str
    example: Callable[[Row], Parsed]
    options: Mapping[str, Any] = field(default_factory=dict)
    language: Callable[[Row], str] | None = None
    beside: tuple[str, ...] = ()
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    further: bool = False


@dataclass(frozen=True)
class Hub:
    """One split of a hub data set.

    Args:
        dataset: repository id, e.g. ``"Rowan/hellaswag"``.
        config: configuration name, a template.
        split: the hub's own split name, or several joined by ``+``; a template.
        example, language, only, languages: as in `Files`. Class labels arrive as names, not numbers; -1 as None.
        revision: a branch other than the main one: ``refs/convert/parquet`` is the hub's own copy of data sets
            that their owners left as a loading script, which no longer runs.
    """

    dataset: str
    config: str | None
    split: str
    example: Callable[[Row], Parsed]
    language: Callable[[Row], str] | None = None
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    revision: str | None = None
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Membership:
    """A task's place in a benchmark, whose score there is the plain mean over its languages, English included.

    Args:
        row: of the benchmark's table of tasks, from 1.
        groups: those whose mean its score enters; several, or none.
        more: languages that the benchmark has it in beside `Task.languages`.
        read: whether the official scorer reads its files.
        only: those of `Task.languages` that the benchmark has it in; all where empty.
    """

    row: int
    groups: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    read: bool = True
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """One task of the registry: everything that is true of it.

    Args:
        name: as typed after ``--inter`` or ``--target``.
        role: what it serves as in the study; an intermediate task is trained on, a target evaluated.
        format: name of a module in `formats/`.
        metric: metrics as the official scorer names them; their mean is the task's score.
        languages: evaluation languages of the benchmark, in the order of its tables: XTREME's, and XTREME-R's
            for the tasks that only XTREME-R has; all that the data set has for those of neither.
        train_task: the task whose English train and dev splits train a target; its own name where it has
            its own, None where nothing is trained (retrieval).
        labels: the label set in the order of the head's outputs; of text regression a name for its number, by which
            tasks have one head or not; empty where the format has none.
        files, hub: per split, where the rows are; several are alternatives, tried in order.
        folder: the data set's folder inside a data folder; the task's name where empty.
        codes: language code -> the name release files use (``{"de": "deu"}``); the code itself where empty.
        hub_codes: the same for the hub; `codes` where empty.
        options: choices of reading that a recipe may make, each with its valid values, default first.
        benchmarks: the benchmarks it is in, by name. They are closed: a task that comes from outside this package is
            in none.
        test_sizes: examples of the test set by language, as far as they are published (the dataset_infos of
            google/xtreme and cambridgeltl/xcopa on the hub; of XQuAD and XQuAD-R the questions); a submission is held
            against them.
        judged: in place of what its format says for its metric.
        submitted_with: options that its files in a submission were made with.
        address: where its release files are got.
        schema: raised when its rows become other examples, so that what was read before is not taken for the same.
        no_hub: why the hub cannot serve the task, where it cannot.
        unanswerable: whether an example without answers is a question that has none (else its answers are not known).
        open_labels: whether `labels` are left to the data; `sources.with_labels` fills them in.
        trained_in: languages that its train split is trained in; the dev split of the first chooses the checkpoint.
        declared: of a task from a TOML file what the file says, as JSON; it is part of what is hashed, and of bundles.
        home: the folder that its files lie in, wherever those of other tasks do.
        remark: a reader of its scores should know it; told where the task is shown and before it is evaluated.
    """

    name: str
    role: Literal["intermediate", "target"]
    format: str
    metric: tuple[str, ...]
    languages: tuple[str, ...]
    train_task: str | None
    dataset: str
    paper: str
    licence: str
    files: Mapping[Split, Files | tuple[Files, ...]] = field(default_factory=dict)
    hub: Mapping[Split, Hub | tuple[Hub, ...]] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    folder: str = ""
    codes: Mapping[str, str] = field(default_factory=dict)
    hub_codes: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    no_hub: str = ""
    unanswerable: bool = False
    open_labels: bool = False
    benchmarks: Mapping[str, Membership] = field(default_factory=dict)
    test_sizes: Mapping[str, int] = field(default_factory=dict)
    judged: Judged | None = None
    submitted_with: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    remark: str = ""
    schema: int = 1
    trained_in: tuple[str, ...] = ("en",)
    declared: str = ""
    home: Path | None = None

    @property
    def added_languages(self) -> tuple[str, ...]:
        """Languages that a benchmark adds to `languages`; evaluated where they are asked for by name."""
        return tuple(
            dict.fromkeys(language for member in self.benchmarks.values() for language in member.more)
        )

    @property
    def all_languages(self) -> tuple[str, ...]:
        """`languages` and `added_languages`."""
        return (*self.languages, *self.added_languages)

    def taken(self, split: Split, fields: Mapping[str, str]) -> dict[str, Any]:
        """The choice that is made of a source's rows, by the values of its templates' fields: part of a fingerprint.

        The task's code is no part of it. Where it comes to read the same files otherwise, `schema` is raised.
        """
        version = {} if self.schema == 1 else {"schema": self.schema}
        told = {"declared": self.declared} if self.declared else {}
        return {**fields, "task": self.name, "split": split, **version, **told}


def language_names(languages: Iterable[str]) -> str:
    """Languages as messages, tables and cards name them: English by its name, others by their codes."""
    return ", ".join("English" if language == "en" else language for language in languages)


def judged_of(task: Task) -> Judged:
    """How a task is judged: as it says itself, or as its format says for its metric.

    Raises:
        UsageError: its format cannot be judged by that metric, or by none.
    """
    if task.judged is not None:
        return task.judged
    known = get_format(task.format).JUDGED
    if not known:
        raise UsageError(f"task {task.name!r}: tasks of format {task.format} are trained on, not evaluated")
    if task.metric[0] not in known:
        raise UnknownNameError(f"metric of {task.format} tasks ({task.name})", task.metric[0], known)
    return known[task.metric[0]]
