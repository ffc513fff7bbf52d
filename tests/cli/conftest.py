"""A finished run of the tiny world, shared by the tests that only read it."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Finished:
    """A command that ran, what it printed, and its store. Do not write there: `copy` it."""

    arguments: list[str]
    store: Path
    printed: Any

    def directory(self, kind: str, task: str) -> Path:
        stages = self.printed["stages"]
        return next(Path(stage["dir"]) for stage in stages if (stage["kind"], stage["task"]) == (kind, task))


@pytest.fixture(scope="session")
def finished(tiny_base: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """hellaswag, then xquad and udpos."""
    from adapter_stilts.cli.main import run

    store = tmp_path_factory.mktemp("finished") / "store"
    arguments = [
        "train",
        "--base",
        tiny_base,
        "--data",
        tiny_data,
        "--store",
        store,
        "--device",
        "cpu",
        "--json",
    ]
    arguments += ["--set", "intermediate.max_steps=4", "--set", "target.max_steps=4"]
    arguments += ["--inter", "hellaswag", "--target", "xquad,udpos"]
    texts = [str(argument) for argument in arguments]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(texts)
    assert code == 0, err.getvalue()
    return Finished(texts, store, json.loads(out.getvalue()))


@pytest.fixture
def copy(finished: Finished, tmp_path: Path) -> Callable[[], Path]:
    """A copy of the finished store."""
    return lambda: Path(shutil.copytree(finished.store, tmp_path / "copied"))
