"""What the user sees when something is wrong.

    AdapterStiltsError              exit 1: the run could not go on
    ├── UsageError                  exit 2: the command or the recipe asks for something that is not there
    │   ├── UnknownNameError        a task, language, key ... that does not exist; offers the nearest one
    │   └── NothingToReportError    no cell of a store is finished yet, or none that can be used
    ├── DataError                   a data file is missing, truncated or malformed (file and line)
    ├── SourceUnavailableError      the hub cannot be reached or refuses
    ├── StoreError                  the store cannot be read or written (newer schema, no permission)
    │   └── DiskFullError           the disk is full, or the quota used up
    ├── BundleError                 a bundle is damaged or belongs to another base
    │   └── PlainFilesError         it is no bundle, but files of PEFT or AdapterHub alone
    ├── CheckpointError             no usable checkpoint
    ├── TrainingError               the loss is not a number, memory is exhausted
    └── StageError                  a stage failed in another process, which sent its message

Every message carries the value that was met, the valid choices or the reason, and the next step.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from pathlib import Path

_TERMS = "accept the data set's terms on the hub and set HF_TOKEN"


class Interrupted(KeyboardInterrupt):
    """Asked to stop by a signal; `exit_code` is what a shell would give for it: 130 for Ctrl-C, 143 for SIGTERM."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


class AdapterStiltsError(Exception):
    """Base of everything this package raises on purpose; `exit_code` is what the CLI leaves with."""

    exit_code = 1
    passes = False
    """Whether the cause may pass by itself (a full disk, a lost worker), so that trying again makes sense."""


class UsageError(AdapterStiltsError):
    """The command line or the recipe is wrong; nothing was started."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that is not among the valid ones.

    Args:
        kind: what was named, e.g. ``"task"``.
        name: the value met.
        choices: the valid names.
        hint: the next step, appended to the message.
    """

    def __init__(self, kind: str, name: str, choices: Iterable[str], hint: str = "") -> None:
        self.kind, self.name, self.choices = kind, name, tuple(choices)
        nearest = nearest_name(name, self.choices)
        message = f"unknown {kind} {name!r}"
        message += f"; did you mean {nearest!r}?" if nearest else "."
        if self.choices:
            message += f" Choices: {', '.join(self.choices)}."
        super().__init__(f"{message} {hint}".strip())


class NothingToReportError(UsageError):
    """No cell of a store is finished, or none that can be used."""


class DataError(AdapterStiltsError):
    """A data file that is missing, truncated or malformed.

    Args:
        path: the file.
        line: 1-based line (or record) the reader stood at; None where the whole file is meant.
        why: the reason, and the next step where there is one.
    """

    def __init__(self, path: str | Path, line: int | None, why: str) -> None:
        self.path, self.line, self.why = str(path), line, why
        where = f"{path}:{line}" if line is not None else str(path)
        super().__init__(f"{where}: {why}")


class SourceUnavailableError(AdapterStiltsError):
    """A data set or model could not be fetched from the hub."""


class StoreError(AdapterStiltsError):
    """The store cannot be used: written by a newer version, disk full, not writable."""


class DiskFullError(StoreError):
    """No space is left, or the quota is used up; somebody may free some."""

    passes = True


class BundleError(AdapterStiltsError):
    """A bundle is damaged, incomplete, or was made for another base or task."""


class PlainFilesError(BundleError):
    """There is no bundle, but what PEFT or AdapterHub save by themselves."""


class CheckpointError(AdapterStiltsError):
    """No checkpoint of an interrupted stage can be read."""


class TrainingError(AdapterStiltsError):
    """Training cannot go on: the loss is not a number, or memory does not suffice."""


class StageError(AdapterStiltsError):
    """A stage that failed in another process.

    Args:
        message: as it was told there.
        exit_code: of the error there.
        passes: whether its cause may pass.
    """

    def __init__(self, message: str, exit_code: int = 1, passes: bool = False) -> None:
        super().__init__(message)
        self.exit_code, self.passes = exit_code, passes


def hub_refusals() -> tuple[type[Exception], ...]:
    """What asking the hub raises where it refuses or cannot be reached, whichever library carries the request.

    huggingface-hub asks through requests before 1.0 (whose errors are OSErrors), then httpx, from 2.0 on httpx2.
    """
    from huggingface_hub.errors import HfHubHTTPError

    carriers = [sys.modules[name] for name in ("httpx", "httpx2") if name in sys.modules]
    return (HfHubHTTPError, OSError, ValueError, *(carrier.HTTPError for carrier in carriers))


def nearest_name(name: str, choices: Iterable[str]) -> str | None:
    """The choice most similar to ``name``, or None where nothing is close.

    Sections that all dotted names share (``target.``) count for nothing.
    """
    known = list(choices)
    section = name[: name.rfind(".") + 1]
    shared = len(section) if all(choice.startswith(section) for choice in known) else 0
    lowered = {choice[shared:].lower(): choice for choice in known}
    found = difflib.get_close_matches(name[shared:].lower(), list(lowered), n=1, cutoff=0.55)
    return lowered[found[0]] if found else None


def cause_of(error: BaseException) -> str:
    """Why a hub call failed, in one line: its first words, with the HTTP status or the system's error behind it."""
    words = (str(error).strip().splitlines() or [""])[0].strip().rstrip(".")
    cause = f"{type(error).__name__}: {words}"
    link: BaseException | None = error
    while link is not None:
        status = getattr(getattr(link, "response", None), "status_code", None)
        if status in (401, 403):
            return f"{cause} (HTTP {status}: {_TERMS})"
        if status is not None:
            return f"{cause} (HTTP {status})"
        if isinstance(link, OSError) and link.errno is not None and link.strerror:
            # What requests and urllib3 wrap around "Connection refused" is a paragraph.
            return f"{type(error).__name__}: {link.strerror}"
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return f"{cause} ({_TERMS})" if "gated" in words else cause
