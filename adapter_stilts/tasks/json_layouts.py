"""JSON as releases write it: an object a line, labels in a file beside, SQuAD's nested layout."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adapter_stilts.errors import DataError
from adapter_stilts.tasks.base import LOCATION
from adapter_stilts.tasks.lines import read_lines, read_text

Rows = Iterator[tuple[int, dict[str, Any]]]


def read_jsonl(path: Path) -> Rows:
    """One JSON object a line; blank lines are passed over."""
    for number, line in read_lines(path):
        if not line.strip():
            continue
        row = parse_json(line, path, number)
        if not isinstance(row, dict):
            raise DataError(path, number, f"should be a JSON object, not {type(row).__name__}")
        yield number, row


def read_labelled_jsonl(path: Path, labels: Path) -> Rows:
    """One JSON object a line, and a file with the label of each, which becomes the column ``label``."""
    given = ((number, line.strip()) for number, line in read_lines(labels) if line.strip())
    for (number, row), labelled in itertools.zip_longest(read_jsonl(path), given, fillvalue=(None, None)):
        if number is None or row is None:
            raise DataError(labels, labelled[0], f"a label without its row: {path.name} ends before it")
        if labelled[0] is None:
            raise DataError(path, number, f"has no label: {labels.name} ends before it")
        yield number, {**row, "label": labelled[1]}


def read_squad_json(path: Path) -> Rows:
    """SQuAD's nested layout as one row a question, with its paragraph's ``context`` and article's ``title``.

    The number is the question's, from 1: most releases are one long line.
    """
    numbers = itertools.count(1)
    content = parse_json(read_text(path), path, None)
    for article, in_article in located_members(content, "data", "", path):
        for paragraph, in_paragraph in located_members(article, "paragraphs", in_article, path):
            context = paragraph.get("context")
            if not isinstance(context, str):
                raise DataError(path, None, f"{in_paragraph} has no 'context'")
            for question, at in located_members(paragraph, "qas", in_paragraph, path):
                row = {"title": article.get("title"), **question, "context": context, LOCATION: at}
                yield next(numbers), row


def parse_json(content: str, path: Path, line: int | None) -> Any:
    """The JSON value. Raises DataError."""
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


def located_members(parent: Any, name: str, at: str, path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """(member, its location) of the list of objects that ``parent``, at ``at``, holds under ``name``."""
    members = parent.get(name) if isinstance(parent, Mapping) else None
    if not isinstance(members, list):
        raise DataError(path, None, f"is not in SQuAD's layout: {at or 'the file'} has no list {name!r}")
    prefix = f"{at}.{name}" if at else name
    for index, member in enumerate(members):
        if not isinstance(member, dict):
            raise DataError(path, None, f"is not in SQuAD's layout: {prefix}[{index}] is not an object")
        yield member, f"{prefix}[{index}]"
