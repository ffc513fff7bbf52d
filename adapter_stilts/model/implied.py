"""The tensors that a whole bundle has to hold, by what its config and its account say: each of its shape, once.

The encoder is built on torch's meta device, which allocates nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import BundleError
from adapter_stilts.formats import get_format
from adapter_stilts.model import door, families
from adapter_stilts.model.encoders import encoder_class
from adapter_stilts.model.tensor_files import read_header
from adapter_stilts.model.weights import SHOWN

if TYPE_CHECKING:
    from adapter_stilts.model.bundle import BundleInfo

Shapes = Mapping[str, tuple[int, ...]]
WEIGHTS, HEAD, HEADS = "model.safetensors", "head.safetensors", "heads.safetensors"
NO_HEAD = "none"
FILES = (
    "README.md", "SHA256SUMS", "bundle.json", door.CONFIG, WEIGHTS, HEAD, HEADS, "tokenizer.json", "vocab.json",
    "vocab.txt", "merges.txt", door.TOKENIZER_CONFIG, "special_tokens_map.json", "added_tokens.json",
)  # fmt: skip
"""Of a whole bundle. Others change what libraries load: adapter_config.json sends them to another base."""


def check_whole(directory: Path, info: BundleInfo, names: Iterable[str]) -> None:
    """Raises BundleError where a bundle with an encoder of its own holds other tensors than it says."""
    held = set(names)
    for name in (door.CONFIG, WEIGHTS):
        if name not in held:
            raise BundleError(f"{directory}: {name} is missing, which a bundle of --mode {info.tuning} holds")
    if odd := sorted(held - set(FILES)):
        raise BundleError(
            f"{directory}: {odd[0]} is none of a whole model's files: {', '.join(FILES)}. Remove it"
        )
    door.check_tokenizer(directory)
    where = directory / door.CONFIG
    config = door.build_config(door.read_config(where), str(where))
    encoder, tied = encoder_shapes(config, str(where))
    found = {name: entry.shape for name, entry in read_header(directory / WEIGHTS).items()}
    known = families.is_known(config.model_type)
    prefix = f"{families.encoder_prefix(config.model_type)}." if known else ""
    prefix = prefix if any(name.startswith(prefix) for name in found) else ""
    expected = {prefix + name: shape for name, shape in encoder.items()}
    for names_of_one in tied:  # T5's embeddings have two, and are kept under one of them
        same = {prefix + name for name in names_of_one}
        for name in same - {min(same & found.keys() or same)}:
            del expected[name]
    if info.format != NO_HEAD and not info.heads:
        head = _head_shapes(info.format, info.labels, config)
        if head and families.has_task_class(config.model_type, info.format):
            expected |= _named(config.model_type, info.format, head)
        elif head:
            _compare(_of(directory, HEAD, held), head, directory / HEAD)
    _compare(found, expected, directory / WEIGHTS)
    if info.heads:
        several = {
            f"{name}.{key}": shape
            for name, head in info.heads.items()
            for key, shape in (_head_shapes(head.format, head.labels, config) or {}).items()
        }
        _compare(_of(directory, HEADS, held), several, directory / HEADS)


def encoder_shapes(config: Any, where: str) -> tuple[dict[str, tuple[int, ...]], list[set[str]]]:
    """The shapes of the bare encoder's tensors by name, and the names that are of one tensor. Raises BundleError."""
    import torch

    made = encoder_class(config)

    pooler = {"add_pooling_layer": False} if "add_pooling_layer" in inspect.signature(made).parameters else {}
    config._attn_implementation = door.attention_of(made)
    try:
        with torch.device("meta"):
            encoder = made(config, **pooler)
    except Exception as error:  # whatever a library's constructor runs into
        raise BundleError(f"{where}: makes no encoder ({type(error).__name__}: {error})") from error
    state = encoder.state_dict(keep_vars=True)
    same: dict[int, set[str]] = {}
    for name, tensor in state.items():
        same.setdefault(id(tensor), set()).add(name)
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    return shapes, [names for names in same.values() if len(names) > 1]


def _head_shapes(format_name: str, labels: tuple[str, ...], config: Any) -> dict[str, tuple[int, ...]] | None:
    """A head's tensors by our names; None where the format has none."""
    shape = get_format(format_name).head_shape(labels)
    if shape is None:
        return None
    hidden = int(config.hidden_size)
    if shape.outputs == 0:  # language modelling's, tied to the embeddings
        square = {"dense.weight": (hidden, hidden), "dense.bias": (hidden,)}
        norm = {"norm.weight": (hidden,), "norm.bias": (hidden,)}
        return {**square, **norm, "bias": (int(config.vocab_size),)}
    dense = {"dense.weight": (hidden, hidden), "dense.bias": (hidden,)} if shape.dense else {}
    return {**dense, "output.weight": (shape.outputs, hidden), "output.bias": (shape.outputs,)}


def _named(model_type: str, format_name: str, head: Shapes) -> dict[str, tuple[int, ...]]:
    names = families.head_names(model_type, format_name)
    return {f"{names[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": shape for key, shape in head.items()}


def _of(directory: Path, name: str, held: set[str]) -> dict[str, tuple[int, ...]]:
    if name not in held:
        raise BundleError(f"{directory}: {name} is missing, which holds what answers")
    return {key: entry.shape for key, entry in read_header(directory / name).items()}


def _compare(found: Shapes, expected: Shapes, where: Path) -> None:
    """Raises BundleError where names or shapes differ."""
    if missing := sorted(expected.keys() - found.keys()):
        raise BundleError(f"{where}: {len(missing)} tensors are missing, e.g. {', '.join(missing[:SHOWN])}")
    if extra := sorted(found.keys() - expected.keys()):
        raise BundleError(
            f"{where}: {len(extra)} tensors have no place in this model, e.g. {', '.join(extra[:SHOWN])}"
        )
    for name, shape in expected.items():
        if found[name] != shape:
            raise BundleError(f"{where}: {name} has shape {found[name]}, its config implies {shape}")
