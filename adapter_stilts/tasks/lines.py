"""Bytes and lines of a release file, as DataError where they cannot be had.

Lines end in LF or CRLF and nothing else: sentences hold U+2028, U+0085 and lone CR as text. A byte order mark
is dropped at the file's start only; inside, U+FEFF is text that answer offsets count. Zero bytes are no text: a
copy that broke off leaves holes of them, in which rows are gone.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from adapter_stilts.errors import DataError


def read_text(path: Path) -> str:
    """The whole file."""
    try:
        raw = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise cannot_be_read(path, error) from None
    if (hole := raw.find(b"\0")) >= 0:
        raise _zero_bytes(path, raw.count(b"\n", 0, hole) + 1)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(path, raw.count(b"\n", 0, error.start) + 1, raw, error) from None


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, line without its end); a last line without an end counts, an empty one does not."""
    try:
        # Binary files are iterated by LF alone; text files would also split at a lone CR.
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                yield number, _line(path, number, raw.removeprefix(codecs.BOM_UTF8) if number == 1 else raw)
    except OSError as error:
        raise cannot_be_read(path, error) from None


def is_blank(path: Path) -> bool:
    """Whether the file holds nothing but white space."""
    try:
        with path.open("rb") as file:
            return not any(block.strip() for block in iter(lambda: file.read(1 << 16), b""))
    except OSError as error:
        raise cannot_be_read(path, error) from None


def cannot_be_read(path: Path, error: OSError) -> DataError:
    return DataError(path, None, f"cannot be read: {error.strerror or error}")


def _line(path: Path, number: int, raw: bytes) -> str:
    if b"\0" in raw:
        raise _zero_bytes(path, number)
    try:
        return raw.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(path, number, raw, error) from None


def _zero_bytes(path: Path, line: int) -> DataError:
    return DataError(path, line, "holds zero bytes: a damaged copy, or not UTF-8; fetch the file again")


def _not_utf8(path: Path, line: int, raw: bytes, error: UnicodeDecodeError) -> DataError:
    met = raw[error.start : error.start + 4].hex(" ")
    return DataError(path, line, f"is not UTF-8 (bytes {met}); re-encode the file or fetch it again")
