"""Safetensors files that others wrote, looked at before any library reads them.

A file is eight bytes (the length of the header), a JSON header (name -> type, shape, place) and the tensors' bytes, one
after the other without a gap (https://github.com/huggingface/safetensors, "Format").
"""

from __future__ import annotations

import math
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter_stilts.errors import BundleError
from adapter_stilts.model.strict_json import parse_json

LARGEST_HEADER = 16_000_000
MOST_DIMENSIONS = 8
CHUNK_ELEMENTS = 2**22

_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
    "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
OTHER_FRAMEWORKS = ("tf", "flax")
"""What a file may name in its metadata as the library that reads it, and that is not here."""
FLOATS = ("F64", "F32", "F16", "BF16")
"""Types that weights are kept in."""
_LARGEST_FP32 = 3.4028235e38


@dataclass(frozen=True)
class Stored:
    """One tensor's place: bytes [begin, end) of the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_header(path: Path) -> dict[str, Stored]:
    """The tensors of a file by name.

    Raises:
        BundleError: no plain file, cut, or a header that does not say where each byte belongs, once.
    """
    if not path.exists():
        raise BundleError(f"{path.parent}: {path.name} is missing")
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BundleError(f"{path}: not a plain file")
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(LARGEST_HEADER, status.st_size - 8):
            raise _not_one(path)
        text = file.read(length)
    try:
        header = parse_json(text, path)
    except BundleError as error:
        raise BundleError(
            f"{path}: not a safetensors file, whatever its name says ({error.__cause__ or error})"
        ) from error
    if not isinstance(header, dict):
        raise _not_one(path)
    about = header.pop("__metadata__", None)
    if about is not None and not (
        isinstance(about, dict) and all(isinstance(value, str) for value in about.values())
    ):
        raise BundleError(f"{path}: not a safetensors file, whatever its name says (__metadata__ is no text)")
    if about is not None and about.get("format") in OTHER_FRAMEWORKS:
        raise BundleError(
            f"{path}: written by {about['format']}, which lays weights out otherwise and would be asked to read them; "
            "load it there and save it from PyTorch"
        )
    found = {name: _stored(path, name, entry, 8 + length) for name, entry in header.items()}
    end = 8 + length
    for name, entry in sorted(found.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != end:
            raise BundleError(f"{path}: the bytes of {name} do not begin where those before them end")
        end = entry.end
    if end != status.st_size:
        raise BundleError(
            f"{path}: its tensors do not end where the file does: cut off, or something is added"
        )
    return found


def _stored(path: Path, name: str, entry: Any, data: int) -> Stored:
    """One entry of the header. Raises BundleError."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise BundleError(f"{path}: {name} should have dtype, shape and data_offsets; got {str(entry)[:200]}")
    dtype, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BYTES:
        raise BundleError(f"{path}: {name} is of type {str(dtype)[:80]!r}; choices: {', '.join(_BYTES)}")
    if not _counts(shape) or len(shape) > MOST_DIMENSIONS or not _counts(place) or len(place) != 2:
        raise BundleError(f"{path}: {name}: shape {str(shape)[:80]} at {str(place)[:80]} is of no tensor")
    if math.prod(shape) * _BYTES[dtype] != place[1] - place[0]:
        raise BundleError(
            f"{path}: {name}, {dtype} of shape {shape}, does not take the {place[1] - place[0]:,} bytes it is given"
        )
    return Stored(dtype, tuple(shape), data + place[0], data + place[1])


def _counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def check_tensors(path: Path, integers: tuple[str, ...] = ()) -> dict[str, Stored]:
    """Raises BundleError where a weight is not of floating numbers, or one is not finite.

    Args:
        integers: endings of names that may be of integers (buffers of positions, which older checkpoints hold).

    Returns:
        As `read_header`.
    """
    header = read_header(path)
    for name, entry in header.items():
        if entry.dtype in FLOATS:
            _check_finite(path, name, entry)
        elif not name.endswith(integers) or not integers:
            raise BundleError(
                f"{path}: {name} is of type {entry.dtype}; weights are one of {', '.join(FLOATS)}"
            )
    return header


def _check_finite(path: Path, name: str, entry: Stored) -> None:
    """Read in pieces through a buffer, as a mapping's pages would stay resident."""
    import numpy as np

    kind = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}[entry.dtype]
    width = np.dtype(kind).itemsize
    with path.open("rb") as file:
        file.seek(entry.begin)
        left = (entry.end - entry.begin) // width
        while left:
            values = np.fromfile(file, dtype=kind, count=min(left, CHUNK_ELEMENTS))
            if not len(values):
                raise BundleError(f"{path}: cut off while it was read")
            left -= len(values)
            if entry.dtype == "BF16":
                finite = bool(((values & 0x7F80) != 0x7F80).all())
            elif entry.dtype == "F64":
                finite = bool((np.abs(values) <= _LARGEST_FP32).all())
            else:
                finite = bool(np.isfinite(values).all())
            if not finite:
                raise BundleError(f"{path}: {name} holds values that are not finite numbers")


def _not_one(path: Path) -> BundleError:
    return BundleError(f"{path}: not a safetensors file, whatever its name says")
