"""`adapter-stilts train`."""

from __future__ import annotations

from typing import Any

import click

from adapter_stilts.cli.options import (
    add_tasks,
    computing_options,
    mode_option,
    option,
    training_options,
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
    "--target",
    multiple=True,
    metavar="TASK[,TASK...]",
    help="Target task or tasks, by commas or repeated; `all` the benchmark's, FILE.toml one of your own.",
)
@training_options
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
@option("--seed", type=int, metavar="N", help="Of new heads, dropout and the order of examples.")
@computing_options
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
    from adapter_stilts.axes import refuse_matrix
    from adapter_stilts.cli.running import run, show_plan
    from adapter_stilts.library import plan_train

    refuse_matrix(flags["recipe"])
    add_tasks(task_folder)
    # Of these the library takes None where nothing is named.
    flags |= {name: flags[name] or None for name in ("inter", "inter_task", "target", "few_shot")}
    study = plan_train(**flags)
    return show_plan(study, as_json) if dry_run else run(study, as_json)
