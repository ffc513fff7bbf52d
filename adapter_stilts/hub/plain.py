"""Plain folders of PEFT or AdapterHub: what others saved without us, in a folder or on the hub.

Of such a folder two files are read, its config and its weights; whatever else lies there is passed over, and on the
hub it is not fetched.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from adapter_stilts.errors import BundleError
from adapter_stilts.hub.address import SOURCE, Address, HubAddress, existing_folder, parse
from adapter_stilts.hub.transfer import snapshot
from adapter_stilts.io import sha256_directory, write_text
from adapter_stilts.model.bundle_files import PLAIN_CONFIG, plain_file

PICKLED = {"adapter_model.safetensors": "adapter_model.bin", "adapter.safetensors": "pytorch_adapter.bin"}
"""Weights of PEFT and of AdapterHub -> what older versions of both wrote in their stead."""


@dataclass(frozen=True)
class Plain:
    """A plain folder that is here.

    Args:
        directory: of a hub's repository, in huggingface_hub's cache.
        digest: of the two files that are read.
    """

    address: Address
    directory: Path
    digest: str

    @property
    def pinned(self) -> Address:
        """The address, at the commit that was found there."""
        where = self.address
        return where if isinstance(where, Path) else HubAddress(where.repository, self.directory.name)

    @property
    def name(self) -> str:
        """The folder's or the repository's."""
        where = self.address
        return where.resolve().name if isinstance(where, Path) else where.repository.partition("/")[2]


def is_plain(directory: Path) -> bool:
    """Whether a folder holds a library's adapter and no bundle."""
    return (directory / PLAIN_CONFIG).is_file() and not (directory / "bundle.json").is_file()


def find_plain(text: str) -> Plain:
    """A plain folder at an address.

    Raises:
        UsageError, SourceUnavailableError: as `transfer.fetch`.
        BundleError: its weights are a pickle, or are not there.
    """
    address = parse(text)
    if isinstance(address, Path):
        directory = existing_folder(address)
        names = files_to_read({path.name for path in directory.iterdir()}, str(directory))
    else:
        directory = snapshot(address, files_to_read)
        names = files_to_read({path.name for path in directory.iterdir()}, str(address))
    for name in names:
        plain_file(directory / name, directory)
    return Plain(address, directory, sha256_directory(directory, names))


def files_to_read(names: Collection[str], where: str) -> list[str]:
    """The two files of a plain folder that are read. Raises BundleError where they are not there."""
    if PLAIN_CONFIG not in names:
        raise BundleError(f"{where}: no {PLAIN_CONFIG}, so it holds no adapter of PEFT or AdapterHub")
    found = [name for name in PICKLED if name in names]
    if len(found) == 1:
        return [PLAIN_CONFIG, found[0]]
    if found:
        raise BundleError(f"{where}: holds {' and '.join(found)}: of two libraries; leave one of them")
    pickled = next(((new, old) for new, old in PICKLED.items() if old in names), None)
    if pickled is None:
        raise BundleError(
            f"{where}: holds neither {' nor '.join(PICKLED)}, the weights of PEFT or AdapterHub"
        )
    raise BundleError(
        f"{where}: its weights are {pickled[1]}, a pickle, which is never read: it may run code. Where you trust it, "
        f"convert it, in a place with nothing to lose:\n  {converting(*pickled)}"
    )


def converting(new: str, old: str) -> str:
    """The command that makes safetensors of a pickle, and runs no code that it holds."""
    return (
        'python -c "import torch; from safetensors.torch import save_file; '
        f"held = torch.load('{old}', map_location='cpu', weights_only=True); "
        f"save_file({{name: tensor.contiguous() for name, tensor in held.items()}}, '{new}')\""
    )


def write_source(folder: Path, address: Address) -> None:
    """Note beside a bundle where the plain folder is that it was made of."""
    write_text(folder / SOURCE, json.dumps({"address": str(address)}) + "\n")
