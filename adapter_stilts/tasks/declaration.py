"""What a task's TOML file says: a format, labels, and files beside it or a data set of the hub, with their columns.

    format = "text_classification"
    labels = ["sports", "politics"]
    languages = ["en", "de"]

    [files]
    train = "train.csv"
    dev = "dev.csv"
    test = "test-{language}.csv"

    [columns]
    text = "headline"
    label = "topic"

What is declared and the data enter the keys of stages; where the file lies, how it is laid out and its comments do not.
A bundle trained on the task carries the declaration, so that whoever has the data can evaluate it.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from adapter_stilts.errors import UsageError
from adapter_stilts.tasks.base import Split

SPLITS: tuple[Split, ...] = ("train", "dev", "test")
READERS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
    ".json": "squad_json",
    ".conll": "tagged",
    ".bio": "tagged",
    ".txt": "tagged",
}
"""How a file is read, by the end of its name."""

Names = Annotated[tuple[str, ...], BeforeValidator(lambda held: (held,) if isinstance(held, str) else held)]
"""One name, or several."""
Reader = Literal["csv", "tsv", "jsonl", "parquet", "squad_json", "tagged"]


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, str_max_length=20_000
    )


class DeclaredFiles(_Section):
    """Files beside the declaration, or in folders there; ``{language}`` and ``{code}`` in their names are filled in."""

    train: Names = ()
    """One, or several that are read one after another; ``*`` matches several."""
    dev: Names = ()
    test: Names = ()
    reader: Reader | None = None
    """How they are read; by default as the ends of their names say."""
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    """Between the fields of a CSV file; a comma where nothing is said."""


class DeclaredHub(_Section):
    """A data set of the hub; ``{language}`` and ``{code}`` in its config and splits are filled in."""

    dataset: str = ""
    config: str | None = None
    train: str | None = None
    """The hub's name of the split."""
    dev: str | None = None
    test: str | None = None
    revision: str | None = None


class Declaration(_Section):
    """A task's TOML file."""

    name: str = ""
    """As results are named; the file's own without its end where nothing is said."""
    format: str
    labels: tuple[str, ...] = ()
    """In the order of the head's outputs; of choices their names, counted from 0 where they have none."""
    metric: Names = ()
    """By default accuracy, of numbers both correlations, of questions exact match and F1, of tags F1."""
    role: Literal["intermediate", "target"] = "target"
    """A target is evaluated, and may be an intermediate task too; an intermediate task is trained on alone."""
    train_languages: Names = ("en",)
    """Languages of the train split; the dev split of the first chooses the checkpoint."""
    languages: Names = ()
    """Languages of the test split; those of the train split where nothing is said."""
    train_task: str | None = None
    """A task that trains it, where it has no train split of its own."""
    files: DeclaredFiles = DeclaredFiles()
    hub: DeclaredHub = DeclaredHub()
    columns: dict[str, Names] = {}
    """Fields of the format's example, each with the column that holds it; of ``choices`` also several.
    The others stand in columns of their own name."""
    codes: dict[str, str] = {}
    """Languages, each with the name that files, configs or the column ``language`` have for it."""
    dataset: str = ""
    address: str = ""
    """Where the data are got."""
    licence: str = ""
    citation: str = ""

    def reader(self, name: str) -> str:
        """How a file of this name is read."""
        return self.files.reader or READERS[PurePosixPath(name).suffix]


class Where(NamedTuple):
    """A declaration's place, and its text, which tells the line of a key; empty where there is none."""

    name: str
    text: str = ""

    def at(self, key: str) -> str:
        line = line_of(self.text, key)
        return self.name if line is None else f"{self.name}:{line}"

    def error(self, key: str, why: str) -> UsageError:
        return UsageError(f"{self.at(key)}: {why}")


def line_of(text: str, key: str) -> int | None:
    """The line on which a key or section of a TOML file begins, or the section that it would stand in."""
    section, found = "", None
    for number, line in enumerate(text.split("\n"), start=1):
        header = re.match(r"\s*\[([\w.\- ]+)\]", line)
        if header:
            section = header[1].replace(" ", "")
            if section == key:
                return number
            found = number if key.startswith(f"{section}.") else found
        named = re.match(r"\s*\"?([\w.\-]+)\"?\s*=", line)
        if named and ".".join(filter(None, (section, named[1]))) == key:
            return number
    return found
