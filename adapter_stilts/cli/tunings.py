"""`adapter-stilts tunings`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from adapter_stilts.cli.options import argument, option

if TYPE_CHECKING:
    from adapter_stilts.cli.tuning_table import Row


@click.command()
@argument("mode", required=False)
@option("--json", "as_json", is_flag=True, help="A JSON list on stdout.")
@option(
    "--markdown", "as_markdown", is_flag=True, help="The table of docs/tunings.md, or of docs/encoders.md."
)
@option("--encoders", is_flag=True, help="List encoders by name instead, and what can be trained in each.")
def tunings(mode: str | None, as_json: bool, as_markdown: bool, encoders: bool) -> None:
    """List what can be trained, how intermediate results combine in it, under which precision; or show MODE alone,
    with its settings."""
    import json

    from adapter_stilts.cli.tuning_table import markdown, rows
    from adapter_stilts.model.combinations import combinations
    from adapter_stilts.model.tuning import get_tuning

    if encoders:
        _encoders(mode, as_json, as_markdown)
        return
    if mode is not None:
        get_tuning(mode)
    chosen = [one for one in combinations() if mode in (None, one.mode)]
    if as_markdown:
        click.echo(markdown(chosen), nl=False)
    elif as_json:
        click.echo(json.dumps([_values(row) for row in rows(chosen)], indent=2, ensure_ascii=False))
    else:
        _list(rows(chosen))
        if mode is not None:
            _settings(mode)


def _encoders(mode: str | None, as_json: bool, as_markdown: bool) -> None:
    """Encoders by name. Raises UsageError where a mode is named beside."""
    import json

    from rich.table import Table

    from adapter_stilts.cli.show import print_table
    from adapter_stilts.cli.task_table import markdown_table
    from adapter_stilts.errors import UsageError
    from adapter_stilts.model.known_encoders import KNOWN, cells, header

    if mode is not None:
        raise UsageError(f"--encoders lists every mode of each encoder: leave out {mode}")
    rows = [cells(row) for row in KNOWN]
    if as_markdown:
        click.echo(markdown_table(header(), rows), nl=False)
        return
    plain = [[cell.replace("`", "") for cell in line] for line in (header(), *rows)]
    if as_json:
        named = [name or "note" for name in plain[0]]
        click.echo(json.dumps([dict(zip(named, row, strict=True)) for row in plain[1:]], indent=2))
        return
    table = Table()
    for column in plain[0]:
        table.add_column(column, overflow="fold")
    for row in plain[1:]:
        table.add_row(*row)
    print_table(table, 200)


def _values(row: Row) -> dict[str, Any]:
    from adapter_stilts.model.tuning import get_tuning

    return {
        "mode": row.mode,
        "architecture": row.architecture,
        "combine": list(row.combine),
        "precision": list(row.precisions),
        "export": list(row.forms),
        "library": get_tuning(row.mode).LIBRARY,
    }


def _list(found: list[Row]) -> None:
    from rich.table import Table

    from adapter_stilts.cli.show import print_table
    from adapter_stilts.cli.tuning_table import cells, header

    table = Table()
    for column in header():
        table.add_column(column, overflow="fold")
    for row in found:
        table.add_row(*cells(row))
    print_table(table, 200)


def _settings(mode: str) -> None:
    """Every key of the mode's section of a recipe, with its default and what it is."""
    from adapter_stilts.model.tuning import get_tuning

    for name, field in get_tuning(mode).Settings.model_fields.items():
        words = " ".join((field.description or "").split())
        click.echo(f"\n--set tuning.{mode}.{name}={field.default!r}\n    {words}".rstrip())
