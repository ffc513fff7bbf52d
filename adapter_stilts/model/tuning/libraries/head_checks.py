"""Heads of bundles that do not hold their encoder: held against what the bundle says they answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from adapter_stilts.errors import BundleError
from adapter_stilts.formats import get_format
from adapter_stilts.model import task_classes
from adapter_stilts.model.bundle_files import HEAD, HEADS, Headers, Shapes, shapes_in
from adapter_stilts.model.bundle_info import NO_HEAD
from adapter_stilts.model.weights import check_shapes

if TYPE_CHECKING:
    from adapter_stilts.model.bundle_info import BundleInfo


def _check_head(shapes: Shapes, format_name: str, labels: tuple[str, ...], pooler: bool, where: Path) -> None:
    """Raises BundleError where a head's tensors, by our names, are not those of what it answers.

    The width of the states that it reads is the encoder's, and taken from the head itself.
    """
    shape = get_format(format_name).head_shape(labels)
    # Language modelling's is tied to the encoder's embeddings, whose sizes are not known here.
    if shape is None or shape.states == "masked_tokens":
        return
    output = shapes.get("output.weight", ())
    if len(output) != 2:
        raise BundleError(f"{where}: holds no output.weight of two dimensions, the head of {format_name}")
    check_shapes(shape.tensors(output[1], pooler), shapes, where)


def only_head(model_type: str, format_name: str, shapes: Shapes, where: Path) -> dict[str, tuple[int, ...]]:
    """A head's tensors by our names, of a file's that are no modules.

    Raises BundleError where one of the task class's is missing, or there is another.
    """
    head = task_classes.head_from_task_class(model_type, format_name, shapes, where)
    known = task_classes.head_to_task_class(model_type, format_name, head)
    if odd := sorted(shapes.keys() - known.keys()):
        raise BundleError(f"{where}: {odd[0]} is no tensor of the head of {format_name}")
    return head


def check_heads(
    directory: Path, info: BundleInfo, headers: Headers, in_library: Callable[[], tuple[Shapes, Path]]
) -> None:
    """Raises BundleError where a bundle's heads are not there, or not those of what it says it answers.

    Args:
        in_library: of one head that stands under its library's names: its tensors by ours, and their file.
    """
    if HEADS in headers and not info.heads:
        raise BundleError(f"{directory / HEADS}: the bundle says nothing of its heads. Remove it")
    if info.heads:
        _check_several(info, shapes_in(headers, directory, HEADS), directory / HEADS)
    elif info.format != NO_HEAD:
        beside = HEAD in headers
        shapes, where = (shapes_in(headers, directory, HEAD), directory / HEAD) if beside else in_library()
        _check_head(shapes, info.format, info.labels, info.pooler, where)


def _check_several(info: BundleInfo, shapes: Shapes, where: Path) -> None:
    for name, head in info.heads.items():
        own = {key.removeprefix(f"{name}."): s for key, s in shapes.items() if key.startswith(f"{name}.")}
        _check_head(own, head.format, head.labels, head.pooler, where)
    if odd := sorted(key for key in shapes if key.split(".", 1)[0] not in info.heads):
        raise BundleError(f"{where}: {odd[0]} is of no head that the bundle names")
