"""Where a task's examples come from: release files, the hub, or files and for the rest the hub.

source = open_source("~/data")            # or open_source(None) for the hub, fill=True for both
examples = source.examples(get_task("xquad"), "test", "de", {})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from adapter_stilts.errors import DataError, UsageError
from adapter_stilts.formats.examples import Example, label_names
from adapter_stilts.tasks.base import Split, Task
from adapter_stilts.tasks.files import FileSource
from adapter_stilts.tasks.hub import HubSource
from adapter_stilts.tasks.overlay import FLAG, Overlay
from adapter_stilts.tasks.readers import READERS

__all__ = [
    "FLAG",
    "READERS",
    "FileSource",
    "HubSource",
    "Overlay",
    "Source",
    "WithDeclared",
    "open_source",
    "overlay_of",
    "with_labels",
]


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
        if task.trained_in[0] in source.languages(task, split)
        for example in source.examples(task, split, task.trained_in[0], options)
        for name in label_names(example)
    }
    return replace(task, labels=tuple(sorted(names)))


class WithDeclared:
    """A source, and beside it the data of declared tasks, which lie by their declarations or are on the hub."""

    def __init__(self, others: Source) -> None:
        self.others = others
        self.place, self.levels, self.constructed = others.place, others.levels, others.constructed
        self._files: dict[Path, FileSource] = {}
        self._hub = others if isinstance(others, HubSource) else HubSource()

    @property
    def root(self) -> Path | None:
        """The folder of release files; None where there is none."""
        return getattr(self.others, "root", None)

    def of(self, task: Task) -> Source:
        """The source of a task's data."""
        if not task.declared or (task.home is None and not task.hub):
            return self.others
        if task.home is None or task.hub:
            return self._hub
        return self._files.setdefault(task.home, FileSource(task.home))

    def wanted(self, task: Task) -> tuple[str, ...]:
        return self.of(task).wanted(task)

    def offered(self, task: Task) -> tuple[str, ...]:
        return self.of(task).offered(task)

    def further(self, task: Task, language: str) -> bool:
        return self.of(task).further(task, language)

    def languages(self, task: Task, split: Split) -> tuple[str, ...]:
        return self.of(task).languages(task, split)

    def training_languages(self, task: Task) -> tuple[str, ...]:
        return self.of(task).training_languages(task)

    def dev_languages(self, task: Task) -> tuple[str, ...]:
        return self.of(task).dev_languages(task)

    def fingerprint(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> str:
        return self.of(task).fingerprint(task, split, language, options)

    def examples(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> list[Example]:
        return self.of(task).examples(task, split, language, options)


def overlay_of(source: Source) -> Overlay | None:
    """The folder whose gaps the hub fills; None where another source is read."""
    inner = source.others if isinstance(source, WithDeclared) else source
    return inner if isinstance(inner, Overlay) else None


def open_source(data: str | None, fill: bool = False) -> Source:
    """The release files under the folder ``data``, or the hub where it is None.

    Args:
        fill: whether what the folder lacks is read from the hub.

    Raises:
        UsageError: there is no folder whose gaps could be filled.
        DataError: there is no such folder.
    """
    if data is None:
        if fill:
            raise UsageError(
                f"{FLAG} reads from the hub what the folder after --data lacks, and there is no --data: leave it out, "
                "all is read from the hub then"
            )
        return HubSource()
    root = Path(data).expanduser()
    if not root.is_dir():
        why = "is a file, not a folder" if root.exists() else "no such folder"
        raise DataError(
            root, None, f"{why}; --data names a folder of release files, leave it out to read from the hub"
        )
    return Overlay(FileSource(root), HubSource()) if fill else FileSource(root)
