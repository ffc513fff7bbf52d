"""The encoder's pooler, where a head reads it: the square layer with tanh on the first token's state.

The study's code (jiant) puts its heads of pairs and choices behind it; Transformers' task classes for XLM-R read the
first token's state itself. Here it is the first layer of such a head, which begins as the checkpoint's own and is
trained with it: XLM-R's checkpoints hold one, some others (RoBERTa's) none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import UsageError
from adapter_stilts.model import door, encoders
from adapter_stilts.model.stored import stored_tensors

if TYPE_CHECKING:
    from torch import Tensor


POOLER = {"pooler.weight": "pooler.dense.weight", "pooler.bias": "pooler.dense.bias"}
"""Its tensors in a head -> in a checkpoint."""


def check_pooler(values: Mapping[str, Any], name: str, key: str) -> None:
    """Raises UsageError where an encoder has no pooler that a head could read: tanh of one square layer.

    Args:
        values: the encoder's config.json.
        name: of the encoder, for the message.
        key: the recipe's, that asks for it.
    """
    import torch
    from torch import nn

    config = door.build_config(values, name)
    encoder_class = encoders.encoder_class(config)
    why = "have none"
    if encoders.bare_arguments(encoder_class):
        config._attn_implementation = door.attention_of(encoder_class)
        with torch.device("meta"):
            pooler: Any = encoder_class(config, add_pooling_layer=True).pooler
        layers = dict(pooler.named_modules()) if isinstance(pooler, nn.Module) else {}
        kinds = [type(layer) for name, layer in layers.items() if name]
        if list(layers) == ["", "dense", "activation"] and kinds == [nn.Linear, nn.Tanh]:
            return
        why = "have one of another kind than tanh of one square layer"
    raise UsageError(
        f"{key} = true: encoders of type {config.model_type!r} ({name}) {why}: leave it at false, where the head reads "
        "the first token's state"
    )


def pretrained_pooler(location: str, commit: str | None) -> dict[str, Tensor] | None:
    """A checkpoint's pooler as ``pooler.weight`` and ``pooler.bias``; None where it holds none.

    Args:
        location: a folder, or a hub id.

    Raises:
        BundleError, OSError, ValueError: its files cannot be read.
    """
    import torch

    from adapter_stilts.model.backbone import open_config

    config = open_config(location, commit)
    encoder_class = encoders.encoder_class(config)
    stored: Mapping[str, Any] | None = stored_tensors(location, commit)
    if (
        stored is None
    ):  # older checkpoints: torch's own files, of which Transformers reads nothing but tensors
        encoder, loading = encoder_class.from_pretrained(
            location,
            config=config,
            revision=commit or "main",
            add_pooling_layer=True,
            output_loading_info=True,
            trust_remote_code=False,
            attn_implementation=door.attention_of(encoder_class),
            dtype=torch.float32,
        )
        missing = set(loading["missing_keys"])
        stored = {name: tensor for name, tensor in encoder.state_dict().items() if name not in missing}
    for prefix in ("", f"{encoder_class.base_model_prefix}."):
        names = {ours: prefix + theirs for ours, theirs in POOLER.items()}
        if set(names.values()) <= stored.keys():
            return {ours: stored[theirs].to(torch.float32) for ours, theirs in names.items()}
    return None
