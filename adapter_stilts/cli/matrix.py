"""`adapter-stilts matrix`."""

from __future__ import annotations

from typing import Any

import click

from adapter_stilts.cli.options import (
    add_tasks,
    computing_options,
    option,
    training_options,
)


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
    help="Worker processes on this machine, one a GPU where there are some.  [default: this process alone]",
)
@option(
    "--calibrate",
    is_flag=True,
    help="With --dry-run: measure a few steps of each kind of stage, for the hours.",
)
@computing_options
def matrix(
    dry_run: bool, calibrate: bool, as_json: bool, task_folder: str | None, workers: int | None, **flags: Any
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
    """
    from adapter_stilts.cli.matrix_run import run_matrix, show_matrix
    from adapter_stilts.matrices import plan_matrix
    from adapter_stilts.stages.executors.workers import Workers

    if calibrate and not dry_run:
        raise click.UsageError("--calibrate measures for --dry-run: give both, or leave it out")
    add_tasks(task_folder)
    flags["seed"] = numbers(flags["seed"])
    # Of these the library takes None where nothing is named.
    flags |= {name: flags[name] or None for name in ("inter_task", "few_shot")}
    study = plan_matrix(**flags)
    if dry_run:
        return show_matrix(study, as_json, calibrate, workers or 1)
    return run_matrix(study, as_json, None if workers is None else Workers(workers))


def numbers(texts: tuple[str, ...]) -> list[int]:
    """Seeds out of ``0,1`` and ``2``. Raises UsageError."""
    from adapter_stilts.errors import UsageError

    found = [part.strip() for text in texts for part in text.split(",")]
    for part in found:
        if not part.isdecimal():
            raise UsageError(f"--seed {part or repr(part)}: takes numbers, e.g. --seed 0,1,2; or --seeds 3")
    return [int(part) for part in found]
