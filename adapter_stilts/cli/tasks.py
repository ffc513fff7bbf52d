"""`adapter-stilts tasks`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from adapter_stilts.cli.options import option
from adapter_stilts.errors import DataError

if TYPE_CHECKING:
    from adapter_stilts.tasks.base import Task
    from adapter_stilts.tasks.sources import Source


@click.command()
@click.argument("name", required=False)
@option("--data", metavar="DIR", help="Tell which splits and languages this folder holds.")
@option("--json", "as_json", is_flag=True, help="A JSON list of the tasks on stdout.")
@option(
    "--markdown", "as_markdown", is_flag=True, help="The tables of docs/tasks.md: tasks, sources, languages."
)
def tasks(name: str | None, data: str | None, as_json: bool, as_markdown: bool) -> None:
    """List the tasks, or show NAME alone: role, format, languages, what trains it, metric, licence."""
    import json

    from adapter_stilts.tasks import all_tasks, get_task
    from adapter_stilts.tasks.groups import UNIONS
    from adapter_stilts.tasks.sources import open_source

    source = open_source(data) if data is not None else None
    union = None if name is None else UNIONS.get(name)
    chosen = all_tasks() if name is None else tuple(map(get_task, union or (name,)))
    if as_markdown:
        from adapter_stilts.cli.task_table import markdown

        click.echo(markdown(chosen), nl=False)
        return
    rows = [_row(task, source) for task in chosen]
    by_name = {row["name"]: row for row in rows}
    unions = {each: parts for each, parts in UNIONS.items() if name in (None, each)}
    rows = [] if union else rows
    rows += [_union_row(each, [by_name[part] for part in parts]) for each, parts in unions.items()]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif name is None:
        _list(rows)
    else:
        for key, value in rows[0].items():
            click.echo(f"{key:<16} {_text(value)}")


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
    row: dict[str, Any] = {**parts[0], "name": name, "parts": [part["name"] for part in parts], "options": {}}
    for key in ("dataset", "paper", "licence"):
        row[key] = "; ".join(dict.fromkeys(part[key] for part in parts))
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


def _list(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from adapter_stilts.cli.show import print_table

    table = Table()
    columns = ["name", "role", "format", "languages", "train_task", "metric"]
    columns += ["licence", "at_hand"] if "at_hand" in rows[0] else ["licence"]
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        shown = {**row, "languages": str(len(row["languages"]))}
        if "at_hand" in row:
            held = row["at_hand"]
            shown["at_hand"] = ", ".join(f"{split}: {len(found)}" for split, found in held.items() if found)
            shown["at_hand"] += "".join(f" {split}: unreadable" for split in row.get("unreadable", ()))
        table.add_row(*(_text(shown[column]) for column in columns))
    print_table(table, 200)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(value) or "–"
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_text(inner)}" for key, inner in value.items()) or "–"
    return "–" if value is None else str(value)
