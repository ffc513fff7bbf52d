"""Text for language modelling: files by language, a sentence or document a line; or parallel, two texts a line.

text/de.txt            text/sw/news.txt, text/sw/web.txt      one language each
text/de-en.tsv         two texts, separated by a tab          one pair of languages each
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from adapter_stilts.errors import DataError
from adapter_stilts.formats.examples import TextExample
from adapter_stilts.io import sha256_file
from adapter_stilts.tasks.lines import read_lines


class TextSource(Protocol):
    """Text by language (by pair, of parallel text)."""

    @property
    def place(self) -> str:
        """Where the text lies, for messages."""

    def languages(self) -> tuple[str, ...]:
        """The languages at hand; never none."""

    def fingerprint(self, language: str) -> str:
        """A string that changes whenever the text may."""

    def examples(self, language: str, limit: int | None) -> list[TextExample]:
        """The first so many lines, all where it is None; never empty."""


@dataclass(frozen=True)
class TextFolder:
    """Files of a folder.

    Args:
        root: the folder.
        parallel: ``<pair>.tsv`` with two texts a line, instead of ``<code>.txt``.
    """

    root: Path
    parallel: bool

    @property
    def place(self) -> str:
        return str(self.root)

    def languages(self) -> tuple[str, ...]:
        """By file names.

        Raises:
            DataError: no such folder, or no such file in it.
        """
        found = tuple(sorted(self._files()))
        if not found:
            wanted = "<pair>.tsv" if self.parallel else "<code>.txt or <code>/*.txt"
            raise DataError(self.root, None, f"holds no text: needs files {wanted}")
        return found

    def fingerprint(self, language: str) -> str:
        """sha256 over the files' content, in order."""
        digest = hashlib.sha256(b"pairs" if self.parallel else b"text")
        for path in self._files()[language]:
            digest.update(sha256_file(path).encode())
        return digest.hexdigest()

    def examples(self, language: str, limit: int | None) -> list[TextExample]:
        """Blank lines are passed over.

        Raises:
            DataError: no line, a line that is not UTF-8, or one of parallel text that has not two parts.
        """
        paths = self._files()[language]
        found = list(islice((example for path in paths for example in self._lines(path)), limit))
        if not found:
            raise DataError(paths[0], None, "holds no line of text")
        return found

    def _lines(self, path: Path) -> Iterator[TextExample]:
        for number, line in read_lines(path):
            if not line.strip():
                continue
            name = f"{path.name}:{number}"
            if not self.parallel:
                yield TextExample(name, line)
                continue
            parts = line.split("\t")
            if len(parts) != 2 or not all(part.strip() for part in parts):
                raise DataError(
                    path, number, f"holds {len(parts)} columns; should hold two texts and a tab between them"
                )
            yield TextExample(name, parts[0], parts[1])

    def _files(self) -> dict[str, list[Path]]:
        if not self.root.is_dir():
            raise DataError(self.root, None, "no such folder of text")
        ending = ".tsv" if self.parallel else ".txt"
        found: dict[str, list[Path]] = {}
        for path in sorted(self.root.iterdir()):
            if path.is_file() and path.suffix == ending:
                found.setdefault(path.stem, []).append(path)
            elif path.is_dir():
                inside = sorted(other for other in path.glob(f"*{ending}") if other.is_file())
                if inside:
                    found.setdefault(path.name, []).extend(inside)
        return found
