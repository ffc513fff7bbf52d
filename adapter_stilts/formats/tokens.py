"""Text to pieces, in batches: every distinct text is tokenised once, sequences are assembled as arrays.

A multiple-choice prompt stands in four sequences and a SQuAD context in five questions; tokenising the parts
and laying them out between the special tokens does that work once and gives the same ids as tokenising pairs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adapter_stilts.formats.features import Array, Indices, Ragged, slice_indices

# Bounds the Python objects that exist between the tokenizer and the arrays, not the result.
TEXTS_A_CALL = 8192


@dataclass(frozen=True)
class Pieces:
    """Tokenised texts: ids, and for each piece the code points [starts, ends) of its text."""

    ids: Ragged
    starts: Ragged
    ends: Ragged


def tokenize(tokenizer: Any, texts: Sequence[str]) -> Pieces:
    """Tokenise without special tokens, truncation or padding.

    Args:
        tokenizer: a Transformers fast tokenizer.
        texts: any number, repeats included; result row i belongs to ``texts[i]``.
    """
    distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    ids: list[Array] = []
    spans: list[Array] = []
    lengths: list[int] = []
    unique = list(distinct)
    for first in range(0, len(unique), TEXTS_A_CALL):
        encodings = backend.encode_batch(unique[first : first + TEXTS_A_CALL], add_special_tokens=False)
        counts = [len(encoding) for encoding in encodings]
        total = sum(counts)
        lengths += counts
        ids.append(np.fromiter((i for e in encodings for i in e.ids), dtype=np.int32, count=total))
        flat = (bound for e in encodings for span in e.offsets for bound in span)
        spans.append(np.fromiter(flat, dtype=np.int32, count=2 * total).reshape(-1, 2))
    all_spans = np.concatenate(spans) if spans else np.zeros((0, 2), np.int32)
    table = Ragged.from_lengths(np.concatenate(ids) if ids else np.zeros(0, np.int32), lengths)
    pieces = Pieces(table, Ragged(all_spans[:, 0], table.offsets), Ragged(all_spans[:, 1], table.offsets))
    if len(unique) == len(texts):
        return pieces
    rows = np.fromiter((distinct[text] for text in texts), dtype=np.int64, count=len(texts))
    return Pieces(pieces.ids.take(rows), pieces.starts.take(rows), pieces.ends.take(rows))


def with_marks(pieces: Pieces, texts: Sequence[str]) -> Pieces:
    """The same pieces, each reaching over the combining marks behind it that belong to none.

    A tokenizer that composes or drops marks may give a letter's place alone: of ``e`` and its accent (NFD) the ``e``.
    Cut there, an answer loses its last accent.

    Args:
        texts: what was tokenised, row by row.
    """
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    if not lengths.sum() or all(text.isascii() for text in texts):
        return pieces
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    known, where = np.unique(codes, return_inverse=True)
    marks = np.fromiter((unicodedata.category(chr(code))[0] == "M" for code in known), bool, len(known))[
        where
    ]
    if not marks.any():
        return pieces
    # For every place, where the run of marks that begins there ends; itself where there is none.
    place = np.arange(len(codes) + 1)
    plain = np.append(np.flatnonzero(~marks), len(codes))
    run_ends = plain[np.searchsorted(plain, place)]
    starts_of_texts = np.cumsum(lengths) - lengths
    owner = np.repeat(np.arange(len(texts)), pieces.ids.lengths)
    base = starts_of_texts[owner]
    ends = pieces.ends.values + base
    following = np.append(pieces.starts.values[1:] + base[1:], 0)
    last = np.append(owner[1:] != owner[:-1], True)
    limits = np.where(last, base + lengths[owner], following)
    reached = np.where(ends < limits, np.minimum(run_ends[ends], limits), ends)
    return Pieces(pieces.ids, pieces.starts, Ragged((reached - base).astype(np.int32), pieces.ends.offsets))


@dataclass(frozen=True)
class Template:
    """Where an encoder puts special tokens around one text or a pair, with the segment ids of each part."""

    prefix: tuple[int, ...]
    middle: tuple[int, ...]
    suffix: tuple[int, ...]
    prefix_types: tuple[int, ...] | None
    middle_types: tuple[int, ...] | None
    suffix_types: tuple[int, ...] | None
    text_types: tuple[int, int]

    @property
    def num_special(self) -> int:
        return len(self.prefix) + len(self.middle) + len(self.suffix)


def template_of(tokenizer: Any, pair: bool) -> Template:
    """Read the layout off one encoded probe, so that it is the tokenizer's own and not assumed."""
    probe = tokenizer("a", "a") if pair else tokenizer("a")
    owners = probe.sequence_ids()
    ids = probe["input_ids"]
    types = probe.get("token_type_ids")
    last = 1 if pair else 0
    first_text = owners.index(0)
    first_end = len(owners) - owners[::-1].index(0)
    last_start, last_end = owners.index(last), len(owners) - owners[::-1].index(last)
    middle_end = last_start if pair else first_end

    def cut(values: Sequence[int] | None, start: int, end: int | None) -> tuple[int, ...] | None:
        return None if values is None else tuple(values[start:end])

    return Template(
        tuple(ids[:first_text]),
        tuple(ids[first_end:middle_end]),
        tuple(ids[last_end:]),
        cut(types, 0, first_text),
        cut(types, first_end, middle_end),
        cut(types, last_end, None),
        (types[first_text], types[last_start]) if types is not None else (0, 0),
    )


