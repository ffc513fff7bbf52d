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

from adapter_stilts.errors import StoreError
from adapter_stilts.io import disk_errors, whole_directory, write_json
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.locking import Lock, take

SCHEMA = 1
# Between looks at a lock that another process holds: at first short, then this.
FIRST_POLL_SECONDS, POLL_SECONDS = 0.002, 0.1


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

    def take(self, stage: Stage) -> Lock | None:
        """The stage's lock, to be released; None while another process works on it."""
        return take(self._lock_path(stage))

    @contextlib.contextmanager
    def lock(self, stage: Stage, say: Callable[[str], None]) -> Iterator[None]:
        """One process works on a stage, others wait here. Leaves no lock file behind."""
        held, pause = self.take(stage), FIRST_POLL_SECONDS
        if held is None:
            say(f"another process works on {stage.name}; waiting for it")
        while held is None:
            time.sleep(pause)
            pause = min(2 * pause, POLL_SECONDS)
            held = self.take(stage)
        try:
            yield
        finally:
            held.release()

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
