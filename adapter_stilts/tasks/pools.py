"""Pools of texts to search: mining (BUCC), questions with their answers (XQuAD-R), mentions of entities (Mewsli-X).

Rows of all three have the columns of a `RetrievalExample`. Its two sides are what is asked (``foreign``) and what
is searched (``english``, whatever its language); `pair` ties them together. A text of the searched side may serve
several that ask: its `pair` then names each, separated by blanks.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adapter_stilts.errors import DataError
from adapter_stilts.formats.examples import RetrievalExample
from adapter_stilts.tasks.base import Row
from adapter_stilts.tasks.columns import text, value
from adapter_stilts.tasks.json_layouts import located_members, parse_json, read_jsonl
from adapter_stilts.tasks.lines import read_lines, read_text

Rows = Iterator[tuple[int, dict[str, Any]]]


def pool_row(row: Row) -> RetrievalExample:
    """A row of this module's readers as it is."""
    return RetrievalExample(text(row, "id"), text(row, "text"), value(row, "side"), value(row, "pair"))


def read_mining(path: Path, english: Path, gold: Path | None = None) -> Rows:
    """Two files of ``id<TAB>sentence`` and one of gold pairs ``id<TAB>id``, the foreign side first.

    Without gold pairs every `pair` is None. Sentences that several gold pairs connect carry one and the same.
    """
    sides = {"foreign": _sentences(path), "english": _sentences(english)}
    pairs = _connected(gold, path, english, sides) if gold is not None else {}
    for side, sentences in sides.items():
        for id_, (number, sentence) in sentences.items():
            yield number, {"id": id_, "text": sentence, "side": side, "pair": pairs.get(id_)}