@dataclass(frozen=True)
class Layout:
    """Assembled sequences.

    `first` and `second` give, for every token, the index of the piece it came from in the first or second
    part's flat array, and -1 for tokens of other origin: columns beside the pieces follow by indexing.
    """

    input_ids: Ragged
    token_types: Ragged | None
    first: Array
    second: Array


def assemble(
    template: Template,
    first: Ragged,
    first_slices: tuple[Indices, Indices],
    second: Ragged | None = None,
    second_slices: tuple[Indices, Indices] | None = None,
) -> Layout:
    """Lay out prefix, slice of `first`, middle, slice of `second`, suffix for every sequence.

    Args:
        first_slices, second_slices: flat start in the part's values and length, one each a sequence.
    """
    count = len(first_slices[0])
    if second is None or second_slices is None:
        second = Ragged(np.zeros(0, first.values.dtype), np.zeros(1, np.int64))
        second_slices = (np.zeros(count, np.int64), np.zeros(count, np.int64))
    special = np.asarray([*template.prefix, *template.middle, *template.suffix], dtype=first.values.dtype)
    pool = np.concatenate([first.values, second.values, special])
    second_base, special_base = len(first.values), len(first.values) + len(second.values)
    cuts = np.cumsum([0, len(template.prefix), len(template.middle), len(template.suffix)])
    whole = np.ones(count, np.int64)
    starts = np.stack(
        [
            whole * special_base,
            first_slices[0],
            whole * (special_base + cuts[1]),
            second_slices[0] + second_base,
            whole * (special_base + cuts[2]),
        ],
        axis=1,
    )
    lengths = np.stack(
        [
            whole * cuts[1],
            first_slices[1],
            whole * (cuts[2] - cuts[1]),
            second_slices[1],
            whole * (cuts[3] - cuts[2]),
        ],
        axis=1,
    )
    origin = slice_indices(starts.reshape(-1), lengths.reshape(-1))
    ids = Ragged.from_lengths(pool[origin], lengths.sum(axis=1))
    from_first = np.where(origin < second_base, origin, -1)
    from_second = np.where((origin >= second_base) & (origin < special_base), origin - second_base, -1)
    types = None
    if template.prefix_types is not None:
        kinds = np.concatenate(
            [
                np.full(len(first.values), template.text_types[0]),
                np.full(len(second.values), template.text_types[1]),
                [*template.prefix_types, *(template.middle_types or ()), *(template.suffix_types or ())],
            ]
        ).astype(np.int8)
        types = Ragged(kinds[origin], ids.offsets)
    return Layout(ids, types, from_first, from_second)
