"""The tensors that a whole bundle has to hold, by what its config and its account say: each of its shape, once.

Models are built on torch's meta device, which allocates nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import BundleError
from adapter_stilts.formats import get_format
from adapter_stilts.model import door, sentence_vectors, task_classes
from adapter_stilts.model.bundle_files import DIGESTS, HEAD, HEADS, Headers, Shapes, shapes_in
from adapter_stilts.model.bundle_info import NO_HEAD
from adapter_stilts.model.stored import WEIGHTS
from adapter_stilts.model.weights import check_shapes, shapes_of

if TYPE_CHECKING:
    from adapter_stilts.model.bundle_info import BundleInfo

FILES = (
    "README.md", DIGESTS, "bundle.json", door.CONFIG, WEIGHTS, HEAD, HEADS, "tokenizer.json", "vocab.json",
    "vocab.txt", "merges.txt", door.TOKENIZER_CONFIG, "special_tokens_map.json", "added_tokens.json",
)  # fmt: skip
"""Files of a whole bundle. Others change what libraries load: adapter_config.json sends them to another base."""

TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt")
"""One of which is a tokenizer's vocabulary."""


def check_whole(directory: Path, info: BundleInfo, headers: Headers) -> None:
    """Raises BundleError where a bundle with an encoder of its own holds other tensors than it says.

    Args:
        headers: of its files, as `check_files` read them.
    """
    for name in (door.CONFIG, WEIGHTS):
        if name not in headers:
            raise BundleError(f"{directory}: {name} is missing, which a bundle of --mode {info.tuning} holds")
    if odd := sorted(headers.keys() - {*FILES, *sentence_vectors.FILES}):
        raise BundleError(
            f"{directory}: {odd[0]} is none of a whole model's files: {', '.join(FILES)}. Remove it"
        )
    if headers.keys() & set(sentence_vectors.FILES):
        sentence_vectors.check_layout(directory)
    if not headers.keys() & set(TOKENIZERS):
        raise BundleError(
            f"{directory}: no tokenizer ({', '.join(TOKENIZERS)}), without which a whole model reads no text"
        )
    door.check_tokenizer(directory)
    where = directory / door.CONFIG
    config = door.build_config(door.read_config(where), str(where))
    encoder, tied = door.encoder_shapes(config, str(where))
    found = shapes_in(headers, directory, WEIGHTS)
    prefix = task_classes.prefix_in(config.model_type, found)
    expected = {prefix + name: shape for name, shape in encoder.items()}
    for names_of_one in tied:  # T5's embeddings have two, and are kept under one of them
        same = {prefix + name for name in names_of_one}
        for name in same - {min(same & found.keys() or same)}:
            del expected[name]
    if info.format != NO_HEAD and not info.heads:
        head = _head_shapes(info.format, info.labels, config, info.pooler)
        if head and task_classes.has_task_class(config.model_type, info.format, info.pooler):
            expected |= task_classes.head_to_task_class(config.model_type, info.format, head)
        elif head:
            check_shapes(head, shapes_in(headers, directory, HEAD), directory / HEAD)
    check_shapes(expected, found, directory / WEIGHTS)
    if info.heads:
        several = {
            f"{name}.{key}": shape
            for name, head in info.heads.items()
            for key, shape in (_head_shapes(head.format, head.labels, config, head.pooler) or {}).items()
        }
        check_shapes(several, shapes_in(headers, directory, HEADS), directory / HEADS)


def _head_shapes(format_name: str, labels: tuple[str, ...], config: Any, pooler: bool) -> Shapes | None:
    """A head's tensors by our names; None where the format has none."""
    import torch

    shape = get_format(format_name).head_shape(labels)
    if shape is None:
        return None
    if shape.states != "masked_tokens":
        return shape.tensors(int(config.hidden_size), pooler)
    from adapter_stilts.model.language_head import LanguageHead

    with torch.device("meta"):
        return shapes_of(LanguageHead(config, 0).state_dict())
