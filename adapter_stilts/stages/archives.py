"""Exported results as one zip file: a folder of them is thousands of small files in a repository."""

from __future__ import annotations

import struct
import tempfile
import zipfile
import zlib
from pathlib import Path

from adapter_stilts.errors import StoreError, cause_of
from adapter_stilts.io import disk_errors, sha256_file, whole_directory

SUFFIX = ".zip"
LARGEST = 4 * 1024**3
"""Bytes that an archive may unpack to: results hold no weights, and one that claims more is not one of ours."""
_WHEN = (1980, 1, 1, 0, 0, 0)
"""The earliest time that the format has: the same results give the same bytes."""


def is_archive(place: Path) -> bool:
    """Whether a place is named as an archive."""
    return place.suffix.lower() == SUFFIX


def pack(folder: Path, archive: Path) -> None:
    """Write a folder as a zip file, in one step; equal content gives equal bytes. Raises StoreError (disk full …)."""
    with disk_errors(archive, "another place"):
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=archive.parent, prefix=f".{archive.name}.") as beside:
            aside = Path(beside) / archive.name
            with zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
                for path in sorted(folder.rglob("*")):
                    if path.is_file():
                        entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _WHEN)
                        entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                        file.writestr(entry, path.read_bytes())
            aside.replace(archive)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack into a folder that is there. Raises StoreError where it is damaged, or larger than results are."""
    try:
        with zipfile.ZipFile(archive) as file:
            claimed = sum(entry.file_size for entry in file.infolist())
            if claimed > LARGEST:
                raise StoreError(
                    f"{archive} claims to hold {claimed} bytes, more than {LARGEST}: it is no export of results; "
                    "adapter-stilts store export writes one"
                )
            file.extractall(folder)
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        OSError,
        EOFError,
        ValueError,
        RuntimeError,
    ) as error:
        raise StoreError(
            f"{archive} cannot be unpacked ({cause_of(error)}): get it again, or export into another file"
        ) from error


def unpacked(archive: Path, cache: Path) -> Path:
    """The folder that an archive unpacks to, kept by its digest. Raises StoreError."""
    try:
        folder = cache / "results" / sha256_file(archive)
    except OSError as error:
        raise StoreError(f"{archive} cannot be read ({cause_of(error)})") from error
    if not folder.is_dir():
        with whole_directory(folder, "another place with $ADAPTER_STILTS_CACHE") as aside:
            unpack(archive, aside)
    return folder
