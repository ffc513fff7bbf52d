"""`adapter-stilts score`: score a folder of predictions as XTREME's official scorer does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adapter_stilts.cli.options import BENCHMARK, argument, option

if TYPE_CHECKING:
    from rich.console import Console

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@argument("predictions", type=_FOLDER)
@argument("labels", type=_FOLDER)
@option(
    "--benchmark",
    type=BENCHMARK,
    default="xtreme",
    show_default=True,
    help="Whose tasks, languages and groups count; africa has no scorer.",
)
@option("--json", "as_json", is_flag=True, help="Print the scores as one JSON value.")
def score(predictions: Path, labels: Path, benchmark: str, as_json: bool) -> None:
    """Score PREDICTIONS against LABELS, in percent.

    Both are folders in XTREME's submission format, TASK/test-LANG.{tsv,json,jsonl}. Every task that is in
    both is scored; each must have all its languages. Groups and the total exist when all their tasks do.
    """
    import json

    from adapter_stilts import library
    from adapter_stilts.evaluation import xtreme

    def note(message: str) -> None:
        click.echo(f"note: {message}", err=True)

    scores = library.score(predictions, labels, benchmark=benchmark, note=note)
    if as_json:
        click.echo(json.dumps(scores, indent=2))
        return

    from rich.console import Console

    console = Console()
    for task, result in scores["tasks"].items():
        _print_task(console, task, result)
    _print_averages(console, scores, xtreme.missing_tasks(scores, benchmark), benchmark)


def _print_task(console: Console, task: str, result: dict[str, Any]) -> None:
    from rich.table import Table

    from adapter_stilts.cli.show import NEWER, reading

    table = Table(title=task, title_justify="left", caption_justify="left")
    table.add_column("language")
    names = [name for name in result["average"] if not name.endswith(NEWER)]
    for name in names:
        table.add_column(name, justify="right")
    for language, values in result["languages"].items():
        table.add_row(language, *(f"{values[name]:.2f}" for name in names))
    table.add_section()
    table.add_row("average", *(f"{result['average'][name]:.2f}" for name in names))
    table.caption = reading([result["average"]])
    console.print(table)


def _print_averages(console: Console, scores: dict[str, Any], missing: list[str], benchmark: str) -> None:
    from rich.table import Table

    from adapter_stilts.evaluation.membership import BENCHMARKS

    table = Table(title=benchmark, title_justify="left")
    table.add_column("average")
    table.add_column("score", justify="right")
    table.add_column("missing tasks")
    for group, members in BENCHMARKS[benchmark].groups.items():
        absent = [task for task in members if task in missing]
        table.add_row(group, _percent(scores["groups"].get(group)), ", ".join(absent))
    table.add_section()
    table.add_row("overall", _percent(scores["overall"]), ", ".join(missing))
    console.print(table)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
