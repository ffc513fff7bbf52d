"""What `adapter-stilts tasks FILE.toml` tells of a declared task: its data, and examples as a tokenizer cuts them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from adapter_stilts.recipe import MINIATURE

if TYPE_CHECKING:
    from adapter_stilts.checking import Checked, Encoded

SHOWN_PIECES = 60
"""Of a sequence; the rest is told by its length."""


def lines(checked: Checked) -> Iterator[str]:
    """For a terminal."""
    for split, counts in checked.look.counts.items():
        for language, count in counts.items():
            classes = checked.look.classes[split][language]
            told = ", ".join(f"{name} {number}" for name, number in classes.items())
            least, greatest = checked.look.ranges.get(split, {}).get(language, (None, None))
            told = told if least is None else f"from {least:g} to {greatest:g}"
            yield f"{f'{split}, {language}':<16} {count}{f': {told}' if told else ''}"
    for number, example in enumerate(checked.encoded, start=1):
        yield from _example(number, example)
    yield f"\npieces are those of {_whose(checked.tokenizer)}"


def found(checked: Checked) -> dict[str, Any]:
    """For JSON."""
    return {
        "counts": checked.look.counts,
        "classes": checked.look.classes,
        "ranges": checked.look.ranges,
        "notices": list(checked.look.notices),
        "tokenizer": checked.tokenizer,
        "examples": [
            {"id": each.id, "gold": each.gold, "lengths": each.lengths, "pieces": each.pieces}
            for each in checked.encoded
        ],
    }


def _example(number: int, example: Encoded) -> Iterator[str]:
    gold = "no label" if example.gold is None else json.dumps(example.gold, ensure_ascii=False)
    lengths = ", ".join(map(str, example.lengths))
    yield f"\n{f'example {number}':<16} id {example.id}; {gold}; tokens: {lengths}"
    for pieces in example.pieces:
        more = len(pieces) - SHOWN_PIECES
        yield f"{'':<16} {' '.join(pieces[:SHOWN_PIECES])}{f' ... and {more} more' if more > 0 else ''}"


def _whose(tokenizer: str) -> str:
    if tokenizer == MINIATURE:
        return (
            "the miniature's tokenizer, which knows that world's words alone; --base ID|DIR shows another's"
        )
    return f"the tokenizer of {tokenizer}"
