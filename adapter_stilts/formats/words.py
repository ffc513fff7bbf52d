"""Where texts may be cut into words that can be tokenised by themselves.

Decided for many texts at once: their characters lie in one array, and each distinct character is looked at once.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from typing import Any

import numpy as np

from adapter_stilts.formats.features import Array, Indices

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

# Kinds of characters; END stands for the end of each text.
_PLAIN, _BLANK, _JOINS, _OPENS, _DOUBTFUL, _END, _NEW = range(7)


@dataclass(frozen=True)
class Cut:
    """Some texts, cut.

    Args:
        certain: whether a text may be cut; the others are tokenised whole.
        counts: words of each text, 1 for those that are not cut. (texts,)
        words: of the texts that are cut, one after another. "" is a blank beyond the one that begins a word.
    """

    certain: Array
    counts: Indices
    words: list[str]


class Cutter:
    """Cuts texts as a tokenizer would, where that is certain.

    Args:
        backend: a tokenizer of the `tokenizers` library.
    """

    def __init__(self, backend: Any) -> None:
        normalizer, pre_tokenizer = _parts(backend.normalizer), _parts(backend.pre_tokenizer)
        self.possible = (
            bool(pre_tokenizer)
            and _cuts(pre_tokenizer[0])
            and all(map(_local, (*normalizer, *pre_tokenizer[1:])))
        )
        last = pre_tokenizer[-1:]
        self.marks_words = bool(last) and last[0]["type"] == "Metaspace" and last[0]["replacement"] == MARK
        """Whether every word begins with SentencePiece's mark, and nothing else has one."""
        # Where blanks in a row become one and that one is marked, how many there were shows only at a text's end.
        self._blanks_count = not (
            self.possible
            and pre_tokenizer[0]["type"] == "Metaspace"
            and any(part["type"] == "Replace" for part in normalizer)
        )
        self._normalizer = backend.normalizer
        added = backend.get_added_tokens_decoder().values()
        # Special tokens written out in a text are found before it is cut, blanks beside them included.
        self._contents = [token.content for token in added if not token.normalized]
        self._first = {content[0] for content in self._contents}
        self._first_normalized = {token.content[0] for token in added if token.normalized}
        self._ascii = bytes([self._kind(chr(code)) for code in range(128)]).ljust(256)

    def __call__(self, texts: Sequence[str]) -> Cut:
        none = np.zeros(len(texts), dtype=bool)
        if not self.possible or not texts:
            return Cut(none, np.ones(len(texts), np.int64), [])
        ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1)
        starts = ends - np.diff(ends, prepend=0)
        kinds = self._kinds_of("\n".join(texts) + "\n")
        kinds[ends - 1] = _END
        found = np.flatnonzero(kinds != _PLAIN)  # few: what is plain needs no look
        kind = kinds[found]
        before = np.where(found > 0, kinds[found - 1], _END)
        begins = (before == _BLANK) | (before == _END)
        doubt = (kind == _DOUBTFUL) | ((kind == _JOINS) & begins)
        if self._blanks_count:
            doubt |= (kind == _END) & (before == _END)  # an empty text has no word
        else:
            doubt |= begins & ((kind == _BLANK) | (kind == _END))
        certain = np.ones(len(texts), dtype=bool)
        certain[np.searchsorted(ends, found[doubt], side="right")] = False
        for row in np.unique(np.searchsorted(ends, found[kind == _OPENS], side="right")):
            certain[row] &= not any(content in texts[row] for content in self._contents)
        indented = kinds[starts] == _BLANK  # the blank that would begin the first word is there already
        blanks = np.diff(np.searchsorted(found[kind == _BLANK], ends), prepend=0)
        counts = np.where(certain, blanks + 1 - indented, 1)
        kept = list(compress(texts, certain))
        if indented.any():
            kept = [text.removeprefix(" ") for text in kept]
        return Cut(certain, counts, " ".join(kept).split(" ") if kept else [])

    @cached_property
    def _kinds(self) -> Array:
        """The kind of every character there is, as far as seen. (code points,)"""
        kinds: Array = np.full(0x110000, _NEW, dtype=np.uint8)
        kinds[:128] = np.frombuffer(self._ascii[:128], dtype=np.uint8)
        return kinds

    def _kinds_of(self, text: str) -> Array:
        """The kind of each character. (characters,)"""
        if text.isascii():
            return np.frombuffer(bytearray(text.encode("ascii").translate(self._ascii)), dtype=np.uint8)
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        kinds = self._kinds.take(codes)
        unseen = kinds == _NEW
        if unseen.any():
            for code in np.unique(codes[unseen]):
                self._kinds[code] = self._kind(chr(code))
            kinds = self._kinds.take(codes)
        return kinds

    def _kind(self, character: str) -> int:
        """The effects that one character may have on what stands beside it."""
        if character == " ":
            return _BLANK
        normal = unicodedata.normalize("NFKC", character)
        own = normal
        if self._normalizer is not None and character.isprintable():
            own = self._normalizer.normalize_str(character)
        if (
            not character.isprintable()
            or not normal.isprintable()
            or " " in normal
            or not self._first_normalized.isdisjoint(character + own)
            # Some characters are normalised to a blank or to the mark: a word more than there seems to be.
            or (self.marks_words and (" " in own or MARK in own))
        ):
            return _DOUBTFUL
        if unicodedata.category(character).startswith("M"):
            return _JOINS  # a mark joins the character before it
        return _OPENS if character in self._first else _PLAIN


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
    if part["type"] == "Replace":
        return bool(part["pattern"] == {"Regex": " {2,}"})
    return part["type"] in _LOCAL_NORMALIZERS or _cuts(part)
