"""Real data and a small real encoder, where there are any: tests that need them skip by name elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Slices of the real data sets in their release formats."""
    return _folder("ADAPTER_STILTS_DATA", _BESIDE / "data")


@pytest.fixture(scope="session")
def base_dir() -> Path:
    """A small encoder of XLM-R's shape, pretrained on real text."""
    return _folder("ADAPTER_STILTS_BASE", _BESIDE / "models" / "nano-xlmr")


def _folder(variable: str, fallback: Path) -> Path:
    folder = Path(os.environ.get(variable) or fallback)
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}: set ${variable}")
    return folder
