"""A report's tables on a terminal, as many columns beside one another as fit."""

from __future__ import annotations

from rich.text import Text

from adapter_stilts.cli import show
from adapter_stilts.cli.terminal import plain, printable, say
from adapter_stilts.report.making import Report
from adapter_stilts.report.tables import Shown, Table
from adapter_stilts.report.writing import in_parts

COLOURS = {1: "green", -1: "red", 0: ""}
"""Of gains and losses that hold; the sign and the star say the same."""

WIDTH = 120
_BETWEEN = 3
"""Characters that a column takes beside its text."""


def tables(report: Report, grouped: bool) -> None:
    """Print them.

    Args:
        grouped: those of single languages and groups of them, too.
    """
    say(f"{report.finished} of {report.cells} planned cells of {report.store}")
    for sentence in report.answer:
        say(sentence.text)
    for table in report.tables:
        if table.kind == "groups" and not grouped:
            continue
        say("")
        print_table(table)


def print_table(table: Table) -> None:
    """One of them, with its title and caption."""
    say(table.title)
    for part in in_parts(table, lambda cells: max(map(_width, cells)) + _BETWEEN, WIDTH):
        _print(part)
    for sentence in table.captions:
        say(sentence)


def _width(cell: Shown) -> int:
    return max(map(len, cell.lines))


def _print(table: Table) -> None:
    shown = show.empty_table("")
    shown.title = None
    for number, name in enumerate(table.columns):
        shown.add_column(plain(name), justify="right" if number else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*map(_cell, row))
    show.print_table(shown, WIDTH)


def _cell(cell: Shown) -> Text:
    found = Text(printable(cell.lines[0]))
    for line in cell.lines[1:]:
        found.append("\n" + printable(line), style=COLOURS[cell.sign])
    return found
