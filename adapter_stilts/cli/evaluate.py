"""`adapter-stilts evaluate`."""

from __future__ import annotations

import click

from adapter_stilts.cli.options import (
    add_tasks,
    as_json_option,
    bundles_base_option,
    data_option,
    device_option,
    languages_option,
    option,
    store_option,
    tasks_option,
)


@click.command()
@click.argument("bundle", metavar="BUNDLE|ADDRESS")
@option("--target", required=True, metavar="TASK", help="Target task.")
@option(
    "--benchmark",
    type=click.Choice(["xtreme", "xtreme-r"]),
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
@tasks_option
@store_option
@languages_option
@option("--limit-eval", type=click.IntRange(min=1), metavar="N", help="The first N examples a language.")
@option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override any recipe key.")
@as_json_option
@device_option
def evaluate(
    bundle: str,
    target: str,
    benchmark: str | None,
    recipe: str | None,
    base: str | None,
    precision: str | None,
    data: str | None,
    task_folder: str | None,
    store: str,
    languages: str | None,
    limit_eval: int | None,
    settings: tuple[str, ...],
    as_json: bool,
    device: str | None,
) -> int:
    """Evaluate a trained BUNDLE (the `bundle` folder of a train stage, or an address) on a target task, zero-shot.

    \b
    Examples:
      adapter-stilts evaluate runs/train-squad_v1-0123456789ab/bundle --target xquad --data DATA
      adapter-stilts evaluate hf://org/squad-lora --target tydiqa
    """
    from pathlib import Path

    from adapter_stilts.cli.session import Session
    from adapter_stilts.errors import UsageError
    from adapter_stilts.hub.transfer import locate
    from adapter_stilts.model.bundle import base_of, read_bundle
    from adapter_stilts.model.tuning import get_tuning
    from adapter_stilts.recipe import load_recipe, overrides
    from adapter_stilts.runtime import Runtime, default_cache
    from adapter_stilts.stages.precision import of_bundle

    add_tasks(task_folder)
    directory = locate(bundle)
    info = read_bundle(directory)
    if base is not None and get_tuning(info.tuning).WHOLE:
        raise UsageError(
            f"--base {base}: {bundle} holds its own encoder (--mode {info.tuning}); leave --base out"
        )
    found = base_of(directory, info)
    flags = {
        "target.tasks": [target],
        "benchmark": benchmark,
        "mode": info.tuning,
        "base.id": base or found.id,
        "base.revision": None if base else found.revision,
        "precision": precision,
        "evaluation.languages": None if languages is None else languages.split(","),
        "evaluation.limit": limit_eval,
    }
    laid = overrides(flags, settings)
    said = "precision" in dict(laid)
    resolved, told = of_bundle(load_recipe(recipe, laid), bundle, info, said)
    runtime = Runtime(Path(store), default_cache(), data, device)
    return Session(resolved, runtime, as_json, directory, told).run()
