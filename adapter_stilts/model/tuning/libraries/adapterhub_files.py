"""AdapterHub's files: what a config may say, and the head beside it. Everything is checked before it is used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import BundleError
from adapter_stilts.model import task_classes
from adapter_stilts.model.bundle_files import HEAD
from adapter_stilts.model.tuning.libraries.adapterhub_package import adapterhub
from adapter_stilts.model.tuning.libraries.frozen import read_config
from adapter_stilts.model.weights import read_tensors

if TYPE_CHECKING:
    from torch import Tensor

CONFIG = "adapter_config.json"
WEIGHTS = "adapter.safetensors"
SETUP = "adapter_setup.json"
FUSION_CONFIG = "adapter_fusion_config.json"
FUSION_WEIGHTS = "model_adapter_fusion.safetensors"
HEAD_CONFIG = "head_config.json"
HEAD_WEIGHTS = "model_head.safetensors"


def load_head(directory: Path, format_name: str) -> dict[str, Tensor]:
    """The head's tensors by our names. Raises BundleError."""
    if (directory / HEAD).is_file():
        return read_tensors(directory / HEAD)
    path = folder_of_head(directory) / HEAD_WEIGHTS
    return task_classes.head_from_task_class(type_of_head(path.parent), format_name, read_tensors(path), path)


def type_of_head(directory: Path) -> str:
    """The type of encoder whose task class names a head's tensors. Raises BundleError."""
    model_type = read_config(directory / HEAD_CONFIG).get("model_type")
    if not isinstance(model_type, str) or not task_classes.is_known(model_type):
        raise BundleError(f"{directory / HEAD_CONFIG}: model_type = {model_type!r}: of no encoder known here")
    return model_type


def folder_of_head(directory: Path) -> Path:
    """Where a head's files are: of a composition in the folder of one of its parts, of one adapter beside it."""
    name = read_config(directory / SETUP).get("head_setup") if (directory / SETUP).is_file() else None
    # ``true`` is the head at the root, as compositions had it before.
    if not isinstance(name, str):
        return directory
    if not re.fullmatch(r"[\w-]+", name):
        raise BundleError(
            f"{directory / SETUP}: head_setup = {name!r}: should name a part of the composition"
        )
    return directory / name


def read_adapter_config(path: Path, encoder: Any) -> tuple[str, dict[str, Any]]:
    """Name and config of an adapter in a file: known fields with values of their kind, for this encoder.

    Args:
        encoder: its config object; None where it is not at hand.

    Raises:
        BundleError: another encoder, another method than those trained here, an unknown field, or a value that
            cannot be what it should.
    """
    library = adapterhub()

    values = read_config(path)
    for field, kind in (("model_type", str), ("hidden_size", int)):
        value = values.get(field)
        if type(value) is not kind or not value:
            raise BundleError(f"{path}: {field} = {value!r}: of no encoder")
        if encoder is not None and value != getattr(encoder, field):
            raise BundleError(
                f"{path}: made for an encoder with {field} {value!r}, not {getattr(encoder, field)!r}"
            )
    name, config = values.get("name"), values.get("config")
    if not isinstance(name, str) or not name or not isinstance(config, dict) or not config:
        raise BundleError(f"{path}: should hold a name and a config")
    architecture = config.get("architecture")
    if architecture not in (None, "prefix_tuning"):
        raise BundleError(
            f"{path}: architecture {architecture!r}; bottlenecks and prefix_tuning are read here"
        )
    known: Any = type(library.ADAPTER_CONFIG_MAP["prefix_tuning" if architecture else "seq_bn"])
    usual = known().to_dict() | {"architecture": architecture}
    for field, value in config.items():
        if field not in usual:
            raise BundleError(f"{path}: unknown field config.{field}")
        if not _usable(field, value, usual[field]):
            raise BundleError(f"{path}: config.{field} = {value!r} is not supported")
    try:
        loaded: Any = library.AdapterConfig.load(config)
    except (TypeError, ValueError, KeyError) as error:
        raise BundleError(f"{path}: config is incomplete ({error})") from error
    return name, loaded.to_dict()


# Fields that may hold a word beside a value of their usual kind.
_WORDS = {"scaling": ("learned", "channel"), "residual_before_ln": ("post_add",)}
# Fields that are not read here with any other value.
_FIXED = ("inv_adapter", "inv_adapter_reduction_factor", "init_weights_seed", "stochastic_depth")
_WHOLE = ("phm_dim", "phm_rank", "prefix_length", "bottleneck_size")


def _usable(field: str, value: Any, usual: Any) -> bool:
    """Whether a field's value is of its usual kind, and one that a bundle may ask for."""
    if field in _FIXED:
        return bool(value == usual)
    if field == "leave_out":
        return isinstance(value, list) and all(isinstance(layer, int) for layer in value)
    if isinstance(value, str) and value in _WORDS.get(field, ()):
        return True
    if isinstance(usual, (int, float)) and not isinstance(usual, bool):
        kinds = (int,) if field in _WHOLE else (int, float)
        return isinstance(value, kinds) and not isinstance(value, bool) and value >= 0
    return type(value) is type(usual)
