"""Memory told without weights: against the bytes of real models, and against what real passes keep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapter_stilts.errors import UsageError
from adapter_stilts.model.skeleton import geometries, tensors
from adapter_stilts.model.tuning import get_tuning, tuning_names
from adapter_stilts.training.memory import Training, fit, pass_tokens, usage

pytestmark = pytest.mark.slow

SMALL = {
    **geometries()["xlmr-base"],
    "vocab_size": 1000,
    "hidden_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 512,
}


def training(mode: str, precision: str = "fp32", device: str = "cpu", **more: Any) -> Training:
    settings = get_tuning(mode).Settings.model_validate(more.pop("tuning", {}))
    return Training(more.pop("config", SMALL), mode, settings, precision, device=device, **more)


def real_model(base: Path, mode: str, precision: str) -> Any:
    """As training has it."""
    from adapter_stilts.formats import pair_classification
    from adapter_stilts.model.backbone import load_encoder
    from adapter_stilts.model.cpu_linear import quicken
    from adapter_stilts.model.heads import Head
    from adapter_stilts.model.task_model import TaskModel

    tuning = get_tuning(mode)
    encoder = load_encoder(
        str(base), None, None, False, tuning.backbone_weights(tuning.Settings(), precision)
    )
    if precision == "fp32":
        quicken(encoder)
    shape = pair_classification.head_shape(("a", "b", "c"))
    assert shape is not None
    model = TaskModel(encoder, Head(shape, 32, 0.1, 0.2, 0), pair_classification, bf16=precision != "fp32")
    tuning.attach(model)
    return model


def test_xlmr_large_without_its_weights() -> None:
    """Numbers that are known: 560 M parameters; LoRA of rank 8 on queries and values has 786,432 of its own."""
    config = geometries()["xlmr-large"]
    full = usage(training("full", config=config), 2, 32)
    head = 1024 * 1024 + 1024 + 3 * 1024 + 3
    assert full.parameters == full.trained_parameters == 558_840_832 + head
    assert full.weights == pytest.approx(4 * full.parameters, rel=1e-4)
    assert full.gradients == 4 * full.parameters
    assert full.optimizer == 8 * full.parameters
    lora = usage(training("lora", "8bit", config=config), 2, 32)
    assert lora.trained_parameters - head == 786_432
    # Embeddings in bf16, 302 M weights of linear layers in a byte each.
    assert lora.weights == pytest.approx(2 * 256.5e6 + 302e6 + 4 * 1.9e6, rel=0.02)
    bottleneck = usage(training("adapter", config=config), 2, 32)
    assert (bottleneck.trained_parameters - head) / full.parameters < 0.02


@pytest.mark.parametrize("mode", tuning_names())
@pytest.mark.parametrize("precision", ["fp32", "bf16", "8bit", "4bit"])
def test_every_cell_has_an_estimate(mode: str, precision: str) -> None:
    # One of the two sorts of memory in each cell, both in every tuning and precision.
    device = "cuda" if (len(mode) + len(precision)) % 2 else "cpu"
    if mode == "full" and precision in ("8bit", "4bit"):
        pytest.skip("integers have no gradient")
    plain = usage(training(mode, precision, device), 4, 64)
    assert 0 < plain.weights < plain.peak
    assert plain.trained_parameters <= plain.parameters
    assert plain.gradients == 4 * plain.trained_parameters
    longer = usage(training(mode, precision, device), 4, 128)
    assert longer.activations > plain.activations
    assert (longer.weights, longer.optimizer) == (plain.weights, plain.optimizer)
    saved = usage(training(mode, precision, device, gradient_checkpointing=True), 4, 128)
    assert saved.activations < longer.activations


@pytest.mark.parametrize("optimizer", ["adamw8bit", "paged_adamw8bit"])
def test_optimizers_of_8_bits_have_smaller_states(optimizer: Any) -> None:
    plain = usage(training("full"), 2, 16)
    small = usage(training("full", optimizer=optimizer), 2, 16)
    assert small.optimizer < 0.27 * plain.optimizer
    half = usage(training("full", "bf16", tuning={"bf16_weights": True}, optimizer=optimizer), 2, 16)
    assert half.weights < 0.52 * plain.weights
    assert half.gradients < 0.52 * plain.gradients


@pytest.mark.parametrize(
    ("mode", "precision"), [("full", "fp32"), ("lora", "8bit"), ("adapter", "4bit"), ("ia3", "bf16")]
)
def test_weights_are_those_of_the_real_model(tiny_base: Path, mode: str, precision: str) -> None:
    from adapter_stilts.model.backbone import resolve_base
    from adapter_stilts.recipe import Base

    model = real_model(tiny_base, mode, precision)
    real = {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in tensors(model)}
    config = resolve_base(Base(id=str(tiny_base))).config
    found = usage(training(mode, precision, config=config), 2, 16)
    # Quantised layers keep tables of 16 and 256 numbers each, which fake ones of one class share or not.
    assert found.weights == pytest.approx(sum(real.values()), rel=0.1 if precision == "4bit" else 0.02)
    assert found.trained_parameters == sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("mode", tuning_names())
@pytest.mark.parametrize("precision", ["fp32", "bf16", "8bit", "4bit"])
def test_a_pass_keeps_what_the_real_model_keeps(tiny_base: Path, mode: str, precision: str) -> None:
    """The same count over a pass with numbers: around integers the libraries have layers of their own."""
    from adapter_stilts.formats.features import Features, Ragged
    from adapter_stilts.model.backbone import resolve_base
    from adapter_stilts.model.task_model import MicroBatch
    from adapter_stilts.recipe import Base
    from adapter_stilts.training.memory import _Live

    if mode == "full" and precision in ("8bit", "4bit"):
        pytest.skip("integers have no gradient")
    model = real_model(tiny_base, mode, precision).train()
    lengths = np.array([64, 64, 64, 63])
    ids = Ragged.from_lengths(np.full(lengths.sum(), 5, dtype=np.int32), lengths)
    labels = {"label": np.zeros(4, dtype=np.int64)}
    rows = np.arange(4)
    batch = MicroBatch(Features(ids, np.arange(5), per_example=labels), rows, [rows], 1.0)
    model(batch).backward()  # bitsandbytes moves its scales in a first pass
    model.zero_grad(set_to_none=True)
    count = _Live(tensors(model))
    with count:
        loss = model(batch)
        kept = count.now
        loss.backward()
    asked = training(mode, precision, config=resolve_base(Base(id=str(tiny_base))).config)
    found = usage(asked, 4, 64)
    assert found.activations == pytest.approx(kept, rel=0.05)
    assert usage(asked, 4, 64).activations == found.activations


def test_activations_are_those_a_real_pass_keeps() -> None:
    """fp32, full: tensors that autograd saves in a real pass, weights apart, against the count."""
    from transformers import XLMRobertaConfig, XLMRobertaModel

    values = {name: value for name, value in SMALL.items() if name != "model_type"}
    encoder = XLMRobertaModel(XLMRobertaConfig(**values), add_pooling_layer=False).train()
    own = {p.untyped_storage()._cdata for p in encoder.parameters()}
    kept: dict[int, int] = {}
    alive = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage.nbytes()
            alive.append(storage)
        return tensor

    mask = torch.ones(4, 64, dtype=torch.long)
    mask[0, -1] = 0
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        states = encoder(input_ids=torch.full((4, 64), 5), attention_mask=mask).last_hidden_state
    found = usage(training("full"), 4, 64)
    assert found.activations == pytest.approx(sum(kept.values()), rel=0.05)
    del states


def test_the_largest_micro_batch_that_fits() -> None:
    asked = training("lora", device="cuda")
    ample = fit(asked, 16, 128, 2**34)
    assert (ample.fits, ample.usage.sequences) == (True, 16)
    scarce = fit(asked, 16, 128, ample.usage.peak - ample.usage.activations // 3)
    assert scarce.fits
    assert 1 <= scarce.usage.sequences < 16
    assert scarce.to_json()["passes_a_step"] == 16 // scarce.usage.sequences
    none = fit(asked, 16, 128, 2**20)
    assert (none.fits, none.usage.sequences) == (False, 1)


def test_rows_of_the_embedding_table_take_what_occurs() -> None:
    """Gradients of a pass's tokens; moments of the rows that the train set holds, at most of all."""
    config = {**SMALL, "vocab_size": 50_000}
    sparse = {"sparse_embeddings": True}
    dense = usage(training("full", config=config), 4, 64)
    some = usage(replace(training("full", config=config, tuning=sparse), rows=1000), 4, 64)
    everything = usage(training("full", config=config, tuning=sparse), 4, 64)
    table = 50_000 * 128 * 4
    assert some.trained_parameters == dense.trained_parameters
    assert dense.gradients - some.gradients == pytest.approx(table, rel=0.02)
    assert dense.optimizer - some.optimizer == pytest.approx(2 * table, rel=0.05)
    assert everything.optimizer - some.optimizer == 49_000 * (8 * 128 + 16)
    assert dense.peak - some.peak > 2 * table


