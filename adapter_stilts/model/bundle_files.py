"""The files of a bundle, before anything in them is used: plain files of known kinds, with the digests it lists.

Safetensors, JSON and Markdown hold data alone. Anything else (a pickle, code, a link, a pipe, a file not listed)
is refused by its name. `hub verify`, `pull`, and every verb that reads a folder of one's own look at the same things.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from adapter_stilts.errors import BundleError, PlainFilesError
from adapter_stilts.io import sha256_file
from adapter_stilts.model.door import refuse_code
from adapter_stilts.model.strict_json import read_json
from adapter_stilts.model.tensor_files import Stored, check_tensors

DIGESTS = "SHA256SUMS"
HEAD = "head.safetensors"
"""Where Transformers has no task class of the bare encoder and our head, its tensors stand here under our names."""
PLAIN_CONFIG = "adapter_config.json"
"""What PEFT and AdapterHub call the config of an adapter, in a bundle or in a folder of their own."""
HEADS = "heads.safetensors"
"""Several heads of one bundle (`model/multitask.py`)."""
VOCABULARIES = ("tokenizer.json", "vocab.json", "added_tokens.json")
"""Whose keys are pieces of text."""
HOUSEKEEPING = (".git", ".gitattributes", ".cache")
"""Names that git, the hub and its tools put beside a bundle's files: neither part of it nor read."""
SUFFIXES = (".safetensors", ".json", ".md")
NAMES = (DIGESTS, "vocab.txt", "merges.txt")
"""Allowed by name: the digests, and the word lists of tokenizers."""
LARGEST_LISTING = 1_000_000

_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_,.+=-]*", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


Headers = Mapping[str, Mapping[str, Stored]]
"""Every file's name; for safetensors with its tensors, for others with none."""


Shapes = Mapping[str, tuple[int, ...]]
"""Tensors of a file, or of a part of a model, by name."""


def shapes_in(headers: Headers, directory: Path, name: str) -> dict[str, tuple[int, ...]]:
    """The shapes of a file's tensors. Raises BundleError where it is not there."""
    if name not in headers:
        raise BundleError(f"{directory}: {name} is missing, which holds what answers")
    return {key: stored.shape for key, stored in headers[name].items()}


def check_files(directory: Path) -> Headers:
    """Every file's kind, digest and form. Returns their names, and what tensors they hold.

    Raises:
        BundleError: names the file that should not be there, or differs from its digest, or is not what its name says.
    """
    names = files_of(directory)
    check_names(names, str(directory))
    _check_digests(directory, {name for name in names if name != DIGESTS})
    headers: dict[str, Mapping[str, Stored]] = {name: {} for name in names}
    for name in names:
        if name.endswith(".safetensors"):
            headers[name] = check_tensors(directory / name)
        elif name.endswith(".json"):
            values = read_json(directory / name)
            if isinstance(values, dict) and name not in VOCABULARIES:
                refuse_code(values, str(directory / name))
    return headers


def check_names(names: Iterable[str], where: str) -> None:
    """Raises BundleError where a file's name is not of a kind that a bundle holds, or lies too deep."""
    found = set(names)
    if "bundle.json" not in found and PLAIN_CONFIG in found:
        raise no_bundle(where, found)
    for name in sorted(found):
        parts = name.split("/")
        if len(parts) > 2 or not all(_PLAIN.fullmatch(part) for part in parts):
            raise BundleError(
                f"{where}: {name!r} is not a plain file of the bundle or of a folder in it (letters, digits and _,.+=-)"
            )
        if not parts[-1].endswith(SUFFIXES) and parts[-1] not in NAMES:
            pickled = " (a pickle, which is never read)" if name.endswith(_PICKLES) else ""
            raise BundleError(
                f"{where}: {name} is none of {', '.join(f'*{suffix}' for suffix in SUFFIXES)}, {', '.join(NAMES)}"
                f"{pickled}: nothing else is shared. Remove it (and its line in "
                f"{DIGESTS}), or ask who made the bundle for its weights as safetensors"
            )
    if "bundle.json" not in found:
        raise no_bundle(where, found)
    if DIGESTS not in found:
        raise BundleError(
            f"{where}: no {DIGESTS}, so it is no bundle of ours; it holds {', '.join(sorted(found))}"
        )


