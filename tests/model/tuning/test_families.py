"""LoRA and IA3 by default, and adapters where AdapterHub has them, on encoder families beside BERT and RoBERTa."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapter_stilts.errors import UsageError
from adapter_stilts.formats import get_format
from adapter_stilts.formats.features import Features, Ragged
from adapter_stilts.model.backbone import load_encoder
from adapter_stilts.model.heads import Head
from adapter_stilts.model.task_classes import activation
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.model.weights import fill

# DeBERTa is compiled with torch.jit where it is imported.
pytestmark = [
    pytest.mark.filterwarnings(r"ignore:`torch.jit.script:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:UserWarning"),
]
SMALL = {
    "vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
    "max_position_embeddings": 64, "initializer_range": 0.2,
}  # fmt: skip
T5 = {
    "vocab_size": 100, "d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": 2, "num_heads": 2,
    "initializer_factor": 1.0, "relative_attention_num_buckets": 8, "decoder_start_token_id": 0,
}  # fmt: skip
FAMILIES: dict[str, tuple[str, dict[str, Any], str]] = {
    "electra": ("ElectraConfig", {**SMALL, "embedding_size": 16}, "ElectraModel"),
    "distilbert": (
        "DistilBertConfig",
        {"vocab_size": 100, "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48, "max_position_embeddings": 64},
        "DistilBertModel",
    ),
    "deberta-v2": ("DebertaV2Config", {**SMALL, "type_vocab_size": 0}, "DebertaV2Model"),
    "deberta": ("DebertaConfig", {**SMALL, "type_vocab_size": 0}, "DebertaModel"),
    "mt5": ("MT5Config", T5, "MT5ForConditionalGeneration"),
    "modernbert": (
        "ModernBertConfig",
        {**SMALL, "pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2, "bos_token_id": 1, "eos_token_id": 2,
         "local_attention": 8},
        "ModernBertModel",
    ),
}  # fmt: skip
OTHERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "rembert": (
        "RemBertConfig",
        {**SMALL, "input_embedding_size": 16, "output_embedding_size": 16},
        "RemBertModel",
    ),
    "mpnet": ("MPNetConfig", SMALL, "MPNetModel"),
}
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    import transformers

    def call(family: str, format_name: str, seed: int = 1) -> Any:
        config_class, values, model_class = {**FAMILIES, **OTHERS}[family]
        folder = tmp_path_factory.getbasetemp() / f"encoder-{family}"
        if not folder.exists():
            torch.manual_seed(0)
            config = getattr(transformers, config_class)(**values)
            getattr(transformers, model_class)(config).save_pretrained(folder)
        encoder = load_encoder(str(folder), None, 0.0, False)
        format = get_format(format_name)
        shape = format.head_shape(("a", "b", "c"))
        assert shape is not None
        head = Head(shape, 32, 0.0, 0.2, seed, activation(encoder.config))
        return TaskModel(encoder, head, format).eval()

    return call


@pytest.mark.parametrize("format_name", ["tagging", "multiple_choice"])
@pytest.mark.parametrize("mode", ["lora", "ia3", "adapter"])
@pytest.mark.parametrize("family", FAMILIES)
def test_trained_saved_and_loaded(
    make: Make, family: str, mode: str, format_name: str, tmp_path: Path
) -> None:
    model, tuning = make(family, format_name), get_tuning(mode)
    features = Features(Ragged.from_lengths(np.arange(5, 29, dtype=np.int32), [9, 15]), np.arange(3))
    before = model.predict(features, np.arange(2)).clone()
    tuning.attach(model, tuning.Settings(), 3)
    generator = torch.Generator().manual_seed(4)
    for tensor in tuning.state(model).values():
        tensor += 0.3 * torch.randn(tensor.shape, generator=generator)
    expected = model.eval().predict(features, np.arange(2))
    assert not torch.allclose(before, expected, atol=1e-3)
    tuning.save(model, tmp_path, format_name, ())
    fresh = make(family, format_name, seed=2)
    tuning.load_modules(fresh, tmp_path)
    fill(fresh.head.state_dict(), tuning.load(tmp_path, format_name), tmp_path)
    assert torch.allclose(fresh.eval().predict(features, np.arange(2)), expected, atol=1e-6)
    if mode != "adapter":
        tuning.fold(fresh)
        assert torch.allclose(fresh.predict(features, np.arange(2)), expected, atol=1e-5)
        plain = make(family, format_name).encoder.state_dict()
        assert fresh.encoder.state_dict().keys() == plain.keys()


def test_families_without_a_table_name_their_layers() -> None:
    from adapter_stilts.model.task_classes import targets

    with pytest.raises(
        UsageError, match=r"type 'mpnet' lora should change is not known here: name them, e\.g\."
    ):
        targets("mpnet", "lora")


def test_families_that_adapterhub_does_not_have(make: Make, tmp_path: Path) -> None:
    model = make("rembert", "tagging")
    with pytest.raises(
        UsageError, match=r"AdapterHub has no adapters for encoders of type 'rembert' .*--mode lora"
    ):
        get_tuning("adapter").attach(model)
    tuning = get_tuning("lora")
    tuning.attach(make("rembert", "tagging"))
    tuning.attach(make("mpnet", "tagging"), tuning.Settings.model_validate({"target_modules": ("q", "v")}))
