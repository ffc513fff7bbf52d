"""A worker that is called instead of written to, as an actor of Ray is: in a process whose output it takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.runtime import Runtime
from adapter_stilts.version import __version__

SERVE = """
import json, os, sys
from adapter_stilts.worker import Serving
serving = Serving(*sys.argv[2:5])
os.write(1, b"of a library\\n")
found = serving.answers(30)
while not any("wrote" in answer for answer in found) or not serving.ended(0):
    found += serving.answers(0.1)
open(sys.argv[1], "w").write(json.dumps(found + [serving.ended(0)]))
"""


@pytest.mark.parametrize(
    ("version", "why"),
    [
        (__version__, "the store has to be a folder that every node has at this path"),
        (
            "0.0.1",
            f"adapter-stilts {__version__} is installed there, 0.0.1 here: install the same on every node",
        ),
    ],
)
def test_a_node_that_cannot_serve_says_why_and_what_it_wrote(tmp_path: Path, version: str, why: str) -> None:
    plan, out = str(tmp_path / "plans" / "none.json"), tmp_path / "found"
    runtime = Runtime(tmp_path).to_json()
    ran = subprocess.run(
        [sys.executable, "-c", SERVE, str(out), plan, runtime, version], capture_output=True, timeout=60
    )
    assert (ran.returncode, ran.stdout) == (0, b""), ran.stderr
    *found, ended = json.loads(out.read_text())
    assert ended is True
    told: dict[str, Any] = {name: value for answer in found for name, value in answer.items()}
    assert why in told["lost"]
    assert (told["exit_code"], told["wrote"]) == (2, "of a library")
    assert b"of a library" in ran.stderr
