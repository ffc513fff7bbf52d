"""Stages of the tiny world, planned but not run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.model.backbone import resolve_base
from adapter_stilts.recipe import Base, load_recipe
from adapter_stilts.stages.planning.plan import Plan, plan
from adapter_stilts.tasks.sources import open_source


@pytest.fixture
def planned(tiny_base: Path, tiny_data: Path) -> Callable[..., Plan]:
    """The plan of hellaswag then xquad, with the given recipe keys laid over it."""

    def call(
        *overrides: tuple[str, Any], inter: str = "hellaswag", target: str = "xquad", base: Path | None = None,
        data: Path | None = None,
    ) -> Plan:  # fmt: skip
        recipe = load_recipe(
            None, [("intermediate.tasks", inter.split(",")), ("target.tasks", target.split(",")), *overrides]
        )
        encoder = Base(id=str(base or tiny_base))
        return plan(recipe, lambda: resolve_base(encoder), open_source(str(data or tiny_data)))

    return call
