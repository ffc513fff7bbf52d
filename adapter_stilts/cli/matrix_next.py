"""`matrix --next`: which cells to run next, and the commands that run them."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import click
from click.core import ParameterSource

from adapter_stilts.axes import CONTINUE, axes_of
from adapter_stilts.cli import show
from adapter_stilts.cli.running import tell_notices
from adapter_stilts.cli.terminal import note, plain, say, say_json
from adapter_stilts.hub.address import is_address
from adapter_stilts.matrices import Column, NextCells, known_cells, next_cells
from adapter_stilts.recipe_sections import EACH
from adapter_stilts.stages.cells import Taught
from adapter_stilts.study import Study
from adapter_stilts.tasks import added_files, is_file

SAID = ("inter", "target", "mode", "combine", "next_count", "as_json")
"""Parameters of `matrix` that a command for some cells says anew, or not at all."""
AXES = ("precision", "base")
"""Those that it says anew where the matrix has several."""
VARIED = ("mode", *AXES, "taught")
"""What a table has a column of where the matrix has several."""
KEYS = {"intermediate.tasks", "target.tasks", "mode", "combine"}
"""Recipe keys of what it says anew, which may not be set beside that."""
TAUGHT = {"train_languages": "target.languages", "few_shot": "target.few_shot"}
"""Those and their keys that it says anew where the matrix has a model for each language."""


def show_next(study: Study, count: int, as_json: bool, context: click.Context) -> int:
    """Print the cells, how well they are told, and their commands.

    Args:
        context: of the command, whose other options the commands repeat.
    """
    known = known_cells(study)
    tell_notices(study)
    for notice in known.notices:
        note(notice)
    found = next_cells(known, count)
    varied = [name for name in VARIED if len({getattr(column, name) for column in known.columns}) > 1]
    several = [name for name in AXES if name in varied]
    anew = asked_for_each(study)
    words = typed(context, (*SAID, *several, *anew), KEYS | {TAUGHT[name] for name in anew})
    lines = commands(found, study, several, anew, words, typed_files(context, study))
    if as_json:
        say_json(_json(found, lines))
        return 0
    table = show.empty_table("")
    table.title = None
    shown = ("target", *varied)
    for name in ("rank", "intermediate", *shown):
        table.add_column(name, overflow="fold")
    for name in ("gain", "give or take", "at best"):
        table.add_column(name, justify="right")
    for rank, cell in enumerate(found.chosen, 1):
        about = [str(getattr(cell.column, name)) for name in shown]
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


def asked_for_each(study: Study) -> tuple[str, ...]:
    """Of `TAUGHT`, what asks for a model for each language; it holds for every recipe of a matrix."""
    target = study.recipe.target
    asked = {"train_languages": target.languages or (), "few_shot": target.few_shot}
    return tuple(name for name in TAUGHT if EACH in asked[name])


def typed(context: click.Context, without: Sequence[str], keys: Collection[str]) -> list[str]:
    """The options that were given on the command line, to be typed again.

    Args:
        without: names of parameters that are left out.
        keys: recipe keys that are.
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
            if name != "settings" or each.partition("=")[0].strip() not in keys:
                words += [flag, str(each)]
    return words


def typed_files(context: click.Context, study: Study) -> dict[str, str]:
    """What names each own task of a matrix that is known by its file alone: the file as it was typed.

    Of a file that the recipe names outside its axes, its whole path.
    """
    given, cells = context.params, study.plan().cells
    axes = axes_of(given["recipe"], {})
    entries = (*given["inter"], *given["target"], *axes.inter, *axes.target)
    # A path may hold a plus, and a joined entry may hold files.
    words = [
        word.strip() for entry in entries for name in entry.split(",") for word in (name, *name.split("+"))
    ]
    typed = {Path(word).expanduser().absolute(): word for word in words if is_file(word)}
    folder = given["task_folder"] and Path(given["task_folder"]).expanduser().absolute()
    tasks = {name for cell in cells for name in (cell.target, *cell.inter.split(","))}
    found = {task: Path(path) for task in tasks for path in added_files([task])}
    return {
        task: typed.get(path, str(path))
        for task, path in found.items()
        if path in typed or path.parent != folder
    }


def commands(
    found: NextCells,
    study: Study,
    several: Sequence[str],
    anew: Sequence[str],
    words: Sequence[str],
    files: Mapping[str, str],
) -> list[str]:
    """A line for the cells of each column; columns with the same cells share one.

    Args:
        several: of `AXES`, what the matrix has several of.
        anew: of `TAUGHT`, what asks for a model for each language, of which a line runs one.
        words: what stands in each line after its axes.
        files: of own tasks, as they were typed, by name.
    """
    combine = [] if {cell.combine for cell in study.plan().cells} <= {CONTINUE} else ["--combine", CONTINUE]
    taught = {Column.of(cell): taught_words(cell.taught, anew) for cell in study.plan().cells}
    by_target: dict[tuple[str, ...], dict[str, None]] = {}
    for cell in found.chosen:
        column = cell.column
        axes = ["--mode", column.mode]
        axes += [word for name in several for word in (f"--{name}", str(getattr(column, name)))]
        axes += taught[column]
        by_target.setdefault((files.get(column.target, column.target), *axes), {})[
            entry_as_typed(cell.row, files)
        ] = None
    targets: dict[tuple[str, ...], list[str]] = {}
    for (target, *axes), rows in by_target.items():
        targets.setdefault((",".join(rows), *axes), []).append(target)
    return [
        shlex.join(
            ["adapter-stilts", "matrix", "--inter", rows, "--target", ",".join(own), *axes, *combine, *words]
        )
        for (rows, *axes), own in targets.items()
    ]


def taught_words(taught: Taught, anew: Sequence[str]) -> list[str]:
    """The options that teach a target in one of several languages; none of a target that is not trained.

    Args:
        anew: of `TAUGHT`, what asks for a model for each language.
    """
    languages = taught.languages if "train_languages" in anew else ()
    shots = taught.few_shot.items() if "few_shot" in anew else ()
    words = [("--train-languages", language) for language in languages]
    words += [("--few-shot", f"{language}={count}") for language, count in shots]
    return [word for pair in words for word in pair]


def entry_as_typed(entry: str, files: Mapping[str, str]) -> str:
    """An intermediate entry as `--inter` takes it: the tasks of one stage joined by ``+``, an address as it is."""
    return entry if is_address(entry) else "+".join(files.get(name, name) for name in entry.split(","))


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
