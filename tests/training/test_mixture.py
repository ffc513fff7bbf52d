"""Mixtures: who is drawn how often, what a step depends on, and several heads in one loop."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapter_stilts.formats import get_format, masked_lm
from adapter_stilts.formats.examples import TextExample
from adapter_stilts.formats.features import item_lengths
from adapter_stilts.recipe import MixtureSettings, TrainingSettings
from adapter_stilts.training.mixture import Mixture, Portion, mix, task_shares
from adapter_stilts.training.order import Order, SmoothedOrder

pytestmark = pytest.mark.slow

Fit = Callable[..., Any]
TASKS = ("hellaswag", "snli", "squad_v1")
TEXT = [
    "The lamp of Riga was lit yesterday.",
    "The bridge of Quito was sold.",
    "Turm in Hanoi",
    "Uhr in Perth",
]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [0.1, 0.3, 0.6]),
        ({"cap": 300}, [100 / 700, 300 / 700, 300 / 700]),
        ({"cap": "none"}, [0.1, 0.3, 0.6]),
        ({"sampling": "uniform"}, [1 / 3] * 3),
        ({"sampling": "temperature", "temperature": 1}, [0.1, 0.3, 0.6]),
        ({"sampling": "temperature"}, [10 / 51.816, 17.3205 / 51.816, 24.4949 / 51.816]),
    ],
)
def test_shares(settings: dict[str, Any], expected: list[float]) -> None:
    assert task_shares([100, 300, 600], MixtureSettings(**settings)) == pytest.approx(expected, abs=1e-4)


def portion(name: str, size: int, batch_size: int = 4) -> Portion:
    from adapter_stilts.formats.features import Features, Ragged

    features = Features(Ragged.from_lengths(np.zeros(5 * size), [5] * size), np.arange(size + 1))
    order = Order(features.input_ids.lengths, batch_size, "shuffled", 0)
    return Portion(name, features, get_format("pair_classification"), order, 1.0)


def drawn(mixture: Mixture, numbers: Any) -> list[tuple[str | None, list[int]]]:
    return [(step.task, step.items.tolist()) for step in map(mixture.step, numbers)]


def test_a_step_depends_on_the_seed_and_its_number_alone() -> None:
    def new(seed: int = 0) -> Mixture:
        return mix([portion("a", 40), portion("b", 80)], [], MixtureSettings(), 4, seed)

    forwards = drawn(new(), range(5000))
    assert drawn(new(), reversed(range(5000))) == forwards[::-1]
    assert drawn(new(), [4999, 7]) == [forwards[4999], forwards[7]]
    assert drawn(new(1), range(50)) != forwards[:50]


def test_a_task_goes_through_all_its_items_before_any_comes_again() -> None:
    mixture = mix([portion("a", 40), portion("b", 80)], [], MixtureSettings(), 4, 0)
    steps = drawn(mixture, range(1000))
    for name, size in (("a", 40), ("b", 80)):
        own = [items for task, items in steps if task == name]
        for start in range(0, len(own) - size // 4, size // 4):
            assert sorted(itertools.chain(*own[start : start + size // 4])) == list(range(size))
    assert mixture.counts(1000)["a"] == sum(task == "a" for task, _ in steps)
    assert mixture.counts(1000)["a"] / 1000 == pytest.approx(1 / 3, abs=0.04)


def test_a_pass_counts_what_a_cap_leaves() -> None:
    tasks = [portion("a", 40), portion("b", 80)]
    assert mix(tasks, [], MixtureSettings(), 4, 0).total_steps(3, None) == 90
    assert mix(tasks, [], MixtureSettings(cap=40), 4, 0).total_steps(3, None) == 60
    assert mix(tasks, [], MixtureSettings(), 4, 0).total_steps(3, 7) == 7
    # Text adds steps, and takes none from the tasks.
    mixed = mix(tasks, [(portion("mlm", 1000), 0.5)], MixtureSettings(), 4, 0)
    assert mixed.total_steps(3, None) == 135
    assert [p.share for p in mixed.portions] == pytest.approx([2 / 9, 4 / 9, 1 / 3])
    texts = mix([], [(portion("mlm", 40), 1.0), (portion("tlm", 40), 3.0)], MixtureSettings(), 4, 0)
    assert texts.total_steps(1, None) == 20
    assert [p.share for p in texts.portions] == [0.25, 0.75]
    # One task is passed over as it would be alone.
    assert mix([portion("a", 41)], [], MixtureSettings(cap=8), 4, 0).total_steps(1, None) == 11


def test_languages_are_smoothed() -> None:
    order = SmoothedOrder(np.full(1010, 7), np.asarray([0, 1000, 1010, 1010]), 8, 0.3, 0)
    assert order.shares == pytest.approx(np.asarray([0.7993, 0.2007, 0.0]), abs=1e-3)
    items = np.concatenate([order.step(number) for number in range(2000)])
    assert (items >= 1000).mean() == pytest.approx(0.2007, abs=0.01)
    assert set(items.tolist()) >= set(range(1000, 1010))
    assert (order.step(5) == order.step(5)).all()
    proportional = SmoothedOrder(order.lengths, order.bounds, 8, 1.0, 0)
    assert proportional.shares[0] == pytest.approx(1000 / 1010)
    assert SmoothedOrder(order.lengths, order.bounds, 8, 0.0, 0).shares.tolist() == [0.5, 0.5, 0.0]


@pytest.fixture
def several(encoded: Callable[..., Any], build: Callable[..., Any], tiny_base: Path) -> Callable[..., Any]:
    """A new model with a head for each task and one for text, and the mixture that trains it."""
    from adapter_stilts.model.backbone import load_tokenizer, resolve_base
    from adapter_stilts.model.language_head import LanguageHead
    from adapter_stilts.model.multitask import Heads
    from adapter_stilts.model.task_model import TaskModel
    from adapter_stilts.recipe import Base

    tokenizer = load_tokenizer(resolve_base(Base(id=str(tiny_base))))

    def call(perturb: Any = None, seed: int = 0, dropout: float = 0.1) -> tuple[Any, Mixture]:
        models = {name: build(name, dropout) for name in TASKS}
        encoder = models["snli"].encoder
        heads = {name: model.head for name, model in models.items()}
        heads["masked_lm"] = LanguageHead(encoder.config, 0)
        formats = {name: model.format for name, model in models.items()} | {"masked_lm": masked_lm}
        tasks = []
        for name in TASKS:
            features, format = encoded(name), formats[name]
            order = Order(item_lengths(features, format.ITEMS), 4, "shuffled", seed)
            tasks.append(Portion(name, features, format, order, 1.0, head=name, perturb=perturb))
        text = masked_lm.encode(
            [TextExample(str(row), line) for row, line in enumerate(TEXT)],
            tokenizer,
            masked_lm.Settings(),
            (),
        )
        hide = functools.partial(
            masked_lm.hide,
            settings=masked_lm.Settings(),
            mask_id=tokenizer.mask_token_id,
            pieces=np.arange(5, len(tokenizer)),
        )
        order = SmoothedOrder(text.input_ids.lengths, np.asarray([0, 2, 4]), 4, 0.3, seed)
        mlm = Portion(
            "mlm", text, masked_lm, order, 1.0, head="masked_lm",
            refresh=lambda features, random: hide(features, random=random),
        )  # fmt: skip
        settings = MixtureSettings(sampling="uniform")
        model = TaskModel(encoder, Heads(heads, formats), None)
        return model, mix(tasks, [(mlm, 0.5)], settings, 4, seed)

    return call


@pytest.mark.parametrize("fail_after", [3, 7, 11])
def test_a_mixture_resumes_with_the_same_bits(
    fit: Fit, several: Callable[..., Any], stopped: type[Exception], tmp_path: Path, fail_after: int
) -> None:
    model, mixture = several()
    whole = fit(model=model, mixture=mixture, max_steps=12)
    log = [json.loads(line) for line in (whole.work / "log.jsonl").read_text().splitlines()]
    assert {row["task"] for row in log} == {*TASKS, "mlm"}
    model, mixture = several()
    broken = {"work": tmp_path / "w", "checkpoint_seconds": 0, "fail_after": fail_after}
    with pytest.raises(stopped):
        fit(model=model, mixture=mixture, max_steps=12, **broken)
    model, mixture = several()
    resumed = fit(model=model, mixture=mixture, max_steps=12, work=tmp_path / "w")
    assert resumed.said == [f"resuming at step {fail_after - 1}"]
    assert resumed.digest == whole.digest
    assert resumed.losses == whole.losses[fail_after - 1 :]


@pytest.mark.parametrize("budget", [200, 1])
def test_micro_batches_leave_a_mixtures_steps_alone(
    fit: Fit, several: Callable[..., Any], budget: int
) -> None:
    def run(budget: int) -> Any:
        model, mixture = several(dropout=0.0)
        return fit(model=model, mixture=mixture, max_steps=10, budget=budget, adam_epsilon=1e-3)

    whole, cut = run(10**6), run(budget)
    assert cut.losses == pytest.approx(whole.losses, rel=1e-4)


def test_a_step_trains_the_encoder_and_its_own_head_alone(fit: Fit, several: Callable[..., Any]) -> None:
    model, mixture = several()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first = mixture.step(0).head
    run = fit(model=model, mixture=mixture, max_steps=1, warmup_ratio=0.0)
    for name, tensor in run.state.items():
        moved = bool((tensor != before[name]).any())
        if name.startswith("head."):
            assert moved == name.startswith(f"head.{first}."), name
    assert any((run.state[name] != before[name]).any() for name in before if name.startswith("encoder."))


def test_the_other_heads_may_stand_in_for_ddp(several: Callable[..., Any]) -> None:
    """What DDP asks for, a gradient of every parameter, is given and taken back."""
    import torch

    model, _ = several()
    heads = model.head
    (heads.untouched("snli") + next(model.encoder.parameters()).sum()).backward()
    others = [p for name, head in heads.items() if name != "snli" for p in head.parameters()]
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in others)
    assert all(parameter.grad is None for parameter in heads["snli"].parameters())
    heads.forget("snli")
    assert all(parameter.grad is None for parameter in others)
    assert isinstance(heads.untouched("snli"), torch.Tensor)


@pytest.mark.parametrize("kind", ["adversarial", "smoothing"])
def test_robust_steps_resume_with_the_same_bits(
    fit: Fit, several: Callable[..., Any], stopped: type[Exception], tmp_path: Path, kind: str
) -> None:
    from adapter_stilts.model.robust import Adversarial, Smoothing

    perturb = Adversarial(0.3, 0.2, 2) if kind == "adversarial" else Smoothing(0.3)
    model, mixture = several(perturb)
    whole = fit(model=model, mixture=mixture)
    model, mixture = several()
    assert fit(model=model, mixture=mixture).losses[1:] != whole.losses[1:]
    model, mixture = several(perturb)
    with pytest.raises(stopped):
        fit(model=model, mixture=mixture, work=tmp_path / "w", checkpoint_seconds=0, fail_after=4)
    model, mixture = several(perturb)
    assert fit(model=model, mixture=mixture, work=tmp_path / "w").digest == whole.digest


def test_the_task_of_a_lost_step_is_told(fit: Fit, several: Callable[..., Any]) -> None:
    from adapter_stilts.errors import TrainingError

    model, mixture = several()
    head = mixture.step(0).head
    for parameter in model.head[head].parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(TrainingError, match=rf"the loss of {mixture.step(0).task} is nan at step 1 of"):
        fit(model=model, mixture=mixture)


def test_a_mixture_learns_each_of_its_tasks(fit: Fit, several: Callable[..., Any]) -> None:
    model, mixture = several(dropout=0.0)
    few = tuple(
        replace(p, features=(features := p.features.select(np.arange(3))), order=shortened(p, features))
        if p.name != "mlm"
        else p
        for p in mixture.portions
    )
    mixture = replace(mixture, portions=few)
    run = fit(model=model, mixture=mixture, max_steps=160, learning_rate=3e-3, warmup_ratio=0.1)
    log = [json.loads(line) for line in (run.work / "log.jsonl").read_text().splitlines()]
    for portion in few:
        losses = [row["loss"] for row in log if row["task"] == portion.name]
        assert np.mean(losses[-4:]) < (0.8 if portion.name == "mlm" else 0.2) * np.mean(losses[:4]), (
            portion.name
        )


def shortened(portion: Portion, features: Any) -> Order:
    return Order(item_lengths(features, portion.format.ITEMS), 4, "shuffled", 0)


def test_gradient_checkpointing_goes_with_robust_steps(
    fit: Fit, build: Callable[..., Any], encoded: Any
) -> None:
    from adapter_stilts.model.robust import Adversarial
    from adapter_stilts.training.mixture import alone

    def run(checkpointing: bool, bf16: bool = False) -> list[float]:
        model = build("snli", 0.1, bf16, checkpointing)
        settings = TrainingSettings(batch_size=4)
        mixture = alone(encoded("snli"), model.format, settings, 0, perturb=Adversarial(0.3, 0.2, 2))
        losses: list[float] = fit("snli", model=model, mixture=mixture).losses
        return losses

    plain = run(checkpointing=False)
    assert run(checkpointing=True) == pytest.approx(plain, rel=1e-5)
    assert run(checkpointing=False, bf16=True) == pytest.approx(plain, rel=0.1)
