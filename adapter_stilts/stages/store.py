"""Where finished stages live, by key. A stage's directory appears whole, or not at all.

<store>/store.json                     the store's schema; of results without weights, that they were exported; of the
                                       mirror of an address, that address (`remote.py`)
<store>/<kind>-<task>-<key12>/         a finished stage; stage.json in it is the commit marker, SHA256SUMS has digests
<store>/work/<kind>-<task>-<key12>/    checkpoints of a stage under way, gone when it is finished
<store>/work/<kind>-<task>-<key12>.lock   held by who works on it, and says how far it is
<store>/failed/<kind>-<task>-<key12>.json why a stage failed when it was last tried
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from adapter_stilts.errors import AdapterStiltsError, StoreError
from adapter_stilts.io import (
    DIGESTS,
    INSTEAD,
    broken_seal,
    disk_errors,
    remove_partials,
    seal,
    whole_directory,
    write_json,
)
from adapter_stilts.model.bundle_info import EVALUATIONS
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.leasing import Leases
from adapter_stilts.stages.locking import POLL_SECONDS, Lock, alone, take
from adapter_stilts.stages.record import read_stage, write_stage
from adapter_stilts.stages.remote import Remote

SCHEMA = 1
MARKER, WORK, FAILED = "store.json", "work", "failed"
# Digests of their own, and a log that nothing reads again.
NOT_LISTED = ("bundle", EVALUATIONS, "log.jsonl")
# Between looks at a lock that another process holds: at first short, then this.
FIRST_POLL_SECONDS = 0.002


def lock_path(root: Path, name: str) -> Path:
    """The lock file of a stage of a store."""
    return root / WORK / f"{name}.lock"


class Store:
    """A folder of finished stages.

    Args:
        root: the folder. ``exported`` says whether it holds results without their weights, ``remote`` is the address
            that it mirrors, None of most.

    Raises:
        StoreError: written by a newer version, or not writable.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.exported = False
        self.remote: Remote | None = None
        self._looked_at: dict[tuple[str, int, int], str | None] = {}
        marker = root / MARKER
        if marker.is_file():
            try:
                told = json.loads(marker.read_text(encoding="utf-8"))
                schema, self.exported = int(told["schema"]), bool(told.get("exported"))
                if told.get("remote") is not None:
                    self.remote = Remote(str(told["remote"]))
                    self._leases = Leases(self.remote, f"{platform.node()}-{told['mirror']}")
            except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise StoreError(
                    f"{marker}: not a store's marker ({error}); choose another --store"
                ) from error
            if schema > SCHEMA:
                raise StoreError(
                    f"the store {root} has schema {schema}, this version reads up to {SCHEMA}: "
                    "upgrade adapter-stilts, or choose another --store"
                )
        elif root.exists() and not root.is_dir():
            raise StoreError(
                f"{root} is a file, and a store is a folder: name one. Exported results in a zip file are read by "
                "`adapter-stilts report` and `compare`"
            )

    def open(self) -> None:
        """Make the folder and its marker. Reading needs neither.

        Raises:
            StoreError: it cannot be written, or holds results without the weights that a stage would start from.
        """
        if self.exported:
            self.refuse()
        with disk_errors(self.root, INSTEAD):
            self.root.mkdir(parents=True, exist_ok=True)
        if not (self.root / MARKER).is_file():
            write_json(self.root / MARKER, {"schema": SCHEMA}, INSTEAD)
        self.sweep()

    def refuse(self) -> NoReturn:
        """Raises StoreError of an exported one."""
        raise StoreError(
            f"the store {self.root} was exported without weights, and not all that is asked for is in it: it answers "
            "for what it holds, and runs nothing; choose another --store"
        )

    def sweep(self) -> None:
        """Remove what killed writers left half-written."""
        remove_partials(self.root, ("*", ".*", "plans/.*", f"{FAILED}/.*", "work/*/*", "work/*/.*"))

    def has(self, stage: Stage) -> Path | None:
        """As `find`, but fetches nothing: of a stage that is finished at an address alone, where it is going to lie."""
        found = self._find_here(stage)
        if found is None and self.remote is not None and stage.name in self.remote.names():
            return self.root / stage.name
        return found

    def find(self, stage: Stage) -> Path | None:
        """The directory of a finished stage, or None; that of a damaged evaluation counts as not there.

        Raises:
            StoreError: another kind of stage is damaged, the directory holds another stage, or an address that the
                store mirrors cannot be reached, or holds a damaged one.
        """
        found = self._find_here(stage)
        if found is None and self.remote is not None and stage.name in self.remote.names():
            # One process of a mirror fetches a stage, whether or not it holds the stage's lock.
            with alone(lock_path(self.root, f"{stage.name}.fetch")):
                found = self._find_here(stage) or self.remote.fetch(stage.name, stage.key, self.root)
        return found

    def _find_here(self, stage: Stage) -> Path | None:
        directory = self._found(stage)
        damage = self._damage(stage) if directory else None
        if damage is None:
            return directory
        if stage.part.MADE_AGAIN:
            return None
        raise StoreError(
            f"{directory}: {damage}: remove the directory, and the same command makes the stage again"
        )

    def damage(self, stage: Stage) -> str | None:
        """What is wrong with a finished evaluation, which is made again; None where nothing is, or none is there."""
        try:
            return self._damage(stage) if self._found(stage) else None
        except StoreError as error:
            return str(error)

    def _damage(self, stage: Stage) -> str | None:
        """What differs from the digests that the stage was finished with; looked for once."""
        directory = self.root / stage.name
        try:
            state = os.stat(directory / DIGESTS)
            key = (stage.name, state.st_ino, state.st_mtime_ns)
        except OSError:
            # What was finished before there were listings has none; its evaluations are made again.
            return f"{DIGESTS} is missing" if stage.part.MADE_AGAIN else None
        if key not in self._looked_at:
            self._looked_at[key] = broken_seal(directory, stage.part.READ_AGAIN)
        return self._looked_at[key]

    def _found(self, stage: Stage) -> Path | None:
        directory = self.root / stage.name
        try:
            key = read_stage(directory)["key"]
        except FileNotFoundError:
            return None
        except StoreError:
            if stage.part.MADE_AGAIN:
                return directory  # its digest tells
            raise
        if key != stage.key:
            raise StoreError(
                f"{directory} holds another stage with the same short key: remove it or use another --store"
            )
        return directory

    def work(self, stage: Stage) -> Path:
        """The folder of a stage under way."""
        return self.root / WORK / stage.name

    def take(self, stage: Stage) -> Lock | None:
        """The stage's lock, to be released; None while another process works on it, here or at the address."""
        held = take(self._lock_path(stage))
        if held is None or self.remote is None:
            return held
        leased: Lock | None = None
        try:
            leased = self._leases.take(stage.name, held)
            self.remote.look_again()  # it may be finished by now
        finally:
            if leased is None:
                held.release()
        return leased

    @contextlib.contextmanager
    def lock(self, stage: Stage, say: Callable[[str], None], wait: bool = True) -> Iterator[Lock | None]:
        """One process works on a stage, others wait here. Leaves no lock file behind.

        Args:
            wait: whether to wait for another process; without, None is yielded while one holds the lock.
        """
        held, pause = self.take(stage), FIRST_POLL_SECONDS
        if held is None:
            told = "waiting for it" if wait else "going on with what is free"
            say(f"another process works on {stage.name}; {told}")
        while held is None and wait:
            time.sleep(pause)
            pause = min(2 * pause, POLL_SECONDS)
            held = self.take(stage)
        try:
            yield held
        finally:
            if held is not None:
                held.release()

    def tidy(self, stage: Stage) -> None:
        """Do what a run killed just after its commit left to do, where the store can be written.

        The stage is published, and what was told of it before goes, as its checkpoints do.
        """
        if self.remote is not None and self._find_here(stage) and stage.name not in self.remote.names():
            self._publish(stage)
        self.forget_failure(stage)
        if self.work(stage).exists() or self._lock_path(stage).exists():
            with contextlib.suppress(StoreError, OSError):
                held = take(self._lock_path(stage))
                if held is not None:  # else another process is about to do it
                    shutil.rmtree(self.work(stage), ignore_errors=True)
                    held.release()

    def _lock_path(self, stage: Stage) -> Path:
        return lock_path(self.root, stage.name)

    def keep_failure(self, stage: Stage, error: AdapterStiltsError) -> None:
        """Say in the store why a stage failed, for who looks from elsewhere; of no weight where that cannot be kept."""
        path = self.root / FAILED / f"{stage.name}.json"
        with contextlib.suppress(OSError, StoreError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, {"error": str(error), "time": time.time()}, INSTEAD)
        if (self.root / stage.name).exists():  # another process finished it meanwhile
            self.forget_failure(stage)

    def forget_failure(self, stage: Stage) -> None:
        """A stage is tried again, or finished."""
        path = self.root / FAILED / f"{stage.name}.json"
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            path.parent.rmdir()

    @contextlib.contextmanager
    def commit(self, stage: Stage, record: Mapping[str, Any]) -> Iterator[Path]:
        """Yields a directory to fill; it becomes the finished stage, its work folder goes."""
        for leftover in self.root.glob(f"{stage.name}.partial-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        with whole_directory(self.root / stage.name, INSTEAD) as directory:
            yield directory
            write_stage(directory, record)
            seal(directory, NOT_LISTED)
        self._publish(stage)
        shutil.rmtree(self.work(stage), ignore_errors=True)

    def _publish(self, stage: Stage) -> None:
        """Publish a finished stage at the address that is mirrored. Where another machine was first, its own counts."""
        if self.remote is not None and not self.remote.publish(self.root / stage.name, stage.key):
            self.remote.fetch(stage.name, stage.key, self.root)

    def publish_plan(self, path: Path) -> None:
        """Keep a plan file at the address that is mirrored, too."""
        if self.remote is not None:
            self.remote.publish_plan(path)
