"""A split as a stage needs it: examples read when asked for, features encoded once and cached.

The cache is keyed by the data's fingerprint, the tokenizer and the format's settings, and by nothing that changes
between runs: another seed, learning rate or encoder of the same tokenizer does not tokenise again.
"""

from __future__ import annotations

import errno
import json
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from adapter_stilts.errors import UsageError, cause_of
from adapter_stilts.formats import get_format
from adapter_stilts.formats.base import CUT, FormatSettings
from adapter_stilts.formats.examples import Example, first_examples
from adapter_stilts.formats.features import MANIFEST, Features, item_lengths
from adapter_stilts.formats.tokens import template_of
from adapter_stilts.io import digest_of, disk_errors, whole_directory, write_json
from adapter_stilts.stages.drawing import Draw, drawn
from adapter_stilts.tasks.base import Split, Task
from adapter_stilts.tasks.sources import Source
from adapter_stilts.tasks.text import TextSource

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CachedTokenizer:
    """A tokenizer, and where the features it made are kept."""

    tokenizer: Any
    cache: Path

    @cached_property
    def fingerprint(self) -> str:
        """Of all that columns depend on, so that bases with one tokenizer share their features and others do not.

        mBERT's and DistilmBERT's tokenizers are one definition, but only one of them tells segments apart.
        """
        import tokenizers

        told = {
            "definition": self.tokenizer.backend_tokenizer.to_str(),
            "class": type(self.tokenizer).__name__,
            "inputs": self.tokenizer.model_input_names,
            "special": self.tokenizer.special_tokens_map,
            "templates": [asdict(template_of(self.tokenizer, pair)) for pair in (False, True)],
            "unknown": self.tokenizer.unk_token_id,
            "version": tokenizers.__version__,
        }
        return digest_of(told)


@dataclass(frozen=True)
class SplitData:
    """One split of a task in one language.

    Args:
        limit: only the first so many examples; None takes all.
        draw: only so many, drawn by a seed; None takes all.
    """

    task: Task
    split: Split
    language: str
    source: Source
    options: Mapping[str, str]
    settings: FormatSettings
    tokenizer: CachedTokenizer
    limit: int | None = None
    draw: Draw | None = None

    @cached_property
    def examples(self) -> list[Example]:
        found = self.source.examples(self.task, self.split, self.language, self.options)
        first = first_examples(found, self.limit)
        return first if self.draw is None else drawn(first, self.draw)

    @cached_property
    def features(self) -> Features:
        """Encoded examples, from the cache where they are in it."""
        features = _cached(self.tokenizer.cache, self._key, lambda: self._encoded(self.examples))
        if CUT in features.per_example and (cut := features.per_example[CUT]).any():
            _log.warning(
                "%s %s (%s): %d parts of %d of %d examples are longer than a window and were cut at their start; "
                "--set formats.%s.too_long=error refuses them",
                *(self.task.name, self.split, self.language),
                *(cut.sum(), (cut > 0).sum(), len(cut)),
                self.task.format,
            )
        return features

    @cached_property
    def _key(self) -> str:
        format = get_format(self.task.format)
        return digest_of(
            {
                "data": self.source.fingerprint(self.task, self.split, self.language, self.options),
                "tokenizer": self.tokenizer.fingerprint,
                "format": [self.task.format, format.SCHEMA, self.settings.reading()],
                "labels": self.task.labels,
                "limit": self.limit,
                **({} if self.draw is None else {"draw": asdict(self.draw)}),
            }
        )

    def _encoded(self, examples: list[Example]) -> Features:
        format = get_format(self.task.format)
        try:
            return format.encode(examples, self.tokenizer.tokenizer, self.settings, self.task.labels)
        except ValueError as error:
            raise UsageError(f"{self.task.name} {self.split} ({self.language}): {error}") from error

    @cached_property
    def size(self) -> Size:
        """How much it is: of encoded data counted, else from a sample of the examples, which is cached."""
        if (_place(self.tokenizer.cache, self._key) / MANIFEST).is_file():
            return self._size(self.features, 1.0)
        place = self.tokenizer.cache / SIZES / f"{self._key}.json"
        if (known := _read_size(place)) is not None:
            return known
        sample = self.examples[:: max(1, len(self.examples) // SAMPLE)][:SAMPLE]
        size = self._size(self._encoded(sample), len(self.examples) / max(1, len(sample)))
        with disk_errors(place, CACHED_ELSEWHERE):
            place.parent.mkdir(parents=True, exist_ok=True)
        write_json(place, asdict(size), CACHED_ELSEWHERE)
        return size

    def _size(self, features: Features, share: float) -> Size:
        lengths = item_lengths(features, get_format(self.task.format).ITEMS)
        return Size(round(len(lengths) * share), round(int(lengths.sum()) * share))


SAMPLE = 200
"""Examples that are encoded to tell of all how long they are."""
SIZES = "sizes"
"""In the cache: what a sample told, a file a split."""
CACHED_ELSEWHERE = "another place with $ADAPTER_STILTS_CACHE"


@dataclass(frozen=True)
class Size:
    """Training items of a split (windows of a passage, or examples), and the tokens of all of them."""

    items: int
    tokens: int


def _read_size(place: Path) -> Size | None:
    """None where nothing is kept, or what is kept is damaged."""
    try:
        size = Size(**json.loads(place.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return size if isinstance(size.items, int) and isinstance(size.tokens, int) else None


@dataclass(frozen=True)
class TextData:
    """Text of one language as features.

    Args:
        fingerprint: of the text.
        limit: only the first so many lines; None takes all.
    """

    source: TextSource
    language: str
    fingerprint: str
    settings: FormatSettings
    tokenizer: CachedTokenizer
    limit: int | None = None

    @cached_property
    def features(self) -> Features:
        """Encoded lines, from the cache where they are in it."""
        format = get_format("masked_lm")
        key = digest_of(
            {
                "data": self.fingerprint,
                "tokenizer": self.tokenizer.fingerprint,
                # What is hidden is drawn in each step: only lengths matter here.
                "format": ["masked_lm", format.SCHEMA, self.settings.model_dump(mode="json")["max_length"]],
                "limit": self.limit,
            }
        )

        def encode() -> Features:
            examples = self.source.examples(self.language, self.limit)
            return format.encode(examples, self.tokenizer.tokenizer, self.settings, ())

        return _cached(self.tokenizer.cache, key, encode)


def _cached(cache: Path, key: str, encode: Callable[[], Features]) -> Features:
    directory = _place(cache, key)
    if (directory / MANIFEST).is_file():
        try:
            return Features.load(directory)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, AssertionError) as error:
            _log.warning("%s: damaged (%s): encoded again", directory, cause_of(error))
            shutil.rmtree(directory, ignore_errors=True)
    features = encode()
    try:
        if not (directory / MANIFEST).is_file():  # else another process of the launch was quicker
            with whole_directory(directory, CACHED_ELSEWHERE) as aside:
                features.save(aside)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # it was so while we wrote
            raise
    return features


def _place(cache: Path, key: str) -> Path:
    return cache / "features" / key[:2] / key
