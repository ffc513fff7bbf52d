"""A report's tables on a terminal, as many columns beside one another as fit.

A large store has thousands of cells to show, so that lines are put together here: rich takes a millisecond for each.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence

import click
from rich.cells import cell_len

from adapter_stilts.cli.terminal import printable, say
from adapter_stilts.report.making import Report
from adapter_stilts.report.tables import Shown, Table
from adapter_stilts.report.writing import in_parts

COLOURS = {1: "green", -1: "red"}
"""Of gains and losses that hold; the sign and the star say the same."""

WIDTH = 120
"""Characters of a line where it goes elsewhere than to a terminal."""
_BETWEEN = 3
"""Characters that a column takes beside its text."""


def tables(report: Report, grouped: bool) -> None:
    """Print them, but for learning curves, which are for the eye.

    Args:
        grouped: those of single languages and groups of them, too.
    """
    say(f"{report.finished} of {report.cells} planned cells of {report.store}")
    for sentence in report.answer:
        say(sentence.text)
    for table in report.tables:
        if table.kind == "curves" or (table.kind == "groups" and not grouped):
            continue
        say("")
        print_table(table)


def print_table(table: Table) -> None:
    """One of them, with its title and caption."""
    say(table.title)
    room = shutil.get_terminal_size((WIDTH, 0)).columns if sys.stdout.isatty() else WIDTH
    for part in in_parts(table, lambda cells: max(map(_width, cells)) + _BETWEEN, room - 1):
        for line in lines(part):
            click.echo(line)
    for sentence in table.captions:
        say(sentence)


def lines(table: Table) -> Iterator[str]:
    """The table between rules, the first column on the left and the others on the right."""
    heads = tuple(Shown((name,)) for name in table.columns)
    rows = [tuple(map(_printable, row)) for row in (heads, *table.rows)]
    widths = [max(_width(row[number]) for row in rows) for number in range(len(heads))]
    rules = [
        left + between.join(rule * (width + 2) for width in widths) + right
        for left, rule, between, right in ("┏━┳┓", "┡━╇┩", "└─┴┘")
    ]
    yield rules[0]
    yield from _row(rows[0], widths, "┃")
    yield rules[1]
    for row in rows[1:]:
        yield from _row(row, widths, "│")
    yield rules[2]


def _row(row: Sequence[Shown], widths: Sequence[int], edge: str) -> Iterator[str]:
    for number in range(max(len(cell.lines) for cell in row)):
        texts = []
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            text = cell.lines[number] if number < len(cell.lines) else ""
            pad = " " * (width - cell_len(text))
            shown = click.style(text, fg=COLOURS[cell.sign]) if cell.sign and text[:1] in "+-" else text
            texts.append(f" {pad}{shown} " if column else f" {shown}{pad} ")
        yield edge + edge.join(texts) + edge


def _printable(cell: Shown) -> Shown:
    """Lines that a terminal shows and does not obey, and that stay lines."""
    return Shown(tuple(printable(line).replace("\n", "\\n") for line in cell.lines), cell.sign)


def _width(cell: Shown) -> int:
    return max(map(cell_len, cell.lines))
