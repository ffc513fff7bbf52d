"""CoNLL-U, the format of Universal Dependencies, in two readings of its multi-word tokens.

A surface token such as German ``vom`` stands in the file as a range row ``3-4`` without a tag, followed by
its syntactic words ``von`` (ADP) and ``dem`` (DET).

- ``syntactic``: the words; range rows are skipped. What the hub's google/xtreme holds.
- ``fused``: the surface tokens, tagged like one of their words. What XTREME's own preparation makes, and so
  what its official test files and submissions count. It follows ``ud-conversion-tools/lib/conll.py`` there
  (``_choose_spanhead_from_heuristics``): the word with the fewest ancestors in the graph of basic and
  enhanced dependencies gives the tag; among several, the tag that comes first in the language's list. Then,
  as in ``utils_preprocess.py``, words lose U+200C and blanks.

Empty nodes (``8.1``) are skipped in both; sentences whose text the licence withholds (all ``_``) are rows without
words, which the task skips.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapter_stilts.errors import DataError
from adapter_stilts.tasks.lines import read_lines


def _tags(names: str) -> tuple[str, ...]:
    return tuple(names.split())


UPOS = _tags("ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X")
"""The universal tags, in the order of the hub's class labels."""

PRECEDENCE = _tags("VERB NOUN PROPN PRON ADJ NUM ADV INTJ AUX ADP DET PART CCONJ SCONJ X PUNCT SYM")
"""XTREME's list, and SYM, on which its script stops."""

PRECEDENCE_OF = {
    "es": _tags("VERB AUX PRON ADP DET"),
    "fr": _tags("VERB AUX PRON NOUN ADJ ADV ADP DET PART SCONJ"),
    "it": _tags("VERB AUX ADV PRON ADP DET INTJ"),
}

COLUMNS = 10
_WORD = re.compile(r"[1-9][0-9]{0,5}")
_RANGE = re.compile(r"([1-9][0-9]{0,5})-([1-9][0-9]{0,5})")
_EMPTY_NODE = re.compile(r"[0-9]{1,6}\.[1-9][0-9]{0,5}")


@dataclass
class _Sentence:
    line: int
    forms: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    heads: list[set[int]] = field(default_factory=list)
    ranges: list[tuple[int, int, str]] = field(default_factory=list)


def read_conllu(
    path: Path, *, words: str = "syntactic", language: str = ""
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line of its first token, ``{"words": [...], "tags": [...]}``) a sentence; withheld ones have no words.

    Args:
        path: the file.
        words: ``syntactic`` or ``fused``.
        language: its code; chooses the precedence of tags for ``fused``.
    """
    precedence = PRECEDENCE_OF.get(language, ())
    # A tag that a short list leaves out ranks after it; XTREME's script stops there.
    precedence += tuple(tag for tag in PRECEDENCE if tag not in precedence)
    for sentence in _sentences(path):
        forms, tags = sentence.forms, sentence.tags
        if words == "fused":
            forms, tags = _fuse(sentence, precedence)
        withheld = forms.count("_")
        # XTREME's rule; a "_" among words is a character of the text.
        if withheld and withheld >= len(forms) - 1:
            yield sentence.line, {}
            continue
        yield sentence.line, {"words": forms, "tags": tags}


def _fuse(sentence: _Sentence, precedence: tuple[str, ...]) -> tuple[list[str], list[str]]:
    forms, tags, position = [], [], 0
    for first, last, form in [*sentence.ranges, (len(sentence.forms) + 1, 0, "")]:
        forms += sentence.forms[position : first - 1]
        tags += sentence.tags[position : first - 1]
        if last:
            forms.append(form)
            tags.append(_fused_tag(sentence, range(first, last + 1), precedence))
            position = last
    cleaned = [form.replace("\u200c", "").replace(" ", "") or form for form in forms]
    return cleaned, tags


def _fused_tag(sentence: _Sentence, span: range, precedence: tuple[str, ...]) -> str:
    """The tag of the span's word nearest to the root; of several, the first in ``precedence``."""
    depths = {word: len(_ancestors(sentence, word)) for word in span}
    highest = [sentence.tags[word - 1] for word in span if depths[word] == min(depths.values())]
    return min(highest, key=precedence.index)


def _ancestors(sentence: _Sentence, word: int) -> set[int]:
    """All nodes from which ``word`` can be reached, the root (0) included; enhanced graphs have cycles."""
    found: set[int] = set()
    waiting = [word]
    while waiting:
        node = waiting.pop()
        # Empty nodes and heads beyond the sentence have no row and so no heads.
        heads = sentence.heads[node - 1] if 0 < node <= len(sentence.heads) else set()
        waiting += heads - found
        found |= heads
    return found - {word}


def _sentences(path: Path) -> Iterator[_Sentence]:
    sentence: _Sentence | None = None
    for number, line in read_lines(path):
        if line.startswith("#"):
            if line.count("\t") >= COLUMNS - 1:
                raise DataError(
                    path,
                    number,
                    "a comment holds a row: a line end is lost, or is a lone CR; lines end in LF",
                )
            continue
        if line.strip():
            sentence = sentence or _Sentence(number)
            _add_row(sentence, line, path, number)
        elif sentence:
            yield _checked(sentence, path)
            sentence = None
    if sentence:
        yield _checked(sentence, path)


def _add_row(sentence: _Sentence, line: str, path: Path, number: int) -> None:
    fields = line.split("\t")
    if len(fields) != COLUMNS:
        raise DataError(
            path, number, f"holds {len(fields)} columns, CoNLL-U has {COLUMNS}; the file may be truncated"
        )
    identifier, form, tag, head, enhanced = fields[0], fields[1], fields[3], fields[6], fields[8]
    if not form:
        raise DataError(path, number, f"word {identifier} is empty")
    expected = len(sentence.forms) + 1
    if spanned := _RANGE.fullmatch(identifier):
        first, last = int(spanned[1]), int(spanned[2])
        overlaps = bool(sentence.ranges) and sentence.ranges[-1][1] >= first
        if first != expected or last <= first or overlaps:
            raise DataError(path, number, f"range {identifier} cannot stand before word {expected}")
        sentence.ranges.append((first, last, form))
    elif _WORD.fullmatch(identifier):
        if int(identifier) != expected:
            raise DataError(path, number, f"word {identifier} stands where word {expected} should")
        if tag not in UPOS:
            raise DataError(path, number, f"tag {tag!r} of word {form!r} is not one of: {', '.join(UPOS)}")
        sentence.forms.append(form)
        sentence.tags.append(tag)
        sentence.heads.append(_heads(head, enhanced))
    elif not _EMPTY_NODE.fullmatch(identifier):
        raise DataError(path, number, f"{identifier!r} is not a CoNLL-U id such as 3, 3-4 or 8.1")


def _heads(head: str, enhanced: str) -> set[int]:
    """The word's heads in both graphs; heads that are empty nodes are left out, as XTREME's script does."""
    names = [head, *(edge.split(":", 1)[0] for edge in enhanced.split("|"))]
    return {int(name) for name in names if name == "0" or _WORD.fullmatch(name)}


def _checked(sentence: _Sentence, path: Path) -> _Sentence:
    if not sentence.forms:
        raise DataError(path, sentence.line, "a sentence without words")
    if sentence.ranges and sentence.ranges[-1][1] > len(sentence.forms):
        first, last, _ = sentence.ranges[-1]
        raise DataError(path, sentence.line, f"range {first}-{last} ends after the sentence's last word")
    return sentence
