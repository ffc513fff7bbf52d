"""Stores with made-up scores, as a matrix would leave them (`benchmarks/made_store.py`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def made(making: ModuleType, tmp_path: Path) -> Any:
    """An empty store, to be filled."""
    return making.MadeStore(tmp_path / "runs")


@pytest.fixture
def right(making: ModuleType) -> Callable[[str], Any]:
    """Rows of accuracy out of ``"1101"``."""
    return making.right_and_wrong  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def whole(making: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A matrix of three intermediate tasks, two targets, two modes, three seeds, four languages."""
    root = tmp_path_factory.mktemp("whole") / "runs"
    making.matrix(root)
    return root
