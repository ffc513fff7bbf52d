"""The loop: resumes bit for bit, chooses the best weights, and speed leaves the result alone."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapter_stilts.errors import TrainingError

Fit = Callable[..., Any]
Build = Callable[..., Any]

# With AdamW's own epsilon a gradient that is zero but for rounding still moves its weight by a full step.
STEADY = {"adam_epsilon": 1e-3}


def close(first: Any, second: Any) -> float:
    """The largest difference between two states."""
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def scores(*values: float) -> Callable[[Any], dict[str, float]]:
    """An evaluation that gives these dev scores, one after another."""
    left: Iterator[float] = iter(values)
    return lambda model: {"f1": next(left)}


def log_of(work: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("optimizer", ["adamw", "adamw8bit"])
@pytest.mark.parametrize("fail_after", [1, 3, 5])
def test_a_resumed_run_ends_with_the_same_bits(
    fit: Fit, stopped: type[Exception], tmp_path: Path, fail_after: int, optimizer: str
) -> None:
    whole = fit(checkpoint_seconds=0, optimizer=optimizer)
    work = tmp_path / "broken"
    with pytest.raises(stopped):
        fit(work=work, checkpoint_seconds=0, fail_after=fail_after, optimizer=optimizer)
    resumed = fit(work=work, checkpoint_seconds=0, optimizer=optimizer)
    # The step that broke off is run again from the checkpoint before it.
    assert resumed.said == ([] if fail_after == 1 else [f"resuming at step {fail_after - 1}"])
    assert resumed.digest == whole.digest
    assert resumed.losses == whole.losses[fail_after - 1 :]
    assert [{**row, "tokens_per_second": 0} for row in log_of(work)] == [
        {**row, "tokens_per_second": 0} for row in log_of(whole.work)
    ]
    assert whole.digest != fit(seed=1, optimizer=optimizer).digest


def test_every_format_resumes(fit: Fit, task_name: str, stopped: type[Exception], tmp_path: Path) -> None:
    whole = fit(task_name)
    with pytest.raises(stopped):
        fit(task_name, work=tmp_path / "broken", checkpoint_seconds=0, fail_after=4)
    assert fit(task_name, work=tmp_path / "broken").digest == whole.digest


def test_interruption_leaves_a_checkpoint_of_the_very_step(fit: Fit, tmp_path: Path) -> None:
    whole = fit()
    with pytest.raises(KeyboardInterrupt):
        fit(work=tmp_path / "broken", stop_after=4)
    resumed = fit(work=tmp_path / "broken")
    assert resumed.said == ["resuming at step 4"]
    assert resumed.digest == whole.digest


BAD_LINES = {
    "a byte": b'{"step": 2, "loss": \xff1.0}',
    "no step": b'{"loss": 1.0}',
    "a word": b'{"step": "two"}',
    "no object": b"[2]",
    "deep": b"[" * 100_000,
    "cut": b'{"step": 2, "lo',
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
def test_a_damaged_log_is_told_and_goes_on(fit: Fit, tmp_path: Path, line: bytes) -> None:
    whole, work = fit(), tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        fit(work=work, stop_after=4)
    lines = (work / "log.jsonl").read_bytes().splitlines()
    (work / "log.jsonl").write_bytes(b"\n".join([lines[0], line, *lines[2:]]) + b"\n")
    resumed = fit(work=work)
    assert "log.jsonl is damaged: it holds 3 of 4 steps made, and goes on without the others" in resumed.said
    assert resumed.digest == whole.digest
    assert [entry["step"] for entry in log_of(work)][:4] == [1, 3, 4, 5]


def test_a_corrupt_checkpoint_falls_back(fit: Fit, stopped: type[Exception], tmp_path: Path) -> None:
    whole, work = fit(), tmp_path / "broken"
    with pytest.raises(stopped):
        fit(work=work, checkpoint_seconds=0, fail_after=5)
    kept = work / "checkpoint-00000004"
    (kept / "model.safetensors").write_bytes((kept / "model.safetensors").read_bytes()[:-7])
    resumed = fit(work=work)
    assert resumed.said == [
        "checkpoint checkpoint-00000004 cannot be used (model.safetensors is damaged); "
        "falling back to the one before",
        "resuming at step 3",
    ]
    assert resumed.digest == whole.digest


def test_all_corrupt_starts_over(fit: Fit, stopped: type[Exception], tmp_path: Path) -> None:
    whole, work = fit(), tmp_path / "broken"
    with pytest.raises(stopped):
        fit(work=work, checkpoint_seconds=0, fail_after=5)
    for kept in work.glob("checkpoint-*"):
        (kept / "state.json").unlink()
    resumed = fit(work=work)
    assert [message.rsplit("; ")[1] for message in resumed.said] == [
        "falling back to the one before",
        "starting over",
    ]
    assert resumed.digest == whole.digest
    assert len(log_of(work)) == 6


def test_best_weights_are_those_of_the_best_evaluation(fit: Fit) -> None:
    at_four = fit(max_steps=6, stop_after=None, eval_every_steps=2, evaluate=scores(1.0, 5.0, 5.0))
    assert (at_four.outcome.best_step, at_four.outcome.steps) == (4, 6)
    assert at_four.outcome.metrics == {"f1": 5.0}
    last = fit(max_steps=6, eval_every_steps=2, evaluate=scores(1.0, 5.0, 6.0))
    assert last.outcome.best_step == 6
    assert last.digest == fit(max_steps=6).digest != at_four.digest


def test_the_best_weights_are_the_weights_of_that_step(fit: Fit, build: Build) -> None:
    seen: list[dict[str, torch.Tensor]] = []

    def evaluate(model: Any) -> dict[str, float]:
        seen.append({name: tensor.detach().clone() for name, tensor in model.named_parameters()})
        return {"f1": [1.0, 5.0, 2.0][len(seen) - 1]}

    chosen = fit(eval_every_steps=2, evaluate=evaluate)
    assert close(chosen.state, seen[1]) == 0
    assert close(chosen.state, seen[2]) > 0


def test_the_best_of_before_an_interruption_counts(
    fit: Fit, stopped: type[Exception], tmp_path: Path
) -> None:
    whole = fit(eval_every_steps=2, evaluate=scores(5.0, 1.0, 2.0))
    with pytest.raises(stopped):
        fit(work=tmp_path / "broken", eval_every_steps=2, evaluate=scores(5.0), fail_after=3)
    resumed = fit(work=tmp_path / "broken", eval_every_steps=2, evaluate=scores(1.0, 2.0))
    assert resumed.said == ["resuming at step 2"]
    assert resumed.outcome.best_step == whole.outcome.best_step == 2
    assert resumed.outcome.evaluations == ((2, {"f1": 5.0}), (4, {"f1": 1.0}), (6, {"f1": 2.0}))
    assert resumed.digest == whole.digest


@pytest.mark.parametrize("at", [4, 6], ids=["in the middle", "at the end"])
def test_an_evaluation_that_was_interrupted_is_made_when_it_goes_on(
    fit: Fit, tmp_path: Path, at: int
) -> None:
    values = {2: 1.0, 4: 5.0, 6: 2.0} if at == 4 else {2: 1.0, 4: 2.0, 6: 5.0}
    whole = fit(eval_every_steps=2, evaluate=scores(*values.values()))
    asked = 0

    def interrupted(model: Any) -> dict[str, float]:
        nonlocal asked
        asked += 2
        if asked == at:
            raise KeyboardInterrupt
        return {"f1": values[asked]}

    with pytest.raises(KeyboardInterrupt):
        fit(work=tmp_path / "broken", eval_every_steps=2, evaluate=interrupted)
    left = scores(*(value for step, value in values.items() if step >= at))
    resumed = fit(work=tmp_path / "broken", eval_every_steps=2, evaluate=left)
    assert resumed.said == [f"resuming at step {at}"]
    assert resumed.outcome.best_step == whole.outcome.best_step == at
    assert resumed.outcome.evaluations == tuple((step, {"f1": value}) for step, value in values.items())
    assert (resumed.outcome.metrics, resumed.digest) == (whole.outcome.metrics, whole.digest)


def test_patience(fit: Fit, tmp_path: Path) -> None:
    at_once = {"eval_every_steps": 1, "warmup_ratio": 0.0}
    run = fit(max_steps=50, patience=2, evaluate=scores(1, 3, 2, 3, 9, 9), **at_once)
    assert (run.outcome.steps, run.outcome.best_step, run.outcome.metrics) == (4, 2, {"f1": 3})
    assert run.said == ["stopped at step 4 of 50: no better dev score in 2 evaluations"]
    assert len(log_of(run.work)) == 4
    never = fit(max_steps=5, patience=None, evaluate=scores(5, 4, 3, 2, 1), **at_once)
    assert (never.outcome.steps, never.outcome.best_step) == (5, 1)


def test_what_no_step_has_moved_is_not_judged(fit: Fit) -> None:
    """The first step of a warm-up has a rate of 0: its weights are those before training."""
    run = fit(max_steps=4, eval_every_steps=1, warmup_ratio=0.5, patience=None, evaluate=scores(7, 6, 5))
    assert (run.outcome.best_step, run.outcome.metrics) == (2, {"f1": 7})
    alone = fit(max_steps=1, eval_every_steps=1, warmup_ratio=1.0, evaluate=scores(7))
    assert alone.outcome.best_step == 1


def test_patience_is_remembered_over_a_resume(fit: Fit, stopped: type[Exception], tmp_path: Path) -> None:
    settings = {"max_steps": 50, "eval_every_steps": 1, "patience": 3, "warmup_ratio": 0.0}
    with pytest.raises(stopped):
        fit(work=tmp_path / "broken", evaluate=scores(3, 2, 1), fail_after=4, **settings)
    resumed = fit(work=tmp_path / "broken", evaluate=scores(0), **settings)
    assert (resumed.outcome.steps, resumed.outcome.best_step) == (4, 1)


def test_evaluation_leaves_training_alone(fit: Fit) -> None:
    """Evaluating draws no random numbers that training would have drawn."""

    def evaluate(model: Any) -> dict[str, float]:
        model.eval()
        return {"f1": float(torch.rand(())) * 0}

    assert fit(eval_every_steps=1, evaluate=None).digest == fit().digest
    often = fit(eval_every_steps=1, patience=None, evaluate=lambda model: {"f1": evaluate(model)["f1"]})
    rare = fit(eval_every_steps=6, patience=None, evaluate=lambda model: {"f1": evaluate(model)["f1"]})
    assert often.losses == rare.losses


def test_a_loss_that_is_no_number_stops_the_run(fit: Fit, build: Build) -> None:
    model = build("squad_v1")
    with torch.no_grad():
        model.head.output.bias[0] = math.nan
    with pytest.raises(
        TrainingError,
        match=r"the loss is nan at step 1 of 6, learning rate 3\.33e-04: lower the learning rate",
    ):
        fit(model=model, warmup_ratio=0.0, learning_rate=3.33e-4)


def test_a_run_that_diverges_stops_at_its_step(fit: Fit) -> None:
    with pytest.raises(
        TrainingError, match=r"the loss is (nan|inf) at step [2-9] of 20, learning rate \d\.\d\de\+(29|30)"
    ):
        fit(warmup_ratio=0.0, learning_rate=1e30, max_steps=20)


def test_learning_rates_rise_and_fall(fit: Fit) -> None:
    run = fit(max_steps=6, warmup_ratio=0.5, learning_rate=3e-4)
    assert run.rates == pytest.approx([0, 1e-4, 2e-4, 3e-4, 2e-4, 1e-4])
    assert [row["learning_rate"] for row in log_of(run.work)] == run.rates


def test_training_fits_a_few_examples(fit: Fit, encoded: Callable[..., Any], task_name: str) -> None:
    few = encoded(task_name).select(np.arange(4))
    run = fit(task_name, features=few, max_steps=60, learning_rate=3e-3, dropout=0.0, warmup_ratio=0.1)
    assert np.mean(run.losses[-4:]) < 0.1 * np.mean(run.losses[:4])


def plain_loss(model: Any, split: Any, items: np.ndarray) -> torch.Tensor:
    """The step's mean loss as a plain reimplementation computes it: one padded batch, no sub-batches."""
    from adapter_stilts.formats.features import sequences_of
    from adapter_stilts.model.layout import PADDED

    kind = model.format.ITEMS
    rows, _ = sequences_of(split, items, kind)
    inputs = PADDED.lay(split, rows, model.padding_id, "cpu")
    states = model.encoder(input_ids=inputs.input_ids, attention_mask=inputs.attention_mask).last_hidden_state
    outputs = model.head(states)
    return model.format.loss_sum([outputs], [rows], split, items) / model.format.units(split, items)


