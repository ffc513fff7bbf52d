"""`adapter-stilts suggest`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from adapter_stilts.cli.options import (
    as_json_option,
    data_option,
    device_option,
    fill_option,
    mode_option,
    option,
    tasks_option,
)

if TYPE_CHECKING:
    from adapter_stilts.suggesting import Suggestion


@click.command()
@option("--target", required=True, metavar="TASK|FILE.toml", help="The target task, or one of your own.")
@option(
    "--among",
    multiple=True,
    metavar="TASK|DIR|ADDRESS[,...]",
    help="Intermediate tasks to rank, by commas or repeated, FILE.toml one of your own; or bundles that are trained: "
    "their addresses, folders of them, hf://ORG.  [default: each of the study's nine tasks that the data hold]",
)
@mode_option
@option("--recipe", metavar="NAME|PATH", help="A shipped recipe or a TOML file.  [default: study]")
@option("--base", metavar="ID|DIR", help="The encoder: a hub id or a folder.  [default: the recipe's]")
@data_option
@fill_option
@tasks_option
@option(
    "--examples",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    metavar="N",
    help="Of each train set that are measured.",
)
@option(
    "--steps",
    type=click.IntRange(min=1),
    metavar="N",
    help="Also what a short training of N steps tells: of tasks TaskEmb, of bundles few-shot transfer, the training's "
    "curve, and updates beside the target's.  [default: nothing is trained]",
)
@option(
    "--own",
    metavar="DIR|ADDRESS",
    help="A bundle that was trained on the target: bundles are also ranked by how alike their updates are to its.",
)
@option(
    "--weights",
    type=click.Choice(["equal", "fitted"]),
    default="equal",
    show_default=True,
    help="Of estimators of tasks: one vote each, or as fitted to the miniature's other targets.",
)
@option("--budget", metavar="TIME", help="90s, 10m or 1h: estimators that take longer are left out.")
@option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override any recipe key, e.g. target.limit_train=1000.",
)
@as_json_option
@device_option
def suggest(as_json: bool, task_folder: str | None, **flags: Any) -> None:
    """Rank intermediate tasks for a target before training any of them: minutes in the place of a matrix.

    Of tasks train sets are compared, as the untouched encoder's tokenizer, or the encoder itself, sees a sample of
    them; of bundles it is measured how well their states tell the labels of the target's train set. Nothing is trained
    unless --steps asks for it. Estimators rank: none tells how many points a source will bring.

    \b
    Examples:
      adapter-stilts suggest --target tydiqa
      adapter-stilts suggest --target tydiqa --recipe miniature --among squad_v1,hellaswag,mnli
      adapter-stilts suggest --target reviews.toml --budget 10m --json
      adapter-stilts suggest --target xnli --recipe miniature --among adapters_hub --mode lora --steps 32
    """
    from adapter_stilts.cli.options import add_tasks
    from adapter_stilts.cli.terminal import note, say_json
    from adapter_stilts.suggesting import suggest as ranked

    add_tasks(task_folder)
    flags["among"] = flags["among"] or None
    found = ranked(tasks=task_folder, **flags)
    for notice in found.notices:
        note(notice)
    if as_json:
        say_json(found.to_json())
    else:
        _show(found)


def _show(found: Suggestion) -> None:
    from adapter_stilts.cli.show import empty_table, print_table
    from adapter_stilts.cli.terminal import plain, say

    table = empty_table("")
    table.title = None
    table.add_column("rank", justify="right")
    table.add_column("intermediate", overflow="fold")
    weighted = any(row.weighted is not None for row in found.rows)
    for name in [*found.ranking.estimators, "weighted" if weighted else "mean of 1/rank"]:
        table.add_column(name, justify="right")
    for row in found.rows:
        told = [f"{_number(row.scores[name])} ({row.ranks[name]:g})" for name in found.ranking.estimators]
        together = f"{row.mean_reciprocal:.2f}" if row.weighted is None else f"{row.weighted:+.2f}"
        table.add_row(*map(plain, [f"{row.rank:g}", row.source, *told, together]))
    trained = "" if found.trained_on == found.target else f", trained on {found.trained_on}"
    say(f"Sources for {found.target}{trained}: scores, and in brackets ranks")
    print_table(table, 120)
    for name, what in found.ranking.estimators.items():
        say(f"{name:<15} {what}")
    seconds = ", ".join(f"{name} {value:.1f} s" for name, value in found.ranking.seconds.items())
    say(f"cost            {seconds} on {found.device}, {found.examples} examples of each train set at most")
    say(f"so far          {found.record or 'not measured on any other target'}")
    say(f"next            {found.command}")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) and abs(value) > 1 else f"{value:.3f}"
