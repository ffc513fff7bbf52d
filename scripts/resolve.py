#!/usr/bin/env python
"""Whether the install lines resolve on every Python that is promised, and beside libraries people have.

Resolves for each Python README's install with the pages' (``constraints.txt``), the second CI job's
(``constraints-5.txt``), and us beside sentence-transformers and mteb in their newest releases. Nothing is installed.
Needs `uv` (pip knows no markers of another Python) and the index that pip is set to. Prints a line each; leaves with 0
where all resolve.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
INSTALLS = {
    "constraints.txt": (
        [f"--extra={name}" for name in ("adapters", "test", "docs", "report", "remote", "ray", "slurm")],
        "constraints.txt",
        (),
    ),
    "constraints-5.txt": (
        [f"--extra={name}" for name in ("test", "report", "remote", "ray", "slurm")],
        "constraints-5.txt",
        (),
    ),
    "beside sentence-transformers and mteb": (
        [],
        None,
        ("sentence-transformers>=6", "mteb>=2", "torch==2.13.0"),
    ),
}
"""What is resolved: extras, constraints, and what else is wanted in the same environment."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Resolve the install lines for every Python.")
    parser.add_argument("--python", action="append", choices=PYTHONS, help="this one alone")
    options = parser.parse_args()
    failed = 0
    for name, (extras, constraints, beside) in INSTALLS.items():
        for python in options.python or PYTHONS:
            if constraints == "constraints-5.txt" and python == "3.10":
                continue  # its huggingface-hub needs Python 3.11
            began = time.perf_counter()
            why = resolve(python, extras, constraints, beside)
            failed += why is not None
            print(
                f"{name}, Python {python}: {why or 'resolves'} ({time.perf_counter() - began:.1f} s)",
                flush=True,
            )
    return 1 if failed else 0


def resolve(python: str, extras: list[str], constraints: str | None, beside: tuple[str, ...]) -> str | None:
    """Why it does not resolve; None where it does."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--python-version", python]
    command += ["--no-header", *extras, *index(), str(ROOT / "pyproject.toml")]
    if constraints is not None:
        command += ["--constraint", str(ROOT / constraints)]
    with tempfile.TemporaryDirectory() as folder:
        if beside:
            wanted = Path(folder) / "beside.in"
            wanted.write_text("\n".join(beside) + "\n", encoding="utf-8")
            command.append(str(wanted))
        ran = subprocess.run(command, capture_output=True, text=True)
    return None if ran.returncode == 0 else ran.stderr.strip() or f"exit {ran.returncode}"


def index() -> list[str]:
    """The index that pip is set to, for uv, which does not read pip's settings."""
    address = os.environ.get("PIP_INDEX_URL")
    if address is None:
        asked = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
        address = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    return ["--index-url", address] if address else []


if __name__ == "__main__":
    sys.exit(main())
