"""An encoder as sentence-transformers loads it: its folder layout, and the encoder cut after the layer that is pooled.

The layout is that library's documentation's ("Creating Custom Models": modules.json, a folder for each module but the
first, sentence_bert_config.json). It pools the last layer's output by the mean over real tokens, special ones included,
as the retrieval format does with the layer it chooses: what lies above that layer is taken away.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from adapter_stilts.errors import BundleError, UsageError
from adapter_stilts.formats import retrieval
from adapter_stilts.formats.features import Features, Ragged
from adapter_stilts.io import write_json
from adapter_stilts.model.encoders import layers_of
from adapter_stilts.model.strict_json import read_json

if TYPE_CHECKING:
    from adapter_stilts.model.task_model import TaskModel

LIBRARY = "sentence-transformers"
POOLING = "1_Pooling"
_LIST = "modules.json"
FILES = (_LIST, "sentence_bert_config.json", "config_sentence_transformers.json", f"{POOLING}/config.json")
"""What stands in an export beside the files of a whole model."""
_MODULES = {"": "Transformer", POOLING: "Pooling"}
_MODES = (
    "cls_token",
    "mean_tokens",
    "max_tokens",
    "mean_sqrt_len_tokens",
    "weightedmean_tokens",
    "lasttoken",
)
# Of T5 and mT5 that library loads the encoder alone; of this one both halves, and asks for the second's input.
_WITHOUT_ENCODER_CLASS = ("umt5",)
_TOLERANCE = 1e-4


def check_type(model_type: str) -> None:
    """Raises UsageError where sentence-transformers cannot load an encoder of a type."""
    if model_type in _WITHOUT_ENCODER_CLASS:
        raise UsageError(
            f"--to {LIBRARY}: it loads a model of type {model_type!r} with its decoder, which a bundle does not hold; "
            "T5's and mT5's encoders it loads alone"
        )


def chosen_layer(layer: int | None, depth: int) -> int:
    """The hidden state that is pooled: as evaluations of retrieval choose it, unless it is named. Raises UsageError."""
    if layer is not None and not 1 <= layer <= depth:
        raise UsageError(
            f"--layer {layer}: an encoder of {depth} layers has states after its layers 1 to {depth}; 0 would be its "
            "embeddings alone, which are no encoder"
        )
    return max(1, retrieval.layer_for(retrieval.Settings(layer=layer), depth))


def cut(model: TaskModel, layer: int) -> None:
    """Take away the layers above one, in place, so that the encoder's result is that layer's.

    Raises:
        UsageError: the encoder does more with its last layer's output than with that of others.
    """
    import torch

    from adapter_stilts.model.task_model import states_of_layer

    encoder: Any = model.encoder
    layers = layers_of(encoder)
    kind = encoder.config.model_type
    if layers is None:
        raise UsageError(
            f"--layer {layer}: the layers of an encoder of type {kind!r} are no list that can be cut"
        )
    depth = len(layers)
    if layer == depth:
        return
    ids = np.arange(5, 5 + 24, dtype=np.int32) % int(encoder.config.vocab_size)
    probe, rows = Features(Ragged.from_lengths(ids, [9, 15]), np.arange(3)), np.arange(2)
    with states_of_layer(model, layer):
        wanted = model.predict(probe, rows)
    del layers[layer:]
    encoder.config.num_hidden_layers = layer
    found = model.predict(probe, rows)
    real = torch.arange(15)[None] < torch.tensor([[9], [15]])
    if not torch.allclose(found[real], wanted[real], atol=_TOLERANCE, rtol=_TOLERANCE):
        raise UsageError(
            f"--layer {layer}: an encoder of type {kind!r} normalises its last layer's output and no other's, so that "
            f"none cut after layer {layer} gives that layer's states: --layer {depth} "
            "exports the whole encoder, whose vectors are other ones"
        )


def _modules() -> list[dict[str, object]]:
    return [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{name}"}
        for number, (path, name) in enumerate(_MODULES.items())
    ]


def check_layout(directory: Path) -> None:
    """Raises BundleError where a folder's list of modules is not that of an export: it names classes to import."""
    found = read_json(directory / _LIST)
    if found != _modules():
        raise BundleError(
            f"{directory / _LIST}: names other modules than an encoder and its pooling, which {LIBRARY} would import. "
            "Remove it"
        )


def write_layout(directory: Path, width: int, max_length: int) -> None:
    """What sentence-transformers reads beside the encoder's own checkpoint and its tokenizer.

    Args:
        width: of the states.
        max_length: tokens of a sentence, special ones included.
    """
    write_json(directory / _LIST, _modules())
    write_json(
        directory / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False}
    )
    write_json(
        directory / "config_sentence_transformers.json",
        {"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "cosine"},
    )
    (directory / POOLING).mkdir()
    modes = {f"pooling_mode_{mode}": mode == "mean_tokens" for mode in _MODES}
    write_json(
        directory / POOLING / "config.json",
        {"word_embedding_dimension": width, **modes, "include_prompt": True},
    )
