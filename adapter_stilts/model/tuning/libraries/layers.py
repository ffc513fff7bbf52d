"""Layers of an encoder that a tuning changes, or leaves as they are: which a recipe names, and what stands in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field

from adapter_stilts.errors import UsageError
from adapter_stilts.model.door import build_config, empty_encoder
from adapter_stilts.model.encoders import layers_of

if TYPE_CHECKING:
    from torch import nn

_RANGE = re.compile(r"\s*(\d{1,4})\s*(?:-\s*(\d{1,4})\s*)?", re.ASCII)
_EMBEDDINGS = ("embed", "shared")
"""Beginnings of the names of what stands before the layers: ``embeddings``, ``embed_tokens``, T5's ``shared``."""


def _numbers(value: Any) -> Any:
    """``0-5``, ``0-2,8`` or a list as the layers' numbers, sorted; anything else is left to pydantic to refuse."""
    if type(value) is int:
        value = [value]
    if isinstance(value, (list, tuple)):
        return sorted(set(value)) if all(type(number) is int for number in value) else value
    if not isinstance(value, str):
        return value
    found: set[int] = set()
    for part in value.split(","):
        match = _RANGE.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise ValueError(f"{value!r} names no layers: a range such as 0-5, or a list such as [0, 1, 5]")
        found.update(range(first, last + 1))
    return sorted(found)


LayerNumbers: TypeAlias = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), BeforeValidator(_numbers)
]
"""Numbers of layers, 0 being the first after the embeddings: a list, or a text such as ``0-5``."""


def within(layers: Iterable[int], depth: int, setting: str) -> None:
    """Raises UsageError where there is no such layer in an encoder of so many.

    Args:
        setting: that named them, e.g. ``tuning.lora.layers``.
    """
    beyond = [number for number in layers if number >= depth]
    if beyond:
        raise UsageError(
            f"{setting} names layer {beyond[0]}: this encoder has {depth}, which are 0 to {depth - 1}"
        )


def others(layers: Sequence[int], depth: int, setting: str) -> list[int]:
    """The layers that are not named. Raises UsageError as `within`."""
    within(layers, depth, setting)
    return [number for number in range(depth) if number not in layers]


def empty(config: Mapping[str, Any]) -> Any:
    """An encoder without numbers, by its config.json: to look at what stands in it."""
    return empty_encoder(build_config(config, "the base"), "the base")


def linear_in(encoder: nn.Module, layers: Sequence[int], targets: Sequence[str], setting: str) -> list[str]:
    """The full names of the linear layers that end in one of some endings, in some of an encoder's layers.

    Raises:
        UsageError: there is no such layer, or it holds none of them.
    """
    from torch import nn as torch_nn

    prefix, depth = _list_of(encoder, setting)
    within(layers, depth, setting)
    beginnings = {f"{prefix}.{number}.": number for number in layers}
    found: dict[str, int] = {}
    for name, module in encoder.named_modules():
        plain = name.removesuffix(".base_layer")  # of a layer that holds modules already
        number = next((n for beginning, n in beginnings.items() if plain.startswith(beginning)), None)
        ends = any(plain.endswith(f".{target}") for target in targets)
        if number is not None and ends and isinstance(module, torch_nn.Linear):
            found[plain] = number
    bare = sorted(set(layers) - set(found.values()))
    if bare:
        raise UsageError(f"{setting}: layer {bare[0]} holds no linear layer called {' or '.join(targets)}")
    return list(found)


def first_of(encoder: nn.Module, count: int, setting: str) -> list[str]:
    """The names of the parameters of an encoder's embeddings and of its first layers.

    What later layers read as well (DeBERTa's relative positions) is none of them. Raises UsageError as `linear_in`.
    """
    prefix, depth = _list_of(encoder, setting)
    if count > depth:
        raise UsageError(f"{setting} = {count}: this encoder has {depth} layers")
    beginnings = tuple(f"{prefix}.{number}." for number in range(count))
    return [
        name
        for name, _ in encoder.named_parameters()
        if name.startswith(beginnings)
        or (not name.startswith(f"{prefix}.") and any(p.startswith(_EMBEDDINGS) for p in name.split(".")))
    ]


def _list_of(encoder: nn.Module, setting: str) -> tuple[str, int]:
    """The name of an encoder's list of layers, and their number. Raises UsageError where they are not one list."""
    layers = layers_of(encoder)
    if layers is None:
        config: Any = encoder.config
        raise UsageError(
            f"{setting}: the layers of an encoder of type {config.model_type!r} are no list of their own (they share "
            "their weights, or are spread over several lists), so that none can be named: leave it out"
        )
    name = next(name for name, module in encoder.named_modules() if module is layers)
    return name, len(layers)