def no_bundle(where: Path | str, names: Iterable[str]) -> BundleError:
    """What to say of files without ours beside them, wherever they were met.

    Args:
        names: of the files.
    """
    found = sorted(names)
    told = f"{where}: no bundle.json, so it is no bundle of ours; it holds {', '.join(found) or 'nothing'}"
    if PLAIN_CONFIG in found:
        return PlainFilesError(
            f"{told}: plain files of PEFT or AdapterHub, which do not say for certain what base they are of. "
            "`adapter-stilts hub import FOLDER NEW_FOLDER --base BASE` makes a bundle of them; train --inter, "
            "evaluate, compose and export take them as they are"
        )
    if "stage.json" in found:
        return BundleError(
            f"{told}. It is a stage's folder, and the bundle of a train stage lies in it: {where}/bundle"
        )
    return BundleError(f"{told}. `train` leaves a bundle in each train stage: <store>/train-…/bundle")


def files_of(directory: Path) -> list[str]:
    """The names of all files of a folder and of the folders in it.

    What git and the hub's own tools leave is passed over; it is neither read nor carried.

    Raises:
        BundleError: a link, a device, a pipe, or a folder within a folder.
    """
    found = []
    blobs = _blobs(directory)
    for path in sorted(directory.iterdir()):
        if path.name in HOUSEKEEPING:
            continue
        if stat.S_ISDIR(path.lstat().st_mode):
            inner = [plain_file(entry, directory, blobs) for entry in sorted(path.iterdir())]
            if not inner:
                raise BundleError(f"{path}: an empty folder, which no bundle holds")
            found += inner
        else:
            found.append(plain_file(path, directory, blobs))
    return found


def _blobs(directory: Path) -> Path | None:
    """Where the links of a snapshot in huggingface_hub's cache lead; None for any other folder, which has no links."""
    snapshot = directory.absolute()
    cache = snapshot.parent.parent
    if snapshot.parent.name == "snapshots" and cache.name.startswith("models--"):
        return (cache / "blobs").resolve()
    return None


def plain_file(path: Path, directory: Path, blobs: Path | None = None) -> str:
    """A plain file's name in a folder. Raises BundleError where it is a link, a device or a pipe.

    Args:
        blobs: where links may lead; None looks whether the folder is a snapshot of huggingface_hub's cache.
    """
    blobs = _blobs(directory) if blobs is None else blobs
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode) and blobs is not None and path.resolve().is_relative_to(blobs):
        mode = path.stat().st_mode
    if stat.S_ISLNK(mode):
        raise BundleError(f"{path}: a link, which may lead out of the bundle; put the file itself there")
    if not stat.S_ISREG(mode):
        raise BundleError(f"{path}: not a plain file")
    return path.relative_to(directory).as_posix()


def _check_digests(directory: Path, present: set[str]) -> None:
    listing = directory / DIGESTS
    if listing.stat().st_size > LARGEST_LISTING:
        raise BundleError(f"{listing}: larger than the listing of any bundle ({LARGEST_LISTING:,} bytes)")
    listed: dict[str, str] = {}
    for number, line in enumerate(listing.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        digest, separator, name = line.partition("  ")
        parts = name.split("/")
        if not separator or len(parts) > 2 or any(not part or part.startswith(".") for part in parts):
            raise BundleError(f"{listing}:{number}: not 'DIGEST  NAME' with a plain name: {line[:200]!r}")
        if not _DIGEST.fullmatch(digest) or name in listed:
            why = "listed twice" if name in listed else "its digest is none of sha256"
            raise BundleError(f"{listing}:{number}: {name}: {why}")
        listed[name] = digest
    for name in sorted(present - listed.keys()):
        raise BundleError(f"{directory / name}: not listed in {DIGESTS}")
    for name, digest in listed.items():
        if name not in present:
            raise BundleError(f"{directory}: {name} is listed in {DIGESTS} but missing")
        if sha256_file(directory / name) != digest:
            raise BundleError(f"{directory / name}: its digest differs from {DIGESTS}: damaged or changed")
