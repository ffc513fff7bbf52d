"""Several modules under one target: stacked or fused, the first ones frozen, and what their libraries make of the
result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapter_stilts.errors import BundleError, UsageError
from adapter_stilts.model.tuning.base import unused_name
from adapter_stilts.model.weights import fill
from adapter_stilts.tasks import get_task

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")
CELLS = [("lora", "stack"), ("lora", "fuse"), ("rslora", "stack"), ("rslora", "fuse"), ("pfeiffer", "stack"),
         ("pfeiffer", "fuse"), ("houlsby", "fuse"), ("compacter", "stack"), ("prefix", "stack")]  # fmt: skip
LABELS = get_task("udpos").labels


@pytest.fixture
def combined(
    attached: Any, build: Any, tuning_of: Any, tiny_base: Path, tmp_path: Path
) -> Callable[..., Any]:
    """A model over two bundles, with what is trained moved away from its start."""

    def call(key: str, how: str) -> tuple[Any, Any, dict[str, Path]]:
        tuning, settings = tuning_of(key)
        bundles = {}
        for seed, name in enumerate(("first", "second"), 1):
            bundles[name] = tmp_path / name
            bundles[name].mkdir()
            tuning.save(
                attached(tiny_base, "tagging", (tuning, settings), seed), bundles[name], "tagging", LABELS
            )
        model = build(tiny_base, "tagging", seed=5)
        tuning.combine(model, how, bundles, settings, 7, "third")
        generator = torch.Generator().manual_seed(8)
        for tensor in tuning.state(model).values():
            tensor += 0.1 * torch.randn(tensor.shape, generator=generator)
        return model, tuning, bundles

    return call


@pytest.mark.parametrize(("key", "how"), CELLS)
def test_only_what_is_new_is_trained(
    combined: Any, attached: Any, tuning_of: Any, tiny_base: Path, key: str, how: str
) -> None:
    model, tuning, _ = combined(key, how)
    marks = {
        "stack": ".third.",
        "fuse": ".adapter_fusion_layer." if tuning.LIBRARY != "peft" else ".lora_mixture.",
    }
    trained = {name for name in tuning.state(model) if not name.startswith("head.")}
    assert trained
    assert [name for name in trained if marks[how] not in name] == []
    for seed, name in enumerate(("first", "second"), 1):
        alone = attached(tiny_base, "tagging", tuning_of(key), seed, name=name)
        expected = {n: t for n, t in tuning.state(alone).items() if f".{name}." in n}
        assert expected
        have = dict(model.named_parameters())
        folded = how == "fuse" and tuning.LIBRARY == "peft"  # scales are folded into the second factor
        for parameter, tensor in expected.items():
            if not (folded and "lora_B" in parameter):
                assert torch.equal(have[parameter], tensor), parameter
    model.train()
    inputs = torch.randn(2, 6, 32, generator=torch.Generator().manual_seed(1))
    states = model.encoder(inputs_embeds=inputs, attention_mask=torch.ones(2, 6, dtype=torch.long))
    (model.head(states.last_hidden_state) ** 2).sum().backward()
    silent = [n for n, p in model.named_parameters() if p.requires_grad and not bool((p.grad != 0).any())]
    # The query's and key's biases of a fusion move all scores alike, or none while its inputs are the same.
    assert [name for name in silent if not name.endswith((".key.bias",))] == []
    assert [n for n, p in model.named_parameters() if not p.requires_grad and p.grad is not None] == []


@pytest.mark.parametrize(("key", "how"), CELLS)
def test_saved_and_loaded_it_answers_alike(
    combined: Any, build: Any, tiny_base: Path, batch: Any, tmp_path: Path, key: str, how: str
) -> None:
    features, ids, mask = batch
    model, tuning, _ = combined(key, how)
    out = tmp_path / "out"
    out.mkdir()
    tuning.save(model, out, "tagging", LABELS)
    expected = model.eval().predict(features, np.arange(4))

    fresh = build(tiny_base, "tagging", seed=2)
    tuning.load_modules(fresh, out, "any")
    fill(fresh.head.state_dict(), tuning.load(out, "tagging"), out)
    found = fresh.eval().predict(features, np.arange(4))
    # Of one module and of several in a row the sums round otherwise, in proportion to what is summed.
    largest = float(expected[mask.bool()].abs().max())
    assert float((found - expected)[mask.bool()].abs().max()) <= 1e-5 * max(1.0, largest)

    from transformers import AutoModelForTokenClassification

    theirs = AutoModelForTokenClassification.from_pretrained(tiny_base, num_labels=len(LABELS))
    if tuning.LIBRARY == "peft":
        from peft import PeftModel

        theirs = PeftModel.from_pretrained(theirs, str(out))
    else:
        import adapters

        adapters.init(theirs)
        theirs.load_adapter_setup(str(out), set_active=True, use_safetensors=True)
    with torch.inference_mode():
        answered = theirs.eval()(input_ids=ids, attention_mask=mask).logits
    assert float((answered - expected)[mask.bool()].abs().max()) <= 1e-5 * max(1.0, largest)


def test_a_mixture_begins_as_the_mean(combined: Any, build: Any, tuning_of: Any, tiny_base: Path) -> None:
    _, tuning, bundles = combined("lora", "fuse")
    model = build(tiny_base, "tagging", seed=5)
    tuning.combine(model, "fuse", bundles, tuning_of("lora")[1], 7, "third")
    weights = [float(t) for name, t in tuning.state(model).items() if "mixture" in name]
    assert weights == [0.5] * (2 * 2 * 2)


def test_what_cannot_be_combined(combined: Any, tuning_of: Any, build: Any, tiny_base: Path) -> None:
    for key, how, message in (
        ("dora", "stack", "DoRA's updates do not add"),
        ("ia3", "fuse", "IA3's factors do not add"),
    ):
        with pytest.raises(UsageError, match=message):
            tuning_of(key)[0].combine(build(tiny_base, "tagging"), how, {}, tuning_of(key)[1], 0)
    with pytest.raises(UsageError, match="AdapterFusion weighs the outputs of bottlenecks; prefixes"):
        combined("prefix", "fuse")


def test_setups_that_cannot_be_read(combined: Any, build: Any, tiny_base: Path, tmp_path: Path) -> None:
    import json

    model, tuning, _ = combined("pfeiffer", "fuse")
    out = tmp_path / "out"
    out.mkdir()
    tuning.save(model, out, "tagging", LABELS)
    setup = json.loads((out / "adapter_setup.json").read_text())
    for change in (
        {"adapter_setup": {"type": "Parallel", "children": ["first", "second"]}},
        {"adapter_setup": {"type": "Fuse", "children": ["first", "../second"]}},
        {"adapter_setup": {"type": "Fuse", "children": ["first"]}},
        {"adapter_setup": None},
    ):
        (out / "adapter_setup.json").write_text(json.dumps({**setup, **change}))
        with pytest.raises(BundleError, match="should hold a Stack or a Fuse of two or more plain names"):
            tuning.load_modules(build(tiny_base, "tagging"), out)
    (out / "adapter_setup.json").write_text(json.dumps(setup))
    (out / "first,second" / "model_adapter_fusion.safetensors").unlink()
    with pytest.raises(BundleError, match=r"model_adapter_fusion\.safetensors is missing"):
        tuning.load_modules(build(tiny_base, "tagging"), out)


def test_names_are_unique_whatever_others_are_called() -> None:
    """A task called as a second bundle of another task would be kept as its own."""
    used: dict[str, int] = {}
    for number, name in enumerate(("mnli", "mnli_again1", "mnli", "mnli", "mnli_again1")):
        used[unused_name(name, used)] = number
    assert list(used) == ["mnli", "mnli_again1", "mnli_again2", "mnli_again3", "mnli_again1_again1"]
