"""Which of AdapterHub's bundles can enter training, alone or together: told by their configs, before one is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import BundleError
from adapter_stilts.model.bundle_files import Shapes, shapes_in
from adapter_stilts.model.door import build_config
from adapter_stilts.model.tuning.libraries.adapterhub_files import (
    CONFIG,
    FUSION_WEIGHTS,
    HEAD_WEIGHTS,
    SETUP,
    WEIGHTS,
    folder_of_head,
    read_adapter_config,
    type_of_head,
)
from adapter_stilts.model.tuning.libraries.adapterhub_package import is_installed
from adapter_stilts.model.tuning.libraries.frozen import read_config
from adapter_stilts.model.tuning.libraries.head_checks import check_heads, only_head

if TYPE_CHECKING:
    from adapter_stilts.model.bundle_files import Headers
    from adapter_stilts.model.bundle_info import BundleInfo

# What of a config says where a module stands and what it reads: AdapterFusion has one place for all that it weighs,
# and computes their input by the config of the last.
_PLACE = (
    "mh_adapter",
    "output_adapter",
    "is_parallel",
    "original_ln_before",
    "original_ln_after",
    "residual_before_ln",
    "adapter_residual_before_ln",
    "leave_out",
)
_NOUN = {"stack": "stack", "fuse": "fusion", "merge": "merge"}


def read_setup(path: Path) -> tuple[str, list[str]]:
    """A composition's kind (``Stack``, ``Fuse``) and the names of its children. Raises BundleError."""
    setup = read_config(path).get("adapter_setup")
    setup = setup if isinstance(setup, dict) else {}
    kind, children = setup.get("type"), setup.get("children")
    names = [_single(child) for child in (children if isinstance(children, list) else [])]
    plain = all(isinstance(name, str) and re.fullmatch(r"[\w-]+", name) for name in names)
    if kind not in ("Stack", "Fuse") or not plain or len(set(names)) < 2:
        raise BundleError(f"{path}: should hold a Stack or a Fuse of two or more plain names; got {setup!r}")
    return kind, names


def _single(child: Any) -> Any:
    """The name of a composition's child, where it is a single adapter."""
    inner = child.get("children") if isinstance(child, dict) and child.get("type") == "single" else None
    return inner[0] if isinstance(inner, list) and len(inner) == 1 else child


def check_nesting(bundle: Path, kind: str, names: Sequence[str], how: str) -> None:
    """Raises BundleError where a composition cannot be part of another.

    AdapterFusion weighs what the last adapter of a stack adds and forgets what those below it added. A stack on a stack
    is one stack.
    """
    if how != "continue" and (kind, how) != ("Stack", "stack"):
        raise BundleError(
            f"{bundle} is a {_NOUN[kind.lower()]} of adapters ({', '.join(names)}), and does not nest in a "
            f"{_NOUN[how]}: go on from it alone (--combine continue), or name the bundles that it was made of in its "
            "place"
        )


def check_files(directory: Path, info: BundleInfo, headers: Headers) -> None:
    """See `Tuning.check_files`. Where AdapterHub's package is missing, without which no such bundle is used, their
    configs are not read."""
    folders, weights = {"": directory}, {}
    if SETUP in headers:
        kind, names = read_setup(directory / SETUP)
        folders = {f"{name}/": directory / name for name in names}
        if kind == "Fuse":
            weights[f"{','.join(names)}/{FUSION_WEIGHTS}"] = f"adapter_fusion_layer.{','.join(names)}"
    read = is_installed()
    for before, folder in folders.items():
        if f"{before}{CONFIG}" not in headers:
            raise BundleError(f"{directory}: {before}{CONFIG} is missing, which says what the modules are")
        name = (
            read_adapter_config(folder / CONFIG, None)[0]
            if read
            else read_config(folder / CONFIG).get("name")
        )
        weights[before + WEIGHTS] = rf"(?:adapters|prefix_tunings|shared_parameters)\.{re.escape(str(name))}"
    for file, mark in weights.items():
        _check_names(directory, file, mark, headers)

    def in_library() -> tuple[Shapes, Path]:
        where = folder_of_head(directory) / HEAD_WEIGHTS
        shapes = shapes_in(headers, directory, where.relative_to(directory).as_posix())
        return only_head(type_of_head(where.parent), info.format, shapes, where), where

    check_heads(directory, info, headers, in_library)


def _check_names(directory: Path, file: str, mark: str, headers: Headers) -> None:
    """Raises BundleError where a file holds other tensors than those of the modules it is of."""
    if file not in headers:
        raise BundleError(f"{directory}: {file} is missing, which holds modules")
    own = re.compile(rf"(?:[\w.]*\.)?{mark}\.[\w.]+", re.ASCII)
    odd = sorted(key for key in headers[file] if not own.fullmatch(key))
    if odd or not headers[file]:
        raise BundleError(f"{directory / file}: {odd[0] if odd else 'nothing'} is no tensor of its modules")


def check_bundles(
    how: str, bundles: Sequence[Path | None], own: Mapping[str, Any], config: Mapping[str, Any]
) -> None:
    """See `Tuning.check_bundles`.

    Args:
        own: AdapterHub's config of what is yet to be trained.
        config: the encoder's.
    """
    encoder = build_config(config, "the base")
    read: list[tuple[str, Mapping[str, Any]]] = []
    for bundle in bundles:
        if bundle is None:
            read.append(("the recipe", own))
        elif (bundle / SETUP).exists():
            kind, names = read_setup(bundle / SETUP)
            check_nesting(bundle, kind, names, how)
            for name in names:
                read_adapter_config(bundle / name / CONFIG, encoder)
        else:
            read.append((str(bundle), read_adapter_config(bundle / CONFIG, encoder)[1]))
    for name, fields in read if how == "fuse" else ():
        _check_place(name, fields, *read[0])
    for name, fields in read if how == "merge" else ():
        _check_alike(name, fields, *read[0])


def _check_place(name: str, fields: Mapping[str, Any], first: str, known: Mapping[str, Any]) -> None:
    if fields.get("architecture") == "prefix_tuning":
        raise BundleError(
            f"{name} is a prefix, which has no output for AdapterFusion to weigh: --combine stack"
        )
    for field in _PLACE:
        if fields.get(field) != known.get(field):
            raise BundleError(
                f"{name} has {field} = {fields.get(field)!r}, {first} has {known.get(field)!r}: AdapterFusion weighs "
                "adapters of one architecture, which stand in the same places; --combine stack takes them as they are"
            )


def _check_alike(name: str, fields: Mapping[str, Any], first: str, known: Mapping[str, Any]) -> None:
    for field, value, theirs in differences(known, fields):
        raise BundleError(
            f"{name} has {field} = {theirs!r}, {first} has {value!r}: only adapters of one shape have a mean"
        )


def differences(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Fields, with both values, in which two adapters are not of one shape or do not compute alike."""
    for field, value in mine.items():
        if field != "dropout" and not field.startswith("init_weights") and theirs.get(field, value) != value:
            yield field, value, theirs[field]
