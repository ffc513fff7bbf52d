"""Encoders by name: a tiny random model of every row's shape is trained in every mode of the row, and read back."""

from __future__ import annotations

import itertools
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapter_stilts.errors import UsageError
from adapter_stilts.formats import get_format
from adapter_stilts.formats.features import Features, Ragged
from adapter_stilts.model import door, encoders, task_classes
from adapter_stilts.model.backbone import load_encoder
from adapter_stilts.model.heads import build_head
from adapter_stilts.model.known_encoders import BOTTLENECKS, KNOWN, KnownEncoder
from adapter_stilts.model.task_model import MicroBatch, TaskModel
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.model.tuning.libraries.adapterhub_package import check_supported
from adapter_stilts.model.weights import fill
from adapter_stilts.training.memory import Training, usage

# DeBERTa and ModernBERT are compiled with torch.jit where they are imported.
pytestmark = [
    pytest.mark.filterwarnings(r"ignore:`torch.jit.script:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*:UserWarning"),
]
NEW = version("transformers") >= "5"
SMALL = {
    "vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48,
    "max_position_embeddings": 64, "initializer_range": 0.2, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "cls_token_id": 1, "sep_token_id": 2, "mask_token_id": 4,
}  # fmt: skip
SMALL_T5 = {"vocab_size": 100, "d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": 3, "num_heads": 2}
MODES = ("full", "lora", "dora", "ia3", "adapter")
LABELS = ("a", "b", "c")
ROWS = {row.name: row for row in KNOWN}
USABLE = [row for row in KNOWN if NEW or not row.needs_transformers_5]


def config_of(row: KnownEncoder) -> dict[str, Any]:
    """A config.json of the row's shape, in small, as a hub's file has it."""
    sizes = SMALL_T5 if row.model_type in encoders.ENCODER_OF else SMALL
    return {"model_type": row.model_type, **sizes, **row.shape}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {}
    for row in USABLE:
        torch.manual_seed(0)
        config = door.build_config(config_of(row), row.name)
        folder = tmp_path_factory.mktemp("encoder")
        made_of = encoders.encoder_class(config)
        made_of(config, **encoders.bare_arguments(made_of)).save_pretrained(folder)
        made[row.name] = folder
    return made


def model_in(folder: Path) -> TaskModel:
    encoder = load_encoder(str(folder), None, 0.0, False)
    return TaskModel(encoder, build_head("tagging", LABELS, encoder.config), get_format("tagging")).eval()


@pytest.fixture
def features() -> Features:
    return Features(Ragged.from_lengths(np.arange(5, 29, dtype=np.int32), [9, 15]), np.arange(3))


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        (row.name, mode)
        for row, mode in itertools.product(USABLE, MODES)
        if row.bottlenecks or mode != "adapter"
    ],
)
def test_trained_by_default_saved_and_read(
    folders: dict[str, Path], name: str, mode: str, features: Features, tmp_path: Path
) -> None:
    tuning = get_tuning(mode)
    tuning.check_encoder(tuning.Settings(), config_of(ROWS[name]))
    model, rows = model_in(folders[name]), np.arange(2)
    plain = model.predict(features, rows).clone()
    tuning.attach(model, tuning.Settings(), 3)
    trained = [key for key, parameter in model.encoder.named_parameters() if parameter.requires_grad]
    assert {number for number in range(3) if any(f".{number}." in key for key in trained)} == {0, 1, 2}
    generator = torch.Generator().manual_seed(4)
    for tensor in tuning.state(model).values():
        tensor += 0.2 * torch.randn(tensor.shape, generator=generator)
    expected = model.predict(features, rows)
    assert not torch.allclose(plain, expected, atol=1e-3)
    tuning.save(model, tmp_path, "tagging", LABELS)
    again = model_in(tmp_path if tuning.WHOLE else folders[name])
    tuning.load_modules(again, tmp_path)
    fill(again.head.state_dict(), tuning.load(tmp_path, "tagging"), tmp_path)  # type: ignore[union-attr]
    assert torch.allclose(again.eval().predict(features, rows), expected, atol=1e-5)


