"""PEFT's own files, trained without us: what they name beyond the encoder's linear layers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from adapter_stilts.errors import BundleError
from adapter_stilts.formats.features import Features, Ragged
from adapter_stilts.model.backbone import resolve_base
from adapter_stilts.model.merge import Merge
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.model.tuning.libraries.peft_files import of_encoder
from adapter_stilts.recipe import Base

Wrapped = Callable[..., tuple[Path, Any]]


@pytest.fixture
def wrapped(tiny_base: Path, tmp_path: Path) -> Wrapped:
    """What PEFT saves of a sequence classifier, and that model."""
    import peft
    from transformers import AutoModelForSequenceClassification

    def call(**arguments: Any) -> tuple[Path, Any]:
        model = AutoModelForSequenceClassification.from_pretrained(tiny_base, num_labels=3)
        config = peft.LoraConfig(task_type="SEQ_CLS", r=4, **arguments)
        model = peft.get_peft_model(model, config)
        generator = torch.Generator().manual_seed(1)
        for name, tensor in model.named_parameters():
            if ".lora_" in name:
                tensor.data += 0.3 * torch.randn(tensor.shape, generator=generator)
        directory = tmp_path / "wrapped"
        model.save_pretrained(directory, save_embedding_layers=False)
        return directory, model.eval()

    return call


@pytest.mark.parametrize("short", [True, False], ids=["endings", "whole names"])
def test_wrapped_all_linear(
    wrapped: Wrapped, build: Any, tiny_base: Path, tmp_path: Path, short: bool
) -> None:
    """`all-linear` names the head's `out_proj`, which holds no module: the head is saved whole."""
    directory, model = wrapped(target_modules="all-linear")
    path = directory / "adapter_config.json"
    config = json.loads(path.read_text())
    assert {"classifier.out_proj", "roberta.encoder.layer.1.output.dense"} <= set(config["target_modules"])
    if short:  # what PEFT writes of an encoder of more layers
        config["target_modules"] = sorted({name.rpartition(".")[2] for name in config["target_modules"]})
        assert config["target_modules"] == ["dense", "key", "out_proj", "query", "value"]
        path.write_text(json.dumps(config))
    tuning = get_tuning("lora")
    ours = build(tiny_base, "pair_classification")
    tuning.load_modules(ours, directory)
    features = Features(Ragged.from_lengths(np.arange(5, 29, dtype=np.int32), [9, 15]), np.arange(3))
    padded, mask = torch.full((2, 15), 1), torch.zeros((2, 15), dtype=torch.long)
    for row in range(2):
        ids = torch.as_tensor(features.input_ids[row])
        padded[row, : len(ids)], mask[row, : len(ids)] = ids, 1
    with torch.inference_mode():
        expected = model.base_model.model.roberta(padded, attention_mask=mask).last_hidden_state
        found = ours.eval().encoder(padded, attention_mask=mask).last_hidden_state
    assert (
        float((found - expected).abs().max()) < 5e-5
    )  # attention in other kernels, of states about 3 in size

    out = tmp_path / "out"
    out.mkdir()
    base = resolve_base(Base(id=str(tiny_base)))
    tuning.merge([directory, directory], Merge("linear", (0.5, 0.5)), out, base, False)
    kept = json.loads((out / "adapter_config.json").read_text())["target_modules"]
    assert not any(name.endswith("out_proj") for name in kept)
    again = build(tiny_base, "pair_classification")
    tuning.load_modules(again, out)
    with torch.inference_mode():
        merged = again.eval().encoder(padded, attention_mask=mask).last_hidden_state
    assert float((merged - expected).abs().max()) < 5e-5


def test_compose_embedding_lora(wrapped: Wrapped, build: Any, tiny_base: Path, tmp_path: Path) -> None:
    """Refused alike wherever it is read: in the plan, when it is loaded, when it is composed."""
    directory, _ = wrapped(target_modules=["query", "word_embeddings"])
    tuning, base = get_tuning("lora"), resolve_base(Base(id=str(tiny_base)))
    message = r"lora_embedding_A changes an embedding; .* without 'word_embeddings' in target_modules"
    with pytest.raises(BundleError, match=message):
        tuning.check_bundles("continue", [directory], None, base.config)
    with pytest.raises(BundleError, match=message):
        tuning.load_modules(build(tiny_base, "pair_classification"), directory)
    with pytest.raises(BundleError, match=message):
        tuning.merge([directory], Merge("linear", (1.0,)), tmp_path, base, False)


def test_targets_without_modules_are_refused(wrapped: Wrapped, tiny_base: Path) -> None:
    directory, _ = wrapped(target_modules=["query", "key"])
    base = resolve_base(Base(id=str(tiny_base)))
    path = directory / "adapter_model.safetensors"
    save_file({k: t for k, t in load_file(path).items() if ".key." not in k}, path, metadata={"format": "pt"})
    with pytest.raises(BundleError, match=r"target_modules names 'key', for which .* modules are in: query"):
        get_tuning("lora").check_bundles("continue", [directory], None, base.config)


def test_endings_of_a_head_alone(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="target_modules names layers of a head alone"):
        of_encoder(tmp_path, {"target_modules": ["out_proj"]}, [], "xlm-roberta")


def test_factors_of_other_layers_are_refused_before_training(
    attached: Any, tiny_base: Path, tmp_path: Path
) -> None:
    """IA3's merge takes factors of the same layers: of bundles, and of what is yet to be trained."""
    tuning, base = get_tuning("ia3"), resolve_base(Base(id=str(tiny_base)))
    bundles = []
    for name, targets in (("usual", None), ("few", ("key", "value"))):
        settings = tuning.Settings(target_modules=targets)
        model = attached(tiny_base, "tagging", (tuning, settings))
        bundles.append(tmp_path / name)
        bundles[-1].mkdir()
        tuning.save(model.without_head(), bundles[-1], "none", ())
    usual, few = bundles
    tuning.check_bundles("merge", [usual, None, usual], None, base.config)
    for bundles in ([usual, few], [few, None], [None, few]):
        with pytest.raises(BundleError, match="scales other layers than"):
            tuning.check_bundles("merge", bundles, None, base.config)
    tuning.check_bundles("continue", [few], None, base.config)
