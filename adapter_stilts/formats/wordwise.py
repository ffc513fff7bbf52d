"""Text to ids, each distinct word tokenised once.

Most tokenizers cut a text at its blanks before anything else, so a word has the same pieces wherever it stands. A split
holds its words many times over: tokenising each once and laying texts out as arrays does a fraction of the work, and
gives the same ids. Where that is not certain (the tokenizer is built otherwise, or the text holds characters that might
act beyond their word) the whole text is tokenised as it is.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from adapter_stilts.formats.features import Array, Ragged, slice_indices

# Bounds the Python objects that exist between the tokenizer and the arrays, not the result.
TEXTS_A_CALL = 8192

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
    words, rows = _Numbers(), _Numbers()
    wanted = [np.asarray([rows[text] for text in texts], dtype=np.int64) for texts in lists]
    cut = _cut_of(backend)
    numbers: list[int] = []
    counts = []
    for text in rows:
        parts = cut(text)
        numbers.extend(map(words.__getitem__, parts))
        counts.append(len(parts))
    table, order = _encode(backend, list(words)), np.asarray(numbers, dtype=np.int64)
    lengths = table.lengths[order]
    pieces = table.values[slice_indices(table.offsets[:-1][order], lengths)]
    bounds = np.concatenate([[0], np.cumsum(lengths)])[
        np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    ]
    distinct = Ragged(pieces, bounds.astype(np.int64))
    return [distinct.take(each) for each in wanted]


def _cut_of(backend: Any) -> Callable[[str], Sequence[str]]:
    """A function from a text to the parts that can be tokenised by themselves; the text itself where in doubt."""
    if not cuts_at_blanks(backend):
        return lambda text: (text,)
    # Special tokens written out in a text are found before it is cut, blanks beside them included.
    marks = {token.content[:1] for token in backend.get_added_tokens_decoder().values()}
    alone = _Alone()

    def cut(text: str) -> Sequence[str]:
        words = text.split(" ")
        certain = (
            text.isprintable()
            and "" not in words
            and not any(mark in text for mark in marks)
            and (text.isascii() or all(map(alone.__getitem__, words)))
        )
        return words if certain else (text,)

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
