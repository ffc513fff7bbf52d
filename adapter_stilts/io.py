"""Files: digests, canonical JSON, and directories and files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from adapter_stilts.errors import StoreError

# Names of directories being written end so; a killed run may leave one, the next run removes it.
PARTIAL_MARK = ".partial-"


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no blanks: equal values give equal text, whatever their key order."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """sha256 (hex) of a JSON value."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def sha256_file(path: Path) -> str:
    """sha256 (hex) of a file's bytes."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()


def sha256_directory(directory: Path, names: Iterable[str]) -> str:
    """sha256 (hex) over the named files of a directory: their names and contents."""
    return digest_of({name: sha256_file(directory / name) for name in sorted(names)})


def write_json(path: Path, value: Any) -> None:
    """Indented JSON with a final newline, replaced in one step."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write aside, flush to disk, rename."""
    aside = path.with_name(f".{path.name}{PARTIAL_MARK}{secrets.token_hex(4)}")
    with disk_errors(path):
        try:
            with aside.open("w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def whole_directory(target: Path) -> Iterator[Path]:
    """A directory that appears at `target` complete, in one rename, or not at all.

    Yields the directory to write into. An existing `target` is replaced. On any exception nothing is left.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f"{target.name}{PARTIAL_MARK}{secrets.token_hex(4)}")
    with disk_errors(target):
        aside.mkdir()
        try:
            yield aside
            mode = 0o666 & ~_umask()
            for file in aside.rglob("*"):
                if file.is_file():
                    file.chmod(mode)  # safetensors writes for its owner alone
                    _flush_to_disk(file)
            _flush_to_disk(aside)
            if target.exists():
                shutil.rmtree(target)
            aside.rename(target)
            _flush_to_disk(target.parent)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise


def remove_partials(target: Path, older_than_seconds: float = 3600.0) -> None:
    """Remove what killed writers of `target` left. The age keeps hands off a writer that is alive."""
    for path in target.parent.glob(f"{target.name}{PARTIAL_MARK}*"):
        if time.time() - path.stat().st_mtime > older_than_seconds:
            shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full or read-only disk into a StoreError that says where and what to do."""
    try:
        yield
    except Exception as error:
        reasons = {
            errno.ENOSPC: "the disk is full: free space, or choose another place with --store",
            errno.EDQUOT: "the disk quota is used up: free space, or choose another place with --store",
            errno.EROFS: "the file system is read-only: choose another place with --store",
            errno.EACCES: "no permission to write here: choose another place with --store",
            errno.ENOTDIR: "a part of the path is a file: choose another place with --store",
            errno.EFBIG: "the file would exceed the allowed size: raise the limit, or choose another --store",
        }
        number = _system_number(error)
        if number not in reasons:
            raise
        raise StoreError(f"cannot write {path}: {reasons[number]}") from error


def _system_number(error: Exception) -> int | None:
    """errno of a failed system call; safetensors writes from Rust and tells the number in its message."""
    if isinstance(error, OSError):
        return error.errno
    found = (
        re.search(r"\(os error (\d+)\)", str(error)) if type(error).__name__ == "SafetensorError" else None
    )
    return int(found[1]) if found else None


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _flush_to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
