"""Where a task's examples come from: release files, or the hub.

source = open_source("~/data")            # or open_source(None) for the hub
examples = source.examples(get_task("xquad"), "test", "de", {})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from adapter_stilts.errors import DataError
from adapter_stilts.formats.examples import Example, label_names
from adapter_stilts.tasks.base import Split, Task
from adapter_stilts.tasks.files import FileSource
from adapter_stilts.tasks.hub import HubSource
from adapter_stilts.tasks.readers import READERS

__all__ = ["READERS", "FileSource", "HubSource", "Source", "open_source", "with_labels"]


class Source(Protocol):
    """Reads tasks. ``options`` are the task's options that a recipe chose; the others take their default."""

    place: str
    """Where the examples lie, for messages."""
    levels: Mapping[str, str]
    """How much text of a language the encoder saw (high, middle, low), where that is known."""
    constructed: bool
    """Whether its languages are constructed ones, of no benchmark."""

    def wanted(self, task: Task) -> tuple[str, ...]:
        """The languages the task is to be evaluated in, held or not."""

    def offered(self, task: Task) -> tuple[str, ...]:
        """The languages that may be asked for."""

    def further(self, task: Task, language: str) -> bool:
        """Whether it holds a test split in a language that no benchmark has the task in."""

    def languages(self, task: Task, split: Split) -> tuple[str, ...]:
        """The languages this source holds of those the split is used in (English for train and dev)."""

    def training_languages(self, task: Task) -> tuple[str, ...]:
        """The languages the train split is held in: English, and those it was translated to."""

    def dev_languages(self, task: Task) -> tuple[str, ...]:
        """The languages the dev split is held in: English, which is used unasked, and others."""

    def fingerprint(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> str:
        """A string that changes whenever the examples may."""

    def examples(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> list[Example]:
        """The examples, in the release's order; never empty."""


def with_labels(task: Task, source: Source, options: Mapping[str, str]) -> Task:
    """The task, with the label set of its data where it leaves it to them: every label of English train and dev.

    Both splits are part of a stage's key, and so is the label set with them.
    """
    if not task.open_labels:
        return task
    splits: tuple[Split, ...] = ("train", "dev")
    names = {
        name
        for split in splits
        if "en" in source.languages(task, split)
        for example in source.examples(task, split, "en", options)
        for name in label_names(example)
    }
    return replace(task, labels=tuple(sorted(names)))


def open_source(data: str | None) -> Source:
    """The release files under the folder ``data``, or the hub where it is None.

    Raises:
        DataError: there is no such folder.
    """
    if data is None:
        return HubSource()
    root = Path(data).expanduser()
    if not root.is_dir():
        why = "is a file, not a folder" if root.exists() else "no such folder"
        raise DataError(
            root, None, f"{why}; --data names a folder of release files, leave it out to read from the hub"
        )
    return FileSource(root)
