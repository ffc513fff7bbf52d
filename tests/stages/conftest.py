"""Stages of the tiny world, planned but not run; and stores of stages that hold next to nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.io import seal, write_json
from adapter_stilts.model.backbone import resolve_base
from adapter_stilts.recipe import Base, load_recipe
from adapter_stilts.stages.planning.plan import Plan, plan
from adapter_stilts.stages.store import Store
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


@dataclass(frozen=True)
class Shelf:
    """A store whose stages hold a few bytes and were never computed.

    Args:
        root: its folder, made by `shelf`.
    """

    root: Path

    def stage(self, name: str, parents: tuple[str, ...] = (), weight: int = 100) -> Path:
        """Finish a stage ``KIND-TASK-DIGIT``, whose key is that digit over and over; returns its directory."""
        kind, task, digit = name.split("-")
        directory = self.root / self.name(name)
        directory.mkdir()
        made = [self.name(parent) for parent in parents]
        record = {"key": digit * 64, "kind": kind, "task": task, "part": {"seed": 0}, "parents": made}
        if kind == "evaluate":
            (directory / "scores").mkdir()
            (directory / "scores" / "de.jsonl").write_text('{"f1": 50.0}\n')
            (directory / "predictions").mkdir()
            (directory / "predictions" / "weighty").write_bytes(bytes(weight))
            write_json(
                directory / "metrics.json", {"average": {"f1": 50.0}, "languages": {"de": {"f1": 50.0}}}
            )
        else:
            (directory / "bundle").mkdir()
            (directory / "bundle" / "weights").write_bytes(bytes(weight))
        write_json(directory / "stage.json", record)
        seal(directory, ("bundle",))
        return directory

    def plan(
        self, digest: str, *ends: str, before: dict[str, tuple[str, ...]] | None = None, **more: Any
    ) -> Path:
        """Save a plan whose cells the stages `ends` answer, each starting from what `before` says.

        Args:
            more: keys of the file in the place of the usual ones.
        """
        before = before or {}
        names = dict.fromkeys([*before, *(name for parents in before.values() for name in parents), *ends])
        stages = [
            {
                "name": self.name(name),
                "key": name[-1] * 64,
                "kind": name.split("-")[0],
                "task": name.split("-")[1],
                "title": " ".join(name.split("-")[:2]),
                "parents": [self.name(parent) for parent in before.get(name, ())],
            }
            for name in sorted(names, key=lambda name: name.startswith("evaluate"))
        ]
        cell = {"inter": "hellaswag", "mode": "lora", "precision": "8bit", "combine": "continue", "seed": 0}
        cell |= {"base": "base", "label": "hellaswag", "target": "xquad"}
        value = {
            "schema": 2,
            "recipes": [{}],
            "bundle": None,
            "cells": [{**cell, "evaluate": self.name(end)} for end in ends],
            "ends": {},
            "inputs": {},
            "stages": stages,
            **more,
        }
        path = self.root / "plans" / f"{digest}.json"
        path.parent.mkdir(exist_ok=True)
        write_json(path, value)
        return path

    @staticmethod
    def name(short: str) -> str:
        """The directory of a stage."""
        return f"{short[:-1]}{short[-1] * 12}"

    @property
    def stages(self) -> list[str]:
        """Those that are there, by their short names."""
        return sorted(path.parent.name[:-11] for path in self.root.glob("*/stage.json"))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An empty one."""
    Store(tmp_path / "shelf").open()
    return Shelf(tmp_path / "shelf")
