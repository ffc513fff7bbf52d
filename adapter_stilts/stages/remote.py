"""Finished stages at an address that fsspec knows (``s3://bucket/prefix``), shared by machines without a common folder.

<address>/store.json                       the schema
<address>/finished/<stage>.json            the commit marker: the stage's key, where its files are, their digests
<address>/stages/<stage>/<upload>/…        its files
<address>/plans/<digest>.json
<address>/leases/…                         who works on what (`leasing.py`)

A stage is published whole: its files under a name of that upload alone, then the marker, which is created only where
there is none. So who comes second never mixes its files with the first's, and a half upload is seen by nobody. Each
machine works in a folder of its own, the mirror, which is a store like any other and names the address in its marker.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from adapter_stilts.errors import StoreError, UsageError, cause_of
from adapter_stilts.io import digest_of, sha256_file, whole_directory, write_json

SCHEMA = 1
LISTING_SECONDS = 5.0
"""For which what is finished at the address is taken as it was listed last."""
MIRRORS = "stores"
_ONE_SLASH = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/(?!/)")


class Remote:
    """Finished stages and plans at an address.

    Args:
        address: with its scheme. How it is reached (endpoint, credentials) is the file system's own matter.

    Methods raise:
        StoreError: the address cannot be reached, which may pass, or refuses.
        UsageError: the package that knows such addresses is missing, or there is none.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._listed: tuple[float, frozenset[str]] | None = None

    def check(self) -> None:
        """Mark the address as a store, and see that what is there is not overwritten by who wants to be first."""
        if not self.create("store.json", json.dumps({"schema": SCHEMA}).encode()):
            schema = self.read_json("store.json").get("schema")
            if schema != SCHEMA:
                raise StoreError(
                    f"{self.address}: the store has schema {schema}, this version reads {SCHEMA}: upgrade "
                    "adapter-stilts, or choose another --store"
                )
        probe = f"leases/probe-{secrets.token_hex(8)}"
        self.create(probe, b"")
        if self.create(probe, b""):
            raise StoreError(
                f"{self.address}: a file that is there is overwritten by who asks to create it, so that machines could "
                "not tell who works on a stage: choose a server with conditional writes, or a folder with --store"
            )
        self.remove(probe)

    def names(self) -> frozenset[str]:
        """The finished stages, as they were listed at most `LISTING_SECONDS` ago."""
        now = time.monotonic()
        if self._listed is None or now - self._listed[0] > LISTING_SECONDS:
            self._listed = (now, frozenset(name.removesuffix(".json") for name in self.list("finished")))
        return self._listed[1]

    def look_again(self) -> None:
        """Forget what was listed."""
        self._listed = None

    def publish(self, directory: Path, key: str) -> bool:
        """Publish a finished stage; False where another machine's is there, which is left as it is."""
        marker = f"finished/{directory.name}.json"
        if self.exists(marker):
            return False
        at = f"stages/{directory.name}/{secrets.token_hex(8)}"
        files = sorted(path for path in directory.rglob("*") if path.is_file())
        digests = {path.relative_to(directory).as_posix(): sha256_file(path) for path in files}
        for name in digests:
            with self._told() as (system, root):
                system.put_file(str(directory / name), f"{root}/{at}/{name}")
        told = {"key": key, "at": at, "files": digests}
        # Where an answer was lost, the second try meets what the first wrote.
        first = (
            self.create(marker, json.dumps(told, indent=1).encode()) or self.read_json(marker).get("at") == at
        )
        if not first:
            self.remove(at, recursive=True)
        self.look_again()
        return first

    def fetch(self, name: str, key: str, folder: Path) -> Path:
        """Bring a finished stage into a folder; it appears whole, its digests checked.

        Raises:
            StoreError: what is at the address is damaged, or another stage.
        """
        marker = self.read_json(f"finished/{name}.json")
        where = f"{self.address}/finished/{name}.json"
        try:
            told, at, files = str(marker["key"]), str(marker["at"]), dict(marker["files"])
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"{where} is damaged ({error!r}): remove it, and the stage is made again"
            ) from error
        if told != key:
            raise StoreError(f"{where}: another stage with the same short key: use another --store")
        if any(
            PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts for file in [at, *files]
        ):
            raise StoreError(
                f"{where} names files outside of the stage: remove it, and the stage is made again"
            )
        with whole_directory(folder / name) as aside:
            for file, digest in files.items():
                (aside / file).parent.mkdir(parents=True, exist_ok=True)
                if not self._download(f"{at}/{file}", aside / file) or sha256_file(aside / file) != digest:
                    raise StoreError(
                        f"{self.address}/{at}/{file} is missing or damaged: remove {where}, and the stage is made again"
                    )
        return folder / name

    def publish_plan(self, path: Path) -> None:
        """Keep a plan; one that is there stays."""
        self.create(f"plans/{path.name}", path.read_bytes())

    def list(self, folder: str) -> list[str]:
        """Names in a folder; empty where there is none."""
        try:
            with self._told(may_lack=True) as (system, root):
                found = system.ls(f"{root}/{folder}", detail=False)
        except FileNotFoundError:
            return []
        names = (PurePosixPath(str(path)).name for path in found)
        own = PurePosixPath(folder).name  # some file systems list a folder in itself
        return sorted(name for name in names if name and name != own)

    def exists(self, name: str) -> bool:
        """Whether there is a file."""
        with self._told() as (system, root):
            return bool(system.exists(f"{root}/{name}"))

    def create(self, name: str, content: bytes) -> bool:
        """Write a file where there is none; whether it was written."""
        try:
            with self._told() as (system, root):
                system.pipe_file(f"{root}/{name}", content, mode="create")
        except FileExistsError:
            return False
        return True

    def write(self, name: str, content: bytes) -> None:
        """Write a file, in the place of one that is there."""
        with self._told() as (system, root):
            system.pipe_file(f"{root}/{name}", content)

    def read(self, name: str) -> bytes | None:
        """A file's content; None where there is none."""
        try:
            with self._told(may_lack=True) as (system, root):
                return bytes(system.cat_file(f"{root}/{name}"))
        except FileNotFoundError:
            return None

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON object. Raises StoreError."""
        try:
            value = json.loads(self.read(name) or b"")
            if not isinstance(value, dict):
                raise ValueError("it is no object")
        except (ValueError, RecursionError) as error:
            raise StoreError(f"{self.address}/{name} cannot be read ({error}): remove it") from error
        return value

    def remove(self, name: str, recursive: bool = False) -> None:
        """Remove a file, or all below a name, where there is something."""
        with contextlib.suppress(FileNotFoundError), self._told(may_lack=True) as (system, root):
            system.rm(f"{root}/{name}", recursive=recursive)

    def _download(self, name: str, to: Path) -> bool:
        try:
            with self._told(may_lack=True) as (system, root):
                system.get_file(f"{root}/{name}", str(to))
        except FileNotFoundError:
            return False
        return True

    @cached_property
    def _system(self) -> tuple[Any, str]:
        """The file system, which is to remember no listings, and the path in it."""
        try:
            from fsspec.core import url_to_fs

            system, root = url_to_fs(self.address, use_listings_cache=False)
        except ImportError as error:
            raise UsageError(
                f"--store {self.address}: the package that knows such addresses is missing ({error}); for s3:// "
                "pip install 'adapter-stilts[remote]'"
            ) from error
        except ValueError as error:
            raise UsageError(
                f"--store {self.address}: {error}: name a folder, or e.g. s3://BUCKET/PREFIX"
            ) from error
        if "file" in system.protocol:
            raise UsageError(f"--store {self.address}: a folder: name it without a scheme, {root}")
        return system, str(root).rstrip("/")

    @contextlib.contextmanager
    def _told(self, may_lack: bool = False) -> Iterator[tuple[Any, str]]:
        """Turn what a file system raises into our errors, but for files that are there.

        Args:
            may_lack: whether FileNotFoundError is left to the caller.
        """
        try:
            yield self._system
        except (FileExistsError, UsageError, StoreError):
            raise
        except FileNotFoundError as error:
            if may_lack:
                raise
            raise StoreError(
                f"{self.address} is not there ({cause_of(error)}): make the bucket, or choose another --store"
            ) from error
        except PermissionError as error:
            raise StoreError(f"{self.address} refuses ({cause_of(error)}): give its credentials") from error
        except Exception as error:  # each file system, and the libraries below it, have classes of their own
            told = StoreError(
                f"{self.address} cannot be reached ({cause_of(error)}); the same command tries again"
            )
            told.passes = True
            raise told from error


def is_address(store: str) -> bool:
    """Whether a store is named by an address, not by a folder."""
    return "://" in store


def folder_of(store: str, cache: Path) -> Path:
    """The folder of a store, for whatever looks at folders alone.

    Raises:
        UsageError: it is an address; tells the mirror, which is such a folder.
    """
    if not is_address(store):
        return Path(store)
    mirror = mirror_of(store, cache)
    told = f"{mirror} is this machine's mirror of it, with what was made or fetched here"
    if not mirror.is_dir():
        told = "this machine has no mirror of it yet, which `train`, `matrix` or `evaluate` with this --store makes"
    raise UsageError(f"{store}: an address, and this looks at folders; {told}")


def mirror_of(address: str, cache: Path) -> Path:
    """The folder in which a machine works for an address, whether or not it is there."""
    return cache.absolute() / MIRRORS / digest_of(Remote(address).address)[:16]


def local_store(store: str | Path, cache: Path) -> Path:
    """The folder of a store: itself, or the mirror of an address, which is made where it is missing.

    Args:
        cache: where mirrors lie.

    Raises:
        UsageError: the name is empty, or as `Remote`.
        StoreError: as `Remote`; both of a new mirror alone, which an old one does without asking.
    """
    if not str(store).strip():
        raise UsageError(f"store = {store!r} is empty: name a folder or an address, or leave it out")
    if _ONE_SLASH.match(str(store)):
        raise UsageError(
            f"--store {store}: an address has two slashes after its scheme, as s3://BUCKET/PREFIX; a folder of that "
            f"name is ./{store}"
        )
    if not is_address(str(store)):
        return Path(store)
    if not str(store).partition("://")[2].strip("/"):
        raise UsageError(f"--store {store}: names no place: name a folder, or e.g. s3://BUCKET/PREFIX")
    remote, mirror = Remote(str(store)), mirror_of(str(store), cache)
    if not (mirror / "store.json").is_file():
        remote.check()
        mirror.mkdir(parents=True, exist_ok=True)
        told = {"schema": SCHEMA, "remote": remote.address, "mirror": secrets.token_hex(8)}
        write_json(mirror / "store.json", told)
    return mirror
