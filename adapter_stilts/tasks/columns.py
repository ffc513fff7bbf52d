"""Typed access to the columns of a row. Each function raises ValueError(why) on a malformed row.

Shared by the task files; a release row and a hub row differ in names and nesting, not in what can be wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from adapter_stilts.formats.examples import Answer, SpanQAExample, TaggingExample
from adapter_stilts.tasks.base import INDEX, LOCATION, Row


class UnusableAnswer(ValueError):
    """A question has no answer, or one that its text does not hold: translated train sets have some."""


def value(row: Row, column: str) -> Any:
    """The column's value; ValueError names the columns there are."""
    if column not in row:
        there = ", ".join(repr(name) for name in row if name not in (INDEX, LOCATION)) or "none"
        raise ValueError(f"column {column!r} is missing; there are: {there}")
    return row[column]


def text(row: Row, column: str) -> str:
    """The column's string, untouched."""
    return _text(value(row, column), f"column {column!r}")


def texts(row: Row, column: str, count: int | None = None) -> tuple[str, ...]:
    """The column's list of strings, ``count`` of them where given."""
    items = value(row, column)
    if not _is_list(items):
        raise ValueError(f"column {column!r} should be a list of strings, not {_shown(items)}")
    if count is not None and len(items) != count:
        raise ValueError(f"column {column!r} should hold {count} strings, not {len(items)}")
    return tuple(_text(item, f"column {column!r}") for item in items)


def label(row: Row, column: str, labels: Sequence[str]) -> str:
    """The column's label, checked to be one of ``labels``."""
    name = value(row, column)
    if not isinstance(name, str) or name not in labels:
        raise ValueError(f"label {_shown(name)} in column {column!r} is not one of: {', '.join(labels)}")
    return name


def choice(row: Row, column: str, count: int) -> int:
    """The column's index of the right choice, an int or a string of digits, below ``count``."""
    number = value(row, column)
    valid = [str(index) for index in range(count)]
    # A bool is an int to Python and would pass for 0 or 1.
    if isinstance(number, bool) or not isinstance(number, int | str) or str(number) not in valid:
        raise ValueError(f"label {_shown(number)} in column {column!r} is not one of: {', '.join(valid)}")
    return int(number)


def finite(held: Any) -> float | None:
    """The finite number that a value is, or that it spells with a decimal point; None where it is none."""
    # A bool is an int to Python; float() takes "nan", "1_000" and digits of any script.
    if isinstance(held, bool) or not isinstance(held, int | float | Decimal | str):
        return None
    if isinstance(held, str) and not re.fullmatch(
        r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", held, re.A | re.I
    ):
        return None
    try:
        number = float(held)
    except (OverflowError, ValueError):
        return None
    return number if math.isfinite(number) else None


def records(row: Row, column: str, keys: Sequence[str]) -> list[dict[str, Any]]:
    """The column's list of structs, as dicts of ``keys``.

    Release files write a list of dicts; the hub a dict of lists (or, by the data set's features, again a list
    of dicts).
    """
    held = value(row, column)
    if isinstance(held, Mapping):
        lists = [value(held, key) for key in keys]
        if not all(_is_list(items) for items in lists) or len({len(items) for items in lists}) > 1:
            raise ValueError(f"column {column!r} should hold lists of one length for: {', '.join(keys)}")
        return [dict(zip(keys, items, strict=True)) for items in zip(*lists, strict=True)]
    if not _is_list(held) or not all(isinstance(item, Mapping) for item in held):
        raise ValueError(f"column {column!r} should be a list of objects, not {_shown(held)}")
    return [{key: value(item, key) for key in keys} for item in held]


def question(row: Row) -> SpanQAExample:
    """A row of SQuAD's columns: ``id``, ``question``, ``context``, ``answers``; at least one answer."""
    example = SpanQAExample(
        id=text(row, "id"),
        question=text(row, "question"),
        context=text(row, "context"),
        answers=answers(row, text(row, "context")),
    )
    if not example.answers:
        raise UnusableAnswer(f"question {example.id!r} has no answer")
    return example


def asked(row: Row) -> SpanQAExample:
    """As `question`, of a test set that XTREME's scripts may have stripped of its answers, leaving empty ones."""
    blank = [{"text": "", "answer_start": 0}]
    if records(row, "answers", ("text", "answer_start")) != blank:
        return question(row)
    return SpanQAExample(text(row, "id"), text(row, "question"), text(row, "context"), answers=())


def sentence(row: Row, words: str, tags: str, labels: Sequence[str] = ()) -> TaggingExample:
    """A row of words and as many tags, each one of ``labels`` where there are any; None where there are none."""
    tagged = None if value(row, tags) is None else texts(row, tags)
    example = TaggingExample(id=str(row[INDEX]), words=texts(row, words), tags=tagged)
    if tagged is None:
        return example
    if len(example.words) != len(tagged):
        raise ValueError(f"{len(example.words)} words, but {len(tagged)} tags")
    if labels and (unknown := set(tagged) - set(labels)):
        raise ValueError(f"tag {min(unknown)!r} is not one of: {', '.join(labels)}")
    return example


def answers(row: Row, context: str) -> tuple[Answer, ...]:
    """The row's ``answers``, each checked to be the slice of the context that it claims to be."""
    found = []
    asked = f"question {row['id']!r}: " if "id" in row else ""
    for record in records(row, "answers", ("text", "answer_start")):
        answer, start = text(record, "text"), record["answer_start"]
        if isinstance(start, bool) or not isinstance(start, int) or not 0 <= start <= len(context):
            raise UnusableAnswer(f"{asked}answer_start {_shown(start)} is not an offset into the context")
        met = context[start : start + len(answer)]
        if met != answer or not answer:
            raise UnusableAnswer(
                f"{asked}answer {_shown(answer)} is not at answer_start {start}; there is {_shown(met)}"
            )
        found.append(Answer(text=answer, start=start))
    return tuple(found)


def _text(held: Any, where: str) -> str:
    if not isinstance(held, str):
        raise ValueError(f"{where} should be a string, not {_shown(held)}")
    try:
        held.encode("utf-8")
    except UnicodeEncodeError as error:
        # JSON can spell half of a surrogate pair; neither tokenizers nor files can hold it.
        raise ValueError(f"{where} holds half of a surrogate pair at character {error.start}") from None
    return held


def _is_list(held: Any) -> bool:
    return isinstance(held, Sequence) and not isinstance(held, str | bytes)


def _shown(held: Any) -> str:
    shown = ascii(held) if isinstance(held, str) and not held.isprintable() else repr(held)
    return shown if len(shown) <= 60 else shown[:57] + "..."
