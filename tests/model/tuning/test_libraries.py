"""What we save, its own library loads unaided with the same logits; what the library saves, we load."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapter_stilts.model import task_classes
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.model.weights import fill
from adapter_stilts.tasks import get_task

Attached = Callable[..., Any]
Build = Callable[..., Any]
TARGETS = {
    "pair_classification": "xnli",
    "multiple_choice": "hellaswag",
    "span_qa": "xquad",
    "tagging": "udpos",
}

# Transformers and both libraries warn of heads that start at random and are loaded a moment later.
pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")


@pytest.fixture
def plain() -> Callable[..., Any]:
    """Transformers' own task class on a base, with a head of the right size."""
    import transformers

    def call(base: Path, format_name: str) -> Any:
        labels = get_task(TARGETS[format_name]).labels
        sizes = {"num_labels": len(labels)} if labels else {}
        return getattr(transformers, task_classes.class_of(format_name) or "").from_pretrained(base, **sizes)

    return call


def loaded_by_its_library(tuning: Any, model: Any, directory: Path) -> Any:
    if tuning.LIBRARY == "peft":
        from peft import PeftModel

        return PeftModel.from_pretrained(model, str(directory)).eval()
    import adapters

    adapters.init(model)
    model.load_adapter(str(directory), use_safetensors=True, set_active=True)
    return model.eval()


def answers(model: Any, format_name: str, ids: Any, mask: Any) -> torch.Tensor:
    with torch.inference_mode():
        if format_name == "multiple_choice":
            found: torch.Tensor = model(input_ids=ids[None], attention_mask=mask[None]).logits.reshape(4, 1)
            return found
        output = model(input_ids=ids, attention_mask=mask)
        if format_name == "span_qa":
            return torch.stack([output.start_logits, output.end_logits], dim=-1)
        logits: torch.Tensor = output.logits
        return logits


def difference(ours: torch.Tensor, theirs: torch.Tensor, mask: torch.Tensor) -> float:
    """The largest, over what is not padding."""
    real = mask.bool() if ours.dim() == 3 else torch.ones(len(ours), dtype=torch.bool)
    assert ours.shape == theirs.shape
    assert float(ours[real].abs().max()) > 0.01
    return float((ours - theirs)[real].abs().max())


def test_its_library_loads_it_with_the_same_logits(
    attached: Attached, plain: Any, tuned: Any, tiny_base: Path, format_name: str, batch: Any, tmp_path: Path
) -> None:
    features, ids, mask = batch
    model, tuning = attached(tiny_base, format_name, tuned), tuned[0]
    tuning.save(model, tmp_path, format_name, get_task(TARGETS[format_name]).labels)
    assert not [path.name for path in tmp_path.iterdir() if path.suffix in (".bin", ".pt", ".pkl")]
    ours = model.predict(features, np.arange(4))
    theirs = loaded_by_its_library(tuning, plain(tiny_base, format_name), tmp_path)
    assert difference(ours, answers(theirs, format_name, ids, mask), mask) <= 1e-5


@pytest.mark.parametrize("key", ["lora", "ia3", "pfeiffer", "compacter"])
def test_of_another_family_too(
    attached: Attached,
    plain: Any,
    tuning_of: Any,
    key: str,
    tiny_bert: Path,
    format_name: str,
    batch: Any,
    tmp_path: Path,
) -> None:
    features, ids, mask = batch
    tuned = tuning_of(key)
    model = attached(tiny_bert, format_name, tuned)
    model.padding_id = 1
    tuned[0].save(model, tmp_path, format_name, get_task(TARGETS[format_name]).labels)
    ours = model.predict(features, np.arange(4))
    theirs = loaded_by_its_library(tuned[0], plain(tiny_bert, format_name), tmp_path)
    assert difference(ours, answers(theirs, format_name, ids, mask), mask) <= 1e-5


def test_flexible_heads_take_it_as_well(
    attached: Attached, tuning_of: Any, tiny_base: Path, batch: Any, tmp_path: Path
) -> None:
    from adapters import AutoAdapterModel

    features, ids, mask = batch
    tuned = tuning_of("pfeiffer")
    model = attached(tiny_base, "pair_classification", tuned, name="nli")
    tuned[0].save(model, tmp_path, "pair_classification", get_task("xnli").labels)
    theirs = AutoAdapterModel.from_pretrained(tiny_base)
    assert theirs.load_adapter(str(tmp_path), use_safetensors=True, set_active=True) == "nli"
    ours = model.predict(features, np.arange(4))
    found = answers(theirs.eval(), "pair_classification", ids, mask)
    assert difference(ours, found, mask) <= 1e-5
    assert theirs.get_labels() == list(get_task("xnli").labels)


def test_we_load_what_we_saved(
    attached: Attached,
    build: Build,
    tuned: Any,
    tiny_base: Path,
    format_name: str,
    batch: Any,
    tmp_path: Path,
) -> None:
    features, _, _ = batch
    model, (tuning, settings) = attached(tiny_base, format_name, tuned, name="first"), tuned
    tuning.save(model, tmp_path, format_name, get_task(TARGETS[format_name]).labels)
    expected = model.predict(features, np.arange(4))

    fresh = build(tiny_base, format_name, seed=2)
    tuning.load_modules(fresh, tmp_path, "second")
    fill(fresh.head.state_dict(), tuning.load(tmp_path, format_name), tmp_path)
    assert torch.equal(fresh.eval().predict(features, np.arange(4)), expected)

    continued = build(tiny_base, format_name, seed=2)
    tuning.attach(continued, settings, 9, "third")
    tuning.load_modules(continued, tmp_path, "third")
    fill(continued.head.state_dict(), tuning.load(tmp_path, format_name), tmp_path)
    assert torch.equal(continued.eval().predict(features, np.arange(4)), expected)
    assert sum(p.numel() for p in tuning.state(continued).values()) == sum(
        p.numel() for p in tuning.state(model).values()
    )


