"""`adapter-stilts submit`: from finished evaluate stages to a folder that XTREME's scorer reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from adapter_stilts.cli.options import BENCHMARK, argument, as_json_option, option, store_option

if TYPE_CHECKING:
    from adapter_stilts.stages.submit import Submission


@click.command()
@argument("stages", nargs=-1, type=click.Path(path_type=Path), metavar="[STAGE]...")
@option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="A new folder.")
@store_option
@option(
    "--inter",
    metavar="NAME",
    help="Take the evaluations planned under this name: an --inter of theirs, `none`, `stack of mnli, qqp`.",
)
@option(
    "--benchmark",
    type=BENCHMARK,
    default="xtreme",
    show_default=True,
    help="Whose tasks and languages are wanted; africa takes no submission.",
)
@as_json_option
def submit(
    stages: tuple[Path, ...], out: Path, store: str, inter: str | None, benchmark: str, as_json: bool
) -> int:
    """Gather the predictions of evaluate stages in XTREME's layout, DIR/TASK/test-LANG.{tsv,json,jsonl}.

    Every STAGE is the directory of an evaluate stage; without any, all those of the store are taken. Each file is
    read as `score` reads it before the folder is written. Tasks that lack a language are left out and named.

    \b
    Examples:
      adapter-stilts submit --inter hellaswag --out submission
      adapter-stilts submit runs/evaluate-xnli-0123456789ab runs/evaluate-udpos-ba9876543210 --out submission
    """
    import json

    from adapter_stilts.evaluation.membership import official
    from adapter_stilts.runtime import default_cache
    from adapter_stilts.stages.remote import folder_of
    from adapter_stilts.stages.submit import find_evaluations, write_submission

    official(benchmark)
    found = find_evaluations(stages or [folder_of(store, default_cache())])
    written = write_submission(found, out, benchmark, inter)
    for task, why in {**written.left_out, **written.notes}.items():
        kind = "left out" if task in written.left_out else "written, but"
        click.echo(f"note: {task} {kind}: {why}", err=True)
    if as_json:
        click.echo(json.dumps(_told(written, benchmark), indent=2))
    else:
        _print(written, benchmark)
    return 0


def _told(written: Submission, benchmark: str) -> dict[str, object]:
    return {
        "directory": str(written.directory),
        "benchmark": benchmark,
        "complete": written.complete,
        "tasks": {task: str(directory) for task, directory in written.tasks.items()},
        "left_out": dict(written.left_out),
        "notes": dict(written.notes),
    }


def _print(written: Submission, benchmark: str) -> None:
    for task, directory in written.tasks.items():
        click.echo(f"{task:<10} {directory}")
    wanted = len(written.tasks) + len(written.left_out)
    whole = "complete" if written.complete else f"{len(written.tasks)} of {wanted} tasks of {benchmark}"
    click.echo(f"{written.directory}: {whole}")