def test_sub_batches_give_the_plainly_padded_loss_and_gradients(
    build: Build, encoded: Callable[..., Any], task_name: str
) -> None:
    from adapter_stilts.model.task_model import MicroBatch

    model, split = build(task_name, dropout=0.0), encoded(task_name)
    items = np.asarray([5, 0, 11, 3, 17, 8])
    expected = plain_loss(model, split, items)
    expected.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    for budget, overhead in ((10**6, 0), (10**6, 10**6), (120, 0), (1, 0)):
        model.zero_grad()
        cuts = model.layout.cut(split, items, model.format.ITEMS, budget, overhead)
        scale = 1 / model.format.units(split, items)
        losses = [model(MicroBatch(split, cut.items, cut.parts, scale)) for cut in cuts]
        sum(losses).backward()
        assert float(sum(losses).detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
        for name, parameter in model.named_parameters():
            assert torch.allclose(parameter.grad, gradients[name], rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize("budget", [200, 60, 1])
def test_small_micro_batches_accumulate_to_the_same_step(fit: Fit, task_name: str, budget: int) -> None:
    whole = fit(task_name, dropout=0.0, **STEADY)
    cut = fit(task_name, dropout=0.0, budget=budget, **STEADY)
    assert cut.losses == pytest.approx(whole.losses, rel=1e-4)
    assert close(cut.state, whole.state) < 1e-4
    assert cut.said == []


def test_gradient_checkpointing_changes_nothing(fit: Fit, build: Build) -> None:
    plain = fit(model=build("squad_v1", 0.1))
    model = build("squad_v1", 0.1, checkpointing=True)
    assert model.encoder.is_gradient_checkpointing
    saved = fit(model=model)
    assert saved.losses == pytest.approx(plain.losses, rel=1e-6)
    assert close(saved.state, plain.state) < 1e-6


def test_bf16_runs_near_fp32_with_weights_in_fp32(fit: Fit, build: Build, task_name: str) -> None:
    half = fit(task_name, model=build(task_name, 0.0, bf16=True))
    single = fit(task_name, dropout=0.0)
    assert half.losses == pytest.approx(single.losses, rel=0.05)
    assert half.losses != single.losses
    assert {tensor.dtype for tensor in half.state.values()} == {torch.float32}


def test_eight_bit_adamw_keeps_its_state_in_eight_bits(fit: Fit, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    single = fit(dropout=0.0)
    with pytest.raises(KeyboardInterrupt):
        fit(work=tmp_path / "work", optimizer="adamw8bit", stop_after=4, dropout=0.0)
    state = load_file(tmp_path / "work" / "checkpoint-00000004" / "optimizer.safetensors")
    kinds = {name.rsplit("/", 1)[1]: tensor.dtype for name, tensor in state.items()}
    assert kinds["state1"] in (torch.uint8, torch.float32)
    assert torch.uint8 in {tensor.dtype for tensor in state.values()}
    eight = fit(optimizer="adamw8bit", dropout=0.0)
    assert eight.losses == pytest.approx(single.losses, rel=0.02)


def test_memory_that_does_not_suffice_halves_the_micro_batch(fit: Fit, build: Build) -> None:
    """The model refuses passes above a number of tokens, as a GPU does."""
    whole = fit(dropout=0.0, **STEADY)
    model = build("squad_v1", 0.0)
    refused: list[int] = []
    forward = model.encoder.forward

    def scarce(*args: Any, **kwargs: Any) -> Any:
        tokens = kwargs["inputs_embeds"].shape[0] * kwargs["inputs_embeds"].shape[1]
        if tokens > 130:
            refused.append(tokens)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return forward(*args, **kwargs)

    model.encoder.forward = scarce
    halved = fit(model=model, overhead=10_000, **STEADY)
    assert refused
    assert halved.losses == pytest.approx(whole.losses, rel=1e-4)
    assert close(halved.state, whole.state) < 1e-4
    assert halved.said[0] == (
        f"out of memory: micro-batch halved to {refused[0] // 2} tokens, accumulation doubled; "
        "the result does not change"
    )
    assert halved.outcome.micro_batch_tokens <= refused[0] // 2
    assert len(halved.said) <= 2


def test_one_item_that_does_not_fit_is_told(fit: Fit, build: Build) -> None:
    model = build("squad_v1", 0.0)

    def never(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")

    model.encoder.forward = never
    with pytest.raises(
        TrainingError, match=r"out of memory even with one example at a time .*gradient_checkpointing"
    ):
        fit(model=model)


def test_other_errors_are_not_taken_for_memory(fit: Fit, build: Build) -> None:
    model = build("squad_v1", 0.0)

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    model.encoder.forward = broken
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        fit(model=model)


def test_a_halved_micro_batch_is_kept_over_a_resume(
    fit: Fit, stopped: type[Exception], tmp_path: Path
) -> None:
    whole = fit(budget=80)
    with pytest.raises(stopped):
        fit(budget=80, work=tmp_path / "work", checkpoint_seconds=0, fail_after=4)
    resumed = fit(budget=10**6, work=tmp_path / "work")
    assert resumed.outcome.micro_batch_tokens == 80
    assert resumed.digest == whole.digest


def test_checkpoints_of_another_model_are_told(
    fit: Fit, build: Build, encoded: Callable[..., Any], tmp_path: Path
) -> None:
    from adapter_stilts.errors import CheckpointError

    with pytest.raises(KeyboardInterrupt):
        fit("squad_v1", work=tmp_path / "work", stop_after=2)
    with pytest.raises(CheckpointError, match="of another model"):
        fit("hellaswag", work=shutil.copytree(tmp_path / "work", tmp_path / "copy"))


def test_length_grouped_steps_pad_less(fit: Fit) -> None:
    runs = {
        order: fit("snli", max_steps=18, step_order=order, overhead=10**6, dropout=0.0)
        for order in ("shuffled", "length_grouped")
    }
    shares = {
        order: sum(row["tokens"] for row in log_of(run.work))
        / sum(row["padded_tokens"] for row in log_of(run.work))
        for order, run in runs.items()
    }
    assert shares["shuffled"] < shares["length_grouped"] <= 1
    assert shares["length_grouped"] > 0.9
