"""`adapter-stilts fit`."""

from __future__ import annotations

from typing import Any

import click

from adapter_stilts.cli.options import as_json_option, mode_option, option


@click.command()
@option("--recipe", metavar="NAME|PATH", help="A shipped recipe or a TOML file.  [default: study]")
@option("--base", metavar="ID|DIR", help="The encoder; its config.json is enough.  [default: the recipe's]")
@option("--geometry", metavar="NAME", help="In its place, published sizes: xlmr-base or xlmr-large.")
@mode_option
@option("--precision", metavar="P", help="fp32 or bf16; 8bit or 4bit under a frozen encoder.")
@option("--batch", type=click.IntRange(min=1), metavar="N", help="Sequences a step.  [default: the recipe's]")
@option(
    "--length",
    type=click.IntRange(min=2),
    default=384,
    show_default=True,
    metavar="N",
    help="Tokens of each.",
)
@option(
    "--gpu-memory", metavar="SIZE", help="Of a GPU, e.g. 8GiB.  [default: the GPU's here, or the machine's]"
)
@option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override any recipe key, e.g. tuning.lora.r=16.",
)
@as_json_option
def fit(as_json: bool, **flags: Any) -> int:
    """Compute the memory of training steps without weights: what they take, and with which micro-batch they fit.

    Leaves with 1 where not even one sequence at a time fits. A HellaSwag example has four sequences.

    \b
    Examples:
      adapter-stilts fit --base FacebookAI/xlm-roberta-large --mode lora --precision 8bit --batch 16 --gpu-memory 8GiB
      adapter-stilts fit --geometry xlmr-large --recipe lowmem-full --length 256 --json
    """
    import json

    from adapter_stilts import library

    found = library.fit(**flags, note=lambda message: click.echo(message, err=True))
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    else:
        _show(found)
    return 0 if found.fits else 1


def _show(found: Any) -> None:
    usage = found.usage
    for name in ("weights", "gradients", "optimizer", "activations", "process", "peak"):
        click.echo(f"{name:<12} {getattr(usage, name) / 2**30:8.2f} GiB")
    share = usage.trained_parameters / usage.parameters
    click.echo(f"trained      {usage.trained_parameters:,} of {usage.parameters:,} parameters ({share:.2%})")
    whose = "the GPU's" if found.device == "cuda" else "the machine's"
    room = f"{whose} {found.memory / 2**30:.2f} GiB"
    if not found.fits:
        click.echo(f"does not fit {room}, not even with one sequence of {found.length} tokens at a time")
        return
    passes = -(-found.batch // usage.sequences)
    click.echo(
        f"fits {room}: {found.batch} sequences of {found.length} tokens in {passes} "
        f"pass{'' if passes == 1 else 'es'} of {usage.sequences}"
    )
