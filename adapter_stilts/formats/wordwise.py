"""Text to ids, each distinct word tokenised once.

Most tokenizers cut a text at its blanks before anything else, so a word has the same pieces wherever it stands. A split
holds its words many times over: tokenising each once and laying texts out as arrays does a fraction of the work, and
gives the same ids. Where that is not certain (the tokenizer is built otherwise, or the text holds characters that might
act beyond their word) the whole text is tokenised as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from adapter_stilts.formats.features import Array, Indices, Ragged, slice_indices
from adapter_stilts.formats.tokens import TEXTS_A_CALL, tokenize
from adapter_stilts.formats.words import MARK, Cutter

WORDS_A_TEXT = 256

BEFORE = "a "
"""Word put before one that does not begin its sentence; its pieces are cut off again."""


def token_ids(tokenizer: Any, *lists: Sequence[str]) -> list[Ragged]:
    """The ids of texts without special tokens, truncation or padding.

    Args:
        tokenizer: a Transformers fast tokenizer.
        lists: of texts, repeats included; row i of a list's result belongs to its text i.
    """
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    rows = _Numbers()
    wanted = [rows.of(texts) for texts in lists]
    cutter = Cutter(backend)
    # Two blanks in a row hold a word without letters, whose pieces (if any) are those of a blank alone.
    words = _Numbers({"": 0})
    doubtful: list[str] = []
    orders: list[Array] = []
    counts: list[Array] = []
    for batch in _batches(list(rows)):
        cut = cutter(batch)
        order = words.of(cut.words)
        if not cut.certain.all():
            whole = [batch[row] for row in np.flatnonzero(~cut.certain)]
            of_words = np.repeat(cut.certain, cut.counts)
            order = _spread(order, of_words)
            order[~of_words] = -1 - len(doubtful) - np.arange(len(whole))
            doubtful += whole
        orders.append(order)
        counts.append(cut.counts)
    table = _joined(_encode(backend, [" "]), _encode_words(backend, cutter, list(words)[1:]))
    table = _joined(table, _encode(backend, doubtful))
    order = np.concatenate([np.zeros(0, np.int64), *orders])
    order = np.where(order < 0, len(words) - 1 - order, order)
    first = np.concatenate([[0], np.cumsum(np.concatenate([np.zeros(0, np.int64), *counts]))])
    return [_laid_out(table, order, first, each) for each in wanted]


def word_ids(tokenizer: Any, words: Sequence[str], begins: Array) -> Ragged:
    """The ids of words as they stand in sentences whose words are joined by single blanks.

    A byte-level tokenizer writes the blank into the first piece of the word behind it, and others keep it as a sign:
    there a word has other pieces at the start of a text than after a blank.

    Args:
        tokenizer: a Transformers fast tokenizer.
        words: of all sentences, one after another.
        begins: whether a word is its sentence's first. (words,)
    """
    if Cutter(tokenizer.backend_tokenizer).possible:  # a word has the same pieces wherever it stands
        return token_ids(tokenizer, words)[0]
    placed = [word if first else BEFORE + word for word, first in zip(words, begins.tolist(), strict=True)]
    pieces = tokenize(tokenizer, placed)
    own = (pieces.ends.values >= len(BEFORE)) | np.repeat(begins, pieces.ids.lengths)
    counts = np.diff(np.concatenate([[0], np.cumsum(own)])[pieces.ids.offsets])
    return Ragged.from_lengths(pieces.ids.values[own], counts)


class _Numbers(dict[str, int]):
    """Numbers things in the order in which they are first asked for."""

    def __missing__(self, thing: str) -> int:
        self[thing] = number = len(self)
        return number

    def of(self, things: Sequence[str]) -> Indices:
        return np.fromiter(map(self.__getitem__, things), dtype=np.int64, count=len(things))


def _spread(values: Indices, places: Array) -> Indices:
    spread = np.empty(len(places), dtype=np.int64)
    spread[places] = values
    return spread


def _laid_out(table: Ragged, order: Indices, first: Indices, texts: Indices) -> Ragged:
    """Texts from the pieces of their words: text t is the words ``order[first[t] : first[t + 1]]`` of the table."""
    counts = first[texts + 1] - first[texts]
    wanted = order[slice_indices(first[texts], counts)]
    lengths = table.lengths[wanted]
    bounds = np.concatenate([[0], np.cumsum(lengths)])[np.concatenate([[0], np.cumsum(counts)])]
    return Ragged(table.values[slice_indices(table.offsets[:-1][wanted], lengths)], bounds.astype(np.int64))


def _encode_words(backend: Any, cutter: Cutter, words: list[str]) -> Ragged:
    """The ids of each word. Many go through the tokenizer as one text where the pieces tell where words begin."""
    if not cutter.marks_words:
        return _encode(backend, words)
    chunks = [words[start : start + WORDS_A_TEXT] for start in range(0, len(words), WORDS_A_TEXT)]
    encoded = _encode(backend, [" ".join(chunk) for chunk in chunks])
    begins = _word_initial(backend, encoded.values)
    found = np.concatenate([[0], np.cumsum(begins)])[encoded.offsets]
    sizes = np.fromiter(map(len, chunks), np.int64, len(chunks))
    # A word that begins with the unknown piece does not show; there is none that shows twice.
    clear = np.diff(found) == sizes
    starts = np.flatnonzero(begins & np.repeat(clear, encoded.lengths))
    ends = np.append(starts[1:], len(encoded.values))
    last = np.cumsum(sizes[clear]) - 1  # of each clear chunk: its last word ends where it does
    ends[last] = encoded.offsets[1:][clear]
    hidden = np.repeat(~clear, sizes)
    alone = _encode(backend, [words[row] for row in np.flatnonzero(hidden)])
    table = Ragged.from_lengths(
        np.concatenate([encoded.values[slice_indices(starts, ends - starts)], alone.values]),
        np.concatenate([ends - starts, alone.lengths]),
    )
    return table.take(np.argsort(np.argsort(hidden, kind="stable"), kind="stable")) if hidden.any() else table


def _word_initial(backend: Any, pieces: Array) -> Array:
    """Which pieces begin with SentencePiece's mark."""
    begins = np.zeros(int(pieces.max(initial=0)) + 1, dtype=bool)
    used = np.zeros(len(begins), dtype=bool)
    used[pieces] = True
    for piece in np.flatnonzero(used).tolist():
        begins[piece] = backend.id_to_token(piece).startswith(MARK)
    marked: Array = begins[pieces]
    return marked


def _joined(one: Ragged, two: Ragged) -> Ragged:
    return Ragged(
        np.concatenate([one.values, two.values]),
        np.concatenate([one.offsets, two.offsets[1:] + one.offsets[-1]]),
    )


def _encode(backend: Any, texts: list[str]) -> Ragged:
    lengths: list[int] = []
    ids: list[Array] = []
    for batch in _batches(texts):
        pieces = [encoding.ids for encoding in backend.encode_batch_fast(batch, add_special_tokens=False)]
        counts = list(map(len, pieces))
        lengths += counts
        ids.append(np.fromiter(chain.from_iterable(pieces), dtype=np.int32, count=sum(counts)))
    return Ragged.from_lengths(np.concatenate(ids) if ids else np.zeros(0, np.int32), lengths)


def _batches(texts: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(texts), TEXTS_A_CALL):
        yield texts[start : start + TEXTS_A_CALL]
