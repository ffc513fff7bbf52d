"""XTREME's submission files: reading them as the official scorer does, and their text for writing.

One file a language, `<folder>/<task>/test-<language>.<suffix>`, in predictions and labels alike:

- label lines (`tsv`): one label, or the index of the foreign sentence, a line;
- number lines (`tsv`): one number a line, of tasks of no benchmark;
- tag lines (`tsv`): one tag a line, a blank line between sentences;
- pair lines (`tsv`): two ids a line, separated by a tab;
- choice rows (`jsonl`): `{"label": 0}` a line;
- `json`: an object from id to answer text, or to a ranked list of ids; QA labels are in SQuAD's format. Any
  of them may be wrapped in `{"data": ...}`.

Source: the readers of google-research/xtreme `evaluate.py` (UTF-8, any line ending, blanks around a line
dropped). Where that scorer would stop with a traceback, these readers raise a DataError. Where it would silently read
a damaged file as other labels (a byte order mark, a word beside the tag, a row that is not a pair) they do as it does
if they are given a `note` to tell of it, as scoring has to, and raise a DataError otherwise.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from adapter_stilts.errors import DataError
from adapter_stilts.tasks.columns import finite

Note: TypeAlias = Callable[[str], None]


class Sentence(NamedTuple):
    """The tags of one sentence, and the 1-based line its first tag stands on."""

    line: int
    tags: list[str]


def read_lines(path: Path, note: Note | None = None) -> list[str]:
    """The lines of a UTF-8 text file without the blanks around them; blank lines are kept as ``""``."""
    lines = _read_text(path, note).split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.strip() for line in lines]


def read_numbers(path: Path) -> list[float]:
    """Number lines. Raises DataError on a line that is no finite number."""
    numbers = []
    for line, text in enumerate(read_lines(path), start=1):
        number = finite(text)
        if number is None:
            raise DataError(path, line, f"expected a finite number, found {_brief(text)}")
        numbers.append(number)
    return numbers


def read_sentences(path: Path, note: Note | None = None) -> list[Sentence]:
    """Tag lines. Every blank line closes a sentence, so two in a row hold an empty one between them."""
    sentences, tags, start = [], [], 1
    told = _Once(path, note)
    for number, line in enumerate(read_lines(path, note), start=1):
        if len(line.split()) > 1:
            told(number, f"expected one tag alone, found {_brief(line)}: drop the word column")
        if line:
            tags.append(line)
        else:
            sentences.append(Sentence(start, tags))
            tags, start = [], number + 1
    if tags:
        sentences.append(Sentence(start, tags))
    return sentences


def read_pairs(path: Path, note: Note | None = None) -> list[tuple[str, ...]]:
    """Pair lines. A row of another width, a blank one included, counts as one more pair, which none equals."""
    pairs = []
    told = _Once(path, note)
    for number, line in enumerate(read_lines(path, note), start=1):
        ids = tuple(line.split("\t"))
        if len(ids) != 2:
            told(number, f"expected two ids separated by a tab, found {_brief(line)}")
        pairs.append(ids)
    return pairs


class _Once:
    """Tells of the first oddity of a file, or refuses the file where nobody listens."""

    def __init__(self, path: Path, note: Note | None) -> None:
        self._path, self._note, self._told = path, note, False

    def __call__(self, line: int, why: str) -> None:
        if self._note is None:
            raise DataError(self._path, line, why)
        if not self._told:
            self._note(f"{self._path}:{line}: {why}; scored as it stands, as the official scorer does")
        self._told = True


def read_choices(path: Path) -> list[object]:
    """Choice rows: the value of `label`, whatever its type (the string "1" is not the number 1)."""
    labels = []
    for number, line in enumerate(read_lines(path), start=1):
        row = _parse_json(path, line, first_line=number)
        if not isinstance(row, dict) or "label" not in row:
            raise DataError(path, number, f'expected an object such as {{"label": 0}}, found {_brief(line)}')
        labels.append(row["label"])
    return labels


def read_questions(path: Path) -> list[tuple[str, list[str]]]:
    """(id, gold answers) of labels in SQuAD's format, in their order; `title` and `context` may be absent."""
    questions = []
    for article in _elements(path, _read_json(path), "the articles"):
        for paragraph in _elements(path, article.get("paragraphs"), "'paragraphs' of an article"):
            for question in _elements(path, paragraph.get("qas"), "'qas' of a paragraph"):
                key = question.get("id")
                if not isinstance(key, str):
                    raise DataError(path, None, f"a question needs a string 'id', found {_brief(key)}")
                texts = [
                    answer.get("text")
                    for answer in _elements(path, question.get("answers"), f"'answers' of {_brief(key)}")
                ]
                questions.append((key, _strings(path, key, texts, "a string 'text' in each answer")))
    return questions


