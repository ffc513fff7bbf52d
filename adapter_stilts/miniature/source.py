"""The miniature as a source of tasks, beside release files and the hub.

source = MiniatureSource()
examples = source.examples(get_task("xquad"), "test", "qaf", {})
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import Any

from adapter_stilts.errors import UnknownNameError, UsageError
from adapter_stilts.formats.examples import Example
from adapter_stilts.miniature.catalogue import COUNTERPARTS
from adapter_stilts.miniature.constructed import grammar
from adapter_stilts.miniature.items import Counterpart, Item, collect
from adapter_stilts.miniature.languages import CODES, LANGUAGES
from adapter_stilts.tasks.base import Split, Task

SCHEMA = 2
"""Raised whenever any example changes; part of every fingerprint."""

KEPT = 4
"""Splits whose meaning is remembered; a split's languages are mostly read one after another."""


class MiniatureSource:
    """Generates tasks. Dev and test say the same in every language, so scores of languages can be compared.

    Args:
        seed: other seeds give other examples of the same tasks in the same languages.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        # What dev and test mean is decided once for all languages; training is in one.
        self._items: dict[tuple[str, Split], list[Item]] = {}
        # A matrix asks for each thousands of times.
        self._fingerprints: dict[tuple[Any, ...], str] = {}

    place = "the miniature"
    constructed = True
    levels: Mapping[str, str] = MappingProxyType({language.code: language.level for language in LANGUAGES})

    def wanted(self, task: Task) -> tuple[str, ...]:
        """English and the constructed languages; retrieval finds English, and is not from it."""
        return self.languages(task, "test")

    def offered(self, task: Task) -> tuple[str, ...]:
        """The same."""
        return self.wanted(task)

    def further(self, task: Task, language: str) -> bool:
        """No: it has no languages but its own."""
        return False

    def languages(self, task: Task, split: Split) -> tuple[str, ...]:
        """Those the split is used in: English to train and to choose a checkpoint, all to test.

        Mining chooses its threshold on the dev pairs of each language, so retrieval is used in all of them.
        """
        counterpart = COUNTERPARTS.get(task.name)
        if counterpart is None or not counterpart.sizes[split]:
            return ()
        if counterpart.foreign_only:
            return CODES
        if split != "test":
            return ("en",)
        # XCOPA's test set has no English, and a submission no place for it.
        return ("en", *CODES) if "en" in task.languages else CODES

    def training_languages(self, task: Task) -> tuple[str, ...]:
        """All: what is trained on can be told in each, as if by a translator who makes no mistake."""
        english = self.languages(task, "train")
        return (*english, *CODES) if english else ()

    def dev_languages(self, task: Task) -> tuple[str, ...]:
        """All, too."""
        used = self.languages(task, "dev")
        return tuple(dict.fromkeys([*used, *CODES])) if used else ()

    def fingerprint(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> str:
        """Of the generator's schema and seed and of what is asked for; nothing is generated."""
        known = (task.name, split, language, tuple(options.items()))
        if known not in self._fingerprints:
            self._checked(task, split, language, options)
            asked = ["miniature", SCHEMA, self.seed, task.name, split, language]
            self._fingerprints[known] = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
        return self._fingerprints[known]

    def examples(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> list[Example]:
        """The examples of a split in a language. Dev exists in every language, not only where it is used.

        Raises:
            UsageError: the miniature has no such task or split.
            UnknownNameError: an option, its value or the language is unknown; names the constructed languages.
        """
        counterpart = self._checked(task, split, language, options)
        tongue = grammar(language)
        return [
            example
            for number, item in enumerate(self._collected(task.name, split, counterpart))
            for example in item.render(tongue, str(number))
        ]

    def _collected(self, name: str, split: Split, counterpart: Counterpart) -> list[Item]:
        if (name, split) in self._items:
            return self._items[name, split]
        items = collect(counterpart, split, Random(f"{self.seed}/{name}/{split}"))
        if split != "train":
            while len(self._items) >= KEPT:
                del self._items[next(iter(self._items))]
            self._items[name, split] = items
        return items

    def _checked(self, task: Task, split: Split, language: str, options: Mapping[str, str]) -> Counterpart:
        counterpart = COUNTERPARTS.get(task.name)
        if counterpart is None:
            held = ", ".join(COUNTERPARTS)
            raise UsageError(f"task {task.name!r} has no miniature; tasks that have: {held}.")
        held = ", ".join(name for name, size in counterpart.sizes.items() if size)
        if not counterpart.sizes[split]:
            raise UsageError(f"the miniature's {task.name} has no {split} split; splits: {held}.")
        languages = CODES if counterpart.foreign_only else ("en", *CODES)
        if language not in languages:
            kind = f"language of the miniature's {task.name} {split}"
            hint = f"The miniature's languages are constructed ones: {', '.join(CODES)}."
            raise UnknownNameError(kind, language, languages, hint)
        for name, value in options.items():
            if name not in task.options:
                raise UnknownNameError(f"option of task {task.name!r}", name, task.options)
            if value not in task.options[name]:
                raise UnknownNameError(f"value of option {name!r}", value, task.options[name])
        return counterpart
