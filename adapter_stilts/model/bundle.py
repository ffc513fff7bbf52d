"""Bundles: the files of one trained thing, loadable by its own library, with our account of it beside them.

    config.json, model.safetensors     Transformers' own task class (full), or the encoder alone
    tokenizer.json ...                 the tokenizer it was trained with (full)
    adapter_config.json, adapter_model.safetensors                          PEFT's (lora, dora, rslora, ia3)
    adapter_config.json, adapter.safetensors, head_config.json, model_head.safetensors    AdapterHub's (adapter)
    heads.safetensors                  its several heads (`model/multitask.py`)
    bundle.json                        what it is: base, task, labels, parents, metrics, versions
    README.md                          a model card
    SHA256SUMS                         digests of all of the above

Safetensors only: no pickle is written or read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapter_stilts.errors import BundleError
from adapter_stilts.io import sha256_file, write_json, write_text
from adapter_stilts.model.card import model_card
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.recipe import Base

SCHEMA = 1
DIGESTS = "SHA256SUMS"
HOUSEKEEPING = (".git", ".gitattributes", ".cache")
"""What git, the hub and its tools put beside a bundle's files: neither part of it nor read."""
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


class HeadInfo(BaseModel):
    """One of several heads, in `heads.safetensors`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    labels: tuple[str, ...]
    tasks: tuple[str, ...]
    """What it was trained on."""


class BundleInfo(BaseModel):
    """bundle.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA
    tuning: str
    base: str
    base_revision: str | None
    base_fingerprint: str
    task: str
    format: str
    labels: tuple[str, ...]
    settings: dict[str, Any]
    """Resolved settings of the stage and of its format."""
    parents: tuple[str, ...]
    """Keys of the stages it was trained from."""
    metrics: dict[str, float]
    """English dev metrics of the chosen checkpoint, in percent."""
    versions: dict[str, str]
    heads: dict[str, HeadInfo] = Field(default_factory=dict)
    """Of a stage over several tasks: its heads by name. Empty where there is one, of `format` and `labels`."""
    command: str | None = None
    """What makes it; None where that is not known."""

    def answers(self, format_name: str, labels: tuple[str, ...]) -> bool:
        """Whether a head fits."""
        return (self.format, self.labels) == (format_name, labels) or self.head(
            format_name, labels
        ) is not None

    def head(self, format_name: str, labels: tuple[str, ...]) -> str | None:
        """The name of the head that fits, where there are several."""
        fitting = [
            name for name, head in self.heads.items() if (head.format, head.labels) == (format_name, labels)
        ]
        return fitting[0] if fitting else None


def write_bundle(directory: Path, info: BundleInfo, tokenizer: Any, loading: str | None = None) -> None:
    """Complete a directory that already holds the weights.

    Args:
        tokenizer: saved with a whole encoder; what is added to a base leaves the tokenizer to the base.
        loading: the Python that loads it, for its card.
    """
    if get_tuning(info.tuning).WHOLE:
        # tokenizer.json alone: what else older classes read (SentencePiece's file) says the same again.
        tokenizer.save_pretrained(directory, legacy_format=False)
    unused = {name for name in ("heads", "command") if not getattr(info, name)}
    write_json(directory / "bundle.json", info.model_dump(exclude=unused))
    write_text(directory / "README.md", model_card(info, loading))
    names = sorted(_present(directory))
    write_text(directory / DIGESTS, "".join(f"{sha256_file(directory / name)}  {name}\n" for name in names))


def read_bundle(directory: Path) -> BundleInfo:
    """Read and verify a bundle.

    Raises:
        BundleError: not a bundle, a newer schema, a file missing, changed or not listed, or a pickle.
    """
    if not (directory / "bundle.json").is_file():
        raise no_bundle(directory, _names(directory))
    _verify(directory)
    return read_info(directory)


def no_bundle(where: Path | str, names: Iterable[str]) -> BundleError:
    """What to say of files without ours beside them, wherever they were met.

    Args:
        names: of the files.
    """
    found = sorted(names)
    told = f"{where}: no bundle.json, so it is no bundle of ours; it holds {', '.join(found) or 'nothing'}"
    if "adapter_config.json" in found:
        return BundleError(
            f"{told}: plain files of PEFT or AdapterHub, which do not say for certain what base they are of. "
            "`adapter-stilts hub import FOLDER NEW_FOLDER --base BASE` makes a bundle of them"
        )
    return BundleError(f"{told}. `train` leaves a bundle in each train stage")


def _names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()] if directory.is_dir() else []


def read_info(directory: Path) -> BundleInfo:
    """What a bundle says it is, with no look at its other files. Raises BundleError."""
    path = directory / "bundle.json"
    if not path.is_file():
        raise no_bundle(directory, _names(directory))
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        schema = values.get("schema_version") if isinstance(values, dict) else None
        if isinstance(schema, int) and schema > SCHEMA:
            raise BundleError(f"{directory}: written by a newer version (schema {schema}); upgrade")
        return BundleInfo.model_validate(values)
    except (ValidationError, ValueError) as error:
        raise BundleError(f"{path}: {error}") from error


def base_of(directory: Path, info: BundleInfo) -> Base:
    """Where the encoder of a bundle is: in it, or at the base it was trained on."""
    if get_tuning(info.tuning).WHOLE:
        return Base(id=str(directory))
    return Base(id=info.base, revision=info.base_revision or "main")


def check_base(directory: Path, info: BundleInfo, base: str, fingerprint: str) -> None:
    """Raises BundleError where a bundle that is added to a base meets another than its own."""
    if not get_tuning(info.tuning).WHOLE and info.base_fingerprint != fingerprint:
        raise BundleError(
            f"{directory} was trained on the base {info.base!r} (fingerprint {info.base_fingerprint[:12]}), this is "
            f"{base!r} ({fingerprint[:12]}): on another base its numbers mean nothing. Give --base with its own"
        )


def bundle_digest(directory: Path) -> str:
    """What identifies a bundle's content: the digest of its digests."""
    return sha256_file(directory / DIGESTS)


def _verify(directory: Path) -> None:
    listing = directory / DIGESTS
    if not listing.is_file():
        raise BundleError(f"{directory}: {DIGESTS} is missing, so nothing in it can be trusted")
    listed = {}
    for number, line in enumerate(listing.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        digest, separator, name = line.partition("  ")
        parts = name.split("/")
        if not separator or len(parts) > 2 or any(not part or part.startswith(".") for part in parts):
            raise BundleError(f"{listing}:{number}: not 'DIGEST  NAME' with a plain name: {line!r}")
        listed[name] = digest
    present = _present(directory)
    for name in sorted(present):
        if name.endswith(_PICKLES):
            raise BundleError(f"{directory / name}: a pickle, which is never read")
        if name not in listed:
            raise BundleError(f"{directory / name}: not listed in {DIGESTS}")
    for name, digest in listed.items():
        if name not in present:
            raise BundleError(f"{directory}: {name} is listed in {DIGESTS} but missing")
        if sha256_file(directory / name) != digest:
            raise BundleError(f"{directory / name}: its digest differs from {DIGESTS}: damaged or changed")


def _present(directory: Path) -> set[str]:
    """Every file but the listing, by its name inside the bundle; links and folders within folders as they are."""
    found = set()
    for path in directory.iterdir():
        if path.name in HOUSEKEEPING:
            continue
        inner = list(path.iterdir()) if path.is_dir() and not path.is_symlink() else []
        found |= {f"{path.name}/{entry.name}" for entry in inner} or {path.name}
    return found - {DIGESTS}
