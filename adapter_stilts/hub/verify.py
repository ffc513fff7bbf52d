"""Whether a folder is a bundle that may be read: plain files of known kinds, with the digests it lists.

Safetensors, JSON and Markdown hold data alone. Anything else (a pickle, code, a link, a file that is not listed) is
refused by its name, before anything in the folder is used.
"""

from __future__ import annotations

import json
import re
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from adapter_stilts.errors import BundleError
from adapter_stilts.model.bundle import DIGESTS, HOUSEKEEPING, BundleInfo, no_bundle, read_bundle

SUFFIXES = (".safetensors", ".json", ".md")
NAMES = (DIGESTS, "vocab.txt", "merges.txt")
"""Allowed by name: the digests, and the word lists of tokenizers."""

# A task's name becomes part of a folder's.
_TASK = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+.-]{0,199}", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_,.+=-]*", re.ASCII)
_LARGEST_HEADER = 100_000_000


def verify(directory: Path, cache: Path | None = None) -> BundleInfo:
    """What a bundle is, after all of its files were looked at.

    Args:
        cache: the hub's cache of its repository, into which a snapshot's links may lead.

    Raises:
        BundleError: names the file that should not be there, or differs from its digest, or is not what its name says.
    """
    if not directory.is_dir():
        raise BundleError(f"{directory}: no such folder")
    names = files_of(directory, cache)
    check_names(names, str(directory))
    info = read_bundle(directory)
    for name in names:
        if name.endswith(".safetensors"):
            _check_tensors(directory / name)
        elif name.endswith(".json"):
            _check_json(directory / name)
    if not _TASK.fullmatch(info.task):
        raise BundleError(f"{directory / 'bundle.json'}: {info.task!r} is no task's name")
    return info


def check_names(names: Iterable[str], where: str) -> None:
    """Raises BundleError where a file's name is not of a kind that a bundle holds, or lies too deep."""
    found = set(names)
    for name in sorted(found):
        parts = name.split("/")
        if len(parts) > 2 or not all(_PLAIN.fullmatch(part) for part in parts):
            raise BundleError(
                f"{where}: {name!r} is not a plain file of the bundle or of a folder in it (letters, digits and _,.+=-)"
            )
        if not parts[-1].endswith(SUFFIXES) and parts[-1] not in NAMES:
            raise BundleError(
                f"{where}: {name} is none of {', '.join(f'*{suffix}' for suffix in SUFFIXES)}, {', '.join(NAMES)}: "
                "nothing else is shared. Remove it (and its line in "
                f"{DIGESTS}), or ask who made the bundle for its weights as safetensors"
            )
    if "bundle.json" not in found:
        raise no_bundle(where, found)
    if DIGESTS not in found:
        raise BundleError(
            f"{where}: no {DIGESTS}, so it is no bundle of ours; it holds {', '.join(sorted(found))}"
        )


def files_of(directory: Path, cache: Path | None = None) -> list[str]:
    """The names of all files of a folder and of the folders in it.

    What git and the hub's own tools leave is passed over; it is neither read nor carried.

    Args:
        cache: as in `verify`.

    Raises:
        BundleError: a link, a device, or a folder within a folder.
    """
    found = []
    for path in sorted(directory.iterdir()):
        if path.name in HOUSEKEEPING:
            continue
        if stat.S_ISDIR(path.lstat().st_mode):
            found += [_plain(inner, directory, cache) for inner in sorted(path.iterdir())]
        else:
            found.append(_plain(path, directory, cache))
    return found


def _plain(path: Path, directory: Path, cache: Path | None) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode) and cache is not None and path.resolve().is_relative_to(cache.resolve()):
        mode = path.stat().st_mode
    if stat.S_ISLNK(mode):
        raise BundleError(f"{path}: a link, which may lead out of the bundle; put the file itself there")
    if not stat.S_ISREG(mode):
        raise BundleError(f"{path}: not a plain file")
    return path.relative_to(directory).as_posix()


def _check_tensors(path: Path) -> None:
    """The header of a safetensors file, without reading the tensors. What they hold is checked when they are used."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        text = file.read(length) if 0 < length <= min(_LARGEST_HEADER, size) else b""
    try:
        header = json.loads(text)
        ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise BundleError(f"{path}: not a safetensors file, whatever its name says") from error
    if 8 + length + max(ends, default=0) != size:
        raise BundleError(
            f"{path}: its tensors do not end where the file does: cut off, or something is added"
        )


def _check_json(path: Path) -> None:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not JSON ({error})") from error
