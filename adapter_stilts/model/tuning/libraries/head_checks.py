"""Heads of bundles that do not hold their encoder: held against what the bundle says they answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from adapter_stilts.errors import BundleError
from adapter_stilts.formats import get_format
from adapter_stilts.model import families
from adapter_stilts.model.bundle_files import HEADS
from adapter_stilts.model.tuning.base import NO_HEAD
from adapter_stilts.model.weights import check_shapes

if TYPE_CHECKING:
    from adapter_stilts.model.bundle import BundleInfo
    from adapter_stilts.model.bundle_files import Headers

Shapes = Mapping[str, tuple[int, ...]]


def shapes_in(headers: Headers, name: str) -> dict[str, tuple[int, ...]]:
    """The shapes of a file's tensors."""
    return {key: stored.shape for key, stored in headers[name].items()}


def has_one_head(info: BundleInfo) -> bool:
    """Whether a bundle has one head, of its format and labels."""
    return info.format != NO_HEAD and not info.heads


def check_head(shapes: Shapes, format_name: str, labels: tuple[str, ...], pooler: bool, where: Path) -> None:
    """Raises BundleError where a head's tensors, by our names, are not those of what it answers.

    The width of the states that it reads is the encoder's, and taken from the head itself.
    """
    shape = get_format(format_name).head_shape(labels)
    if (
        shape is None or shape.states == "masked_tokens"
    ):  # language modelling's is tied to the encoder's embeddings
        return
    output = shapes.get("output.weight", ())
    if len(output) != 2:
        raise BundleError(f"{where}: holds no output.weight of two dimensions, the head of {format_name}")
    check_shapes(shape.tensors(output[1], pooler), shapes, where)


def only_head(model_type: str, format_name: str, shapes: Shapes, where: Path) -> dict[str, tuple[int, ...]]:
    """A head's tensors by our names, of a file's that are no modules.

    Raises BundleError where one of the task class's is missing, or there is another.
    """
    head = families.head_from_task_class(model_type, format_name, shapes, where)
    known = families.head_to_task_class(model_type, format_name, head)
    if odd := sorted(shapes.keys() - known.keys()):
        raise BundleError(f"{where}: {odd[0]} is no tensor of the head of {format_name}")
    return head


def check_heads(directory: Path, info: BundleInfo, headers: Headers) -> None:
    """The same of a bundle with several heads. Raises BundleError."""
    where = directory / HEADS
    if not info.heads:
        if HEADS in headers:
            raise BundleError(f"{where}: the bundle says nothing of its heads. Remove it")
        return
    if HEADS not in headers:
        raise BundleError(f"{directory}: {HEADS} is missing, which holds what answers")
    shapes = shapes_in(headers, HEADS)
    for name, head in info.heads.items():
        own = {key.removeprefix(f"{name}."): s for key, s in shapes.items() if key.startswith(f"{name}.")}
        check_head(own, head.format, head.labels, head.pooler, where)
    if odd := sorted(key for key in shapes if key.split(".", 1)[0] not in info.heads):
        raise BundleError(f"{where}: {odd[0]} is of no head that the bundle names")
