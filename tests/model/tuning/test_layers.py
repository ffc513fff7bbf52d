"""Layers that a recipe names: modules stand in those alone, the first stay as they are, and others are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from adapter_stilts.errors import BundleError, UsageError
from adapter_stilts.formats import get_format
from adapter_stilts.formats.features import Features, Ragged
from adapter_stilts.model.backbone import load_encoder
from adapter_stilts.model.door import build_config, empty_encoder
from adapter_stilts.model.heads import build_head
from adapter_stilts.model.task_model import MicroBatch, TaskModel
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.training.memory import Training, usage

# DeBERTa is compiled with torch.jit where it is imported.
pytestmark = pytest.mark.filterwarnings(r"ignore:`torch.jit.script:DeprecationWarning")
LABELS = ("a", "b", "c")
DEPTH = 4
CONFIG = {
    "model_type": "xlm-roberta", "vocab_size": 300, "hidden_size": 32, "num_hidden_layers": DEPTH,
    "num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 66, "type_vocab_size": 1,
    "initializer_range": 0.2, "pad_token_id": 1,
}  # fmt: skip
MODES = ("lora", "dora", "rslora", "ia3", "adapter")
Make = Callable[[], TaskModel]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import XLMRobertaModel

    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    XLMRobertaModel(build_config(CONFIG, "tiny"), add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture
def make(folder: Path) -> Make:
    def call() -> TaskModel:
        encoder = load_encoder(str(folder), None, 0.0, False)
        head = build_head("pair_classification", LABELS, encoder.config)
        return TaskModel(encoder, head, get_format("pair_classification")).eval()

    return call


@pytest.fixture
def features() -> Features:
    ids = Ragged.from_lengths(np.arange(5, 29, dtype=np.int32), [9, 15])
    return Features(ids, np.arange(3), per_example={"label": np.asarray([0, 2])})


def trained_layers(model: TaskModel) -> set[int]:
    names = [name for name, p in model.encoder.named_parameters() if p.requires_grad]
    return {number for number in range(DEPTH) if any(f".layer.{number}." in name for name in names)}


@pytest.mark.parametrize(
    ("value", "numbers"),
    [("0-2", (0, 1, 2)), ("0-1,3", (0, 1, 3)), ([3, 1, 1], (1, 3)), (2, (2,)), ("3", (3,)), ((0,), (0,))],
)
def test_ways_to_name_them(value: Any, numbers: tuple[int, ...]) -> None:
    for mode in MODES:
        assert get_tuning(mode).Settings(layers=value).layers == numbers


@pytest.mark.parametrize("value", ["", "a-b", "3-1", "-1", [], [-1], [1.5], True, "0-5-7", "1;2", "0-99999"])
def test_what_names_no_layers(value: Any) -> None:
    with pytest.raises(ValidationError):
        get_tuning("lora").Settings(layers=value)


@pytest.mark.parametrize("mode", MODES)
def test_modules_stand_in_those_alone_and_come_back(
    make: Make, mode: str, features: Features, tmp_path: Path
) -> None:
    tuning, rows = get_tuning(mode), np.arange(2)
    settings = tuning.Settings(layers="0-1")
    tuning.check_encoder(settings, CONFIG)
    model = make()
    plain = model.predict(features, rows).clone()
    tuning.attach(model, settings, 3)
    assert trained_layers(model) == {0, 1}
    generator = torch.Generator().manual_seed(4)
    for tensor in tuning.state(model).values():
        tensor += 0.2 * torch.randn(tensor.shape, generator=generator)
    expected = model.predict(features, rows)
    assert not torch.allclose(plain, expected, atol=1e-3)
    tuning.save(model, tmp_path, "pair_classification", LABELS)
    for attached in (True, False):  # gone on with, and evaluated
        again = make()
        if attached:
            tuning.attach(again, settings, 5)
        tuning.load_modules(again, tmp_path)
        assert trained_layers(again) == {0, 1}
        again.head.load_state_dict(tuning.load(tmp_path, "pair_classification"))  # type: ignore[union-attr]
        assert torch.allclose(again.eval().predict(features, rows), expected, atol=1e-6)
    if mode != "adapter":
        tuning.fold(again)
        assert torch.allclose(again.predict(features, rows), expected, atol=1e-5)


@pytest.mark.parametrize("how", ["stack", "fuse"])
@pytest.mark.parametrize("mode", ["lora", "adapter"])
def test_combined(make: Make, mode: str, how: str, features: Features, tmp_path: Path) -> None:
    tuning, bundles = get_tuning(mode), {}
    # AdapterFusion weighs what stands in one place; updates and stacks may stand anywhere.
    second = "0-1" if (mode, how) == ("adapter", "fuse") else "1-2"
    for number, layers in enumerate(("0-1", second)):
        model = make()
        tuning.attach(model, tuning.Settings(layers=layers), number)
        bundles[f"m{number}"] = tmp_path / str(number)
        (tmp_path / str(number)).mkdir()
        tuning.save(model, tmp_path / str(number), "none", ())
    model = make()
    tuning.combine(model, how, bundles, tuning.Settings(layers=[3]), 7)
    model.train()(MicroBatch(features, np.arange(2), [np.arange(2)], 1.0)).backward()
    if how == "stack":
        assert trained_layers(model) == {3}


def test_a_fusion_of_adapters_in_other_layers_is_refused_by_their_configs(make: Make, tmp_path: Path) -> None:
    tuning = get_tuning("adapter")
    model = make()
    tuning.attach(model, tuning.Settings(layers="0-1"))
    tuning.save(model, tmp_path, "none", ())
    with pytest.raises(BundleError, match=r"has leave_out = \[\], .* \[2, 3\]: AdapterFusion weighs"):
        tuning.check_bundles("fuse", [tmp_path, None], tuning.Settings(), CONFIG)


def test_more_names_than_pefts_own_shortening_takes(make: Make, tmp_path: Path) -> None:
    """PEFT rewrites 20 names and more as the fewest endings; those have to mean the same layers."""
    deep = {**CONFIG, "num_hidden_layers": 14}
    tuning = get_tuning("lora")
    settings = tuning.Settings(layers="0-11")

    def attached() -> TaskModel:
        torch.manual_seed(0)
        config = build_config(deep, "deep")
        from transformers import XLMRobertaModel

        model = TaskModel(XLMRobertaModel(config, add_pooling_layer=False), None, None)
        tuning.attach(model, settings, 1)
        return model

    model = attached()
    names = [name for name, p in model.encoder.named_parameters() if p.requires_grad]
    assert len(names) == 12 * 2 * 2
    assert not [name for name in names if ".12." in name or ".13." in name]
    tuning.save(model, tmp_path, "none", ())
    tuning.load_modules(attached(), tmp_path)


@pytest.mark.parametrize("mode", MODES)
def test_layers_that_are_not_there(make: Make, mode: str) -> None:
    tuning = get_tuning(mode)
    settings = tuning.Settings(layers="2-5")
    told = rf"tuning\.{mode}\.layers names layer 4: this encoder has 4, which are 0 to 3"
    with pytest.raises(UsageError, match=told):
        tuning.check_encoder(settings, CONFIG)
    with pytest.raises(UsageError, match=told):
        tuning.attach(make(), settings)


def test_layers_that_hold_none_of_the_targets() -> None:
    tuning = get_tuning("lora")
    settings = tuning.Settings(layers=[1], target_modules=("q_proj",))
    with pytest.raises(UsageError, match=r"layers: layer 1 holds no linear layer called q_proj"):
        tuning.check_encoder(settings, CONFIG)


def test_layers_that_are_no_list() -> None:
    sizes = {**CONFIG, "model_type": "albert", "embedding_size": 16}
    tuning = get_tuning("lora")
    settings = tuning.Settings(layers=[1], target_modules=("query",))
    with pytest.raises(UsageError, match=r"type 'albert' are no list of their own .*leave it out"):
        tuning.check_encoder(settings, sizes)


@pytest.mark.parametrize("count", [1, 2, DEPTH])
def test_the_first_layers_and_the_embeddings_stay(make: Make, count: int, features: Features) -> None:
    full = get_tuning("full")
    settings = full.Settings(freeze_layers=count)
    full.check_encoder(settings, CONFIG)
    model = make()
    full.attach(model, settings)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model.train()(MicroBatch(features, np.arange(2), [np.arange(2)], 1.0)).backward()
    trained = [p for p in model.parameters() if p.requires_grad]
    torch.optim.SGD(trained, lr=1.0).step()
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert not [name for name in moved if "embeddings" in name]
    assert {n for n in range(DEPTH) if any(f".layer.{n}." in name for name in moved)} == set(
        range(count, DEPTH)
    )
    assert any(name.startswith("head.") for name in moved)


FAMILIES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "bert": ({}, {"encoder.layer.2", "encoder.layer.3"}),
    "distilbert": (
        {"dim": 32, "n_layers": DEPTH, "n_heads": 2, "hidden_dim": 48},
        {"transformer.layer.2", "transformer.layer.3"},
    ),
    "electra": ({"embedding_size": 16}, {"encoder.layer.2", "encoder.layer.3"}),
    "rembert": (
        {"input_embedding_size": 16, "output_embedding_size": 16},
        {"encoder.layer.2", "encoder.layer.3"},
    ),
    "deberta-v2": (
        {"relative_attention": True, "norm_rel_ebd": "layer_norm", "type_vocab_size": 0},
        {"encoder.layer.2", "encoder.layer.3", "encoder.rel_embeddings", "encoder.LayerNorm"},
    ),
    "mt5": (
        {"d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": DEPTH, "num_heads": 2},
        {"encoder.block.2", "encoder.block.3", "encoder.final_layer_norm"},
    ),
    "modernbert": ({}, {"layers.2", "layers.3", "final_norm"}),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_left_to_train_in_other_families(family: str) -> None:
    more, wanted = FAMILIES[family]
    own = {} if "dim" in more or "d_model" in more else CONFIG
    encoder = empty_encoder(
        build_config({**own, "vocab_size": 300, "model_type": family, **more}, family), family
    )
    full = get_tuning("full")
    full.attach(TaskModel(encoder, None, None), full.Settings(freeze_layers=2))
    names = [name.split(".") for name, p in encoder.named_parameters() if p.requires_grad]
    found = {
        ".".join(parts[: next((i + 1 for i, p in enumerate(parts) if p.isdigit()), -1)]) for parts in names
    }
    assert found == wanted


def test_more_layers_than_there_are_and_settings_that_say_the_same() -> None:
    full = get_tuning("full")
    with pytest.raises(UsageError, match=r"tuning\.full\.freeze_layers = 5: this encoder has 4 layers"):
        full.check_encoder(full.Settings(freeze_layers=5), CONFIG)
    for other in ("freeze_embeddings", "sparse_embeddings"):
        with pytest.raises(ValidationError, match=f"leave out {other}"):
            full.Settings(**{"freeze_layers": 1, other: True})


@pytest.mark.parametrize("mode", ["full", "lora", "ia3", "adapter"])
def test_memory_counts_what_is_trained(make: Make, mode: str) -> None:
    tuning = get_tuning(mode)
    settings = tuning.Settings(freeze_layers=2) if mode == "full" else tuning.Settings(layers="2-3")
    found = usage(Training(CONFIG, mode, settings, "fp32", "adamw", False, "cpu"), 2, 16)
    every = usage(Training(CONFIG, mode, tuning.Settings(), "fp32", "adamw", False, "cpu"), 2, 16)
    model = make()
    tuning.attach(model, settings)
    assert found.trained_parameters == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert found.gradients < every.gradients
    # Nothing goes back through layers below the first that is trained.
    assert found.activations < every.activations


def test_keys_hold_where_no_layers_are_named() -> None:
    for mode in MODES:
        settings = get_tuning(mode).Settings
        assert "layers" not in settings().part()
        assert settings(layers="0-1").part()["layers"] == [0, 1]
    full = get_tuning("full").Settings
    assert full().part() == {}
    assert full(freeze_layers=6).part() == {"freeze_layers": 6}
