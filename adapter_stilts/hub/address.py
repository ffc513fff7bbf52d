"""Addresses of bundles: a folder, or a repository of the Hugging Face hub.

adapters_hub/hellaswag-lora        a folder (a single name in the current one: ./hellaswag-lora)
hf://org/name                      a hub repository, on its branch main
hf://org/name@v1                   on a branch or tag, or at a commit
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from adapter_stilts.errors import UnknownNameError, UsageError

SCHEME = "hf://"
MAIN = "main"
SOURCE = "source.json"
"""Beside a bundle that was made of a plain folder of PEFT or AdapterHub: where that is."""
_NAME = r"[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9_])?"
_REPOSITORY = re.compile(rf"{_NAME}/{_NAME}", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9_](?:[\w./-]*[\w-])?", re.ASCII)
_SCHEME_LIKE = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):/")


@dataclass(frozen=True)
class HubAddress:
    """A repository of the hub.

    Args:
        repository: ``org/name``.
        revision: branch, tag or commit.
    """

    repository: str
    revision: str = MAIN

    def __str__(self) -> str:
        return f"{SCHEME}{self.repository}" + ("" if self.revision == MAIN else f"@{self.revision}")


Address: TypeAlias = Path | HubAddress


def is_address(text: str) -> bool:
    """Whether a word names a bundle rather than a task: only addresses hold a slash."""
    return "/" in text


def parse(text: str) -> Address:
    """What an address names. Raises UsageError where it is neither kind; whether it is there is not looked at."""
    if not text.startswith(SCHEME):
        if like := _SCHEME_LIKE.match(text):
            raise UsageError(f"{text}: {like['scheme']}: is no kind of address. {_forms()}")
        if not text.strip():
            raise UsageError(f"an empty address. {_forms()}")
        return Path(text)
    repository, at, revision = text.removeprefix(SCHEME).partition("@")
    if not _REPOSITORY.fullmatch(repository) or ".." in repository or "--" in repository:
        raise UsageError(f"{text}: {repository!r} is no hub repository. {_forms()}")
    if at and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise UsageError(f"{text}: {revision!r} is no branch, tag or commit. {_forms()}")
    return HubAddress(repository, revision or MAIN)


def existing_folder(path: Path) -> Path:
    """The folder itself. Raises UnknownNameError with the bundles beside it, or UsageError where there are none."""
    if path.is_dir():
        return path
    if path.exists():
        raise UsageError(f"{path}: a file; a bundle is a folder. {_forms()}")
    beside = [str(other) for other in bundles_in(path.parent)]
    if beside:
        raise UnknownNameError("bundle", str(path), beside)
    raise UsageError(f"{path}: no such folder; `train` leaves bundles as <store>/train-…/bundle. {_forms()}")


def address_of(folder: Path) -> str:
    """The address that leads to a folder.

    Of a snapshot in huggingface_hub's cache, its repository and commit; of a bundle made of a plain folder, that
    folder's own.
    """
    if is_adopted(folder):
        return str(json.loads((folder.parent / SOURCE).read_text(encoding="utf-8"))["address"])
    repository, snapshots, commit = (*folder.parts[-3:], "", "", "")[:3]
    if snapshots == "snapshots" and repository.startswith("models--"):
        return str(HubAddress("/".join(repository.split("--")[1:]), commit))
    return str(folder)


def is_adopted(folder: Path) -> bool:
    """Whether a bundle was made of a plain folder on its way here."""
    return (folder.parent / SOURCE).is_file()


def bundles_in(folder: Path) -> list[Path]:
    """The bundles right below a folder, sorted by name."""
    if not folder.is_dir():
        return []
    return sorted(path.parent for path in folder.glob("*/bundle.json"))


def _forms() -> str:
    return f"An address is a folder, or {SCHEME}ORG/NAME with or without @REVISION"
