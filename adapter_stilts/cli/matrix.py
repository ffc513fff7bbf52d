"""`adapter-stilts matrix`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from adapter_stilts.cli.options import (
    add_tasks,
    computing_options,
    option,
    training_options,
)

EXECUTORS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "local": ("workers", ("workers",)),
    "ray": ("ray_cluster", ("workers", "ray_address")),
    "slurm": ("slurm", ("slurm",)),
}
"""Each executor's module in `stages/executors/`, whose `build` takes the flags that are named beside it."""


@click.command()
@option(
    "--inter",
    multiple=True,
    metavar="ENTRY[,ENTRY...]",
    help="Intermediate entries, by commas or repeated: tasks; `each` of the study's nine, `all` of them in one stage; "
    "`none`; tasks joined by + for one stage (mnli+squad_v1); FILE.toml; a trained bundle's ADDRESS.",
)
@option(
    "--target",
    multiple=True,
    metavar="TASK[,TASK...]",
    help="Target tasks, by commas or repeated; `all` the benchmark's, FILE.toml one of your own.",
)
@option(
    "--mode", multiple=True, metavar="MODE[,MODE...]", help="What is trained; see `adapter-stilts tunings`."
)
@option(
    "--precision", multiple=True, metavar="P[,P...]", help="fp32, bf16; 8bit or 4bit under a frozen encoder."
)
@option("--base", multiple=True, metavar="ID|DIR[,...]", help="Encoders: hub ids or folders.")
@option(
    "--combine",
    multiple=True,
    metavar="HOW[,HOW...]",
    help="continue: each --inter on its own; stack, fuse or merge:METHOD: all of them together.",
)
@option("--seed", "seed", multiple=True, metavar="N[,N...]", help="Seeds.")
@option("--seeds", type=click.IntRange(min=1), metavar="N", help="In the place of --seed: N seeds, from 0.")
@option(
    "--recipe",
    metavar="NAME|PATH",
    help="A shipped recipe or a TOML file, whose section [matrix] says what the flags leave open.  [default: study]",
)
@training_options
@option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Worker processes on this machine, one a GPU where there are some; on Ray, actors.  "
    "[default: this process alone; on Ray one a GPU, or a node]",
)
@option(
    "--executor",
    type=click.Choice(list(EXECUTORS)),
    default="local",
    show_default=True,
    help="Where stages run.",
)
@option(
    "--ray-address",
    metavar="ADDRESS",
    help="Of a cluster of Ray, `auto` for the one that runs here.  [default: $RAY_ADDRESS, or this machine alone]",
)
@option(
    "--slurm",
    multiple=True,
    metavar="KEY=VALUE[,...]",
    help="Of --executor slurm: time=HH:MM:SS, needed; partition, account, qos, constraint, gres, mem, cpus_per_task …; "
    "array=N: so many stages at once. With --dry-run the scripts are written, and nothing is queued.",
)
@option(
    "--calibrate",
    is_flag=True,
    help="With --dry-run: measure a few steps of each kind of stage, for the hours.",
)
@option(
    "--next",
    "next_count",
    type=click.IntRange(min=1),
    metavar="N",
    help="Run nothing: name the N cells that may gain most, as far as those in the store tell, and their commands.",
)
@computing_options
@click.pass_context
def matrix(
    context: click.Context,
    /,
    dry_run: bool,
    calibrate: bool,
    as_json: bool,
    task_folder: str | None,
    executor: str,
    next_count: int | None,
    **flags: Any,
) -> int:
    """Every combination of what is given, planned as one: equal stages are computed once, what cannot be is left out.

    Finished stages are kept in the store, which `train` shares: the same command goes on where it was stopped, on
    whichever machine. `adapter-stilts status STORE` tells how far it is.

    \b
    Examples:
      adapter-stilts matrix --inter none,each,all --target all --mode full,lora --seeds 3 --dry-run
      adapter-stilts matrix --recipe miniature --inter none,hellaswag --target tydiqa,xnli --mode lora --workers 2
      adapter-stilts matrix --inter mnli,squad_v1 --combine continue,merge:ties --target xnli --mode lora
      adapter-stilts matrix --recipe my-study.toml
      adapter-stilts matrix --recipe my-study.toml --next 5
      adapter-stilts matrix --recipe my-study.toml --executor ray --ray-address auto
    """
    from adapter_stilts.cli.matrix_next import show_next
    from adapter_stilts.cli.matrix_run import queue_matrix, run_matrix, show_matrix
    from adapter_stilts.errors import UsageError
    from adapter_stilts.matrices import plan_matrix

    if calibrate and not dry_run:
        raise UsageError("--calibrate measures for --dry-run: give both, or leave it out")
    if next_count is not None and dry_run:
        raise UsageError(f"--next {next_count} runs nothing by itself: leave out --dry-run")
    workers = flags["workers"] or 1
    add_tasks(task_folder)
    where = build_executor(executor, flags)
    flags["seed"] = numbers(flags["seed"])
    # Of these the library takes None where nothing is named.
    flags |= {name: flags[name] or None for name in ("inter_task", "few_shot")}
    study = plan_matrix(**flags)
    if next_count is not None:
        return show_next(study, next_count, as_json, context)
    if executor == "slurm" and not calibrate:
        return queue_matrix(study, where, dry_run, as_json)
    if dry_run:
        return show_matrix(study, as_json, calibrate, workers)
    return run_matrix(study, as_json, where)


def build_executor(name: str, flags: dict[str, Any]) -> Any:
    """An executor as the flags describe it; None is this process. Takes its flags, and those of others, out of them.

    Raises:
        UsageError: a flag of another executor is given, or what this one needs is not installed.
    """
    from importlib import import_module

    from adapter_stilts.errors import UsageError

    module, own = EXECUTORS[name]
    given = {flag: flags.pop(flag) for flag in {flag for _, each in EXECUTORS.values() for flag in each}}
    for flag, value in given.items():
        if flag not in own and value not in (None, ()):
            takes = " or ".join(other for other, (_, each) in EXECUTORS.items() if flag in each)
            shown = value[0] if isinstance(value, tuple) else value
            raise UsageError(f"--{flag.replace('_', '-')} {shown}: goes with --executor {takes}, not {name}")
    found = import_module(f"adapter_stilts.stages.executors.{module}")
    return found.build(**{flag: given[flag] for flag in own})


def numbers(texts: tuple[str, ...]) -> list[int]:
    """Seeds out of ``0,1`` and ``2``. Raises UsageError."""
    from adapter_stilts.errors import UsageError

    found = [part.strip() for text in texts for part in text.split(",")]
    for part in found:
        if not part.isdecimal():
            raise UsageError(f"--seed {part or repr(part)}: takes numbers, e.g. --seed 0,1,2; or --seeds 3")
    return [int(part) for part in found]
