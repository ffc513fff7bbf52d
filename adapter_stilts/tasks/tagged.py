"""Words with tags: the two columns of PAN-X and CoNLL, UNER's five, sentences a line, and CCGbank's derivations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapter_stilts.errors import DataError
from adapter_stilts.tasks.lines import read_lines

_ALONE = "alone"
_IOB2_COLUMNS = 5
_BESIDE_WORDS = re.compile(r"[0-9]+[-.][0-9]+")
_LEAF = re.compile(r"\(<L (\S+) \S+ \S+ (\S+) \S+>\)")


def read_tagged(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line of the sentence's first word, ``{"words": [...], "tags": [...]}``) a sentence; a blank line ends it.

    A line is a word, a tab and its tag. Some releases have blanks there (MasakhaNER's, CoNLL's): the first line tells,
    and the others follow it. Words alone, as in test files without labels, give ``tags`` None.
    """
    started, words, tags = 0, list[str](), list[str]()
    separator = ""
    for number, line in read_lines(path):
        if not line.strip():
            if words:
                yield started, _sentence(words, tags)
            words, tags = [], []
            continue
        separator = separator or _separator(line)
        fields = _fields(line, separator)
        if len(fields) > 2:
            raise DataError(path, number, f"holds {len(fields)} columns, should hold a word and its tag")
        if len(fields) == 2 and not fields[1].strip():
            raise DataError(path, number, f"word {fields[0]!r} has no tag")
        if separator == _ALONE and len(fields) == 2:
            raise DataError(
                path,
                number,
                f"holds a word and {fields[1]!r}, where the lines before it are words alone; separate words and tags "
                "by a tab throughout",
            )
        if not words:
            started = number
        elif (len(fields) == 2) != bool(tags):
            missing, other = ("no tag", "have one") if tags else ("a tag", "have none")
            raise DataError(path, number, f"word {fields[0]!r} has {missing}, those before it {other}")
        words.append(fields[0])
        tags += fields[1:]
    if words:
        yield started, _sentence(words, tags)


def _separator(line: str) -> str:
    """The separator of a file's words and tags, by its first line; a word alone tells that they have none."""
    return "\t" if "\t" in line else " " if " " in line.strip(" ") else _ALONE


def _fields(line: str, separator: str) -> list[str]:
    if separator == "\t":
        return line.split("\t")
    # No other white space counts: words hold U+00A0 and U+3000. A tab among words alone would be a column.
    return [field for part in line.split("\t") for field in part.split(" ") if field]


def read_iob2(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Universal NER's files: id, word, tag and two more columns, as rows as `read_tagged`'s.

    Lines that begin with ``#`` are comments. Ids of several words or of none (``3-4``, ``8.1``), which CoNLL-U has
    beside the words, are passed over.
    """
    started, words, tags = 0, list[str](), list[str]()
    for number, line in read_lines(path):
        if line.startswith("#"):
            if line.count("\t") >= _IOB2_COLUMNS - 1:
                raise DataError(path, number, "a comment holds a row: a line end is lost, or is a lone CR")
            continue
        if not line.strip():
            if words:
                yield started, _sentence(words, tags)
            words, tags = [], []
            continue
        fields = line.split("\t")
        if len(fields) != _IOB2_COLUMNS:
            raise DataError(
                path,
                number,
                f"holds {len(fields)} columns, should hold {_IOB2_COLUMNS}: id, word, tag and two more",
            )
        identifier, word, tag = fields[:3]
        if not identifier.isdecimal():
            if _BESIDE_WORDS.fullmatch(identifier):
                continue
            raise DataError(path, number, f"{identifier!r} is not an id such as 3, 3-4 or 8.1")
        if int(identifier) != len(words) + 1:
            raise DataError(path, number, f"word {identifier} stands where word {len(words) + 1} should")
        started = started if words else number
        words.append(word)
        tags.append(tag)
    if words:
        yield started, _sentence(words, tags)


def read_tagged_sentences(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """One sentence a line: its words, a tab, as many tags; blanks between them. A number may stand before them."""
    for number, line in read_lines(path):
        if not line.strip():
            continue
        fields = line.split("\t")
        if len(fields) == 3 and fields[0].strip().isdecimal():
            del fields[0]
        if len(fields) != 2:
            raise DataError(path, number, f"holds {len(fields)} columns, should hold words and their tags")
        words, tags = fields[0].split(), fields[1].split()
        if not words or len(words) != len(tags):
            raise DataError(path, number, f"holds {len(words)} words, but {len(tags)} tags")
        yield number, _sentence(words, tags)


def read_auto(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """CCGbank's AUTO files: the words of each derivation with their lexical categories as tags."""
    for number, line in read_lines(path):
        if not line.strip() or line.startswith("ID="):
            continue
        leaves = _LEAF.findall(line)
        if not line.startswith("(<") or not leaves:
            raise DataError(path, number, "is neither a line ID=... nor a derivation such as (<L N/N ...>)")
        if line.count("(<L ") != len(leaves) or line.count("(") < line.count(")"):
            raise DataError(path, number, f"is malformed after its word {len(leaves)}; it may be truncated")
        yield number, _sentence([word for _, word in leaves], [category for category, _ in leaves])


def _sentence(words: list[str], tags: list[str]) -> dict[str, Any]:
    return {"words": words, "tags": tags or None}
