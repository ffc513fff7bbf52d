"""Planned cells: what was asked for, the stage that answers it, and the names the store keeps of it.

<store>/plans/<digest>.json     the cells of one plan, written once the store holds a result of it

A stage does not know its cells: equal stages have one key, whatever they were asked for as. So the name of a cell is
written as it was planned, and never guessed from a stage's parents.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adapter_stilts.errors import StoreError
from adapter_stilts.io import digest_of, disk_errors, write_json
from adapter_stilts.stages.graph import KEY_DIGITS, Stage

PLANS = "plans"
SCHEMA = 1


@dataclass(frozen=True)
class Limits:
    """First examples taken alone; None takes all.

    Args:
        intermediate: of the intermediate train sets.
        target: of the target's train set.
        evaluation: of each language's test set.
    """

    intermediate: int | None = None
    target: int | None = None
    evaluation: int | None = None


@dataclass(frozen=True)
class Cell:
    """One intermediate task (or ``none``) and one target, with the stage that evaluates it.

    Args:
        inter: its name, as it was asked for.
        seed: None of a bundle that no seed made.
        added: the baseline that a recipe adds, which nobody asked for by name.
    """

    inter: str
    target: str
    evaluate: Stage
    mode: str
    precision: str
    base: str
    seed: int | None
    limits: Limits
    added: bool = False

    def about(self) -> dict[str, Any]:
        """What a result is of, beside its target."""
        return {
            "inter": self.inter,
            "mode": self.mode,
            "precision": self.precision,
            "base": self.base,
            "seed": self.seed,
            "limits": asdict(self.limits),
        }


def write_cells(store: Path, cells: tuple[Cell, ...]) -> None:
    """Keep the names of a plan's cells. Equal plans are one file.

    Raises:
        StoreError: the store cannot be written.
    """
    rows = [{**cell.about(), "target": cell.target, "evaluate": cell.evaluate.name} for cell in cells]
    value = {"schema": SCHEMA, "cells": rows}
    path = store / PLANS / f"{digest_of(value)[:KEY_DIGITS]}.json"
    if not path.is_file():
        with disk_errors(path, "another place with --store"):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, value, "another place with --store")


def names_of(store: Path) -> Mapping[str, tuple[str, ...]]:
    """Under which names each evaluate stage of a store was planned, by the stage's name.

    Raises:
        StoreError: a plan cannot be read.
    """
    found: dict[str, dict[str, None]] = {}
    for path in sorted((store / PLANS).glob("*.json")):
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))["cells"]
            for row in rows:
                found.setdefault(str(row["evaluate"]), {})[str(row["inter"])] = None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise StoreError(
                f"{path} cannot be read ({error!r}): remove it, and run the same command again, which answers from "
                "the store and writes it anew"
            ) from error
    return {stage: tuple(names) for stage, names in found.items()}
