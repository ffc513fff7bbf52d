"""Settings of tunings: what they count to, what they mean to a stage's key, and that listing them loads nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any, get_args

import pytest
import torch

from adapter_stilts.errors import UnknownNameError, UsageError
from adapter_stilts.formats import get_format
from adapter_stilts.model.heads import Head
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning import get_tuning, tuning_names, tuning_settings
from adapter_stilts.recipe import Recipe
from adapter_stilts.registry import TUNINGS


def test_a_recipe_knows_every_tuning() -> None:
    assert tuning_names() == ("adapter", "dora", "full", "ia3", "lora", "rslora")
    for mode in tuning_names():
        assert Recipe(mode=mode).mode == mode


def test_settings_are_read_without_torch_or_the_libraries() -> None:
    code = (
        "import sys; from adapter_stilts.model.tuning import get_tuning, tuning_names\n"
        "for name in tuning_names(): get_tuning(name).Settings()\n"
        "print([name for name in ('torch', 'transformers', 'peft', 'adapters') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def large() -> Callable[[], TaskModel]:
    """XLM-R Large's geometry, without weights."""
    from transformers import XLMRobertaConfig, XLMRobertaModel

    config = XLMRobertaConfig(
        vocab_size=250_002,
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        max_position_embeddings=514,
        type_vocab_size=1,
    )

    def call() -> TaskModel:
        with torch.device("meta"):
            encoder = XLMRobertaModel(config, add_pooling_layer=False)
        format = get_format("span_qa")
        shape = format.head_shape(())
        assert shape is not None
        return TaskModel(encoder, Head(shape, 1024, 0.1, 0.02, 0), format)

    return call


# Of the encoder's 558,840,832 weights. LoRA: 24 layers × 2 matrices × 2 · 8 · 1024.
COUNTS: dict[str, tuple[str, dict[str, Any], int]] = {
    "lora": ("lora", {"r": 8, "target_modules": ("query", "value")}, 786_432),
    "rslora": ("rslora", {}, 786_432),
    "dora": ("dora", {}, 786_432 + 24 * 2 * 1024),
    "ia3": ("ia3", {}, 24 * (1024 + 1024 + 1024 + 4096)),
    "pfeiffer": ("adapter", {"reduction_factor": 16}, 24 * (2 * 1024 * 64 + 64 + 1024)),
    "houlsby": ("adapter", {"architecture": "houlsby"}, 24 * 2 * (2 * 1024 * 64 + 64 + 1024)),
}


@pytest.mark.parametrize(("name", "values", "count"), COUNTS.values(), ids=COUNTS)
def test_trained_weights_of_xlmr_large(
    large: Callable[[], TaskModel], name: str, values: dict[str, Any], count: int
) -> None:
    model, tuning = large(), get_tuning(name)
    whole = sum(parameter.numel() for parameter in model.encoder.parameters())
    assert whole == 558_840_832
    tuning.attach(model, tuning.Settings.model_validate(values))
    trained = sum(t.numel() for key, t in tuning.state(model).items() if not key.startswith("head."))
    assert trained == count
    assert trained <= 0.02 * whole
    assert 4 * trained <= 4e6 or name not in ("lora", "rslora")


def test_an_architecture_is_no_mode() -> None:
    architectures = get_args(get_tuning("adapter").Settings.model_fields["architecture"].annotation)
    written = dict(TUNINGS.elsewhere)
    for name in architectures:
        assert written[name] == f"--mode adapter --set tuning.adapter.architecture={name}"
    assert {each.rpartition("=")[2] for each in written.values()} == set(architectures)


def test_defaults_of_an_architecture_are_written_out() -> None:
    settings = tuning_settings("adapter", {"adapter": {"architecture": "prefix"}})
    assert settings.part() == {
        "architecture": "prefix",
        "dropout": 0.0,
        "reduction_factor": None,
        "non_linearity": "tanh",
        "phm_dim": None,
        "prefix_length": 30,
        "bottleneck_size": 512,
    }
    spelled = tuning_settings("adapter", {"adapter": {"architecture": "pfeiffer", "reduction_factor": 16}})
    assert spelled == tuning_settings("adapter", {})
    assert tuning_settings("lora", {"lora": {"r": 4}, "adapter": {"dropout": 0.5}}).part()["r"] == 4


def test_full_says_only_what_is_switched_on() -> None:
    assert tuning_settings("full", {}).part() == {}
    assert tuning_settings("full", {"full": {"freeze_embeddings": True}}).part() == {
        "freeze_embeddings": True
    }


def test_bad_settings() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown tuning\.lora key 'alfa'; did you mean 'alpha'\?"):
        tuning_settings("lora", {"lora": {"alfa": 1}})
    with pytest.raises(UsageError, match=r"tuning\.adapter key architecture = 'pfeifer'; valid: 'pfeiffer'"):
        tuning_settings("adapter", {"adapter": {"architecture": "pfeifer"}})
    with pytest.raises(UnknownNameError, match=r"unknown mode 'lor'; did you mean 'lora'\?"):
        get_tuning("lor")
