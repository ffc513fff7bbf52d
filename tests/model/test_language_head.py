"""The head of masked language modelling on encoders of every shape."""

from __future__ import annotations

import pytest
import torch

from adapter_stilts.model.language_head import LanguageHead

SIZE = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}
WIDTHS = {"ElectraConfig": {"embedding_size": 8}, "AlbertConfig": {"embedding_size": 8},
          "RemBertConfig": {"input_embedding_size": 8, "output_embedding_size": 24}, "BertConfig": {}}  # fmt: skip


@pytest.mark.parametrize("name", WIDTHS)
def test_the_head_fits_the_embedding_table(name: str) -> None:
    import transformers

    config = getattr(transformers, name)(**SIZE, **WIDTHS[name])
    encoder = transformers.AutoModel.from_config(config)
    table = encoder.get_input_embeddings().weight
    assert table.shape == (40, 8 if WIDTHS[name] else 16)
    states = encoder(torch.arange(6)[None]).last_hidden_state[0]
    scores = LanguageHead(config, 0)(states, table)
    assert scores.shape == (6, 40)
    assert scores.isfinite().all()
