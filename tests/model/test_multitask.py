"""Several heads: their files, and the head of language modelling against Transformers' own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapter_stilts.errors import BundleError
from adapter_stilts.formats import get_format, masked_lm
from adapter_stilts.formats.features import Features, Ragged
from adapter_stilts.model import multitask
from adapter_stilts.model.backbone import load_encoder
from adapter_stilts.model.language_head import LanguageHead, pretrained_weights
from adapter_stilts.model.multitask import Heads
from adapter_stilts.model.task_model import TaskModel


@pytest.fixture
def several(build: Callable[..., Any], tiny_base: Path) -> TaskModel:
    first, second = build(tiny_base, "span_qa"), build(tiny_base, "pair_classification", seed=2)
    heads = {"squad_v1": first.head, "mnli": second.head, "masked_lm": LanguageHead(first.encoder.config, 0)}
    formats = {"squad_v1": first.format, "mnli": second.format, "masked_lm": get_format("masked_lm")}
    return TaskModel(first.encoder, Heads(heads, formats), None).eval()


def test_the_encoder_is_transformers_own_and_the_heads_come_back(several: TaskModel, tmp_path: Path) -> None:
    from safetensors.torch import load_file
    from transformers import AutoModel

    assert isinstance(several.head, Heads)
    multitask.save(several.encoder, several.head, tmp_path)
    encoder, loading = AutoModel.from_pretrained(tmp_path, add_pooling_layer=False, output_loading_info=True)
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    assert type(encoder) is type(several.encoder)
    ours = several.encoder.state_dict()
    assert all(torch.equal(tensor, ours[name]) for name, tensor in encoder.state_dict().items())
    again = load_encoder(str(tmp_path), None, None, False).state_dict()
    assert all(torch.equal(tensor, ours[name]) for name, tensor in again.items())
    for name, head in several.head.items():
        state = multitask.load_head(tmp_path, name)
        assert state.keys() == head.state_dict().keys()
        assert all(torch.equal(tensor, head.state_dict()[key]) for key, tensor in state.items())
    # The output layer of language modelling is the embedding table: it is not stored twice.
    table = several.encoder.get_input_embeddings().weight.shape  # type: ignore[operator]
    assert all(tensor.shape != table for tensor in load_file(tmp_path / "heads.safetensors").values())
    with pytest.raises(BundleError, match="holds no head 'xnli'; it holds masked_lm, mnli, squad_v1"):
        multitask.load_head(tmp_path, "xnli")


def test_one_of_several_predicts_as_if_alone(
    several: TaskModel, build: Callable[..., Any], tiny_base: Path
) -> None:
    alone = build(tiny_base, "span_qa")
    assert isinstance(several.head, Heads)
    alone.head.load_state_dict(several.head["squad_v1"].state_dict())
    features = Features(Ragged.from_lengths(np.arange(5, 25, dtype=np.int32), [8, 12]), np.arange(3))
    view = several.with_head("squad_v1")
    assert torch.equal(view.predict(features, np.arange(2)), alone.predict(features, np.arange(2)))
    assert next(view.parameters()) is next(several.parameters())


def masked(name: str, tiny: Path, folder: Path) -> Any:
    """The tiny encoder as a checkpoint of Transformers' masked-LM class, with a head that is not at its start."""
    import shutil

    import transformers

    shutil.copytree(tiny, folder)
    config = transformers.AutoConfig.from_pretrained(tiny)
    torch.manual_seed(3)
    model = getattr(transformers, name)(config)
    for name, parameter in model.named_parameters():
        if "norm" in name.lower() or "bias" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    return model.eval()


@pytest.mark.parametrize(
    ("tiny", "name"), [("tiny_base", "XLMRobertaForMaskedLM"), ("tiny_bert", "BertForMaskedLM")]
)
def test_the_bases_own_head_gives_its_logits(
    request: pytest.FixtureRequest, tmp_path: Path, tiny: str, name: str
) -> None:
    theirs = masked(name, request.getfixturevalue(tiny), tmp_path / "base")
    weights = pretrained_weights(str(tmp_path / "base"), None)
    assert weights is not None
    encoder = load_encoder(str(tmp_path / "base"), None, None, False).eval()
    head = LanguageHead(encoder.config, 0)
    head.load_state_dict(weights)
    lengths = [8, 12]
    ids = np.arange(5, 25, dtype=np.int32)
    gold = np.full(20, masked_lm.IGNORED)
    gold[[2, 9, 15]] = [7, 8, 9]
    features = Features(
        Ragged.from_lengths(ids, lengths),
        np.arange(3),
        per_sequence={"gold": Ragged.from_lengths(gold, lengths)},
    )
    model = TaskModel(encoder, head, masked_lm)
    ours = model.predict(features, np.arange(2))
    padded = torch.as_tensor(features.input_ids.padded(np.arange(2), model.padding_id), dtype=torch.long)
    mask = torch.as_tensor([[1] * 8 + [0] * 4, [1] * 12])
    with torch.inference_mode():
        logits = theirs(input_ids=padded, attention_mask=mask).logits
    expected = torch.stack([logits[0, 2], logits[1, 1], logits[1, 7]])
    assert ours.shape == expected.shape
    assert float((ours - expected).abs().max()) < 1e-5


def test_a_base_without_a_head_is_known(tiny_base: Path, tiny_bert: Path) -> None:
    assert pretrained_weights(str(tiny_base), None) is None
    assert pretrained_weights(str(tiny_bert), None) is None