@pytest.mark.parametrize(("mode", "precision"), [("adapter", "bf16"), ("adapter", "8bit"), ("lora", "fp32")])
@pytest.mark.parametrize("how", ["stack", "fuse"])
def test_combinations_count_their_frozen_modules(mode: str, precision: str, how: str) -> None:
    alone = usage(training(mode, precision), 2, 32)
    two, three = (
        usage(replace(training(mode, precision), combine=how, parents=parents), 2, 32) for parents in (2, 3)
    )
    assert alone.parameters < two.parameters < three.parameters
    assert alone.weights < two.weights < three.weights
    if how == "stack":
        assert alone.trained_parameters == two.trained_parameters == three.trained_parameters
    elif mode == "adapter":  # queries, keys and values of each layer
        head = 128 * 128 + 128 + 3 * 128 + 3
        assert two.trained_parameters - head == pytest.approx(3 * 3 * 128 * 128, rel=0.02)


def test_accumulation_keeps_gradients_beside_activations() -> None:
    asked = training("full")
    once, more = usage(asked, 8, 128), usage(asked, 8, 128, accumulated=True)
    assert more.peak - once.peak == pytest.approx(more.gradients, rel=0.35)


def test_a_stage_starts_with_what_fits(encoded: Any) -> None:
    from adapter_stilts.formats import get_format
    from adapter_stilts.recipe import TrainingSettings
    from adapter_stilts.training.mixture import alone

    features = encoded("squad_v1")
    data = alone(features, get_format("span_qa"), TrainingSettings(), 0)
    longest = int(features.input_ids.lengths.max())
    asked = training("lora", device="cuda")
    assert pass_tokens(asked, data, 8, 2**34) == 8 * longest
    assert pass_tokens(asked, data, 8, 2**20) == longest


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="names no linear layer"):
        usage(training("lora", tuning={"target_modules": ("nothing",)}), 2, 16)
    with pytest.raises(UsageError, match="does not divide"):
        usage(training("adapter", tuning={"reduction_factor": 3}), 2, 16)
    with pytest.raises(UsageError, match="is a decoder"):
        usage(replace(training("lora"), config={**SMALL, "model_type": "gpt2"}), 2, 16)


def test_nothing_of_torch_is_left_changed() -> None:
    before = (torch.nn.Module._apply, torch.nn.functional.layer_norm, torch.get_default_dtype())
    usage(training("lora", "8bit", "cuda"), 2, 16)
    assert before == (torch.nn.Module._apply, torch.nn.functional.layer_norm, torch.get_default_dtype())
    assert type(torch.empty(1)) is torch.Tensor
