"""Files: digests, canonical JSON, and directories and files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from adapter_stilts.errors import DiskFullError, StoreError, cause_of

# Names of what is being written end so, in its writer's host and process; a killed run may leave some.
PARTIAL_MARK = ".partial-"

DIGESTS = "SHA256SUMS"
"""A folder's listing of its files: a digest, two blanks and a path a line, as `sha256sum` writes and checks it."""

ELSEWHERE = "another place"
INSTEAD = f"{ELSEWHERE} with --store"
"""Of what a store holds."""


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


def seal(directory: Path, leave_out: Iterable[str] = ()) -> None:
    """List the digests of all files below a folder in its ``SHA256SUMS``.

    Args:
        leave_out: names in the folder that are not listed, nor what lies in them.
    """
    names = _files_below(directory, {*leave_out, DIGESTS})
    lines = [f"{sha256_file(directory / name)}  {name}\n" for name in names]
    write_text(directory / DIGESTS, "".join(lines))


def broken_seal(directory: Path, names: Iterable[str], alone: bool = False) -> str | None:
    """What differs from the listing that `seal` wrote, in words; None where nothing does.

    Args:
        names: files that have to be listed.
        alone: whether they alone are looked at, of the files that are listed.
    """
    wanted = list(names)
    try:
        lines = (directory / DIGESTS).read_text(encoding="utf-8").splitlines()
        listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
        for name in wanted:
            if name not in listed:
                return f"{DIGESTS} does not list {name}"
        for name, digest in listed.items():
            if alone and name not in wanted:
                continue
            if Path(name).is_absolute() or ".." in Path(name).parts:
                return f"{DIGESTS} is damaged"
            if not (directory / name).is_file():
                return f"{name} is missing"
            if sha256_file(directory / name) != digest:
                return f"{name} is damaged"
    except (OSError, ValueError) as error:
        return f"{DIGESTS} cannot be read ({cause_of(error)})"
    return None


def _files_below(directory: Path, leave_out: set[str]) -> list[str]:
    found = (path.relative_to(directory) for path in directory.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if path.parts[0] not in leave_out)


def write_json(path: Path, value: Any, instead: str = ELSEWHERE) -> None:
    """Indented JSON with a final newline, replaced in one step."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", instead)


def write_text(path: Path, text: str, instead: str = ELSEWHERE) -> None:
    """Write aside, flush to disk, rename. `instead` as in `disk_errors`."""
    write_bytes(path, text.encode("utf-8"), instead)


def write_bytes(path: Path, content: bytes, instead: str = ELSEWHERE, flush: bool = True) -> None:
    """Write aside and rename: whoever reads meanwhile reads what was there before.

    Args:
        instead: as in `disk_errors`.
        flush: to disk, before it has its name; not needed of what is made again in no time.
    """
    aside = path.with_name(f".{path.name}{_partial()}")
    with disk_errors(path, instead):
        try:
            with aside.open("wb") as file:
                file.write(content)
                if flush:
                    file.flush()
                    os.fsync(file.fileno())
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def whole_directory(target: Path, instead: str = ELSEWHERE) -> Iterator[Path]:
    """A directory that appears at `target` complete, in one rename, or not at all.

    Yields the directory to write into. An existing `target` is replaced. On any exception nothing is left.

    Args:
        instead: as in `disk_errors`.
    """
    aside = target.with_name(f"{target.name}{_partial()}")
    with disk_errors(target, instead):
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.mkdir()
        try:
            yield aside
            mode = 0o666 & ~_umask()
            for file in aside.rglob("*"):
                if file.is_file():
                    file.chmod(mode)  # safetensors writes for its owner alone
                    _flush_to_disk(file)
            _flush_to_disk(aside)
            _take_place(aside, target)
            _flush_to_disk(target.parent)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise


def _take_place(aside: Path, target: Path) -> None:
    """Rename a directory to `target`; what is there stands aside until then, and comes back where that fails."""
    if not target.exists():
        aside.rename(target)
        return
    before = target.with_name(f"{target.name}{_partial()}")
    try:
        target.rename(before)
        aside.rename(target)
    except BaseException:
        if before.exists() and not target.exists():
            before.rename(target)
        raise
    shutil.rmtree(before, ignore_errors=True)


def linked(source: str, target: str) -> None:
    """The same file under another name, without its bytes once more; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def remove_whole(directory: Path, instead: str = ELSEWHERE) -> None:
    """Remove a directory, which is there whole or not at all. `remove_partials` takes what a killed caller leaves.

    Args:
        instead: as in `disk_errors`.
    """
    aside = directory.with_name(f"{directory.name}{_partial()}")
    with disk_errors(directory, instead):
        directory.rename(aside)
        shutil.rmtree(aside)


