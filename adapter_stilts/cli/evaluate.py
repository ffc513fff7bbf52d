"""`adapter-stilts evaluate`."""

from __future__ import annotations

from typing import Any

import click

from adapter_stilts.cli.options import (
    BENCHMARK,
    add_tasks,
    argument,
    as_json_option,
    bundles_base_option,
    data_option,
    device_option,
    fill_option,
    languages_option,
    option,
    split_option,
    store_option,
    tasks_option,
)


@click.command()
@argument("bundle", metavar="BUNDLE|ADDRESS")
@option(
    "--target",
    required=True,
    metavar="TASK",
    help="Target task; FILE.toml is one of your own, and a task that the bundle declares goes by its name.",
)
@option(
    "--benchmark",
    type=BENCHMARK,
    help="Whose languages of the target.  [default: the recipe's, xtreme]",
)
@option("--recipe", metavar="NAME|PATH", help="For the format's settings.  [default: study]")
@bundles_base_option
@option(
    "--precision",
    metavar="P",
    help="fp32 or bf16; 8bit or 4bit under an adapter or LoRA.  [default: what it was trained under]",
)
@data_option
@fill_option
@tasks_option
@store_option
@languages_option
@split_option
@option("--limit-eval", type=click.IntRange(min=1), metavar="N", help="The first N examples a language.")
@option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override any recipe key.")
@as_json_option
@device_option
def evaluate(bundle: str, target: str, as_json: bool, task_folder: str | None, **flags: Any) -> int:
    """Evaluate a trained BUNDLE (the `bundle` folder of a train stage, or an address) on a target task, zero-shot.

    \b
    Examples:
      adapter-stilts evaluate runs/train-squad_v1-0123456789ab/bundle --target xquad --data DATA
      adapter-stilts evaluate hf://org/squad-lora --target tydiqa
    """
    from adapter_stilts.cli.running import run
    from adapter_stilts.library import plan_evaluate

    add_tasks(task_folder)
    return run(plan_evaluate(bundle, target, **flags), as_json)
