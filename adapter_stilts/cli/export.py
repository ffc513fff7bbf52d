"""`adapter-stilts export`."""

from __future__ import annotations

import click

from adapter_stilts.cli.options import as_json_option, bundles_base_option, option
from adapter_stilts.cli.terminal import say, say_json


@click.command()
@click.argument("bundle", metavar="BUNDLE|ADDRESS")
@option("--to", "form", required=True, metavar="FORM", help="transformers, peft or adapterhub.")
@option("--out", required=True, metavar="DIR", help="The new folder; should not be there yet.")
@bundles_base_option
@option("--precision", metavar="P", help="Of a checkpoint's weights, fp32 or bf16.  [default: fp32]")
@option("--head", metavar="NAME", help="Of a bundle with several heads, the one to take; none: no head.")
@as_json_option
def export(
    bundle: str,
    form: str,
    out: str,
    base: str | None,
    precision: str | None,
    head: str | None,
    as_json: bool,
) -> int:
    """Write a BUNDLE for those who have nothing of ours.

    \b
    Examples:
      adapter-stilts export mixed.bundle --to transformers --out ./plain
      adapter-stilts export hf://org/squad-lora --to transformers --precision bf16 --out ./plain
      adapter-stilts export runs/train-squad_v1-0123456789ab/bundle --to adapterhub --out ./adapter

    transformers: the whole model, with the bundle's change merged into the encoder's weights. peft, adapterhub: the
    files of that library alone, of bundles that it loads.
    """
    import shlex
    from pathlib import Path

    from adapter_stilts.cli.session import find_base
    from adapter_stilts.errors import UsageError
    from adapter_stilts.hub.transfer import locate
    from adapter_stilts.io import whole_directory
    from adapter_stilts.model import export as exporting
    from adapter_stilts.model.bundle import base_of, read_info
    from adapter_stilts.model.tuning import get_tuning
    from adapter_stilts.recipe import Base

    if Path(out).exists():
        raise UsageError(f"--out {out}: is there already; name a new folder")
    directory = locate(bundle)
    info = read_info(directory)  # the export itself verifies every file
    choice = exporting.Choice(precision, head)
    exporting.check_export(form, info, choice)
    if base is not None and get_tuning(info.tuning).WHOLE:
        raise UsageError(
            f"--base {base}: {bundle} holds its own encoder (--mode {info.tuning}); leave --base out"
        )
    found = find_base(Base(id=base) if base else base_of(directory, info))
    options = {"--to": form, "--precision": precision, "--head": head, "--out": "DIR"}
    given = [word for pair in options.items() if pair[1] is not None for word in pair]
    command = shlex.join(["adapter-stilts", "export", bundle, *map(str, given)])
    with whole_directory(Path(out), "another --out") as target:
        made = exporting.export(directory, form, choice, target, found, command)
    if as_json:
        say_json({"export": out, **made.model_dump(mode="json")})
    else:
        say(f"{out}: {made.task} for {form}")
    return 0
