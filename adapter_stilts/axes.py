"""The axes of a matrix: what several recipes are made from, each by what is laid over one recipe.

A recipe file may hold them as its section ``[matrix]``; flags of `adapter-stilts matrix` take the place of its keys.

    [matrix]
    inter = ["none", "each", "all"]
    target = ["all"]
    mode = ["full", "lora"]
    precision = ["8bit"]
    seeds = 3
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import Field, model_validator

from adapter_stilts.errors import UnknownNameError, UsageError
from adapter_stilts.recipe import MATRIX, Precision, read_recipe
from adapter_stilts.recipe_sections import Frozen
from adapter_stilts.registry import TUNINGS
from adapter_stilts.validation import validated

ALL, NONE = "all", "none"
CONTINUE = "continue"
DECLARED = ".toml"
"""What the file of a task of one's own ends in."""
AXES = ("inter", "target", "mode", "precision", "base", "combine", "seed")
"""What a command may give several of."""


class Axes(Frozen):
    """What varies. None and empty lists leave what the recipe says."""

    inter: tuple[str, ...] = ()
    """Intermediate entries: tasks, several joined by ``+`` for one stage, ``each`` of the study's, ``all`` of them in
    one stage, ``none``, or a trained bundle's address."""
    target: tuple[str, ...] = ()
    """Target tasks, or ``all`` of the benchmark's."""
    mode: tuple[str, ...] = ()
    precision: tuple[str, ...] = ()
    base: tuple[str, ...] = ()
    """Encoders: hub ids or folders."""
    combine: tuple[str, ...] = ()
    """``continue``: each intermediate entry on its own; ``stack``, ``fuse``, ``merge:METHOD``: all of them together."""
    seed: tuple[int, ...] = ()
    seeds: int | None = Field(default=None, ge=1)
    """Seeds from 0, in the place of `seed`."""

    @model_validator(mode="after")
    def _one_meaning(self) -> Axes:
        if self.seed and self.seeds is not None:
            raise ValueError(
                f"seed = {list(self.seed)} and seeds = {self.seeds}: seeds counts from 0; leave one of them out"
            )
        for name in self.precision:
            if name not in get_args(Precision):
                raise UnknownNameError("precision", name, get_args(Precision))
        for name in self.mode:
            TUNINGS.check(name)
        return self


def axes_of(recipe: str | None, given: Mapping[str, Any]) -> Axes:
    """The axes of a recipe file, with what a command gives in their place.

    Args:
        recipe: a shipped recipe's name or a path; None is the study's.
        given: by axis; None and empty where nothing is said.

    Raises:
        UsageError: no such recipe, axis or value.
        DataError: the file is not TOML.
    """
    section = read_recipe(recipe).get(MATRIX, {})
    if not isinstance(section, Mapping):
        raise UsageError(
            f"{recipe}: matrix = {section!r}: should be a section [{MATRIX}] with keys such as inter"
        )
    values = dict(section)
    said = {name: value for name, value in given.items() if value not in (None, (), [])}
    if {"seed", "seeds"} & said.keys():
        values = {name: value for name, value in values.items() if name not in ("seed", "seeds")}
    return validated(Axes, {**values, **said}, where="matrix")


def refuse_matrix(recipe: str | None) -> None:
    """Raises UsageError where a recipe file has axes, which `train` does not vary."""
    if MATRIX in read_recipe(recipe):
        raise UsageError(
            f"{recipe} has a section [matrix], whose cells `train` does not run: use adapter-stilts matrix --recipe "
            f"{recipe}"
        )


def combinations(axes: Axes) -> Iterator[dict[str, Any]]:
    """What `library.plan_train` is told of each combination; nothing of what does not vary.

    Of a matrix with several ways to combine, what stands alone in each (the baseline, one stage of all tasks) is asked
    for once, with ``continue``.
    """
    seeds = axes.seed if axes.seeds is None else tuple(range(axes.seeds))
    varied: dict[str, tuple[Any, ...]] = {
        "base": axes.base,
        "mode": axes.mode,
        "precision": axes.precision,
        "combine": axes.combine,
        "seed": seeds,
    }
    named = {name: values for name, values in varied.items() if values}
    for values in itertools.product(*named.values()):
        found = dict(zip(named, values, strict=True))
        inter = _entries(axes, found.get("combine", CONTINUE))
        if inter:
            found["inter"] = inter
        if axes.target:
            found["target"] = list(axes.target)
        yield found


def _entries(axes: Axes, combine: str) -> list[str]:
    for entry in axes.inter:
        if _joined(entry) and not all(part.strip() for part in entry.split("+")):
            raise UsageError(
                f"--inter {entry}: + joins the tasks of one stage, and one is missing; leave out the +"
            )
    entries = [entry.replace("+", ",") if _joined(entry) else entry for entry in axes.inter]
    if combine == CONTINUE or len(entries) < 2:
        return entries
    alone = {ALL} | ({NONE} if CONTINUE in axes.combine else set())
    return [entry for entry in entries if entry not in alone] or entries


def _joined(entry: str) -> bool:
    """Whether ``+`` stands between names and files of tasks; an address, and a file that is there, keep their own."""
    parts = entry.split("+")
    tasks = all("/" not in part or part.endswith(DECLARED) for part in parts)
    return len(parts) > 1 and tasks and not (entry.endswith(DECLARED) and Path(entry).expanduser().is_file())
