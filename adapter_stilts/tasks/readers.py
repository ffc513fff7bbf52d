"""Readers of release files: each yields (line number, row), and raises DataError on what is malformed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from adapter_stilts.errors import DataError
from adapter_stilts.tasks.base import LOCATION
from adapter_stilts.tasks.conllu import read_conllu
from adapter_stilts.tasks.lines import read_lines, read_text

Rows: TypeAlias = Iterator[tuple[int, dict[str, Any]]]


def read_jsonl(path: Path) -> Rows:
    """One JSON object a line; blank lines are passed over."""
    for number, line in read_lines(path):
        if not line.strip():
            continue
        row = _parse_json(line, path, number)
        if not isinstance(row, dict):
            raise DataError(path, number, f"should be a JSON object, not {type(row).__name__}")
        yield number, row


def read_squad_json(path: Path) -> Rows:
    """SQuAD's nested layout as one row a question, with its paragraph's ``context`` and article's ``title``.

    The number is the question's, from 1: most releases are one long line.
    """
    numbers = itertools.count(1)
    content = _parse_json(read_text(path), path, None)
    for article, in_article in _members(content, "data", "", path):
        for paragraph, in_paragraph in _members(article, "paragraphs", in_article, path):
            context = paragraph.get("context")
            if not isinstance(context, str):
                raise DataError(path, None, f"{in_paragraph} has no 'context'")
            for question, at in _members(paragraph, "qas", in_paragraph, path):
                row = {"title": article.get("title"), **question, "context": context, LOCATION: at}
                yield next(numbers), row


def read_tsv(path: Path, *, columns: Sequence[str] = (), optional: Sequence[str] = ()) -> Rows:
    """Tab-separated fields without quoting: a ``"`` is text.

    Args:
        path: the file.
        columns: their names; taken from the first line where empty.
        optional: names of columns at a row's end that the release leaves out here and there.
    """
    lines = read_lines(path)
    if not columns:
        columns = next(lines, (1, ""))[1].split("\t")
    fewest = len(columns)
    while fewest and columns[fewest - 1] in optional:
        fewest -= 1
    for number, line in lines:
        fields = line.split("\t")
        if not fewest <= len(fields) <= len(columns):
            expected = f"{len(columns)}" if fewest == len(columns) else f"{fewest} to {len(columns)}"
            hint = "; the file may be truncated" if len(fields) < fewest else ""
            raise DataError(path, number, f"holds {len(fields)} columns, should hold {expected}{hint}")
        yield number, dict(zip(columns, fields, strict=False))


def read_parallel(path: Path, english: Path) -> Rows:
    """Two files aligned by line, one row a pair: ``foreign``, ``english``."""
    missing = (0, None)
    pairs = itertools.zip_longest(read_lines(path), read_lines(english), fillvalue=missing)
    for (number, foreign_line), (english_number, english_line) in pairs:
        if foreign_line is None or english_line is None:
            longer, other = (path, english) if english_line is None else (english, path)
            line = number or english_number
            raise DataError(longer, line, f"has no counterpart: {other.name} ends before it")
        for file, line_text in ((path, foreign_line), (english, english_line)):
            if not line_text.strip():
                raise DataError(file, number, "is blank; each line should hold a sentence")
        yield number, {"foreign": foreign_line, "english": english_line}


READERS: Mapping[str, Callable[..., Rows]] = {
    "jsonl": read_jsonl,
    "squad_json": read_squad_json,
    "tsv": read_tsv,
    "parallel": read_parallel,
    "conllu": read_conllu,
}


def _parse_json(content: str, path: Path, line: int | None) -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        at = line if line is not None else error.lineno
        ended = error.pos >= len(content.rstrip()) or error.msg.startswith("Unterminated string")
        truncated = "; the file may be truncated" if ended else ""
        raise DataError(path, at, f"is not JSON: {error.msg} (character {error.colno}){truncated}") from None
    except (ValueError, RecursionError) as error:
        # Numbers of thousands of digits and thousandfold nesting: JSON, but nobody's data.
        raise DataError(path, line, f"is not readable JSON: {error}") from None


def _members(parent: Any, name: str, at: str, path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """(member, its location) of the list of objects that ``parent`` holds under ``name``."""
    members = parent.get(name) if isinstance(parent, Mapping) else None
    if not isinstance(members, list):
        raise DataError(path, None, f"is not in SQuAD's layout: {at or 'the file'} has no list {name!r}")
    prefix = f"{at}.{name}" if at else name
    for index, member in enumerate(members):
        if not isinstance(member, dict):
            raise DataError(path, None, f"is not in SQuAD's layout: {prefix}[{index}] is not an object")
        yield member, f"{prefix}[{index}]"