def read_answers(path: Path, wanted: Iterable[str]) -> dict[str, str]:
    """Answer texts by question id, for those of the `wanted` ids that are there; other ids are left out."""
    found = _read_object(path, "question id to answer text")
    answers = {key: found[key] for key in wanted if key in found}
    for key, text in answers.items():
        if not isinstance(text, str):
            raise DataError(
                path, _line_of(path, key), f"expected a text as answer to {_brief(key)}, found {_brief(text)}"
            )
    return answers


def read_ids(path: Path) -> list[str]:
    """All ids of an object by id."""
    return list(_read_object(path, "id to prediction"))


def read_rankings(path: Path, wanted: Iterable[str] | None = None) -> dict[str, list[str]]:
    """Lists of ids by query id, for those of the `wanted` queries that are there (all, where None)."""
    found = _read_object(path, "query id to a list of ids")
    rankings = {}
    for key in found if wanted is None else wanted:
        if key in found:
            rankings[key] = _strings(path, key, found[key], "a list of ids")
    return rankings


def render_labels(predictions: Sequence[object]) -> str:
    """Text of label lines."""
    return "".join(f"{_one_line(label)}\n" for label in predictions)


def render_sentences(predictions: Sequence[Sequence[str]]) -> str:
    """Text of tag lines."""
    text = "\n".join("".join(f"{_one_word(tag)}\n" for tag in tags) for tags in predictions)
    # An empty last sentence is only there for the reader if a line of its own closes it.
    return text + "\n" if predictions and not predictions[-1] else text


def render_pairs(predictions: Iterable[Sequence[str]]) -> str:
    """Text of pair lines."""
    return "".join(f"{_one_word(left)}\t{_one_word(right)}\n" for left, right in predictions)


def render_choices(predictions: Sequence[int]) -> str:
    """Text of choice rows."""
    return "".join(json.dumps({"label": int(choice)}) + "\n" for choice in predictions)


def render_object(predictions: Mapping[str, str] | Mapping[str, Sequence[str]]) -> str:
    """JSON text of an object by id. ASCII only, so that it reads the same whatever the reader's locale is."""
    return json.dumps(dict(predictions), indent=1) + "\n"


def _read_text(path: Path, note: Note | None = None) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(path, None, "there is no such file") from None
    except OSError as error:
        raise DataError(path, None, f"cannot be read: {error.strerror or error}") from error
    if content.startswith(b"\xef\xbb\xbf"):
        why = "starts with a byte order mark, which the official scorer takes for text: save without it"
        _Once(path, note)(1, why)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = len(_universal_newlines(content[: error.start].decode("utf-8")).split("\n"))
        raise DataError(path, line, f"byte {content[error.start]:#04x} is not UTF-8: save as UTF-8") from None
    return _universal_newlines(text)


def _universal_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _parse_json(path: Path, text: str, first_line: int = 1) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(path, first_line + error.lineno - 1, f"not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(path, first_line, f"JSON that cannot be read: {error}") from None


def _read_json(path: Path) -> Any:
    value = _parse_json(path, _read_text(path))
    return value["data"] if isinstance(value, dict) and "data" in value else value


def _read_object(path: Path, what: str) -> dict[str, Any]:
    value = _read_json(path)
    if not isinstance(value, dict):
        raise DataError(path, None, f"expected one object from {what}, found {_brief(value)}")
    return value


def _elements(path: Path, value: object, what: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(element, dict) for element in value):
        raise DataError(path, None, f"expected {what} to be a list of objects, found {_brief(value)}")
    return value


def _strings(path: Path, key: str, value: object, what: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise DataError(
            path, _line_of(path, key), f"expected {what} for {_brief(key)}, found {_brief(value)}"
        )
    return value


def _line_of(path: Path, key: str) -> int | None:
    """Where a key stands in a JSON file; None where it is spelled in a way not looked for."""
    spellings = {json.dumps(key), json.dumps(key, ensure_ascii=False)}
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if any(spelling in line for spelling in spellings):
            return number
    return None


def _one_line(label: object) -> str:
    text = str(label)
    if text != text.strip() or not text or "\n" in text or "\r" in text:
        raise ValueError(f"a label must be one line without blanks around it, not {text!r}")
    return text


def _one_word(text: str) -> str:
    if text.split() != [text]:
        raise ValueError(f"a tag or id must be one word, not {text!r}")
    return text


def _brief(value: object) -> str:
    shorten = reprlib.Repr()
    shorten.maxstring = 60
    return shorten.repr(value)
