"""A lock between processes: a file that one of them holds with flock, and that goes with its holder's release.

The system lets go of it when the holder dies, however that happens. Removing the file is safe because whoever gets a
lock looks whether the file it has locked is still the one at that path, and else takes the new one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from adapter_stilts.errors import StoreError
from adapter_stilts.io import INSTEAD, disk_errors

_LONGEST = 1 << 16
POLL_SECONDS = 0.1
"""Between looks at a lock that another process holds."""


class Lock:
    """A lock that is held. `take` makes one; `release` may be called again."""

    def __init__(self, path: Path, handle: int) -> None:
        self._path, self._handle = path, handle

    def write(self, text: str) -> None:
        """Say in the file what its holder does, where the disk takes it; who reads it may meet half of it."""
        if self._handle >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, 0)
                os.pwrite(self._handle, text.encode(), 0)

    def release(self) -> None:
        """Let go, and remove the file, and its folder where that is empty now."""
        if self._handle < 0:
            return
        handle, self._handle = self._handle, -1
        try:
            # While it is held: nobody else can have made another file of this name.
            self._path.unlink(missing_ok=True)
        finally:
            os.close(handle)
            with contextlib.suppress(OSError):  # not empty: other locks are there
                self._path.parent.rmdir()


def take(path: Path, instead: str = INSTEAD) -> Lock | None:
    """The lock at a path, or None while another process, or another part of this one, holds it.

    Args:
        instead: as in `disk_errors`.

    Raises:
        StoreError: the file cannot be made, or the file system knows no locks.
    """
    while True:
        handle = _opened(path, instead)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(handle, path):
                return Lock(path, handle)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError as error:
            os.close(handle)
            raise StoreError(
                f"{path} cannot be locked ({error.strerror}): choose {instead}, on a file system with locks"
            ) from error
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its holder removed it between our opening and our locking


@contextlib.contextmanager
def alone(path: Path, instead: str = INSTEAD) -> Iterator[None]:
    """Holds the lock at a path, once whoever has it lets go.

    Args:
        instead: as in `disk_errors`.

    Raises:
        StoreError: as `take` does.
    """
    while (held := take(path, instead)) is None:
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        held.release()


def read_held(path: Path) -> str | None:
    """What the holder of a lock says of itself; None where nobody holds it."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        # Shared, so that two who ask do not see each other; the holder's own is exclusive.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        with contextlib.suppress(OSError):  # on SMB nobody but the holder may read it
            return os.read(handle, _LONGEST).decode(errors="replace")
        return ""
    except OSError:
        return None
    finally:
        os.close(handle)
    return None


def _opened(path: Path, instead: str) -> int:
    with disk_errors(path, instead):
        while True:
            # The folder comes and goes with other processes' locks: mkdir itself may find it there, and then gone.
            try:
                return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            except FileNotFoundError:
                with contextlib.suppress(FileNotFoundError):
                    _made(path.parent)


def _made(folder: Path) -> None:
    """Make a folder that another process may make or remove at the same moment; raises where a file is in its place."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        try:
            there = stat.S_ISDIR(folder.stat().st_mode)
        except FileNotFoundError:
            there = not folder.is_symlink()  # gone again; a link that leads nowhere stays
        if not there:
            raise NotADirectoryError(
                errno.ENOTDIR, "a file is in the place of a folder", str(folder)
            ) from error


def _is_at(handle: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    own = os.fstat(handle)
    return (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino)
