"""Pools of texts to search: mining (BUCC), questions with their answers (XQuAD-R), mentions of entities (Mewsli-X).

Rows of all three have the columns of a `RetrievalExample`. What is ranked is one pool of all languages, of which each
language's examples hold a share.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adapter_stilts.errors import DataError
from adapter_stilts.formats.examples import RetrievalExample
from adapter_stilts.tasks.base import Row
from adapter_stilts.tasks.columns import text, texts, value
from adapter_stilts.tasks.json_layouts import located_members, parse_json, read_jsonl
from adapter_stilts.tasks.lines import read_lines, read_text

Rows = Iterator[tuple[int, dict[str, Any]]]


def pool_row(row: Row) -> RetrievalExample:
    """A row of this module's readers as it is."""
    return RetrievalExample(
        text(row, "id"), text(row, "text"), value(row, "side"), value(row, "pair"), texts(row, "topics")
    )


def read_mining(path: Path, english: Path, gold: Path | None = None) -> Rows:
    """Two files of ``id<TAB>sentence`` and one of gold pairs ``id<TAB>id``, the foreign side first.

    The `pair` of a foreign sentence is its own id, that of an English one the ids of those it translates, separated by
    blanks; None without a gold pair.
    """
    sides = {"foreign": _sentences(path), "english": _sentences(english)}
    pairs = _gold_names(gold, path, english, sides) if gold is not None else {}
    for side, sentences in sides.items():
        for id_, (number, sentence) in sentences.items():
            yield number, _row(id_, sentence, side, pair=" ".join(pairs.get((side, id_), ())) or None)


def _sentences(path: Path) -> dict[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    for number, (id_, sentence) in _columns(path):
        if id_ in found:
            raise DataError(path, number, f"id {id_!r} stands already at {path}:{found[id_][0]}")
        if not sentence.strip():
            raise DataError(path, number, f"sentence {id_!r} is blank")
        found[id_] = number, sentence
    return found


def _gold_names(
    gold: Path, path: Path, english: Path, sides: Mapping[str, Mapping[str, Any]]
) -> dict[tuple[str, str], dict[str, None]]:
    names: dict[tuple[str, str], dict[str, None]] = {}
    for number, (foreign, other) in _columns(gold):
        for id_, side, file in ((foreign, "foreign", path), (other, "english", english)):
            if id_ not in sides[side]:
                raise DataError(gold, number, f"id {id_!r} is not in {file.name}")
            names.setdefault((side, id_), {})[foreign] = None
    return names


def _columns(path: Path) -> Iterator[tuple[int, tuple[str, str]]]:
    for number, line in read_lines(path):
        fields = line.split("\t")
        if len(fields) != 2:
            raise DataError(path, number, f"holds {len(fields)} columns, should hold an id and one more")
        yield number, (fields[0], fields[1])


def read_answer_sentences(path: Path) -> Rows:
    """XQuAD-R: the questions and the sentences of the paragraphs, which share as topics the questions' ids.

    Translations of a question have one id. The number counts questions and sentences from 1.
    """
    numbers = itertools.count(1)
    for count, (paragraph, at) in enumerate(_paragraphs(path)):
        bounds = _bounds(paragraph, at, path)
        answered: list[list[str]] = [[] for _ in bounds]
        for question, place in located_members(paragraph, "qas", at, path):
            id_, asked = question.get("id"), question.get("question")
            if not isinstance(id_, str) or not isinstance(asked, str):
                raise DataError(path, None, f"{place} should have an 'id' and a 'question'")
            answered[_sentence_of(question, bounds, place, path)].append(id_)
            yield next(numbers), _row(id_, asked, "query", topics=[id_])
        for index, (start, end) in enumerate(bounds):
            sentence = paragraph["context"][start:end]
            name = f"{path.stem}-{count}-{index}"
            yield next(numbers), _row(name, sentence, "candidate", topics=answered[index])


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
    sentences = paragraph.get("sentences", found)
    if not isinstance(sentences, list) or len(sentences) != len(found):
        raise DataError(path, None, f"{at} has other 'sentences' than its {len(found)} 'sentence_breaks'")
    return found


def _sentence_of(question: dict[str, Any], bounds: list[tuple[int, int]], at: str, path: Path) -> int:
    for answer, place in located_members(question, "answers", at, path):
        start = answer.get("answer_start")
        for index, (first, end) in enumerate(bounds):
            if type(start) is int and first <= start < end:
                return index
        raise DataError(path, None, f"{place}: no sentence holds answer_start {start!r}")
    raise DataError(path, None, f"{at} has no answer")


def read_mentions(path: Path, entities: Path, *, languages: Sequence[str]) -> Rows:
    """Mewsli-X: mentions, each as the sentence it stands in, and candidate entities; with a column ``language``.

    A candidate belongs to the language of its description where that is one of ``languages``, to English otherwise.
    """
    for number, row in read_jsonl(path):
        with _located(path, number):
            context = _object(row, "context")
            language = text(context, "language")
            for mention in _objects(row, "mentions"):
                topic, asked = text(mention, "entity_id"), _around(context, mention)
                query = _row(text(mention, "example_id"), asked, "query", topics=[topic])
                yield number, {**query, "language": language}
    for number, row in read_jsonl(entities):
        with _located(entities, number):
            id_, description = text(row, "entity_id"), text(row, "description")
            language = text(row, "description_language")
        candidate = _row(id_, description, "candidate", topics=[id_])
        yield number, {**candidate, "language": language if language in languages else "en"}


@contextmanager
def _located(path: Path, number: int) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise DataError(path, number, str(error)) from None


def _row(
    id_: str, content: str, side: str, *, pair: str | None = None, topics: Sequence[str] = ()
) -> dict[str, Any]:
    return {"id": id_, "text": content, "side": side, "pair": pair, "topics": topics}


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
