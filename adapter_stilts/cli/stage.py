"""`adapter-stilts stage`."""

from __future__ import annotations

import click

from adapter_stilts.cli.options import argument, device_option, option


@click.command()
@argument("plan")
@argument("key")
@device_option
@option("--micro-batch-tokens", type=click.IntRange(min=1), metavar="N", help="Tokens of one pass.")
@option(
    "--checkpoint-seconds",
    type=float,
    default=60.0,
    show_default=True,
    metavar="S",
    help="Between checkpoints.",
)
def stage(
    plan: str, key: str, device: str | None, micro_batch_tokens: int | None, checkpoint_seconds: float
) -> int:
    """Run one stage of a plan, if its store does not hold it: what a job of a cluster does.

    PLAN is a file in a store's folder plans, which `matrix` and `train` write; KEY is a stage's name, key, or the
    first digits of it. The stages it starts from have to be finished.

    \b
    Examples:
      adapter-stilts stage runs/plans/0d7e5b22516c.json train-mnli-1a2b3c4d5e6f
      accelerate launch --num_processes 4 --module adapter_stilts stage PLAN KEY
    """
    from pathlib import Path

    from adapter_stilts.cli.progress import Progress
    from adapter_stilts.cli.running import StoppingAtAStep
    from adapter_stilts.cli.terminal import say
    from adapter_stilts.runtime import Runtime, default_cache, is_first_process
    from adapter_stilts.stages.plans import read_plan
    from adapter_stilts.study import Study

    file = read_plan(Path(plan))
    planned = file.stage(key)
    runtime = Runtime(
        file.store, default_cache().absolute(), None, device, micro_batch_tokens, checkpoint_seconds
    )
    file.enter(lambda message: say(message, err=True))
    progress = Progress(quiet=not is_first_process())
    with progress, StoppingAtAStep(progress):
        state = Study.load(file, runtime).run_stage(planned.key, progress)
    if state.error is not None:
        raise state.error
    return 0
