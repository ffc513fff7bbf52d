"""`adapter-stilts export`."""

from __future__ import annotations

import click

from adapter_stilts.cli.options import argument, as_json_option, bundles_base_option, option
from adapter_stilts.cli.terminal import note, say, say_json


@click.command()
@argument("bundle", metavar="BUNDLE|ADDRESS")
@option(
    "--to",
    "form",
    required=True,
    metavar="FORM",
    help="transformers, sentence-transformers, peft or adapterhub.",
)
@option("--out", required=True, metavar="DIR", help="The new folder; should not be there yet.")
@bundles_base_option
@option("--precision", metavar="P", help="Of a checkpoint's weights, fp32 or bf16.  [default: fp32]")
@option("--head", metavar="NAME", help="Of a bundle with several heads, the one to take; none: no head.")
@option(
    "--layer",
    type=int,
    metavar="N",
    help="For sentence-transformers: the last layer kept, whose states are pooled.  [default: retrieval's]",
)
@as_json_option
def export(
    bundle: str,
    form: str,
    out: str,
    base: str | None,
    precision: str | None,
    head: str | None,
    layer: int | None,
    as_json: bool,
) -> int:
    """Write a BUNDLE for those who have nothing of ours.

    \b
    Examples:
      adapter-stilts export mixed.bundle --to transformers --out ./plain
      adapter-stilts export hf://org/squad-lora --to transformers --precision bf16 --out ./plain
      adapter-stilts export adapters_hub/mnli-lora --to sentence-transformers --out ./vectors
      adapter-stilts export runs/train-squad_v1-0123456789ab/bundle --to adapterhub --out ./adapter

    transformers: the whole model, with the bundle's change merged into the encoder's weights. sentence-transformers:
    the same without a head, as that library loads it, cut after the layer whose states retrieval pools. peft,
    adapterhub: the files of that library alone, of bundles that it loads.
    """
    from adapter_stilts import bundles

    made = bundles.export(
        bundle, out, form, base=base, precision=precision, head=head, layer=layer, note=note
    )
    if as_json:
        say_json({"export": out, **made.model_dump(mode="json")})
    else:
        say(f"{out}: {made.task} for {form}")
    return 0
