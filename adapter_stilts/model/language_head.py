"""The head of masked language modelling: its output layer is the encoder's own embedding table."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from adapter_stilts.model.backbone import open_config
from adapter_stilts.model.door import attention_of

# Our names -> the names in Transformers' masked-LM classes, by the prefix that these give the head.
_NAMES = {
    "lm_head": {"dense": "dense", "norm": "layer_norm", "bias": "bias"},
    "cls.predictions": {"dense": "transform.dense", "norm": "transform.LayerNorm", "bias": "bias"},
}


def embedding_width(config: Any) -> int:
    """Columns of an encoder's embedding table; its hidden size where the config names no other."""
    names = ("embedding_size", "input_embedding_size")
    found = next((value for name in names if (value := getattr(config, name, None))), config.hidden_size)
    return int(found)


class LanguageHead(nn.Module):
    """A layer, activation and layer norm, then the product with the embedding table and a bias.

    The layer is square, or narrows the states where embeddings are narrower than they (ELECTRA small, ALBERT, RemBERT).

    Args:
        config: the encoder's.
        seed: of new weights; a head depends on nothing else that was drawn before.
    """

    def __init__(self, config: Any, seed: int) -> None:
        from transformers.activations import ACT2FN

        super().__init__()
        hidden, width = int(config.hidden_size), embedding_width(config)
        self.dense = nn.Linear(hidden, width)
        self.activation = ACT2FN[getattr(config, "hidden_act", "gelu")]
        self.norm = nn.LayerNorm(width, eps=float(getattr(config, "layer_norm_eps", 1e-5)))
        self.bias = nn.Parameter(torch.zeros(int(config.vocab_size)))
        generator = torch.Generator().manual_seed(seed)
        nn.init.normal_(
            self.dense.weight, std=float(getattr(config, "initializer_range", 0.02)), generator=generator
        )
        nn.init.zeros_(self.dense.bias)

    def forward(self, states: Tensor, embeddings: Tensor) -> Tensor:
        """(tokens, hidden) and the table (vocabulary, embedding width) to (tokens, vocabulary)."""
        hidden = self.norm(self.activation(self.dense(states)))
        return nn.functional.linear(hidden, embeddings, self.bias)


def pretrained_weights(location: str, commit: str | None) -> dict[str, Tensor] | None:
    """The head that a base was pretrained with, under our names; None where its checkpoint has none."""
    from transformers import AutoModelForMaskedLM
    from transformers.utils import logging

    config = open_config(location, commit)
    if type(config) not in AutoModelForMaskedLM._model_mapping:
        return None
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # a checkpoint without the head is no cause for advice
    try:
        model, loading = AutoModelForMaskedLM.from_pretrained(
            location,
            revision=commit or "main",
            config=config,
            trust_remote_code=False,
            attn_implementation=attention_of(AutoModelForMaskedLM._model_mapping[type(config)]),
            dtype=torch.float32,
            output_loading_info=True,
        )
    finally:
        logging.set_verbosity(verbosity)
    state = model.state_dict()
    for prefix, names in _NAMES.items():
        found = {}
        for ours, theirs in names.items():
            for kind in ("",) if ours == "bias" else (".weight", ".bias"):
                found[f"{ours}{kind}"] = f"{prefix}.{theirs}{kind}"
        if set(found.values()) <= state.keys():
            missing = set(found.values()) & set(loading["missing_keys"])
            return None if missing else {ours: state[theirs].clone() for ours, theirs in found.items()}
    return None
