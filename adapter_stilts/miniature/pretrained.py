"""The miniature's encoder as it ships: where it lies, and that its files are what pretraining left."""

from __future__ import annotations

from pathlib import Path

from adapter_stilts.errors import BundleError
from adapter_stilts.io import sha256_file, write_text

FOLDER = Path(__file__).parent / "encoder"
LOG = "pretraining.jsonl"
DIGESTS = "SHA256SUMS"
REBUILD = "python -m adapter_stilts.miniature.pretrain"


def encoder_folder(folder: Path = FOLDER) -> Path:
    """The folder of the encoder, every file checked against its digest.

    Raises:
        BundleError: a file is missing or differs; names it and the command that rebuilds the encoder.
    """
    try:
        lines = (folder / DIGESTS).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise BundleError(
            f"{folder}: the miniature's encoder is not there ({error.strerror}); rebuild: {REBUILD}"
        ) from error
    for line in lines:
        digest, _, name = line.partition("  ")
        path = folder / name
        found = sha256_file(path) if path.is_file() else "no such file"
        if found != digest:
            raise BundleError(
                f"{path}: is damaged: sha256 {found}, expected {digest}. Reinstall the package, or rebuild the encoder "
                f"(under an hour on two cores): {REBUILD}"
            )
    return folder


def seal(directory: Path) -> None:
    """Write the digests of a folder's files."""
    names = sorted(path.name for path in directory.iterdir() if path.is_file() and path.name != DIGESTS)
    write_text(directory / DIGESTS, "".join(f"{sha256_file(directory / name)}  {name}\n" for name in names))