def bytes_below(place: Path) -> int:
    """Bytes of a file, or of all files below a folder; links are not followed, and what is gone counts nothing."""
    try:
        return _bytes_below(str(place)) if place.is_dir() else place.lstat().st_size
    except FileNotFoundError:
        return 0


def _bytes_below(folder: str) -> int:
    found = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                found += _bytes_below(entry.path)
            else:
                with contextlib.suppress(FileNotFoundError):
                    found += entry.stat(follow_symlinks=False).st_size
    return found


def _partial() -> str:
    return f"{PARTIAL_MARK}{_host()}-{os.getpid()}-{secrets.token_hex(4)}"


def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def remove_partials(folder: Path, patterns: Iterable[str], older_than_seconds: float = 3600.0) -> list[str]:
    """Remove what killed writers left in a folder; returns the names.

    Hands are kept off a writer that is alive: a process of this host is asked for, others are known by age alone.

    Args:
        patterns: of the places below `folder` where things are written.
    """
    removed = []
    for path in (path for pattern in patterns for path in folder.glob(f"{pattern}{PARTIAL_MARK}*")):
        host, _, rest = path.name.rpartition(PARTIAL_MARK)[2].partition("-")
        process = rest.partition("-")[0]
        with contextlib.suppress(OSError):  # gone meanwhile, or in a folder that is only read
            dead = host == _host() and process.isdecimal() and not _is_alive(int(process))
            if dead or time.time() - path.stat().st_mtime > older_than_seconds:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
                removed.append(path.name)
    return removed


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's, or no such number
        return True
    return True


@contextlib.contextmanager
def disk_errors(path: Path, instead: str = ELSEWHERE) -> Iterator[None]:
    """Turn a full or read-only disk into a StoreError that says where and what to do.

    Args:
        instead: what may be chosen in its stead, and how: ``another place with --store``.
    """
    try:
        yield
    except Exception as error:
        reasons = {
            errno.ENOSPC: f"the disk is full: free space, or choose {instead}",
            errno.EDQUOT: f"the disk quota is used up: free space, or choose {instead}",
            errno.EROFS: f"the file system is read-only: choose {instead}",
            errno.EACCES: f"no permission to write here: choose {instead}",
            errno.ENOTDIR: f"a part of the path is a file: choose {instead}",
            errno.EFBIG: f"the file would exceed the allowed size: raise the limit, or choose {instead}",
        }
        number = _system_number(error)
        if number not in reasons:
            raise
        kind = DiskFullError if number in (errno.ENOSPC, errno.EDQUOT) else StoreError
        raise kind(f"cannot write {path}: {reasons[number]}") from error


def _system_number(error: Exception) -> int | None:
    """errno of a failed system call.

    safetensors writes from Rust and tells the number in its message alone, and so does `shutil.copytree`.
    """
    if isinstance(error, shutil.Error):
        found = re.search(r"\[Errno (\d+)\]", str(error))
    elif isinstance(error, OSError):
        return error.errno
    elif type(error).__name__ == "SafetensorError":
        found = re.search(r"\(os error (\d+)\)", str(error))
    else:
        return None
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
