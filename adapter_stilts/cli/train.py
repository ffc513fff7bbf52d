"""`adapter-stilts train`."""

from __future__ import annotations

import click

from adapter_stilts.cli.options import (
    add_tasks,
    as_json_option,
    data_option,
    device_option,
    languages_option,
    mode_option,
    option,
    store_option,
    tasks_option,
)


@click.command()
@option(
    "--inter",
    multiple=True,
    metavar="TASK[,TASK...]",
    help="Intermediate task; several with commas train one stage together, `all` the study's nine; `mlm` and "
    "`tlm` are language modelling, `none` the baseline; or a trained bundle's ADDRESS (a folder with a slash in its "
    "name, or hf://ORG/NAME). Repeat to compare.",
)
@option(
    "--inter-languages",
    metavar="L[,L...]",
    help="Train the intermediate task in these, where the data hold translated train sets.  [default: en]",
)
@option(
    "--target",
    multiple=True,
    metavar="TASK[,TASK...]",
    help="Target task or tasks, by commas or repeated; `all` the benchmark's.",
)
@option(
    "--benchmark",
    type=click.Choice(["xtreme", "xtreme-r"]),
    help="Whose languages, and whose targets `all` means.  [default: the recipe's, xtreme]",
)
@mode_option
@option(
    "--combine",
    metavar="HOW",
    help="continue: each --inter on its own; stack, fuse or merge:METHOD (e.g. merge:ties): all of them together.",
)
@option("--recipe", metavar="NAME|PATH", help="A shipped recipe or a TOML file.  [default: study]")
@option("--base", metavar="ID|DIR", help="The encoder: a hub id or a folder.  [default: the recipe's]")
@option(
    "--precision",
    metavar="P",
    help="fp32 or bf16; 8bit or 4bit under a frozen encoder.  [default: an --inter bundle's, or the recipe's]",
)
@data_option
@tasks_option
@store_option
@option("--seed", type=int, metavar="N", help="Of new heads, dropout and the order of examples.")
@languages_option
@option("--limit-train", type=click.IntRange(min=1), metavar="N", help="Train on the first N examples.")
@option("--limit-eval", type=click.IntRange(min=1), metavar="N", help="Evaluate the first N a language.")
@option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override any recipe key, e.g. target.epochs=2.",
)
@option("--dry-run", is_flag=True, help="Show the stages and what is done already; run nothing.")
@as_json_option
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
@option("--track", multiple=True, metavar="NAME", help="A tracker of accelerate's, e.g. tensorboard.")
def train(
    inter: tuple[str, ...],
    inter_languages: str | None,
    target: tuple[str, ...],
    benchmark: str | None,
    mode: str | None,
    combine: str | None,
    recipe: str | None,
    base: str | None,
    precision: str | None,
    data: str | None,
    task_folder: str | None,
    store: str,
    seed: int | None,
    languages: str | None,
    limit_train: int | None,
    limit_eval: int | None,
    settings: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
    device: str | None,
    micro_batch_tokens: int | None,
    checkpoint_seconds: float,
    track: tuple[str, ...],
) -> int:
    """Train on one intermediate task or several, then on a target task, in English; evaluate in every language.

    Finished stages are kept in the store: the same command answers from it, an interrupted one resumes.

    \b
    Examples:
      adapter-stilts train --inter hellaswag --target tydiqa --mode full
      adapter-stilts train --inter none --inter hellaswag --target xquad,udpos --data DATA --base DIR
      adapter-stilts train --inter mnli,squad_v1,hellaswag --target tydiqa
      adapter-stilts train --inter mnli --target all --benchmark xtreme-r
      adapter-stilts train --inter mlm,mnli --set intermediate.mlm.text=TEXT --target xnli
      adapter-stilts train --target xnli --data DATA --set target.train_task=snli
      adapter-stilts train --inter adapters_hub/hellaswag-lora --target tydiqa --mode lora
    """
    from pathlib import Path

    from adapter_stilts.cli.session import Session
    from adapter_stilts.recipe import load_recipe, overrides
    from adapter_stilts.runtime import Runtime, default_cache
    from adapter_stilts.stages.precision import of_intermediates

    add_tasks(task_folder)
    flags = {
        "intermediate.tasks": _cells(inter) if inter else None,
        "intermediate.languages": _names(inter_languages),
        "target.tasks": _names(",".join(target)) if target else None,
        "benchmark": benchmark,
        "mode": mode,
        "combine": combine,
        "base.id": base,
        "precision": precision,
        "seed": seed,
        "evaluation.languages": _names(languages),
        "evaluation.limit": limit_eval,
        "intermediate.limit_train": limit_train,
        "target.limit_train": limit_train,
    }
    laid = overrides(flags, settings)
    resolved, told = of_intermediates(load_recipe(recipe, laid), said="precision" in dict(laid))
    runtime = Runtime(
        Path(store),
        default_cache(),
        data,
        device,
        micro_batch_tokens,
        checkpoint_seconds=checkpoint_seconds,
        trackers=track,
    )
    session = Session(resolved, runtime, as_json, told=told)
    return session.show_plan() if dry_run else session.run()


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _cells(inter: tuple[str, ...]) -> list[str]:
    """One entry a cell; the names of one stage stay joined by commas."""
    return list(dict.fromkeys(",".join(_names(entry) or [entry]) for entry in inter))
