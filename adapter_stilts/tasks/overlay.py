"""Release files laid over the hub: what the folder lacks is read there, split by split and language by language.

A split's examples and fingerprint are those of the source it comes from, so a stage is the same whichever way its data
were named. Nothing is asked of the hub but what the folder lacks, and `Overlay.notice` tells what was read there.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from adapter_stilts.errors import SourceUnavailableError, UsageError
from adapter_stilts.formats.examples import Example
from adapter_stilts.tasks.base import Split, Task
from adapter_stilts.tasks.files import FileSource
from adapter_stilts.tasks.hub import HubSource
from adapter_stilts.tasks.rows import split_languages

FLAG = "--fill-from-hub"


class Overlay:
    """A folder's files, and the hub's data sets where it has none.

    Args:
        files: the folder.
        hub: where the rest is read.
    """

    levels: Mapping[str, str] = MappingProxyType({})
    constructed = False

    def __init__(self, files: FileSource, hub: HubSource) -> None:
        self.files, self.hub = files, hub
        self.place = f"{files.place}, filled from the hub,"
        self._filled: dict[tuple[str, Split], dict[str, None]] = {}

    def wanted(self, task: Task) -> tuple[str, ...]:
        """The languages the task lists."""
        return task.languages

    def offered(self, task: Task) -> tuple[str, ...]:
        """Those, and the ones that a benchmark adds."""
        return task.all_languages

    def further(self, task: Task, language: str) -> bool:
        """Whether the folder or, asked only where it does not, the hub holds a language that the task does not list."""
        return self.files.further(task, language) or self.hub.further(task, language)

    def languages(self, task: Task, split: Split) -> tuple[str, ...]:
        """The languages that either holds, in the task's order; the hub is not asked.

        Raises:
            DataError: a file holding several languages is malformed.
        """
        held = {*self.files.languages(task, split), *self._hub_languages(task, split)}
        return tuple(language for language in split_languages(task, split) if language in held)

    def training_languages(self, task: Task) -> tuple[str, ...]:
        """English where either holds its train split, then the languages of other train splits."""
        there = self.hub.training_languages(task) if task.hub else ()
        return tuple(
            dict.fromkeys([*self.languages(task, "train"), *self.files.training_languages(task), *there])
        )

    def dev_languages(self, task: Task) -> tuple[str, ...]:
        there = self.hub.dev_languages(task) if task.hub else ()
        return tuple(dict.fromkeys([*self.languages(task, "dev"), *self.files.dev_languages(task), *there]))

    def fingerprint(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> str:
        """That of the source which holds the split."""
        if self.from_files(task, split, language, options):
            return self.files.fingerprint(task, split, language, options)
        try:
            found = self.hub.fingerprint(task, split, language, options)
        except SourceUnavailableError as error:
            raise self._neither(task, split, language, error) from error
        self._filled.setdefault((task.name, split), {})[language] = None
        return found

    def examples(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> list[Example]:
        """The split's examples, from the folder where it holds them under these options.

        Raises:
            DataError: a file or a row is malformed, also where the hub could serve the split.
            SourceUnavailableError: the folder lacks it, and the hub refuses or cannot be reached.
            UsageError: neither has it.
        """
        if self.from_files(task, split, language, options):
            return self.files.examples(task, split, language, options)
        try:
            return self.hub.examples(task, split, language, options)
        except SourceUnavailableError as error:
            raise self._neither(task, split, language, error) from error

    def from_files(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> bool:
        """Whether the folder holds a split; what it lacks is the hub's."""
        return self.files.holds(task, split, language, options) or not task.hub

    @property
    def notice(self) -> str | None:
        """The splits that were read from the hub up to now."""
        if not self._filled:
            return None
        told = ", ".join(
            f"{task} {split} ({' '.join(found)})" for (task, split), found in self._filled.items()
        )
        return f"read from the hub, as {self.files.place} lacks them: {told}"

    def _hub_languages(self, task: Task, split: Split) -> tuple[str, ...]:
        try:
            return self.hub.languages(task, split)
        except UsageError:  # it cannot serve the task
            return ()

    def _neither(
        self, task: Task, split: Split, language: str, error: SourceUnavailableError
    ) -> SourceUnavailableError:
        return SourceUnavailableError(
            f"{self.files.place} holds no {task.name} {split} for {language!r}, and {FLAG} finds none: {error}"
        )
