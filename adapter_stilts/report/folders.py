"""The folder that a report is written to: whether it can be, and what an earlier report left in it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from adapter_stilts.errors import UsageError

INSTEAD = "another folder with --out"
PAGE = "index.html"
MARKDOWN, LATEX = "report.md", "report.tex"
ENDS = ("csv", "tex", "svg", "pdf")
"""Of the files of a table."""
TITLE = "<title>Report of "
"""By which a page of ours is known."""
FIRST_LINE = r"\documentclass[a4paper,landscape]{article}"
"""Of ``report.tex``, which is written first and names the tables."""

_TABLE = re.compile(r"^\\input\{([^{}/\\]+)\}$", re.MULTILINE)


def check_folder(folder: str | Path, names: Iterable[str] = (PAGE, MARKDOWN, LATEX)) -> Path:
    """The folder, where a report can be written to it: told before anything is computed.

    Args:
        names: of the files to be written.

    Raises:
        UsageError: it is no folder's name, a file, or in one, cannot be written to, or holds files of these names that
            no report wrote.
    """
    if not str(folder).strip():
        raise UsageError("--out '': name a folder after --out, `.` where it is this one")
    root = Path(folder)
    there = next(one for one in (root, *root.absolute().parents) if one.exists())
    if not there.is_dir():
        where = "is a file" if there == root else f"cannot be a folder, as {there} is a file"
        raise UsageError(f"{root} {where}: name a folder after --out")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{root}: no permission to write in {there}: choose {INSTEAD}")
    if not _is_report(root) and (taken := sorted(name for name in names if (root / name).exists())):
        raise UsageError(
            f"{root} holds {', '.join(taken)}, which no report wrote: choose {INSTEAD}, or move what is there"
        )
    return root


def left_over(root: Path, names: Iterable[str]) -> Iterator[Path]:
    """Files of an earlier report's tables that another has no more.

    Args:
        names: of the files that the other writes.
    """
    kept = set(names)
    for table in _TABLE.findall(_text(root / LATEX)) if _is_report(root) else ():
        yield from (root / name for end in ENDS if (name := f"{table}.{end}") not in kept)


def _is_report(root: Path) -> bool:
    return _text(root / LATEX).startswith(FIRST_LINE) or TITLE in _text(root / PAGE)


def _text(path: Path) -> str:
    """Of a file; empty where there is none that can be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
