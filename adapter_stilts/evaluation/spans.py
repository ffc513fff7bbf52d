"""Spans that tags name, as seqeval read them before its version 1.

Which version counts matters where tags are no IOB2, as UDPOS's bare parts of speech: before 1.0 a tag without a hyphen
is its own type (NOUN), from 1.0 on its first letter is taken for a mark and the rest for the type (OUN), so that
SCONJ and CCONJ are one. The study's code (jiant) pins 0.0.12, and published rows compare with that reading.

Source: `seqeval.metrics.sequence_labeling.get_entities` of 0.0.12.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Span: TypeAlias = tuple[str, int, int]
"""Type, first word, last word."""

_SINGLE = ("E", "S")  # marks after which a span is over


def spans(tags: Sequence[str]) -> set[Span]:
    """The spans of one sentence.

    A tag's first letter is its mark, what stands behind its last hyphen its type. A span begins at B and S, where the
    type changes, and after O, E and S; it ends before B, S and O, after E and S, and where the type changes.
    """
    found = set()
    first, mark_before, type_before = 0, "O", ""
    for place, tag in enumerate((*tags, "O")):
        mark, kind = tag[:1], tag.rpartition("-")[2]
        changes = kind != type_before
        if (
            mark_before in _SINGLE
            or (mark_before in ("B", "I") and mark in ("B", "S", "O"))
            or (mark_before not in ("O", ".") and changes)
        ):
            found.add((type_before, first, place - 1))
        if (
            mark in ("B", "S")
            or (mark in ("E", "I") and mark_before in (*_SINGLE, "O"))
            or (mark not in ("O", ".") and changes)
        ):
            first = place
        mark_before, type_before = mark, kind
    return found
