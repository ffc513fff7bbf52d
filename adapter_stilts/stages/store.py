"""Where finished stages live, by key. A stage's directory appears whole, or not at all.

<store>/store.json                     the store's schema
<store>/<kind>-<task>-<key12>/         a finished stage; stage.json in it is the commit marker
<store>/work/<kind>-<task>-<key12>/    checkpoints of a stage under way, gone when it is finished
<store>/work/<kind>-<task>-<key12>.lock
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from adapter_stilts.errors import StoreError
from adapter_stilts.io import disk_errors, whole_directory, write_json
from adapter_stilts.stages.graph import Stage

SCHEMA = 1
POLL_SECONDS = 0.1


class Store:
    """A folder of finished stages.

    Raises:
        StoreError: written by a newer version, or not writable.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        marker = root / "store.json"
        if marker.is_file():
            try:
                schema = int(json.loads(marker.read_text(encoding="utf-8"))["schema"])
            except (ValueError, KeyError, TypeError) as error:
                raise StoreError(
                    f"{marker}: not a store's marker ({error}); choose another --store"
                ) from error
            if schema > SCHEMA:
                raise StoreError(
                    f"the store {root} has schema {schema}, this version reads up to {SCHEMA}: "
                    "upgrade adapter-stilts, or choose another --store"
                )
        elif root.exists() and not root.is_dir():
            raise StoreError(f"{root} is a file: choose a folder with --store")

    def open(self) -> None:
        """Make the folder and its marker. Reading needs neither."""
        with disk_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        if not (self.root / "store.json").is_file():
            write_json(self.root / "store.json", {"schema": SCHEMA})
        for leftover in self.root.glob(".store.json.partial-*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - leftover.stat().st_mtime > 10:  # not one being written at this moment
                    leftover.unlink()

    def find(self, stage: Stage) -> Path | None:
        """The directory of a finished stage, or None."""
        directory = self.root / stage.name
        try:
            key = json.loads((directory / "stage.json").read_text(encoding="utf-8"))["key"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{directory}/stage.json cannot be read ({error!r}): remove the directory"
            ) from error
        if key != stage.key:
            raise StoreError(
                f"{directory} holds another stage with the same short key: remove it or use another --store"
            )
        return directory

    def record(self, stage: Stage) -> dict[str, Any]:
        """stage.json of a finished stage."""
        value: dict[str, Any] = json.loads(
            (self.root / stage.name / "stage.json").read_text(encoding="utf-8")
        )
        return value

    def work(self, stage: Stage) -> Path:
        """The folder of a stage under way."""
        return self.root / "work" / stage.name

    @contextlib.contextmanager
    def lock(self, stage: Stage, say: Callable[[str], None]) -> Iterator[None]:
        """One process works on a stage, others wait here. Leaves no lock file behind a finished stage."""
        path = self._lock_path(stage)
        lock = FileLock(path)
        waiting = False
        while not lock.is_locked:
            # Each time anew: the process that we wait for removes the folder when it is done.
            with disk_errors(path), contextlib.suppress(FileNotFoundError):
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    if not waiting:
                        say(f"another process works on {stage.name}; waiting for it")
                    waiting = True
                    time.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            # Unlinking is safe only once the stage is there: whoever then gets a fresh lock finds it finished.
            if self.find(stage) is not None:
                path.unlink(missing_ok=True)
            lock.release()
            with contextlib.suppress(OSError):  # not empty: other stages are under way
                path.parent.rmdir()

    def tidy(self, stage: Stage, say: Callable[[str], None]) -> None:
        """Remove what a run killed just after its commit left of a finished stage."""
        if self.work(stage).exists() or self._lock_path(stage).exists():
            with self.lock(stage, say):
                shutil.rmtree(self.work(stage), ignore_errors=True)

    def _lock_path(self, stage: Stage) -> Path:
        return self.root / "work" / f"{stage.name}.lock"

    @contextlib.contextmanager
    def commit(self, stage: Stage, record: dict[str, Any]) -> Iterator[Path]:
        """Yields a directory to fill; it becomes the finished stage, its work folder goes."""
        for leftover in self.root.glob(f"{stage.name}.partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        with whole_directory(self.root / stage.name) as directory:
            yield directory
            write_json(directory / "stage.json", record)
        shutil.rmtree(self.work(stage), ignore_errors=True)