@pytest.mark.parametrize("key", ["lora", "dora", "rslora", "ia3"])
@pytest.mark.parametrize("bare", [False, True])
def test_we_load_what_peft_saved(
    build: Build,
    plain: Any,
    tuning_of: Any,
    key: str,
    bare: bool,
    tiny_base: Path,
    batch: Any,
    tmp_path: Path,
) -> None:
    """From a task class with its head, and from an encoder without one."""
    import peft
    from transformers import AutoModel

    features, ids, mask = batch
    tuning, _ = tuning_of(key)
    more: dict[str, Any] = {"dora": {"use_dora": True}, "rslora": {"use_rslora": True}}.get(key, {})
    if key == "ia3":
        config: Any = peft.IA3Config(
            target_modules=["key", "value", "output.dense"], feedforward_modules=["output.dense"]
        )
    else:
        config = peft.LoraConfig(r=4, lora_alpha=7, target_modules=["query", "key"], **more)
    if not bare:
        config.task_type = "SEQ_CLS"
    model = (
        AutoModel.from_pretrained(tiny_base, add_pooling_layer=False)
        if bare
        else plain(tiny_base, "pair_classification")
    )
    theirs = peft.get_peft_model(model, config).eval()
    _disturb(theirs)
    theirs.save_pretrained(str(tmp_path))

    ours = build(tiny_base, "pair_classification", seed=2)
    tuning.load_modules(ours, tmp_path)
    if bare:
        ours.head = None
        with torch.inference_mode():
            expected = theirs(input_ids=ids, attention_mask=mask).last_hidden_state
    else:
        fill(ours.head.state_dict(), tuning.load(tmp_path, "pair_classification"), tmp_path)
        expected = answers(theirs, "pair_classification", ids, mask)
    assert difference(ours.eval().predict(features, np.arange(4)), expected, mask) <= 1e-5


@pytest.mark.parametrize("name", ["seq_bn", "double_seq_bn", "par_bn", "compacter"])
def test_we_load_what_adapterhub_saved(
    build: Build, plain: Any, tuning_of: Any, name: str, tiny_base: Path, batch: Any, tmp_path: Path
) -> None:
    import adapters

    features, ids, mask = batch
    tuning, _ = tuning_of("pfeiffer")
    theirs = plain(tiny_base, "tagging")
    adapters.init(theirs)
    theirs.add_adapter("theirs", config=adapters.AdapterConfig.load(name, reduction_factor=4))
    theirs.set_active_adapters("theirs")
    theirs.train_adapter("theirs")
    _disturb(theirs)
    theirs.eval().save_adapter(str(tmp_path), "theirs", use_safetensors=True)

    ours = build(tiny_base, "tagging", seed=2)
    tuning.load_modules(ours, tmp_path, "ours")
    fill(ours.head.state_dict(), tuning.load(tmp_path, "tagging"), tmp_path)
    expected = answers(theirs, "tagging", ids, mask)
    assert difference(ours.eval().predict(features, np.arange(4)), expected, mask) <= 1e-5


def test_several_named_modules_on_one_encoder(
    attached: Attached, build: Build, tuned: Any, tiny_base: Path, batch: Any, tmp_path: Path
) -> None:
    """Each keeps its weights, whatever stands beside it, and only the last one attached is trained."""
    features, _, _ = batch
    tuning, settings = tuned
    first = attached(tiny_base, "tagging", tuned, name="first")
    tuning.save(first, tmp_path, "tagging", get_task("udpos").labels)
    both = build(tiny_base, "tagging", seed=2)
    tuning.load_modules(both, tmp_path, "first")
    before = {name: p.detach().clone() for name, p in both.named_parameters() if ".first" in name}
    tuning.attach(both, settings, 4, "second")
    assert all(torch.equal(p, before[name]) for name, p in both.named_parameters() if name in before)
    trained = {name for name in tuning.state(both) if not name.startswith("head.")}
    assert trained
    assert all(".second" in name for name in trained)
    assert both.eval().predict(features, np.arange(4)).shape == (4, 12, 17)


def test_new_modules_depend_on_their_seed_alone(tuned: Any, build: Build, tiny_base: Path) -> None:
    states = []
    for noise, seed in ((1, 7), (2, 7), (2, 8)):
        torch.manual_seed(noise)
        model: TaskModel = build(tiny_base, "tagging")
        after = torch.get_rng_state()
        tuned[0].attach(model, tuned[1], seed)
        assert torch.equal(torch.get_rng_state(), after)
        states.append(tuned[0].state(model))
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    drawn = tuned[0].Settings.__module__.rsplit(".", 1)[1] != "ia3"  # whose factors start at one
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0]) == drawn


def _disturb(model: Any) -> None:
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("mode", ["lora", "ia3"])
def test_the_same_modules_are_the_same_file_in_every_process(
    attached: Attached, tiny_base: Path, mode: str, tmp_path: Path
) -> None:
    """PEFT keeps names of layers in sets, whose order is another in each process; digests are of the files."""
    layers = ["query", "key", "value", "attention.output.dense", "intermediate.dense", "layer.1.output.dense"]
    tuning = get_tuning(mode)
    settings = tuning.Settings.model_validate({"target_modules": layers})
    tuning.save(attached(tiny_base, "tagging", (tuning, settings)), tmp_path, "tagging", ())
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["target_modules"] == sorted(layers)
    if mode == "ia3":
        assert len(config["feedforward_modules"]) > 1
        assert config["feedforward_modules"] == sorted(config["feedforward_modules"])