@pytest.mark.parametrize("row", [row for row in USABLE if not row.bottlenecks], ids=lambda row: row.name)
def test_bottlenecks_are_refused_where_there_are_none(row: KnownEncoder) -> None:
    tuning = get_tuning("adapter")
    with pytest.raises(
        UsageError, match=rf"no adapters for encoders of type '{row.model_type}'.*--mode lora"
    ):
        tuning.check_encoder(tuning.Settings(), config_of(row))


def test_which_types_have_bottlenecks_is_what_the_package_has() -> None:
    def has(model_type: str) -> bool:
        try:
            check_supported(model_type)
        except UsageError as error:
            if "no adapters for encoders" not in str(error):
                raise
            return False
        return True

    types = {*task_classes.model_types(), *(row.model_type for row in KNOWN), "albert", "mpnet"}
    assert {each for each in types if has(each)} == BOTTLENECKS & types


def test_prefixes_are_not_for_modernbert() -> None:
    tuning = get_tuning("adapter")
    with pytest.raises(UsageError, match=r"no prefix_tuning for encoders of type 'modernbert': .*pfeiffer"):
        tuning.check_encoder(tuning.Settings(architecture="prefix"), config_of(ROWS["mmBERT"]))


def rotary(config: Any) -> dict[str, float]:
    """The bases of an encoder's rotary positions by kind of layer, whichever version of Transformers holds them."""
    if NEW:
        tables = config.rope_parameters
        return {kind: tables[kind]["rope_theta"] for kind in ("full_attention", "sliding_attention")}
    return {"full_attention": config.global_rope_theta, "sliding_attention": config.local_rope_theta}


@pytest.mark.parametrize("written", ["4.57", "5"])
def test_rotary_bases_and_global_layers_are_those_of_the_file(written: str) -> None:
    """Transformers 5 writes tables where 4.57 wrote numbers; without them mmBERT would be another model."""
    sizes = {"model_type": "modernbert", **SMALL, "num_hidden_layers": 5}
    kinds = ["full_attention", "sliding_attention"]
    if written == "5":
        tables = {
            kind: {"rope_type": "default", "rope_theta": theta}
            for kind, theta in zip(kinds, (7e4, 3e4), strict=True)
        }
        more: dict[str, Any] = {"rope_parameters": tables, "layer_types": [*kinds, *kinds, kinds[0]]}
    else:
        more = {"global_rope_theta": 7e4, "local_rope_theta": 3e4, "global_attn_every_n_layers": 2}
    config = door.build_config({**sizes, **more}, "a file")
    assert rotary(config) == {"full_attention": 7e4, "sliding_attention": 3e4}
    found = (
        config.layer_types if NEW else [kinds[bool(n % config.global_attn_every_n_layers)] for n in range(5)]
    )
    assert found == [*kinds, *kinds, kinds[0]]


def test_neither_compiled_nor_unpadded(folders: dict[str, Path]) -> None:
    said = {**config_of(ROWS["mmBERT"]), "reference_compile": True}
    assert not getattr(door.build_config(said, "a file"), "reference_compile", False)
    encoder = load_encoder(str(folders["mmBERT"]), None, None, False)
    assert encoder.config._attn_implementation == "sdpa"
    assert not getattr(encoder.config, "reference_compile", False)


@pytest.mark.parametrize("mode", ["full", "lora", "ia3"])
@pytest.mark.parametrize("name", ["mmBERT", *(["EuroBERT"] if NEW else [])])
def test_memory_is_told(name: str, mode: str) -> None:
    settings = get_tuning(mode).Settings()
    training = Training(config_of(ROWS[name]), mode, settings, "fp32", "adamw", False, "cpu")
    found = usage(training, 4, 16)
    assert 0 < found.trained_parameters <= found.parameters
    assert (found.trained_parameters == found.parameters) == (mode == "full")
    assert found.activations > 0


def test_gradients_reach_every_parameter_of_a_modernbert(folders: dict[str, Path]) -> None:
    encoder = load_encoder(str(folders["mmBERT"]), None, 0.0, False)
    head = build_head("pair_classification", LABELS, encoder.config)
    model = TaskModel(encoder, head, get_format("pair_classification")).train()
    ids = Ragged.from_lengths(np.arange(5, 29, dtype=np.int32), [9, 15])
    given = Features(ids, np.arange(3), per_example={"label": np.asarray([0, 2])})
    model(MicroBatch(given, np.arange(2), [np.arange(2)], 1.0)).backward()
    assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in model.parameters())
