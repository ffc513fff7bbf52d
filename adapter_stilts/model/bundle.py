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

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapter_stilts.errors import BundleError, UsageError
from adapter_stilts.formats import format_names
from adapter_stilts.io import sha256_file, write_json, write_text
from adapter_stilts.model.bundle_files import DIGESTS, check_files, files_of, no_bundle
from adapter_stilts.model.bundle_info import MULTITASK, NO_HEAD, SCHEMA, TASK_NAME, BundleInfo
from adapter_stilts.model.card import model_card
from adapter_stilts.model.strict_json import read_object
from adapter_stilts.model.tuning import get_tuning, tuning_names
from adapter_stilts.recipe import Base
from adapter_stilts.tasks.declaration import Where
from adapter_stilts.tasks.declared import declaration_of

LARGEST_INFO = 4_000_000


def write_bundle(directory: Path, info: BundleInfo, tokenizer: Any, loading: str | None = None) -> None:
    """Complete a directory that already holds the weights.

    Args:
        tokenizer: saved with a whole encoder; what is added to a base leaves the tokenizer to the base.
        loading: the Python that loads it, for its card.
    """
    if get_tuning(info.tuning).WHOLE:
        # tokenizer.json alone: what else older classes read (SentencePiece's file) says the same again.
        tokenizer.save_pretrained(directory, legacy_format=False)
    unused: dict[str, Any] = {
        name: True for name in ("heads", "command", "pooler", "declared") if not getattr(info, name)
    }
    if info.heads:
        unused["heads"] = {name: {"pooler": True} for name, head in info.heads.items() if not head.pooler}
    write_json(directory / "bundle.json", info.model_dump(exclude=unused))
    write_text(directory / "README.md", model_card(info, loading))
    names = sorted(name for name in files_of(directory) if name != DIGESTS)
    write_text(directory / DIGESTS, "".join(f"{sha256_file(directory / name)}  {name}\n" for name in names))


def read_bundle(directory: Path) -> BundleInfo:
    """Read a bundle, after all of its files were looked at and held against what it says it is.

    Of a whole model that is every weight's name and shape; modules that are added to a base are held against that when
    they are loaded. A bundle that was looked at in this process is not again, as long as none of its files changed.

    Raises:
        BundleError: not a bundle, a newer schema, a file missing, changed, not listed or not of its kind, or weights
            that are not those of what it says it is.
    """
    if not (directory / "bundle.json").is_file():
        raise no_bundle(directory, _names(directory))
    seen = (str(directory.absolute()), _state(directory))
    if seen not in _looked_at:
        headers = check_files(directory)
        info = read_info(directory)
        _check_names(info, directory / "bundle.json")
        get_tuning(info.tuning).check_files(directory, info, headers)
        _looked_at[seen] = info
    return _looked_at[seen]


def _check_names(info: BundleInfo, path: Path) -> None:
    """Raises BundleError where a bundle says a task, a tuning or a format by a name that none has, or declares none."""
    if not TASK_NAME.fullmatch(info.task):
        raise BundleError(f"{path}: {info.task!r} is no task's name")
    if info.tuning not in tuning_names():
        raise BundleError(f"{path}: tuning = {info.tuning!r}; known here are {', '.join(tuning_names())}")
    for name in (info.format, *(head.format for head in info.heads.values())):
        if name not in (*format_names(), NO_HEAD, MULTITASK):
            raise BundleError(f"{path}: format = {name!r}; known here are {', '.join(format_names())}")
    for name, values in info.declared.items():
        try:
            found = declaration_of(values, Where(str(path)))
        except UsageError as error:
            raise BundleError(f"the declaration of {name!r} in {error}") from None
        if found.name != name:
            raise BundleError(f"{path}: the declaration of {name!r} calls it {found.name!r}")


_looked_at: dict[tuple[str, tuple[tuple[Any, ...], ...]], BundleInfo] = {}
"""By folder, as its files were when they were looked at."""


def _state(directory: Path) -> tuple[tuple[Any, ...], ...]:
    """What tells that no file of a bundle was changed since. Raises BundleError, as `files_of`."""
    found = [(name, (directory / name).stat()) for name in files_of(directory)]
    return tuple((name, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in found)


def _names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()] if directory.is_dir() else []


def read_info(directory: Path) -> BundleInfo:
    """The bundle.json of a bundle: what it says it is, with no look at its other files. Raises BundleError."""
    path = directory / "bundle.json"
    if not path.exists():
        raise no_bundle(directory, _names(directory))
    values = read_object(path, LARGEST_INFO)
    schema = values.get("schema_version")
    if isinstance(schema, int) and schema > SCHEMA:
        raise BundleError(f"{directory}: written by a newer version (schema {schema}); upgrade")
    try:
        return BundleInfo.model_validate(values)
    except ValidationError as error:
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
            f"{base!r} ({fingerprint[:12]}): on another base its numbers mean nothing. Give its own: --base {info.base}"
        )


def bundle_digest(directory: Path) -> str:
    """The digest of a bundle's digests, which identifies its content."""
    return sha256_file(directory / DIGESTS)
