"""Text to ids, each distinct word tokenised once.

Most tokenizers cut a text at its blanks before anything else, so a word has the same pieces wherever it stands. A split
holds its words many times over: tokenising each once and laying texts out as arrays does a fraction of the work, and
gives the same ids. Where that is not certain (the tokenizer is built otherwise, or the text holds characters that might
act beyond their word) the whole text is tokenised as it is.
"""

from __future__ import annotations

import json
import unicodedata
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from adapter_stilts.formats.features import Array, Ragged, slice_indices

# Bounds the Python objects that exist between the tokenizer and the arrays, not the result.
TEXTS_A_CALL = 8192
WORDS_A_TEXT = 64

MARK = "\u2581"
"""SentencePiece's sign for the blank before a word."""

# What the parts of a tokenizer do to one character or word whatever stands beside it.
_LOCAL_NORMALIZERS = {
    "NFC",
    "NFKC",
    "NFD",
    "NFKD",
    "Precompiled",
    "Lowercase",
    "StripAccents",
    "BertNormalizer",
}
_CUTS_AT_BLANKS = {"Whitespace", "WhitespaceSplit", "BertPreTokenizer"}


def token_ids(tokenizer: Any, *lists: Sequence[str]) -> list[Ragged]:
    """The ids of texts without special tokens, truncation or padding.

    Args:
        tokenizer: a Transformers fast tokenizer.
        lists: of texts, repeats included; row i of a list's result belongs to its text i.
    """
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    words, doubtful, rows = _Numbers(), _Numbers(), _Numbers()
    wanted = [np.asarray([rows[text] for text in texts], dtype=np.int64) for texts in lists]
    cut = _cut_of(backend)
    numbers, counts = array("q"), array("q")  # a split may hold tens of millions of words
    for text in rows:
        parts = cut(text)
        if parts is None:
            numbers.append(-1 - doubtful[text])
        else:
            numbers.extend(map(words.__getitem__, parts))
        counts.append(1 if parts is None else len(parts))
    table = _joined(_encode_words(backend, list(words)), _encode(backend, list(doubtful)))
    order = np.array(numbers, dtype=np.int64)
    order = np.where(order < 0, len(words) - 1 - order, order)
    lengths = table.lengths[order]
    pieces = table.values[slice_indices(table.offsets[:-1][order], lengths)]
    bounds = np.concatenate([[0], np.cumsum(lengths)])[
        np.concatenate([[0], np.cumsum(np.array(counts, dtype=np.int64))])
    ]
    distinct = Ragged(pieces, bounds.astype(np.int64))
    return [distinct.take(each) for each in wanted]


def _cut_of(backend: Any) -> Callable[[str], list[str] | None]:
    """A function from a text to its words, where they can be tokenised by themselves; None where that is in doubt."""
    if not cuts_at_blanks(backend):
        return lambda text: None
    # Special tokens written out in a text are found before it is cut, blanks beside them included.
    marks = {token.content[:1] for token in backend.get_added_tokens_decoder().values()}
    alone = _Alone()

    def cut(text: str) -> list[str] | None:
        words = text.split(" ")
        certain = (
            text.isprintable()
            and "" not in words
            and not any(mark in text for mark in marks)
            and (text.isascii() or all(map(alone.__getitem__, words)))
        )
        return words if certain else None

    return cut


def cuts_at_blanks(backend: Any) -> bool:
    """Whether the tokenizer treats each word by itself, blanks being the first place it cuts at."""
    pre_tokenizer, normalizer = _parts(backend.pre_tokenizer), _parts(backend.normalizer)
    return (
        bool(pre_tokenizer)
        and _cuts(pre_tokenizer[0])
        and all(map(_local, (*normalizer, *pre_tokenizer[1:])))
    )


class _Numbers(dict[str, int]):
    """Numbers things in the order in which they are first asked for."""

    def __missing__(self, thing: str) -> int:
        self[thing] = number = len(self)
        return number


class _Alone(dict[str, bool]):
    """Whether a word acts on itself only, remembered by word."""

    def __missing__(self, word: str) -> bool:
        normal = unicodedata.normalize("NFKC", word)
        # Marks join the character before them; some characters are normalised to a blank and more.
        joins = unicodedata.category(word[0]).startswith("M")
        self[word] = found = not joins and normal.isprintable() and " " not in normal and bool(normal)
        return found


def _parts(component: Any) -> list[dict[str, Any]]:
    """A normalizer or pre-tokenizer as its library writes it to JSON, a sequence as its members."""
    if component is None:
        return []
    held = json.loads(component.__getstate__())
    if held["type"] == "Sequence":
        return [each for each in held.get("normalizers") or held.get("pretokenizers") or ()]
    return [held]


def _cuts(part: dict[str, Any]) -> bool:
    whole = part["type"] == "Metaspace" and part.get("split", True) and part.get("prepend_scheme") == "always"
    return whole or part["type"] in _CUTS_AT_BLANKS


def _local(part: dict[str, Any]) -> bool:
    if part["type"] == "Replace":  # blanks in a row are told by an empty word
        return bool(part["pattern"] == {"Regex": " {2,}"})
    return part["type"] in _LOCAL_NORMALIZERS or _cuts(part)


def _encode_words(backend: Any, words: list[str]) -> Ragged:
    """The ids of each word. Many go through the tokenizer as one text where the pieces tell where words begin."""
    if not _marks_words(backend) or any(MARK in word for word in words):
        return _encode(backend, words)
    chunks = [words[start : start + WORDS_A_TEXT] for start in range(0, len(words), WORDS_A_TEXT)]
    encoded = _encode(backend, [" ".join(chunk) for chunk in chunks])
    used = np.unique(encoded.values)
    begins = np.zeros(int(used.max(initial=0)) + 1, dtype=bool)
    begins[used] = [backend.id_to_token(int(piece)).startswith(MARK) for piece in used]
    first = begins[encoded.values]
    found = np.concatenate([[0], np.cumsum(first)])[encoded.offsets]
    if (np.diff(found) != [len(chunk) for chunk in chunks]).any():
        # A word that begins with the unknown piece does not show; there is none that shows twice.
        return _encode(backend, words)
    starts = np.flatnonzero(first)
    return Ragged(encoded.values, np.append(starts, len(encoded.values)).astype(np.int64))


def _marks_words(backend: Any) -> bool:
    """Whether every word begins with SentencePiece's mark, and nothing else has one."""
    last = _parts(backend.pre_tokenizer)[-1:]
    return bool(last) and last[0]["type"] == "Metaspace" and last[0]["replacement"] == MARK


def _joined(one: Ragged, two: Ragged) -> Ragged:
    return Ragged.from_lengths(
        np.concatenate([one.values, two.values]), np.concatenate([one.lengths, two.lengths])
    )


def _encode(backend: Any, texts: list[str]) -> Ragged:
    lengths: list[int] = []
    ids: list[Array] = []
    for batch in _batches(texts):
        encodings = backend.encode_batch_fast(batch, add_special_tokens=False)
        counts = [len(encoding) for encoding in encodings]
        lengths += counts
        flat = (piece for encoding in encodings for piece in encoding.ids)
        ids.append(np.fromiter(flat, dtype=np.int32, count=sum(counts)))
    return Ragged.from_lengths(np.concatenate(ids) if ids else np.zeros(0, np.int32), lengths)


def _batches(texts: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(texts), TEXTS_A_CALL):
        yield texts[start : start + TEXTS_A_CALL]
