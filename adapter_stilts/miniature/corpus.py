"""The miniature's text as a source for language modelling."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import islice

from adapter_stilts.formats.examples import TextExample
from adapter_stilts.miniature.languages import CODES
from adapter_stilts.miniature.source import SCHEMA
from adapter_stilts.miniature.text import documents, pairs


@dataclass(frozen=True)
class MiniatureText:
    """Documents of each language, or English sentences with their translations.

    Args:
        parallel: translations, under ``en-<code>``.
        seed: other seeds give other text in the same languages.
    """

    parallel: bool
    seed: int = 0

    place = "the miniature"

    def languages(self) -> tuple[str, ...]:
        return tuple(f"en-{code}" for code in CODES) if self.parallel else ("en", *CODES)

    def fingerprint(self, language: str) -> str:
        """Of the generator's schema and seed; nothing is generated."""
        asked = ["miniature", SCHEMA, self.seed, "pairs" if self.parallel else "documents", language]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()

    def examples(self, language: str, limit: int | None) -> list[TextExample]:
        if self.parallel:
            lines = islice(pairs(language.removeprefix("en-"), self.seed), limit)
            return [TextExample(f"{language}:{row}", *pair) for row, pair in enumerate(lines)]
        told = islice(documents(language, self.seed), limit)
        return [TextExample(f"{language}:{row}", text) for row, text in enumerate(told)]
