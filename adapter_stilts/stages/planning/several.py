"""The plans of several recipes as one: equal stages stand once, whichever recipes ask for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache

from adapter_stilts.errors import AdapterStiltsError, BundleError, UnknownNameError, UsageError
from adapter_stilts.model.backbone import ResolvedBase
from adapter_stilts.recipe import Base, Recipe
from adapter_stilts.stages.cells import Cell
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.planning.plan import Plan, plan
from adapter_stilts.tasks.sources import Source


class LeftOut:
    """What cannot be among the cells of a matrix, counted by why.

    A name that does not exist is a slip of the hand, and raised.
    """

    def __init__(self) -> None:
        self._reasons: Counter[str] = Counter()
        self._first: dict[str, str] = {}
        self.error: AdapterStiltsError | None = None

    def __call__(self, what: str, error: AdapterStiltsError) -> None:
        if isinstance(error, UnknownNameError):
            raise error
        self.error = self.error or error
        self._reasons[str(error)] += 1
        self._first.setdefault(str(error), what)

    @property
    def notices(self) -> tuple[str, ...]:
        """A line for each reason, with how often it was met."""
        return tuple(
            f"left out {self._first[why]}{f' and {count - 1} more' if count > 1 else ''}: {why}"
            for why, count in self._reasons.items()
        )


def plan_several(
    recipes: Sequence[Recipe],
    resolve: Callable[[Base], ResolvedBase],
    source: Source,
    left_out: LeftOut,
) -> Plan:
    """The plan of all cells of some recipes, each cell once.

    Args:
        recipes: of one benchmark and the same data.
        resolve: finds an encoder; asked once for each.
        left_out: takes the cells that cannot be.

    Raises:
        UsageError, BundleError: no cell of any recipe can be: the first reason.
        UnknownNameError, DataError, SourceUnavailableError: as `plan` raises them.
    """
    find = cache(resolve)
    cells: dict[tuple[str, str], Cell] = {}
    ends: dict[str, Stage] = {}
    plans = []
    for recipe in recipes:
        name = name_of(recipe)

        def leave_out(what: str, error: AdapterStiltsError, name: str = name) -> None:
            left_out(f"{what}, {name}", error)

        try:
            found = plan(recipe, lambda recipe=recipe: find(recipe.base), source, leave_out)  # type: ignore[misc]
        except (UsageError, BundleError) as error:
            left_out(name, error)
            continue
        plans.append(found)
        for cell in found.cells:
            cells.setdefault((cell.evaluate.key, repr(cell.about())), cell)
        ends |= {_end(inter, name, stage, ends): stage for inter, stage in found.ends.items()}
    if left_out.error is not None and not (cells or ends):
        raise left_out.error
    return Plan(
        tuple(cells.values()),
        tuple(dict.fromkeys(notice for each in plans for notice in each.notices)),
        {digest: path for each in plans for digest, path in each.bundles.items()},
        {name: text for each in plans for name, text in each.texts.items()},
        ends,
        {fingerprint: base for each in plans for fingerprint, base in each.bases.items()},
    )


def name_of(recipe: Recipe) -> str:
    """A recipe by what a matrix varies: ``lora 8bit, seed 1``."""
    how = "" if recipe.combine == "continue" else f", {recipe.combine}"
    return f"{recipe.mode} {recipe.precision} of {recipe.base.id}{how}, seed {recipe.seed}"


def _end(inter: str, name: str, stage: Stage, taken: dict[str, Stage]) -> str:
    """The name of an intermediate stage that no target follows; with its recipe's where several share it."""
    return inter if taken.get(inter, stage) == stage else f"{inter}, {name}"
