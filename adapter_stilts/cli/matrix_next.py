"""`matrix --next`: which cells to run next, and the commands that run them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click
from click.core import ParameterSource

from adapter_stilts.axes import CONTINUE
from adapter_stilts.cli import show
from adapter_stilts.cli.running import tell_notices
from adapter_stilts.cli.terminal import plain, say, say_json
from adapter_stilts.matrices import Column, NextCells, next_cells
from adapter_stilts.study import Study

SAID = ("inter", "target", "mode", "combine", "next_count", "as_json")
"""Parameters of `matrix` that a command for some cells says anew, or not at all."""
AXES = ("precision", "base")
"""Those that it says anew where the matrix has several."""


def show_next(study: Study, count: int, as_json: bool, context: click.Context) -> int:
    """Print the cells, how well they are told, and their commands.

    Args:
        context: of the command, whose other options the commands repeat.
    """
    found = next_cells(study, count)
    tell_notices(study)
    several = [name for name in AXES if len({getattr(cell, name) for cell in study.plan().cells}) > 1]
    lines = commands(found, study, several, typed(context, (*SAID, *several)))
    if as_json:
        say_json(_json(found, lines))
        return 0
    table = show.empty_table("")
    table.title = None
    for name in ("rank", "intermediate", *_varied(found)):
        table.add_column(name, overflow="fold")
    for name in ("gain", "give or take", "at best"):
        table.add_column(name, justify="right")
    for rank, cell in enumerate(found.chosen, 1):
        about = [str(getattr(cell.column, name)) for name in _varied(found)]
        numbers = [
            "not known" if value is None else form.format(value)
            for form, value in (("{:+.1f}", cell.gain), ("{:.1f}", cell.spread), ("{:+.1f}", cell.upper))
        ]
        table.add_row(*map(plain, [str(rank), cell.row, *about, *numbers]))
    say(
        f"Cells to run next, of {found.cells - found.known} that are missing: gains in points, as the others tell them"
    )
    show.print_table(table, 120)
    say(_told(found))
    for line in lines:
        say(f"next            {line}")
    return 0


def typed(context: click.Context, without: Sequence[str]) -> list[str]:
    """The options that were given on the command line, to be typed again.

    Args:
        without: names of parameters that are left out.
    """
    words: list[str] = []
    for parameter in context.command.params:
        name = str(parameter.name)
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if not given or name in without or not isinstance(parameter, click.Option):
            continue
        value, flag = context.params[name], max(parameter.opts, key=len)
        if parameter.is_flag:
            words.append(flag)
            continue
        for each in value if isinstance(value, tuple) else (value,):
            words += [flag, str(each)]
    return words


def commands(found: NextCells, study: Study, several: Sequence[str], words: Sequence[str]) -> list[str]:
    """A line for the cells of each column; columns with the same cells share one.

    Args:
        several: of `AXES`, what the matrix has several of.
        words: what stands in each line after its axes.
    """
    cells = study.plan().cells
    inters = {cell.label: cell.inter for cell in cells}
    combine = [] if {cell.combine for cell in cells} <= {CONTINUE} else ["--combine", CONTINUE]
    by_column: dict[Column, list[str]] = {}
    for cell in found.chosen:
        by_column.setdefault(cell.column, []).append(inters[cell.row])
    targets: dict[tuple[str, ...], list[str]] = {}
    for column, rows in by_column.items():
        axes = ["--mode", column.mode]
        axes += [word for name in several for word in (f"--{name}", str(getattr(column, name)))]
        targets.setdefault((",".join(dict.fromkeys(rows)), *axes), []).append(column.target)
    return [
        shlex.join(
            ["adapter-stilts", "matrix", "--inter", rows, "--target", ",".join(own), *axes, *combine, *words]
        )
        for (rows, *axes), own in targets.items()
    ]


def _varied(found: NextCells) -> list[str]:
    """What is told of a column: its target, and what else several have."""
    columns = [cell.column for cell in found.chosen]
    others = [name for name in ("mode", *AXES) if len({getattr(column, name) for column in columns}) > 1]
    return ["target", *others]


def _told(found: NextCells) -> str:
    known = f"known           {found.known} of {found.cells} cells"
    one = found.completion
    if one is None:
        return f"{known}; baselines come first: without them no gain is known"
    better = "" if one.error < one.mean_error else ", which is no better: take the order with care"
    return (
        f"{known}; each known gain, told by the others alone, is off by {one.error:.1f} points (rank {one.rank} beside "
        f"effects of rows and columns); told by the mean of its target by {one.mean_error:.1f}{better}"
    )


def _json(found: NextCells, lines: Sequence[str]) -> dict[str, object]:
    one = found.completion

    def points(value: float | None) -> float | None:
        return None if value is None else round(value, 3)

    return {
        "next": [
            {
                "inter": cell.row,
                **vars(cell.column),
                "gain": points(cell.gain),
                "spread": points(cell.spread),
                "upper": points(cell.upper),
            }
            for cell in found.chosen
        ],
        "known": found.known,
        "cells": found.cells,
        "rank": None if one is None else one.rank,
        "error": None if one is None else points(one.error),
        "mean_error": None if one is None else points(one.mean_error),
        "commands": list(lines),
    }
