"""`adapter-stilts hub`: bundles from and to folders and the Hugging Face hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from adapter_stilts.cli.groups import Verbs
from adapter_stilts.cli.options import argument, as_json_option, option
from adapter_stilts.cli.terminal import note, say, say_json

if TYPE_CHECKING:
    from adapter_stilts.model.bundle_info import BundleInfo

SHELF = "adapters_hub"


@click.group(cls=Verbs)
def hub() -> None:
    """Share bundles: adapters, LoRA modules and full models, with their heads and cards.

    An ADDRESS is a folder, hf://ORG/NAME, or hf://ORG/NAME@REVISION (a branch, tag or commit). It may stand wherever
    a bundle may: `train --inter ADDRESS`, `evaluate ADDRESS`, `compose "0.5*ADDRESS + 0.5*ADDRESS"`.

    Bundles hold safetensors, JSON and Markdown; a file of any other kind is refused by its name. Every file's digest
    is checked on the way. What was fetched once is read from huggingface_hub's cache where there is no network.

    \b
    Examples:
      adapter-stilts hub push runs/train-hellaswag-0123456789ab/bundle adapters_hub/hellaswag-lora
      adapter-stilts hub list
      adapter-stilts hub push adapters_hub/hellaswag-lora hf://me/hellaswag-lora
      adapter-stilts hub pull hf://me/hellaswag-lora@main
      adapter-stilts train --inter hf://me/hellaswag-lora --target tydiqa --mode lora
    """


@hub.command("list")
@argument("where", metavar="[WHERE]", default=SHELF)
@as_json_option
def list_bundles(where: str, as_json: bool) -> int:
    """List the bundles of a folder or an organisation.

    WHERE is a folder [default: adapters_hub], or hf://ORG, whose bundles are those tagged adapter-stilts.
    """
    from adapter_stilts.cli import show

    rows = [_row(address) for address in _bundles_at(where)]
    if as_json:
        say_json({"where": where, "bundles": rows})
    elif rows:
        show.bundles(where, rows)
    else:
        say(f"{where}: no bundles")
    return 0


@hub.command("show")
@argument("address")
@as_json_option
def show_bundle(address: str, as_json: bool) -> int:
    """Show what a bundle says it is.

    Its card and files, or with --json all of bundle.json. Weights are neither fetched nor verified.
    """
    from adapter_stilts.hub.transfer import describe

    told = describe(address)
    if as_json:
        say_json({"address": address, "files": told.sizes, **told.info.model_dump(mode="json")})
        return 0
    say(told.card.strip())
    if told.sizes:
        sizes = "\n".join(f"{size:>12,}  {name}" for name, size in sorted(told.sizes.items()))
        say(f"\n{sizes}")
    return 0


@hub.command("verify")
@argument("addresses", metavar="ADDRESS...", nargs=-1, required=True)
@as_json_option
def verify_bundles(addresses: tuple[str, ...], as_json: bool) -> int:
    """Check every file of bundles.

    Of one, or of all in a folder. Exits with 1 where one may not be read, and says why.
    """
    from pathlib import Path

    from adapter_stilts.errors import AdapterStiltsError
    from adapter_stilts.hub.address import bundles_in
    from adapter_stilts.hub.transfer import fetch

    rows: list[dict[str, Any]] = []
    for address in addresses:
        inner = [] if (Path(address) / "bundle.json").is_file() else bundles_in(Path(address))
        for each in [str(path) for path in inner] or [address]:
            try:
                rows.append({"address": each, "digest": fetch(each).digest})
            except (AdapterStiltsError, OSError) as error:
                if len(addresses) == 1 and not inner:
                    raise
                rows.append({"address": each, "error": str(error)})
    if as_json:
        say_json({"bundles": rows})
    for row in rows:
        if "error" in row:
            say(f"error: {row['error']}", err=True)
        elif not as_json:
            say(f"{row['address']}: whole, {row['digest']}")
    return 1 if any("error" in row for row in rows) else 0


@hub.command()
@argument("address")
@argument("folder", required=False)
@as_json_option
def pull(address: str, folder: str | None, as_json: bool) -> int:
    """Bring a bundle into a new folder.

    FOLDER [default: adapters_hub/ and the bundle's name] appears whole or not at all.
    """
    from pathlib import Path

    from adapter_stilts.hub import transfer

    target = Path(folder) if folder else Path(SHELF) / address.partition("@")[0].rstrip("/").split("/")[-1]
    found = transfer.pull(address, target)
    if as_json:
        say_json({"folder": str(target), "digest": found.digest, "commit": found.commit})
    else:
        say(f"{target}: {_title(found.info)}, {found.digest}")
    return 0


@hub.command()
@argument("bundle")
@argument("address")
@option("--private", is_flag=True, help="Where a hub repository is made for it, make that private.")
@option("--message", metavar="TEXT", help="Of the commit on the hub.  [default: task and mode]")
@as_json_option
def push(bundle: str, address: str, private: bool, message: str | None, as_json: bool) -> int:
    """Bring a bundle to a new folder or to the hub.

    A repository on the hub is made where there is none, and then holds the bundle and nothing else. Log in with
    `hf auth login`, or set HF_TOKEN.
    """
    from pathlib import Path

    from adapter_stilts.hub import transfer

    where = transfer.push(Path(bundle), address, private, message)
    if as_json:
        say_json({"address": address, "where": where})
    else:
        say(f"{bundle} is now at {where}")
    return 0


@hub.command("import")
@argument("address")
@argument("bundle")
@option("--base", required=True, metavar="ID|DIR", help="The encoder that it was trained on.")
@option(
    "--task",
    metavar="NAME",
    help="What it was trained on, by any name.  [default: its folder's or repository's]",
)
@as_json_option
def import_bundle(address: str, bundle: str, base: str, task: str | None, as_json: bool) -> int:
    """Make a BUNDLE of a plain folder of PEFT or AdapterHub, here or on the hub.

    LoRA, rsLoRA, DoRA, IA3, bottlenecks or prefixes, as those libraries save them with safetensors. A head stays
    behind, as nothing in such files says which label is which: what comes in is gone on from (train --inter),
    composed, and evaluated where no head is asked for. None of these needs the import: an ADDRESS of plain files may
    stand wherever a bundle's may.

    \b
    Examples:
      adapter-stilts hub import ./downloaded adapters_hub/theirs-lora --base FacebookAI/xlm-roberta-base --task mnli
      adapter-stilts hub import hf://someone/mnli-lora adapters_hub/theirs-lora --base FacebookAI/xlm-roberta-base
    """
    from adapter_stilts import bundles

    made = bundles.import_bundle(address, bundle, base=base, task=task, note=note)
    if as_json:
        say_json({"bundle": bundle, **made.model_dump(mode="json")})
    else:
        say(f"{bundle}: {_title(made)}, without a head")
    return 0


def _bundles_at(where: str) -> list[str]:
    from pathlib import Path

    from adapter_stilts.errors import UsageError
    from adapter_stilts.hub.address import SCHEME, bundles_in
    from adapter_stilts.hub.transfer import hub_bundles

    if where.startswith(SCHEME):
        organisation = where.removeprefix(SCHEME).strip("/")
        if not organisation or "/" in organisation:
            raise UsageError(f"{where}: `hub list` takes hf://ORG; `hub show {where}` shows one bundle")
        return [str(address) for address in hub_bundles(organisation)]
    if not Path(where).is_dir():
        raise UsageError(f"{where}: no such folder; `hub push BUNDLE {where}/NAME` makes one")
    return [str(path) for path in bundles_in(Path(where))]


def _row(address: str) -> dict[str, Any]:
    """One line of a list; a bundle that cannot be read is listed with the reason."""
    from adapter_stilts.errors import AdapterStiltsError
    from adapter_stilts.hub.transfer import describe

    try:
        told = describe(address)
    except (AdapterStiltsError, OSError) as error:
        return {"address": address, "error": str(error)}
    info = told.info
    names = ("tuning", "task", "format", "base", "metrics")
    return {
        "address": address,
        **{name: value for name, value in info.model_dump(mode="json").items() if name in names},
        "dev": list(info.dev_languages),
        "bytes": sum(told.sizes.values()) or None,
    }


def _title(info: BundleInfo) -> str:
    return f"{info.tuning} of {info.task}"
