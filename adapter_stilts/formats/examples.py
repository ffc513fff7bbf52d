"""The example of each format: what a task's row becomes, and all that a format knows of it.

Examples are plain values. Text is kept untouched: nothing is stripped or normalised, because answer
offsets count code points of the original (some contexts begin with U+FEFF, and the offset counts it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class PairClassificationExample:
    """Two sentences and the name of their relation (None where the split has no labels)."""

    id: str
    premise: str
    hypothesis: str
    label: str | None


@dataclass(frozen=True, slots=True)
class TextClassificationExample:
    """A text and the name of its class (None where the split has no labels)."""

    id: str
    text: str
    label: str | None


@dataclass(frozen=True, slots=True)
class TextRegressionExample:
    """A text, or two, and the number that it has (None where the split has no labels)."""

    id: str
    text: str
    label: float | None
    second_text: str | None = None


@dataclass(frozen=True, slots=True)
class MultipleChoiceExample:
    """A prompt and its continuations; `label` is the index of the right one (None on unlabelled splits)."""

    id: str
    prompt: str
    choices: tuple[str, ...]
    label: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A gold answer: `text == context[start : start + len(text)]`, `start` in code points."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class SpanQAExample:
    """A question on a context. No answers: unanswerable where the task allows it, else unlabelled."""

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class TaggingExample:
    """A sentence as words, and one tag a word (None on unlabelled splits)."""

    id: str
    words: tuple[str, ...]
    tags: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class RetrievalExample:
    """One sentence of a bilingual pool, or a query or candidate of a pool that is ranked.

    `pair` names the gold alignment: the foreign and the English sentence of one translation pair carry the
    same one; None is a sentence without a known translation (a distractor, or a split without labels). Where
    pairs are mined, a sentence with several counterparts has the names of its pairs, separated by blanks.

    Queries and candidates have `topics` instead: a candidate is relevant to a query that shares one with it. A
    sentence that answers three questions has the three questions' ids; a question its own.
    """

    id: str
    text: str
    side: Literal["foreign", "english", "query", "candidate"]
    pair: str | None
    topics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextExample:
    """A sentence or document, alone or with its translation."""

    id: str
    text: str
    translation: str | None = None


def is_labelled(example: Example, unanswerable: bool = False) -> bool:
    """Whether what is to be predicted is known.

    Args:
        example: of another package's format, one whose field `label` is None where it is not known.
        unanswerable: whether a question without answers is one that has none.
    """
    if isinstance(example, SpanQAExample):
        return unanswerable or bool(example.answers)
    if isinstance(example, TaggingExample):
        return example.tags is not None
    return getattr(example, "label", True) is not None


def label_names(example: Example) -> tuple[str, ...]:
    """The names of the labels that an example bears; none where it has none, or a number."""
    if isinstance(example, TaggingExample):
        return example.tags or ()
    label = getattr(example, "label", None)
    return (label,) if isinstance(label, str) else ()


def first_examples(examples: Sequence[Example], count: int | None) -> list[Example]:
    """The first `count` examples, all where it is None; of retrieval, the first `count` of each side.

    Candidates to be ranked all stay: a smaller pool would be another task.
    """
    sides: dict[str, int] = {}
    kept = []
    for example in examples:
        side = example.side if isinstance(example, RetrievalExample) else ""
        sides[side] = sides.get(side, 0) + 1
        if count is None or sides[side] <= count or side == "candidate":
            kept.append(example)
    return kept


Example: TypeAlias = (
    PairClassificationExample
    | TextClassificationExample
    | TextRegressionExample
    | MultipleChoiceExample
    | SpanQAExample
    | TaggingExample
    | RetrievalExample
    | TextExample
)
