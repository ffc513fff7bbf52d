"""JSON that others wrote, read with limits: its size, its depth, and one value for each key.

Python's reader takes what it is given: of two equal keys the last, numbers that are none (``NaN``), and any depth until
the interpreter's own stack ends. What two readers understand differently is refused.
"""

from __future__ import annotations

import json
import math
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapter_stilts.errors import BundleError

LARGEST_BYTES = 64_000_000
"""Tokenizers of the largest vocabularies in use take half of it."""
DEEPEST = 64
_HALF_A_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")


def read_json(path: Path, largest: int = LARGEST_BYTES) -> Any:
    """The value in a file.

    Raises:
        BundleError: no plain file, too large or deep, no JSON, a key given twice, or a number that is none.
    """
    try:
        mode, size = path.stat().st_mode, path.stat().st_size
    except OSError as error:
        raise BundleError(f"{path.parent}: {path.name} is missing") from error
    if not stat.S_ISREG(mode):
        raise BundleError(f"{path}: not a plain file")
    if size > largest:
        raise BundleError(f"{path}: {size:,} bytes, where at most {largest:,} are read")
    return parse_json(path.read_bytes(), path)


def read_object(path: Path, largest: int = LARGEST_BYTES) -> dict[str, Any]:
    """The same, of an object. Raises BundleError."""
    value = read_json(path, largest)
    if not isinstance(value, dict):
        raise BundleError(f"{path}: should hold a JSON object, not {type(value).__name__}")
    return value


def parse_json(content: bytes, path: Path) -> Any:
    """The value of a file's content. Raises BundleError."""
    try:
        value = json.loads(
            content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite
        )
        if _HALF_A_PAIR.search(content):  # of surrogates: text that cannot be written again
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not JSON ({error})") from error
    if _deeper(value):
        raise BundleError(f"{path}: not JSON of use here (nested more than {DEEPEST} deep)")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:80]!r} is given twice")
    return made


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"{text[:80]} is beyond all numbers")
    return number


def _deeper(value: Any) -> bool:
    """Whether a value is nested deeper than allowed, told without recursion."""
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inner(outer)]
        if not level:
            return False
    return True


def _inner(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        return iter([inner for inner in value.values() if isinstance(inner, (dict, list))])
    return iter([inner for inner in value if isinstance(inner, (dict, list))])
