"""Text for language modelling from hub data sets: column ``text``, or ``translation`` of parallel ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from adapter_stilts.errors import DataError
from adapter_stilts.formats.examples import TextExample
from adapter_stilts.tasks.hub import load_split

PREFIX = "hub:"


@dataclass(frozen=True)
class HubText:
    """The train split of one hub data set, a configuration a language.

    Args:
        dataset: repository id, e.g. ``wikimedia/wikipedia``.
        config: name of a language's configuration, e.g. ``20231101.{language}``.
        wanted: the languages (pairs, of parallel text); the hub is not asked which there are.
        parallel: rows hold a ``translation`` of two texts by language, as OPUS-100 does.
    """

    dataset: str
    config: str
    wanted: tuple[str, ...]
    parallel: bool
    _loaded: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def place(self) -> str:
        return f"{PREFIX}{self.dataset}"

    def languages(self) -> tuple[str, ...]:
        return self.wanted

    def fingerprint(self, language: str) -> str:
        """sha256 over data set, configuration and the cached data's fingerprint, which follows its revision."""
        taken = ["pairs" if self.parallel else "text", self.dataset, self._config(language)]
        taken.append(str(self._load(language)._fingerprint))
        return hashlib.sha256(json.dumps(taken).encode()).hexdigest()

    def examples(self, language: str, limit: int | None) -> list[TextExample]:
        """Blank texts are passed over.

        Raises:
            SourceUnavailableError: the hub refuses or cannot be reached, and the cache has no copy.
            DataError: the rows have no such column, or hold no text.
        """
        found: list[TextExample] = []
        for example in self._rows(language):
            if limit is not None and len(found) >= limit:
                break
            found.append(example)
        if not found:
            raise DataError(self._place(language), None, "holds no text")
        return found

    def _rows(self, language: str) -> Iterator[TextExample]:
        loaded, column = self._load(language), "translation" if self.parallel else "text"
        if column not in loaded.column_names:
            held = ", ".join(loaded.column_names)
            raise DataError(self._place(language), None, f"has no column {column!r}; it has: {held}")
        for number, row in enumerate(loaded):
            texts = row[column]
            if not self.parallel and isinstance(texts, str):
                if texts.strip():
                    yield TextExample(str(number), texts)
                continue
            both = list(texts.values()) if isinstance(texts, Mapping) else []
            if len(both) != 2 or not all(isinstance(text, str) for text in both):
                kind = "two texts by language" if self.parallel else "a text"
                raise DataError(self._place(language), number + 1, f"column {column!r} should hold {kind}")
            if all(text.strip() for text in both):
                yield TextExample(str(number), both[0], both[1])

    def _load(self, language: str) -> Any:
        if language not in self._loaded:
            self._loaded[language] = load_split(self.dataset, self._config(language), "train")
        return self._loaded[language]

    def _config(self, language: str) -> str:
        return self.config.replace("{language}", language)

    def _place(self, language: str) -> str:
        return f"{self.dataset}/{self._config(language)}"
