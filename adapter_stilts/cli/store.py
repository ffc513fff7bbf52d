"""`adapter-stilts store`: what a store holds and what it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from adapter_stilts.cli.groups import Verbs
from adapter_stilts.cli.options import argument, as_json_option, option, store_option
from adapter_stilts.cli.terminal import note, say, say_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from adapter_stilts.stages.collecting import Unneeded

DEFAULT = "runs"

store_argument = argument("store", metavar="[STORE]", default=DEFAULT)


@click.group(cls=Verbs)
def store() -> None:
    """Look after a store, the folder after --store of `train` and `matrix`: list, show, clean up, export.

    A STAGE is named by its folder, its name, or the first digits of its key; a PLAN by its file in the store's folder
    plans, or the first digits of that.

    \b
    Examples:
      adapter-stilts store ls runs
      adapter-stilts store show 0123456789ab
      adapter-stilts store gc runs --dry-run
      adapter-stilts store export 0d7e5b22516c results
    """


@store.command("ls")
@store_argument
@as_json_option
def list_stages(store: str, as_json: bool) -> int:
    """List the finished stages of a STORE.

    Size, age, name, and the cells that each answers, or what it does for others.

    STORE [default: runs] is a folder. What no plan of it has is marked; `store gc` removes it.
    """
    from adapter_stilts.cli.store_text import listing
    from adapter_stilts.stages.keeping import kept_stages

    found = kept_stages(_folder(store))
    if as_json:
        total = sum(stage.bytes for stage in found)
        say_json({"store": store, "stages": [stage.to_json() for stage in found], "bytes": total})
    else:
        say("\n".join(listing(store, found)))
    return 0


@store.command("show")
@argument("stage")
@store_option
@as_json_option
def show_stage(stage: str, store: str, as_json: bool) -> int:
    """Show what a STAGE was made of, what it came to, and the command that makes it again."""
    from adapter_stilts.cli.store_text import description
    from adapter_stilts.stages.keeping import describe

    found = describe(stage, _folder(store))
    if as_json:
        say_json(found.to_json())
    else:
        say("\n".join(description(found)))
    return 0


@store.command("gc")
@store_argument
@option(
    "--forget",
    multiple=True,
    metavar="PLAN",
    help="A plan that is no longer wanted: it goes, with what only it needs. Repeatable.",
)
@option("--yes", is_flag=True, help="Do not ask.")
@option("--dry-run", is_flag=True, help="Show what would go; remove nothing.")
@as_json_option
def collect_garbage(store: str, forget: tuple[str, ...], yes: bool, dry_run: bool, as_json: bool) -> int:
    """Remove from a STORE what no saved plan needs.

    Finished stages, checkpoints, and records of failure, once the list was shown and agreed to. A stage is needed
    where a plan has it, where one that a plan has starts from it, and where a plan names its bundle by a path. Nothing
    goes that a process works on, nor anything at all while a plan cannot be read.

    STORE [default: runs] is a folder. Plans in other stores that evaluate bundles of this one are not known.
    """
    from adapter_stilts.cli.store_text import counted, unneeded_lines
    from adapter_stilts.stages.collecting import collect, unneeded

    found = unneeded(_folder(store), forget)
    if not as_json and found:
        say("\n".join(unneeded_lines(found)))
    if dry_run or not found:
        removed: Sequence[Unneeded] = ()
        if not as_json:
            say(f"{store}: {counted(found)} would go" if found else f"{store}: nothing to remove")
    elif not (yes or _agreed(store, counted(found))):
        say(f"{store}: nothing was removed", err=True)
        return 1
    else:
        removed = collect(_folder(store), found)
        for kept in [item for item in found if item not in removed]:
            note(f"{kept.name} stays: a process works on it, or a plan that came meanwhile needs it")
        if not as_json:
            say(f"{store}: removed {counted(removed)}")
    if as_json:
        say_json(_told(store, found, removed))
    return 0


@store.command("export")
@argument("plan")
@argument("folder", metavar="DIR")
@store_option
@option("--without-rows", is_flag=True, help="Leave each example's score out: averages alone.")
@as_json_option
def export_plan(plan: str, folder: str, store: str, without_rows: bool, as_json: bool) -> int:
    """Copy the results of a PLAN into a folder DIR, without weights.

    The plan, the records of its finished stages, metrics and each example's score: small enough to commit or to attach
    to a paper. DIR is a store that answers for what it holds, and runs nothing. It appears whole or not at all; named
    *.zip it is one file, which `report` and `compare` read. One that was exported before, here or on another machine,
    is added to.
    """
    from pathlib import Path

    from adapter_stilts.cli.store_text import size
    from adapter_stilts.stages.exporting import export_results
    from adapter_stilts.stages.keeping import read_found_plan

    made = export_results(read_found_plan(plan, _folder(store)), Path(folder), not without_rows)
    if made.missing:
        note(f"{len(made.missing)} stages of the plan are not finished, and not in it: {made.missing[0]} …")
    if as_json:
        missing = list(made.missing)
        say_json({"dir": folder, "stages": list(made.stages), "missing": missing, "bytes": made.bytes})
    else:
        say(f"{folder}: {len(made.stages)} stages, {size(made.bytes)}")
    return 0


def _folder(store: str) -> Path:
    """The folder of a store. Raises UsageError of an address, StoreError of a file."""
    from adapter_stilts.runtime import default_cache
    from adapter_stilts.stages.remote import folder_of
    from adapter_stilts.stages.store import Store

    return Store(folder_of(store, default_cache())).root


def _agreed(store: str, what: str) -> bool:
    """Ask; raises UsageError where nobody can be asked."""
    import sys

    from adapter_stilts.errors import UsageError

    if not sys.stdin.isatty():
        raise UsageError(
            f"{store}: {what} would go, and there is no terminal to ask at: --yes removes them, --dry-run lists them"
        )
    return click.confirm(f"Remove {what} from {store}?", err=True)


def _told(store: str, found: Sequence[Unneeded], removed: Sequence[Unneeded]) -> dict[str, Any]:
    return {
        "store": store,
        "unneeded": [item.to_json() for item in found],
        "removed": [item.to_json() for item in removed],
        "bytes": sum(item.bytes for item in removed),
    }
