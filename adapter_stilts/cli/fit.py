"""`adapter-stilts fit`."""

from __future__ import annotations

from typing import Any

import click

from adapter_stilts.cli.options import as_json_option, mode_option, option

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


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
def fit(
    recipe: str | None,
    base: str | None,
    geometry: str | None,
    mode: str | None,
    precision: str | None,
    batch: int | None,
    length: int,
    gpu_memory: str | None,
    settings: tuple[str, ...],
    as_json: bool,
) -> int:
    """Compute the memory of training steps without weights: what they take, and with which micro-batch they fit.

    Leaves with 1 where not even one sequence at a time fits. A HellaSwag example has four sequences.

    \b
    Examples:
      adapter-stilts fit --base FacebookAI/xlm-roberta-large --mode lora --precision 8bit --batch 16 --gpu-memory 8GiB
      adapter-stilts fit --geometry xlmr-large --recipe lowmem-full --length 256 --json
    """
    import json

    from adapter_stilts.errors import UnknownNameError, UsageError
    from adapter_stilts.recipe import load_recipe, overrides

    flags = {"mode": mode, "precision": precision, "base.id": base}
    resolved = load_recipe(recipe, overrides(flags, settings))
    if base is not None and geometry is not None:
        raise UsageError(f"--base {base} and --geometry {geometry}: give one of the two")
    memory = None if gpu_memory is None else _size(gpu_memory)

    from adapter_stilts.model.encoders import max_length
    from adapter_stilts.model.skeleton import geometries

    if geometry is not None and geometry not in geometries():
        raise UnknownNameError("geometry", geometry, geometries())
    config = geometries()[geometry] if geometry is not None else _config(resolved.base)
    longest = max_length(config)
    if longest is not None and length > longest:
        raise UsageError(f"--length {length}: this encoder has positions for {longest} tokens")

    from adapter_stilts.model.tuning import tuning_settings
    from adapter_stilts.training import fit as fitting

    device, available = _device(memory)
    training = fitting.Training(
        config,
        resolved.mode,
        tuning_settings(resolved.mode, resolved.tuning),
        resolved.precision,
        resolved.optimizer,
        resolved.gradient_checkpointing,
        device,
        resolved.frozen_under,
    )
    found = fitting.fit(training, batch or resolved.target.batch_size, length, available)
    if as_json:
        click.echo(json.dumps({"device": device, **found.to_json()}, indent=2))
    else:
        _show(found, device)
    return 0 if found.fits else 1


def _config(base: Any) -> dict[str, Any]:
    from adapter_stilts.errors import SourceUnavailableError
    from adapter_stilts.model.backbone import read_config
    from adapter_stilts.model.skeleton import PUBLISHED, geometries
    from adapter_stilts.recipe import MINIATURE

    if base.id == MINIATURE:
        from adapter_stilts.miniature.pretrained import encoder_folder

        base = base.model_copy(update={"id": str(encoder_folder())})
    try:
        return read_config(base)
    except SourceUnavailableError as error:
        geometry = PUBLISHED.get(base.id)
        if geometry is not None and base.revision == "main":
            click.echo(f"The hub is out of reach; {base.id} has the published size {geometry}.", err=True)
            return geometries()[geometry]
        raise SourceUnavailableError(
            f"{error}; sizes of XLM-R that need no hub: --geometry xlmr-base or xlmr-large"
        ) from error


def _device(memory: int | None) -> tuple[str, int]:
    """Whose memory is asked for: a GPU's of the given size, the one here, or the machine's."""
    import torch

    from adapter_stilts.runtime import total_memory

    device = "cuda" if memory is not None or torch.cuda.is_available() else "cpu"
    return device, total_memory(device) if memory is None else memory


def _size(text: str) -> int:
    """Bytes of ``8GiB``, ``7.5gb`` or a plain number. Raises UsageError."""
    import re

    from adapter_stilts.errors import UsageError

    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]*)", text.strip())
    if found is None or found[2].lower() not in _UNITS:
        raise UsageError(f"--gpu-memory {text}: should be a size such as 8GiB, 24GB or 8589934592")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def _show(found: Any, device: str) -> None:
    usage = found.usage
    for name in ("weights", "gradients", "optimizer", "activations", "process", "peak"):
        click.echo(f"{name:<12} {getattr(usage, name) / 2**30:8.2f} GiB")
    share = usage.trained_parameters / usage.parameters
    click.echo(f"trained      {usage.trained_parameters:,} of {usage.parameters:,} parameters ({share:.2%})")
    whose = "the GPU's" if device == "cuda" else "the machine's"
    room = f"{whose} {found.memory / 2**30:.2f} GiB"
    if not found.fits:
        click.echo(f"does not fit {room}, not even with one sequence of {found.length} tokens at a time")
        return
    passes = -(-found.batch // usage.sequences)
    click.echo(
        f"fits {room}: {found.batch} sequences of {found.length} tokens in {passes} "
        f"pass{'' if passes == 1 else 'es'} of {usage.sequences}"
    )
