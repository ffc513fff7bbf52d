"""A matrix as functions: every combination of several intermediate tasks, targets, tunings, encoders and seeds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.axes import AXES, axes_of, combinations
from adapter_stilts.errors import UsageError
from adapter_stilts.library import add_tasks, plan_train

if TYPE_CHECKING:
    from adapter_stilts.stages.watch import Watch
    from adapter_stilts.study import Results, Study


RETRIES = (2.0, 10.0, 30.0)
"""Seconds before a stage that failed of a cause that may pass is tried again. Ours: a disk is cleared in less."""


def matrix(watch: Watch | None = None, **flags: Any) -> Results:
    """Train and evaluate every cell of a matrix; equal stages are computed once.

    Args:
        watch: is told what happens.
        flags: as `plan_matrix` takes them.

    Raises:
        AdapterStiltsError: what was asked for cannot be, or a stage failed.
    """
    return plan_matrix(**flags).run(watch)


def plan_matrix(
    *,
    recipe: str | Path | None = None,
    seeds: int | None = None,
    tasks: str | Path | None = None,
    **flags: Any,
) -> Study:
    """The study of a `matrix`: all combinations of what is given, in one plan. What cannot be is left out and told.

    Args:
        recipe: its section ``[matrix]`` says what the flags leave open.
        seeds: seeds from 0, in the place of ``seed``.
        flags: ``inter``, ``target``, ``mode``, ``precision``, ``base``, ``combine`` and ``seed`` may each be several,
            in a list or with commas between; in ``inter``, ``+`` joins the tasks of one stage, and ``each`` is every
            task of the study on its own. The others as `plan_train` takes them: ``data``, ``store``, ``settings`` …

    Raises:
        UsageError: no such recipe, name, key or value; or nothing of what is given can be.
    """
    from adapter_stilts.stages.planning.several import LeftOut

    add_tasks(tasks)
    given = {axis: _several(flags.pop(axis, None)) for axis in AXES}
    left_out, studies = LeftOut(), []
    for varied in combinations(axes_of(None if recipe is None else str(recipe), {**given, "seeds": seeds})):
        try:
            studies.append(plan_train(recipe=recipe, **varied, **flags))
        except UsageError as error:
            left_out(" ".join(str(varied.get(axis, "")) for axis in ("mode", "precision")).strip(), error)
    if not studies:
        assert left_out.error is not None
        raise left_out.error
    told = dict.fromkeys(notice for study in studies for notice in study.told)
    return replace(
        studies[0],
        runtime=replace(studies[0].runtime, retries=RETRIES),
        told=tuple(told),
        further=tuple(study.recipe for study in studies[1:]),
        left_out=left_out,
    )


def _several(given: Any) -> list[Any]:
    """The values of an axis of a matrix: of one value a list, of text its parts between commas."""
    listed = [given] if isinstance(given, (str, int, Path)) else list(given or ())
    found = [part for one in listed for part in (one.split(",") if isinstance(one, str) else [one])]
    return [
        part.strip() if isinstance(part, str) else str(part) if isinstance(part, Path) else part
        for part in found
    ]
