"""Examples of declared tasks: each format's fields, and how a row's columns become one of its examples.

A function raises ValueError(why), which ends with what to change in the declaration or the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapter_stilts.formats.examples import (
    Answer,
    Example,
    MultipleChoiceExample,
    PairClassificationExample,
    SpanQAExample,
    TaggingExample,
    TextClassificationExample,
    TextRegressionExample,
)
from adapter_stilts.tasks import columns as read
from adapter_stilts.tasks.base import INDEX, LOCATION, Row

Columns = Mapping[str, tuple[str, ...]]
"""A format's fields, each with the columns that hold it: one, but of choices as many as there are."""


@dataclass(frozen=True)
class Shape:
    """A format as it is declared.

    Args:
        fields: of its example, each in the column of its name unless the declaration names another.
        labels: whether the declaration lists them; None where it may, as names of the choices.
        metric: where it says none. Several are counted together.
        example: from a row, its columns and the labels.
        text: what an example shows, by which two of them are the same.
    """

    fields: tuple[str, ...]
    labels: bool | None
    metric: tuple[str, ...]
    example: Callable[[Row, Columns, Sequence[str]], Example]
    text: Callable[[Any], object]


def example_id(row: Row, columns: Columns) -> str:
    """The column ``id`` where the declaration names one, else the row's number in its language."""
    return str(column(row, columns, "id")) if "id" in columns else str(row[INDEX])


def column(row: Row, columns: Columns, field: str) -> Any:
    """A field's value. Raises ValueError where the row has no such column."""
    (name,) = columns[field]
    if name not in row:
        there = ", ".join(repr(each) for each in row if each not in (INDEX, LOCATION)) or "none"
        raise ValueError(
            f"column {name!r} is missing; there are: {there}. Name the one that holds the {field} in the task's file: "
            f'[columns] {field} = "..."'
        )
    return row[name]


def string(row: Row, columns: Columns, field: str) -> str:
    """A field that is text."""
    column(row, columns, field)
    return read.text(row, columns[field][0])


def label_of(row: Row, columns: Columns, labels: Sequence[str]) -> str | None:
    """A field that is a label, by name or number; None where the column is empty."""
    held = column(row, columns, "label")
    if held is None or held == "":
        return None
    name = str(held) if isinstance(held, int) and not isinstance(held, bool) else held
    if not isinstance(name, str) or name not in labels:
        (where,) = columns["label"]
        raise ValueError(
            f"label {held!r} in column {where!r} is not one of: {', '.join(labels)}. Mend the row, or add it to "
            "labels in the task's file"
        )
    return name


def number_of(row: Row, columns: Columns) -> float | None:
    """A field that is a number, as such or as text; None where the column is empty."""
    held = column(row, columns, "label")
    if held is None or held == "":
        return None
    number = read.finite(held)
    if number is None:
        (where,) = columns["label"]
        raise ValueError(
            f"label {held!r} in column {where!r} is no finite number, such as 3.5. Mend the row"
            + (": before decimals stands a point" if isinstance(held, str) and "," in held else "")
        )
    return number


def _single(row: Row, columns: Columns, labels: Sequence[str]) -> Example:
    text = string(row, columns, "text")
    return TextClassificationExample(example_id(row, columns), text, label_of(row, columns, labels))


def _number(row: Row, columns: Columns, labels: Sequence[str]) -> Example:
    text = string(row, columns, "text")
    second = string(row, columns, "second_text") if "second_text" in columns else None
    return TextRegressionExample(example_id(row, columns), text, number_of(row, columns), second)


def _pair(row: Row, columns: Columns, labels: Sequence[str]) -> Example:
    premise, hypothesis = (string(row, columns, field) for field in ("premise", "hypothesis"))
    label = label_of(row, columns, labels)
    return PairClassificationExample(example_id(row, columns), premise, hypothesis, label)


def _choices(row: Row, columns: Columns, labels: Sequence[str]) -> Example:
    names = columns["choices"]
    if len(names) == 1:
        column(row, columns, "choices")
        choices = read.texts(row, names[0])
    else:
        choices = tuple(string(row, {"choices": (name,)}, "choices") for name in names)
    # Without names for them, choices are counted from 0.
    known = tuple(labels) or tuple(map(str, range(len(choices))))
    name = label_of(row, columns, known[: len(choices)])
    number = None if name is None else known.index(name)
    return MultipleChoiceExample(example_id(row, columns), string(row, columns, "prompt"), choices, number)


def _question(row: Row, columns: Columns, labels: Sequence[str]) -> Example:
    question, context = (string(row, columns, field) for field in ("question", "context"))
    if "answer" in columns:
        held, start = column(row, columns, "answer"), column(row, columns, "answer_start")
        given = [] if held in (None, "") else [{"text": held, "answer_start": _whole(start)}]
    else:
        given = column(row, columns, "answers") or []
    answers: tuple[Answer, ...] = read.answers({"answers": given}, context)
    return SpanQAExample(example_id(row, columns), question, context, answers)


def _whole(held: Any) -> Any:
    """The number that a string of digits is; files of text hold no others."""
    return int(held) if isinstance(held, str) and held.isdecimal() else held


def _tagged(row: Row, columns: Columns, labels: Sequence[str]) -> Example:
    for field in ("words", "tags"):
        column(row, columns, field)
    (words,), (tags,) = columns["words"], columns["tags"]
    found: TaggingExample = read.sentence(row, words, tags, labels)
    return TaggingExample(example_id(row, columns), found.words, found.tags)


SHAPES: Mapping[str, Shape] = {
    "text_classification": Shape(("text", "label"), True, ("accuracy",), _single, lambda e: e.text),
    "text_regression": Shape(
        ("text", "label"), False, ("pearson", "spearman"), _number, lambda e: (e.text, e.second_text)
    ),
    "pair_classification": Shape(
        ("premise", "hypothesis", "label"), True, ("accuracy",), _pair, lambda e: (e.premise, e.hypothesis)
    ),
    "multiple_choice": Shape(
        ("prompt", "choices", "label"), None, ("accuracy",), _choices, lambda e: (e.prompt, e.choices)
    ),
    "span_qa": Shape(
        ("question", "context", "answers"),
        False,
        ("exact_match", "f1"),
        _question,
        lambda e: (e.question, e.context),
    ),
    "tagging": Shape(("words", "tags"), True, ("f1",), _tagged, lambda e: e.words),
}
"""The formats that can be declared."""

OPTIONAL = {"span_qa": ("answer", "answer_start"), "text_regression": ("second_text",)}
"""Fields that a declaration may name, all or none: an answer in columns of its own in the place of SQuAD's nested
``answers``; of a number that two texts have, the second."""
EVERYWHERE = ("id", "language")
"""Fields of every format that a declaration may name a column for."""
