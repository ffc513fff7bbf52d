"""Plain folders of PEFT or AdapterHub wherever a bundle may stand: wrapped as one, once, in the cache.

A wrapped folder lies under the digest of its two files, of the base and of what is said of it, so that the same files
are the same bundle, whatever they are called.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from adapter_stilts.errors import AdapterStiltsError, BundleError, PlainFilesError, UsageError
from adapter_stilts.hub.address import parse
from adapter_stilts.hub.plain import Plain, find_plain, is_plain, write_source
from adapter_stilts.hub.transfer import Found, describe, fetch, locate
from adapter_stilts.io import digest_of, whole_directory
from adapter_stilts.model import foreign
from adapter_stilts.model.backbone import ResolvedBase, load_tokenizer
from adapter_stilts.model.bundle_info import TASK_NAME
from adapter_stilts.recipe import Base
from adapter_stilts.runtime import default_cache
from adapter_stilts.stages.context import find_base

SCHEMA = 1
"""Of how a folder is wrapped; another makes every wrapped folder anew."""
_HUB_NAME = re.compile(r"[\w.-]+(?:/[\w.-]+)?", re.ASCII)

Resolve = Callable[[], ResolvedBase]


@dataclass(frozen=True)
class Adopted:
    """A bundle at an address, and what to say of it where it was none before."""

    found: Found
    notice: str | None = None


def fetch_any(text: str, resolve: Resolve, task: str | None = None) -> Adopted:
    """A bundle at an address, verified; a plain folder is wrapped as one.

    Args:
        resolve: finds the base that is gone on with; called for a plain folder alone.
        task: what a plain folder was trained on; None is its name.

    Raises:
        UsageError, SourceUnavailableError, BundleError: as `transfer.fetch`, or what the folder holds is not read here.
    """
    try:
        return Adopted(fetch(text))
    except PlainFilesError:
        plain = find_plain(text)
    base = resolve()
    where = adopt(plain, base, task)
    return Adopted(fetch(str(where)), notice_of(plain, base))


def locate_any(text: str, base: Base | None, told: Callable[[str], object]) -> Path:
    """The folder of a bundle at an address, as `transfer.locate`; a plain folder is wrapped as one.

    Args:
        base: the encoder of a plain folder; None takes the one that it names.
        told: is called with what to say of a plain folder.
    """
    address = parse(text)
    if not (isinstance(address, Path) and is_plain(address)):
        try:
            return locate(text)
        except PlainFilesError:
            pass
    plain = find_plain(text)
    found = find_base(base or _named(plain))
    where = adopt(plain, found, None)
    told(notice_of(plain, found))
    return where


def is_plain_at(text: str) -> bool:
    """Whether there are plain files at an address; what is wrong with it is told where it is fetched."""
    try:
        describe(text)  # of a bundle's files its account and card alone
    except PlainFilesError:
        return True
    except AdapterStiltsError:
        return False
    return False


def _named(plain: Plain) -> Base:
    name = foreign.named_base(plain.directory)
    if name is None:
        raise UsageError(f"{plain.address}: plain files, which name no base: give it with --base")
    return Base(id=name)


def adopt(plain: Plain, base: ResolvedBase, task: str | None) -> Path:
    """The bundle that a plain folder is on a base, in the cache. Raises BundleError, UsageError."""
    check_name(plain, base)
    task = task or task_of(plain.name)
    if not TASK_NAME.fullmatch(task):
        raise UsageError(
            f"--inter-task {task!r}: letters, digits and _+.- name what it was trained on, e.g. mnli"
        )
    part = {"schema": SCHEMA, "files": plain.digest, "base": base.fingerprint, "id": base.id, "task": task}
    key = digest_of(part)[:24]
    folder = default_cache() / "adopted" / key
    if not (folder / "bundle" / "bundle.json").is_file():
        with whole_directory(folder) as aside:
            (aside / "bundle").mkdir()
            foreign.adopt(plain.directory, aside / "bundle", task, base, load_tokenizer(base), dated=False)
            write_source(aside, plain.pinned)
    else:
        write_source(folder, plain.pinned)
    return folder / "bundle"


def task_of(name: str) -> str:
    """A folder's name as that of a task."""
    return re.sub(r"[^A-Za-z0-9_+.-]", "_", name).lstrip(".+-")[:200] or "imported"


def check_name(plain: Plain, base: ResolvedBase) -> None:
    """Raises BundleError where a folder names another model of the hub than the base is."""
    name = foreign.named_base(plain.directory)
    if name is None or Path(base.location).is_dir() or not _HUB_NAME.fullmatch(name):
        return  # a folder's name is anybody's
    # Older configs leave the organisation out.
    if name.rpartition("/")[2].lower() != base.id.rpartition("/")[2].lower():
        raise BundleError(
            f"{plain.address} was trained on the base {name!r}, this is {base.id!r}: on another base its numbers mean "
            f"nothing. Give --base {name}"
        )


def notice_of(plain: Plain, base: ResolvedBase) -> str:
    """What cannot be checked of a plain folder."""
    name = foreign.named_base(plain.directory)
    named = "it names no base" if name is None else f"it names the base {name!r}"
    return (
        f"{plain.address}: plain files, without the fingerprint of the base they were trained on: {named}, and its "
        f"shapes fit {base.id!r}; whether these are the weights it was trained on cannot be checked"
    )
