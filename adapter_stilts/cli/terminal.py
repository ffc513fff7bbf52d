"""Text for a terminal. Bundles, data and models come from others, and a terminal obeys what it is sent.

Control characters (colours, a title, what was typed), and those that turn the direction of reading, are shown as what
they are: ``\\x1b``, ``\\u202e``. In JSON they stand as JSON's own escapes, which give the same text back.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.text import Text

# C0 but tab and line feed, DEL and C1, line and paragraph separators, marks and overrides of direction, surrogates.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


def printable(text: str) -> str:
    """A text that a terminal shows and does not obey; lines stay lines."""
    return _OBEYED.sub(_escaped, text)


def printable_json(value: Any) -> str:
    """Indented JSON that a terminal shows and does not obey."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def say(text: str, err: bool = False) -> None:
    """Print such a text."""
    click.echo(printable(text), err=err)


def say_json(value: Any) -> None:
    """Print a value so, on stdout."""
    click.echo(printable_json(value))


def plain(text: str) -> Text:
    """A table's cell on one line, whose brackets are no markup."""
    from rich.text import Text

    return Text(printable(text).replace("\n", "\\n"))


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def note(message: str) -> None:
    """Tell what a user should know, beside what was asked for."""
    say(f"note: {message}", err=True)
