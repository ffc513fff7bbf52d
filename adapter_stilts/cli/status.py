"""`adapter-stilts status`."""

from __future__ import annotations

import click

from adapter_stilts.cli.options import argument, as_json_option, option


@click.command()
@argument("store", default="runs")
@option(
    "--plan",
    metavar="PLAN",
    help="A plan's file, or the first digits of its name in the store.  [default: the one that was run last]",
)
@option("--watch", "keep", is_flag=True, help="Stay, and show it anew each second, until it is through.")
@as_json_option
def status(store: str, plan: str | None, keep: bool, as_json: bool) -> int:
    """How far a plan is: cells, stages, what runs where, what failed. It is read from the store alone.

    STORE is the folder after --store of `matrix` or `train`; it may be watched from another machine that has it.

    \b
    Examples:
      adapter-stilts status runs
      adapter-stilts status runs --watch
    """
    from rich.console import Console

    from adapter_stilts.cli import board
    from adapter_stilts.cli.terminal import say, say_json
    from adapter_stilts.errors import UsageError
    from adapter_stilts.runtime import default_cache
    from adapter_stilts.stages.keeping import read_found_plan
    from adapter_stilts.stages.overview import Onlooker, latest_plan
    from adapter_stilts.stages.remote import folder_of
    from adapter_stilts.stages.store import Store

    if keep and as_json:
        raise UsageError("--watch and --json: a value is told once; give one of the two")
    root = folder_of(store, default_cache())
    Store(root)  # one of a newer version is told, and a file
    if not root.is_dir():
        raise UsageError(f"{store}: no such store; name the folder after --store of the command that runs")
    found = latest_plan(root) if plan is None else read_found_plan(plan, root)
    onlooker = Onlooker(found)
    if keep:
        board.watch(onlooker.look, Console())
    seen = onlooker.look()
    if as_json:
        say_json(seen.to_json())
        return 0
    if not keep:
        Console().print(board.running(seen))
    for line in board.endings(found.path, seen.failed):
        say(line)
    return 0
