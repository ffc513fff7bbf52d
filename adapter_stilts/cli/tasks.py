"""`adapter-stilts tasks`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from adapter_stilts.cli.options import add_tasks, argument, option, tasks_option
from adapter_stilts.errors import DataError, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from adapter_stilts.tasks.base import Task
    from adapter_stilts.tasks.sources import Source


@click.command()
@argument("name", metavar="[NAME|FILE.toml]", required=False)
@option("--data", metavar="DIR", help="Tell which splits and languages this folder holds.")
@tasks_option
@option(
    "--base",
    metavar="ID|DIR",
    help="Of FILE.toml: whose tokenizer cuts its examples.  [default: the recipe's]",
)
@option(
    "--recipe", metavar="NAME|PATH", help="Of FILE.toml: for the format's settings.  [default: miniature]"
)
@option("--json", "as_json", is_flag=True, help="A JSON list of the tasks on stdout.")
@option(
    "--markdown", "as_markdown", is_flag=True, help="The tables of docs/tasks.md: tasks, sources, languages."
)
def tasks(
    name: str | None,
    data: str | None,
    task_folder: str | None,
    base: str | None,
    recipe: str | None,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """List the tasks, or show NAME alone: role, format, languages, what trains it, metric, licence, and where its data
    are: address, names of files, data sets of the hub.

    Of FILE.toml, a task of your own, all data are read and checked, and three examples shown as a tokenizer cuts them.
    """
    import json

    from adapter_stilts.cli.task_page import where
    from adapter_stilts.tasks import all_tasks, get_task, is_file
    from adapter_stilts.tasks.groups import UNIONS
    from adapter_stilts.tasks.sources import open_source

    add_tasks(task_folder)
    if name is not None and is_file(name):
        _check(name, base, recipe, as_json)
        return
    if base is not None or recipe is not None:
        raise UsageError(
            "--base and --recipe are for a task of your own: adapter-stilts tasks FILE.toml --base DIR"
        )
    source = open_source(data) if data is not None else None
    union = None if name is None else UNIONS.get(name)
    chosen = all_tasks() if name is None else tuple(map(get_task, union or (name,)))
    if as_markdown:
        from adapter_stilts.cli.task_table import markdown

        click.echo(markdown(chosen), nl=False)
        return
    rows = [_row(task, source) | where(task) for task in chosen]
    by_name = {row["name"]: row for row in rows}
    unions = {each: parts for each, parts in UNIONS.items() if name in (None, each)}
    rows = [] if union else rows
    rows += [_union_row(each, [by_name[part] for part in parts]) for each, parts in unions.items()]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif name is None:
        _list(rows)
    else:
        _page(rows[0], chosen)


def _check(file: str, base: str | None, recipe: str | None, as_json: bool) -> None:
    """A declared task's page, what its data hold, and examples as a tokenizer cuts them."""
    from adapter_stilts.checking import check_task
    from adapter_stilts.cli.task_check import found, lines
    from adapter_stilts.cli.task_page import where
    from adapter_stilts.cli.terminal import say, say_json

    checked = check_task(file, base=base, recipe=recipe)
    row = _row(checked.task, None) | where(checked.task)
    for notice in checked.look.notices:
        say(f"note: {notice}", err=True)
    if as_json:
        say_json([row | found(checked)])
        return
    _page(row, (checked.task,))
    for line in lines(checked):
        say(line)


def _page(row: dict[str, Any], tasks: tuple[Task, ...]) -> None:
    """All that is known of a task, then where its data are; of several under one name, where those of each are."""
    from adapter_stilts.cli.task_page import lines, where
    from adapter_stilts.cli.terminal import say

    for key, value in row.items():
        if key not in where(tasks[0]):
            say(f"{key:<16} {_text(value)}")
    for task in tasks:
        if len(tasks) > 1:
            say(f"\n{task.name}")
        for line in lines(task):
            say(line)


def _row(task: Task, source: Source | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": task.name,
        "role": task.role,
        "format": task.format,
        "languages": list(task.languages),
        "added_languages": list(task.added_languages),
        "train_task": task.train_task,
        "metric": list(task.metric),
        "labels": list(task.labels),
        "options": {name: list(values) for name, values in task.options.items()},
        "dataset": task.dataset,
        "paper": task.paper,
        "licence": task.licence,
        **({"remark": task.remark} if task.remark else {}),
    }
    if source is not None:
        row["at_hand"] = {}
        for split in task.files:
            try:
                held = source.training_languages(task) if split == "train" else source.languages(task, split)
                row["at_hand"][split] = list(held)
            except DataError as error:
                # One damaged file must not hide what else the folder holds.
                row.setdefault("unreadable", {})[split] = str(error)
    return row


def _union_row(name: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """A name that stands for several tasks after ``--inter``, told as they are, with what differs side by side."""
    from adapter_stilts.cli.task_page import where
    from adapter_stilts.tasks import get_task

    row: dict[str, Any] = {**parts[0], "name": name, "parts": [part["name"] for part in parts], "options": {}}
    for key in ("dataset", "paper", "licence"):
        row[key] = "; ".join(dict.fromkeys(part[key] for part in parts))
    for key in where(get_task(parts[0]["name"])):
        row[key] = {part["name"]: part[key] for part in parts}
    row["train_task"] = name
    if "at_hand" in row:
        # Of every part, as training takes what is held of each.
        splits = dict.fromkeys(split for part in parts for split in part["at_hand"])
        row["at_hand"] = {
            split: list(dict.fromkeys(each for part in parts for each in part["at_hand"].get(split, ())))
            for split in splits
        }
        row.pop("unreadable", None)
        for part in parts:
            for split, why in part.get("unreadable", {}).items():
                row.setdefault("unreadable", {})[split] = why
    return row


# Left out where a terminal is too narrow for whole words, the first one first.
_LEFT_OUT = ("licence", "role", "metric")


def _list(rows: list[dict[str, Any]]) -> None:
    """The table; a terminal that has no room for whole names gets fewer columns, and is told which."""
    from rich.console import Console
    from rich.measure import Measurement

    from adapter_stilts.cli.show import print_table

    columns = ["name", "role", "format", "languages", "train_task", "metric", "licence"]
    columns += ["at_hand"] if "at_hand" in rows[0] else []
    console, lacking = Console(), []
    table = _table(rows, columns)
    for column in _LEFT_OUT if console.is_terminal else ():
        if Measurement.get(console, console.options.update(max_width=10_000), table).minimum > console.width:
            columns.remove(column)
            lacking.append(column)
            table = _table(rows, columns)
    print_table(table, 200)
    if lacking:
        click.echo(f"{', '.join(lacking)}: in a wider terminal, or by `adapter-stilts tasks NAME`", err=True)


def _table(rows: list[dict[str, Any]], columns: list[str]) -> Table:
    from rich.table import Table

    table = Table()
    for column in columns:
        # Names are copied, and so never broken.
        whole = column in ("name", "format", "train_task")
        table.add_column(column.replace("_", " "), overflow="fold", no_wrap=whole)
    for row in rows:
        shown = {**row, "languages": str(len(row["languages"]))}
        if row["train_task"] == row["name"]:
            shown["train_task"] = "itself"
        if "at_hand" in row:
            held = row["at_hand"]
            shown["at_hand"] = ", ".join(f"{split}: {len(found)}" for split, found in held.items() if found)
            shown["at_hand"] += "".join(f" {split}: unreadable" for split in row.get("unreadable", ()))
        table.add_row(*(_text(shown[column]) for column in columns))
    return table


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(value) or "–"
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_text(inner)}" for key, inner in value.items()) or "–"
    return "–" if value is None else str(value)