def _sentences(path: Path) -> dict[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    for number, (id_, sentence) in _columns(path):
        if id_ in found:
            raise DataError(path, number, f"id {id_!r} stands already at {path}:{found[id_][0]}")
        if not sentence.strip():
            raise DataError(path, number, f"sentence {id_!r} is blank")
        found[id_] = number, sentence
    return found


def _connected(
    gold: Path, path: Path, english: Path, sides: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    names: dict[str, str] = {}
    if both := sides["foreign"].keys() & sides["english"].keys():
        raise DataError(english, None, f"id {min(both)!r} is in {path.name} too")
    for number, (foreign, other) in _columns(gold):
        for id_, side, file in ((foreign, "foreign", path), (other, "english", english)):
            if id_ not in sides[side]:
                raise DataError(gold, number, f"id {id_!r} is not in {file.name}")
        name, replaced = names.get(foreign, names.get(other, foreign)), names.get(other)
        if replaced not in (None, name):
            names.update((id_, name) for id_, held in names.items() if held == replaced)
        names[foreign] = names[other] = name
    return names


def _columns(path: Path) -> Iterator[tuple[int, tuple[str, str]]]:
    for number, line in read_lines(path):
        fields = line.split("\t")
        if len(fields) != 2:
            raise DataError(path, number, f"holds {len(fields)} columns, should hold an id and one more")
        yield number, (fields[0], fields[1])


def read_answer_sentences(path: Path, *pool: Path) -> Rows:
    """XQuAD-R: the questions of ``path``, and the sentences of every file of ``pool``, in all its languages.

    The `pair` of a sentence names the questions it answers: translations of a question have one id. Numbers
    count questions and sentences from 1.
    """
    numbers = itertools.count(1)
    for paragraph, _ in _paragraphs(path):
        for question, at in located_members(paragraph, "qas", "", path):
            id_, asked = question.get("id"), question.get("question")
            if not isinstance(id_, str) or not isinstance(asked, str) or len(id_.split()) != 1:
                raise DataError(path, None, f"{at} should have an 'id' without blanks and a 'question'")
            yield next(numbers), {"id": id_, "text": asked, "side": "foreign", "pair": id_}
    for file in pool:
        for count, (paragraph, at) in enumerate(_paragraphs(file)):
            bounds = _bounds(paragraph, at, file)
            answered: list[list[str]] = [[] for _ in bounds]
            for question, place in located_members(paragraph, "qas", at, file):
                answered[_sentence_of(question, bounds, place, file)].append(str(question.get("id")))
            for index, (start, end) in enumerate(bounds):
                yield (
                    next(numbers),
                    {
                        "id": f"{file.stem}-{count}-{index}",
                        "text": paragraph["context"][start:end],
                        "side": "english",
                        "pair": " ".join(answered[index]) or None,
                    },
                )


def _paragraphs(path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    for article, at in located_members(parse_json(read_text(path), path, None), "data", "", path):
        yield from located_members(article, "paragraphs", at, path)


def _bounds(paragraph: dict[str, Any], at: str, path: Path) -> list[tuple[int, int]]:
    context, breaks = paragraph.get("context"), paragraph.get("sentence_breaks")
    if not isinstance(context, str) or not isinstance(breaks, list) or not breaks:
        raise DataError(path, None, f"is not in XQuAD-R's layout: {at} has no 'context' or 'sentence_breaks'")
    found = []
    for each in breaks:
        whole = isinstance(each, list) and len(each) == 2 and all(type(bound) is int for bound in each)
        if not whole or not 0 <= each[0] < each[1] <= len(context):
            raise DataError(
                path, None, f"{at}: {each!r} is not the [start, end] of a sentence of its context"
            )
        found.append((each[0], each[1]))
    return found


def _sentence_of(question: dict[str, Any], bounds: list[tuple[int, int]], at: str, path: Path) -> int:
    for answer, place in located_members(question, "answers", at, path):
        start = answer.get("answer_start")
        for index, (first, end) in enumerate(bounds):
            if type(start) is int and first <= start < end:
                return index
        raise DataError(path, None, f"{place}: no sentence holds answer_start {start!r}")
    raise DataError(path, None, f"{at} has no answer")


def read_mentions(path: Path, entities: Path, *, language: str) -> Rows:
    """Mewsli-X: the mentions of one language, each as the sentence it stands in, and every candidate entity."""
    for number, row in read_jsonl(path):
        try:
            context = _object(row, "context")
            if text(context, "language") != language:
                continue
            for mention in _objects(row, "mentions"):
                id_, entity = text(mention, "example_id"), text(mention, "entity_id")
                yield (
                    number,
                    {"id": id_, "text": _around(context, mention), "side": "foreign", "pair": entity},
                )
        except ValueError as error:
            raise DataError(path, number, str(error)) from None
    for number, row in read_jsonl(entities):
        try:
            id_, description = text(row, "entity_id"), text(row, "description")
        except ValueError as error:
            raise DataError(entities, number, str(error)) from None
        yield number, {"id": id_, "text": description, "side": "english", "pair": id_}


def _around(context: Row, mention: Row) -> str:
    whole, span = text(context, "text"), _object(mention, "mention_span")
    if not whole:
        raise ValueError(
            "the article's text is empty: the release restores it from WikiNews (get-mewsli-x.sh)"
        )
    start, end = _span(span, whole)
    if whole[start:end] != text(span, "text"):
        raise ValueError(f"mention {span['text']!r} is not at {start}; there is {whole[start:end]!r}")
    for first, last in (_span(each, whole) for each in _objects(context, "sentence_spans")):
        if first <= start and end <= last:
            return whole[first:last]
    return whole[start:end]


def _span(span: Row, whole: str) -> tuple[int, int]:
    start, end = value(span, "start"), value(span, "end")
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(whole):
        raise ValueError(f"start {start!r}, end {end!r} is not a span of the article's text")
    return start, end


def _object(row: Row, column: str) -> Row:
    held = value(row, column)
    if not isinstance(held, Mapping):
        raise ValueError(f"column {column!r} should be an object")
    return held


def _objects(row: Row, column: str) -> list[Row]:
    held = value(row, column)
    if not isinstance(held, list) or not all(isinstance(each, Mapping) for each in held):
        raise ValueError(f"column {column!r} should be a list of objects")
    return held
