"""`adapter-stilts train`."""

from __future__ import annotations

from typing import Any

import click

from adapter_stilts.cli.options import (
    BENCHMARK,
    add_tasks,
    as_json_option,
    data_option,
    device_option,
    fill_option,
    languages_option,
    mode_option,
    option,
    split_option,
    store_option,
    tasks_option,
)


@click.command()
@option(
    "--inter",
    multiple=True,
    metavar="TASK[,TASK...]",
    help="Intermediate task; several with commas train one stage together, `all` the study's nine; `mlm` and "
    "`tlm` are language modelling, `none` the baseline, FILE.toml a task of your own; or a trained bundle's ADDRESS "
    "(a folder with a slash in its name, or hf://ORG/NAME), or a plain adapter's of PEFT or AdapterHub. Repeat to "
    "compare.",
)
@option(
    "--inter-task",
    multiple=True,
    metavar="NAME",
    help="What a plain adapter of PEFT or AdapterHub after --inter was trained on; repeat for several, in order.  "
    "[default: the folder's or repository's name]",
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
    help="Target task or tasks, by commas or repeated; `all` the benchmark's, FILE.toml one of your own.",
)
@option(
    "--train-languages",
    metavar="L[,L...]|each",
    help="Train the target in these, where the data hold train splits in them; `each`: a model for each language "
    "evaluated.  [default: en, or what a declared task says]",
)
@option(
    "--few-shot",
    multiple=True,
    metavar="LANG=N",
    help="N examples of that language, after the other training; each=N: a model for each language. Repeatable.",
)
@option(
    "--dev-language",
    metavar="L[,L...]|same",
    help="Choose the target's checkpoint on these dev splits; `same`: in the languages it trains in.  "
    "[default: en, or the first that a declared task says]",
)
@option(
    "--benchmark",
    type=BENCHMARK,
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
@fill_option
@tasks_option
@store_option
@option("--seed", type=int, metavar="N", help="Of new heads, dropout and the order of examples.")
@languages_option
@split_option
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
def train(dry_run: bool, as_json: bool, task_folder: str | None, **flags: Any) -> int:
    """Train on one intermediate task or several, then on a target task; evaluate in every language.

    Training is in English, or in the languages that options or a declared task name.
    Without --target the intermediate tasks are trained alone, and their bundles are what is left. Finished stages are
    kept in the store: the same command answers from it, an interrupted one resumes.

    \b
    Examples:
      adapter-stilts train --inter hellaswag --target tydiqa --mode full
      adapter-stilts train --inter none --inter hellaswag --target xquad,udpos --data DATA --base DIR
      adapter-stilts train --inter mnli,squad_v1,hellaswag --target tydiqa
      adapter-stilts train --inter mnli --target all --benchmark xtreme-r
      adapter-stilts train --inter mlm,mnli --set intermediate.mlm.text=TEXT --target xnli
      adapter-stilts train --target xnli --data DATA --set target.train_task=snli
      adapter-stilts train --inter adapters_hub/hellaswag-lora --target tydiqa --mode lora
      adapter-stilts train --inter hellaswag --target topics.toml --mode lora
      adapter-stilts train --target panx --few-shot sw=32 --languages sw --data DATA
      adapter-stilts train --target udpos --train-languages each --dev-language same --data DATA
      adapter-stilts train --inter hellaswag
    """
    from adapter_stilts.cli.running import run, show_plan
    from adapter_stilts.library import plan_train

    add_tasks(task_folder)
    # Of these the library takes None where nothing is named.
    flags |= {name: flags[name] or None for name in ("inter", "inter_task", "target", "few_shot")}
    study = plan_train(**flags)
    return show_plan(study, as_json) if dry_run else run(study, as_json)
