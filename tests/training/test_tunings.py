"""Training on a frozen encoder: nothing else moves, everything that should does, and a resumed run ends alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.recipe import TrainingSettings
from adapter_stilts.training.learner import Learner
from adapter_stilts.training.loop import Speed, train
from adapter_stilts.training.mixture import alone
from adapter_stilts.training.watch import LoopWatch, Step

pytestmark = pytest.mark.slow

TUNINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "lora": ("lora", {"r": 4}),
    "dora": ("dora", {"r": 4}),
    "rslora": ("rslora", {"r": 4, "target_modules": ("query", "dense")}),
    "ia3": ("ia3", {}),
    "pfeiffer": ("adapter", {"reduction_factor": 4}),
    "houlsby": ("adapter", {"architecture": "houlsby", "reduction_factor": 4}),
    "parallel": ("adapter", {"architecture": "parallel"}),
    "compacter": ("adapter", {"architecture": "compacter", "reduction_factor": 4}),
    "prefix": ("adapter", {"architecture": "prefix", "prefix_length": 3, "bottleneck_size": 8}),
    "full, frozen embeddings": ("full", {"freeze_embeddings": True}),
}
OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "full, bf16 weights": ("full", {"freeze_embeddings": True, "bf16_weights": True}),
    "full": ("full", {}),
    "full, rows of the table": ("full", {"sparse_embeddings": True}),
    "full, rows of the table, bf16 weights": ("full", {"sparse_embeddings": True, "bf16_weights": True}),
}
Make = Callable[..., tuple[Any, Any]]


class Stopped(Exception):
    """What breaks a run off."""


class Recorder(LoopWatch):
    def __init__(self, fail_after: int | None) -> None:
        self.losses: list[float] = []
        self._fail_after = fail_after

    def step(self, step: Step) -> None:
        self.losses.append(step.loss)
        if step.step == self._fail_after:
            raise Stopped


@pytest.fixture
def make(tiny_base: Path) -> Make:
    """A model of squad_v1 with a tuning attached: always the same weights."""
    from adapter_stilts.formats import get_format
    from adapter_stilts.model.backbone import load_encoder
    from adapter_stilts.model.heads import Head
    from adapter_stilts.model.task_model import TaskModel

    def call(
        key: str,
        precision: str = "fp32",
        checkpointing: bool = False,
        dropout: float = 0.1,
        over: tuple[str, dict[str, Path]] | None = None,
    ) -> tuple[Any, Any]:
        name, values = {**TUNINGS, **OTHERS}[key]
        tuning = get_tuning(name)
        settings = tuning.Settings.model_validate(values)
        weights = tuning.backbone_weights(settings, precision)
        encoder = load_encoder(str(tiny_base), None, dropout, checkpointing, weights)
        format = get_format("span_qa")
        shape = format.head_shape(())
        assert shape is not None
        model = TaskModel(encoder, Head(shape, 32, dropout, 0.2, 0), format, bf16=precision != "fp32")
        if over is None:
            tuning.attach(model, settings, 5, "task")
        else:
            tuning.combine(model, *over, settings, 5, "task")
        return model, tuning

    return call


@pytest.fixture
def run(encoded: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[float]]:
    from accelerate import Accelerator

    monkeypatch.setattr("adapter_stilts.training.checkpoint.CHECKPOINT_SHARE", float("inf"))

    def call(
        made: tuple[Any, Any], work: Path, fail_after: int | None = None, optimizer: Any = "adamw"
    ) -> list[float]:
        model, tuning = made
        settings = TrainingSettings(learning_rate=1e-2, max_steps=6, batch_size=4, warmup_ratio=0.5)
        watch = Recorder(fail_after)
        learner = Learner(model, tuning, settings, optimizer, None, work)
        mixture = alone(encoded("squad_v1"), model.format, settings, 0)
        train(learner, mixture, 0, Speed(100_000, 32, 0.0), Accelerator(cpu=True), watch)
        return watch.losses

    return call


def copied(tensors: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors}


def frozen(model: Any) -> dict[str, torch.Tensor]:
    return copied((n, p) for n, p in model.named_parameters() if not p.requires_grad)


def same(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> bool:
    """To the last bit (bitsandbytes widens a frozen bias to the type of what it is added to)."""
    return first.keys() == second.keys() and all(
        torch.equal(first[name].double(), second[name].double()) for name in first
    )


@pytest.mark.parametrize("key", TUNINGS)
def test_what_is_frozen_stays_and_what_is_trained_moves(
    make: Make, run: Callable[..., Any], key: str, tmp_path: Path
) -> None:
    model, tuning = make(key)
    still, before = frozen(model), copied(tuning.state(model).items())
    run((model, tuning), tmp_path / "work")
    assert len(still) > 0
    assert same(frozen(model), still)
    after = tuning.state(model)
    assert [name for name in before if torch.equal(before[name], after[name])] == []


@pytest.mark.parametrize("key", TUNINGS)
def test_gradients_reach_every_trained_tensor_and_nothing_else(
    make: Make, encoded: Callable[..., Any], key: str
) -> None:
    from adapter_stilts.model.task_model import MicroBatch

    model, _ = make(key)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    features = encoded("squad_v1")
    rows = np.arange(16)
    model.train()
    model(MicroBatch(features, rows, [rows], 1.0)).backward()
    without = [n for n, p in model.named_parameters() if p.requires_grad and not bool((p.grad != 0).any())]
    # A key's bias moves all scores of a row alike, which the softmax takes away again.
    assert [name for name in without if not name.endswith("self.key.bias")] == []
    assert [n for n, p in model.named_parameters() if not p.requires_grad and p.grad is not None] == []


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("key", TUNINGS)
def test_nothing_is_computed_backwards_below_the_lowest_trained_module(
    make: Make, encoded: Callable[..., Any], key: str, checkpointing: bool
) -> None:
    from adapter_stilts.model.task_model import MicroBatch

    if key == "full, frozen embeddings":
        pytest.skip("its embeddings' layer norm is trained")
    model, _ = make(key, checkpointing=checkpointing)
    seen: dict[str, bool] = {}

    def hook(name: str) -> Callable[..., None]:
        def see(module: Any, given: Any, output: Any) -> None:
            seen.setdefault(name, (output[0] if isinstance(output, tuple) else output).requires_grad)

        return see

    model.encoder.embeddings.register_forward_hook(hook("embeddings"))
    model.encoder.encoder.layer[0].register_forward_hook(hook("first layer"))
    rows = np.arange(4)
    model.train()
    model(MicroBatch(encoded("squad_v1"), rows, [rows], 1.0)).backward()
    assert seen == {"embeddings": False, "first layer": True}


@pytest.mark.parametrize("key", TUNINGS)
def test_checkpoints_hold_what_is_trained_and_a_resumed_run_ends_with_the_same_bits(
    make: Make, run: Callable[..., Any], key: str, tmp_path: Path
) -> None:
    whole = make(key)
    losses = run(whole, tmp_path / "whole")
    broken = make(key)
    with pytest.raises(Stopped):
        run(broken, tmp_path / "broken", fail_after=4)
    model, tuning = make(key)
    kept = load_file(tmp_path / "broken" / "checkpoint-00000003" / "model.safetensors")
    assert set(kept) == {name for name, p in model.named_parameters() if p.requires_grad}
    assert run((model, tuning), tmp_path / "broken") == losses[3:]
    assert same(copied(tuning.state(model).items()), copied(tuning.state(whole[0]).items()))


@pytest.mark.parametrize("key", TUNINGS)
def test_gradient_checkpointing_changes_nothing(
    make: Make, run: Callable[..., Any], key: str, tmp_path: Path
) -> None:
    plain, saving = make(key), make(key, checkpointing=True)
    assert saving[0].encoder.is_gradient_checkpointing
    losses = run(plain, tmp_path / "plain")
    assert run(saving, tmp_path / "saving") == pytest.approx(losses, rel=1e-5)


@pytest.mark.parametrize("precision", ["bf16", "8bit", "4bit"])
@pytest.mark.parametrize("key", ["lora", "dora", "ia3", "pfeiffer", "compacter", "prefix"])
def test_small_weights_under_the_modules(
    make: Make,
    run: Callable[..., Any],
    encoded: Callable[..., Any],
    key: str,
    precision: str,
    tmp_path: Path,
) -> None:
    model, tuning = make(key, precision)
    kinds = {
        "embeddings": model.encoder.embeddings.word_embeddings.weight.dtype,
        "norms": {m.weight.dtype for m in model.modules() if isinstance(m, torch.nn.LayerNorm)},
        "trained": {tensor.dtype for tensor in tuning.state(model).values()},
        "heads": {tensor.dtype for tensor in model.head.parameters()},
    }
    assert kinds == {
        "embeddings": torch.bfloat16,
        "norms": {torch.float32},
        "trained": {torch.float32},
        "heads": {torch.float32},
    }
    integers = {p.dtype for p in model.parameters()} - {torch.bfloat16, torch.float32}
    assert integers == {"bf16": set(), "8bit": {torch.int8}, "4bit": {torch.uint8}}[precision]
    still = frozen(model)
    losses = run((model, tuning), tmp_path / "whole")
    assert same(frozen(model), still)
    with pytest.raises(Stopped):
        run(make(key, precision), tmp_path / "broken", fail_after=4)
    again = make(key, precision)
    again[0].eval().predict(encoded("squad_v1"), np.arange(3))  # leaves the weights as they are
    assert run(again, tmp_path / "broken") == losses[3:]
    assert same(copied(tuning.state(again[0]).items()), copied(tuning.state(model).items()))
    exact = run(make(key), tmp_path / "exact")
    assert losses == pytest.approx(exact, rel=0.15)
    assert losses != exact


@pytest.mark.parametrize("how", ["stack", "fuse"])
@pytest.mark.parametrize("key", ["lora", "pfeiffer"])
def test_combinations_train_what_is_new_and_resume(
    make: Make, run: Callable[..., Any], key: str, how: str, tmp_path: Path
) -> None:
    bundles = {}
    for number, name in enumerate(("first", "second"), 1):
        model, tuning = make(key)
        for tensor in tuning.state(model).values():
            tensor += 0.1 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(number))
        bundles[name] = tmp_path / name
        bundles[name].mkdir()
        tuning.save(model, bundles[name], "span_qa", ())
    whole, tuning = make(key, over=(how, bundles))
    still, before = frozen(whole), copied(tuning.state(whole).items())
    losses = run((whole, tuning), tmp_path / "whole")
    assert same(frozen(whole), still)
    after = tuning.state(whole)
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert set(before) - set(moved) <= {name for name in before if name.endswith("key.bias")}
    with pytest.raises(Stopped):
        run(make(key, over=(how, bundles)), tmp_path / "broken", fail_after=4)
    again = make(key, over=(how, bundles))
    assert run(again, tmp_path / "broken") == losses[3:]
    assert same(copied(tuning.state(again[0]).items()), copied(after.items()))


def test_full_with_bf16_weights_resumes_too(make: Make, run: Callable[..., Any], tmp_path: Path) -> None:
    key, precision, optimizer = "full, bf16 weights", "bf16", "adamw8bit"
    whole, (model, tuning) = make(key, precision), make(key, precision)
    losses = run(whole, tmp_path / "whole", optimizer=optimizer)
    with pytest.raises(Stopped):
        run(make(key, precision), tmp_path / "broken", fail_after=4, optimizer=optimizer)
    assert run((model, tuning), tmp_path / "broken", optimizer=optimizer) == losses[3:]
    assert same(copied(tuning.state(model).items()), copied(tuning.state(whole[0]).items()))
    kinds = {name: tensor.dtype for name, tensor in tuning.state(model).items()}
    assert {kind for name, kind in kinds.items() if "LayerNorm" in name or "head" in name} == {torch.float32}
    assert kinds["encoder.encoder.layer.0.attention.self.query.weight"] == torch.bfloat16
    assert not any("word_embeddings" in name for name in kinds)
    exact = run(make("full, frozen embeddings"), tmp_path / "exact")
    assert losses == pytest.approx(exact, rel=0.15)


@pytest.mark.parametrize(
    ("key", "precision", "optimizer"),
    [
        ("full, rows of the table", "fp32", "adamw"),
        ("full, rows of the table, bf16 weights", "bf16", "adamw8bit"),
    ],
)
def test_full_with_rows_of_the_table_resumes_too(
    make: Make, run: Callable[..., Any], key: str, precision: str, optimizer: str, tmp_path: Path
) -> None:
    whole, (model, tuning) = make(key, precision), make(key, precision)
    losses = run(whole, tmp_path / "whole", optimizer=optimizer)
    with pytest.raises(Stopped):
        run(make(key, precision), tmp_path / "broken", fail_after=4, optimizer=optimizer)
    assert run((model, tuning), tmp_path / "broken", optimizer=optimizer) == losses[3:]
    assert same(copied(tuning.state(model).items()), copied(tuning.state(whole[0]).items()))
    exact = run(make("full"), tmp_path / "exact")
    assert losses == pytest.approx(exact, rel=0.15)
    assert losses != exact
