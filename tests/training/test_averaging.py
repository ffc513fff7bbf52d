"""The mean of several steps' weights in place of one checkpoint: which steps, what is left, what survives a kill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapter_stilts.errors import TrainingError
from adapter_stilts.training.averaging import averaged_steps

Fit = Callable[..., Any]
STEPS: dict[tuple[int, int | None], tuple[int, ...]] = {
    (60, 3): (20, 40, 60),
    (7, 3): (2, 4, 7),
    (5, 5): (1, 2, 3, 4, 5),
    (1000, 10): tuple(range(100, 1001, 100)),
    (9, 1): (9,),
    (9, None): (),
}


@pytest.mark.parametrize(("run", "expected"), STEPS.items(), ids=str)
def test_steps_are_equidistant_and_end_with_the_last(
    run: tuple[int, int | None], expected: tuple[int, ...]
) -> None:
    assert averaged_steps(*run) == expected


def test_fewer_steps_than_are_averaged_are_refused_before_the_first(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"average = 99 .* stage has (\d+): give \1 or less, or more"):
        fit(max_steps=None, epochs=1.0, average=99, work=tmp_path / "short")
    assert not list((tmp_path / "short").glob("kept-*"))


class Seen:
    """An evaluation that keeps the weights it is asked about; its scores fall, so that the first would be the best."""

    def __init__(self, interrupted_at: int | None = None) -> None:
        self.states: list[dict[str, torch.Tensor]] = []
        self._interrupted_at = interrupted_at

    def __call__(self, model: Any) -> dict[str, float]:
        if len(self.states) + 1 == self._interrupted_at:
            raise KeyboardInterrupt
        self.states.append({name: p.detach().clone() for name, p in model.named_parameters()})
        return {"f1": 10.0 - len(self.states)}


def test_what_is_left_is_the_mean_and_dev_tells_of_it(fit: Fit) -> None:
    seen = Seen()
    found = fit(evaluate=seen, eval_every_steps=2, average=3, patience=1)
    assert (found.outcome.steps, found.outcome.best_step, found.outcome.averaged) == (6, None, (2, 4, 6))
    assert len(seen.states) == 4  # after steps 2, 4 and 6, whatever patience says, and of their mean
    for name, tensor in found.state.items():
        mean = np.mean([state[name].double().numpy() for state in seen.states[:3]], axis=0)
        assert np.abs(tensor.numpy() - mean).max() < 1e-7, name
        assert torch.equal(tensor, seen.states[3][name]), name
    assert found.outcome.metrics == {"f1": 6.0}
    assert found.said[-1] == "the weights are the mean of those at steps 2, 4, 6"
    assert not list(found.work.glob("best-*"))
    assert found.digest != fit(average=2).digest


def test_of_one_it_is_the_last(fit: Fit) -> None:
    best = fit(evaluate=Seen(), eval_every_steps=2)
    assert best.outcome.best_step == 2
    assert fit(evaluate=Seen(), eval_every_steps=2, average=1).digest == fit().digest != best.digest


def test_small_micro_batches_give_the_same_mean(fit: Fit) -> None:
    steady = {"average": 3, "dropout": 0.0, "adam_epsilon": 1e-3}
    whole, cut = fit(**steady), fit(**steady, budget=64)
    assert max(float((whole.state[name] - tensor).abs().max()) for name, tensor in cut.state.items()) < 1e-5


@pytest.mark.parametrize("fail_after", [1, 2, 3, 5, 6])
def test_a_resumed_run_ends_with_the_same_mean(
    fit: Fit, stopped: type[Exception], tmp_path: Path, fail_after: int
) -> None:
    whole = fit(average=3)
    with pytest.raises(stopped):
        fit(average=3, work=tmp_path / "broken", checkpoint_seconds=0, fail_after=fail_after)
    assert fit(average=3, work=tmp_path / "broken", checkpoint_seconds=0).digest == whole.digest


def test_an_interruption_while_the_mean_is_evaluated(fit: Fit, tmp_path: Path) -> None:
    whole = fit(average=3, evaluate=Seen(), eval_every_steps=2)
    with pytest.raises(KeyboardInterrupt):
        fit(average=3, evaluate=Seen(interrupted_at=4), eval_every_steps=2, work=tmp_path / "broken")
    resumed = fit(average=3, evaluate=Seen(), eval_every_steps=2, work=tmp_path / "broken")
    assert resumed.losses == []  # no step is run again
    assert resumed.said[0] == "resuming at step 6"
    assert resumed.digest == whole.digest
    assert resumed.outcome.averaged == (2, 4, 6)


def test_damaged_weights_that_are_to_be_averaged_take_the_run_back(fit: Fit, tmp_path: Path) -> None:
    whole, work = fit(average=3), tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        fit(average=3, work=work, stop_after=5)
    file = work / "kept-00000002" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-7])
    resumed = fit(average=3, work=work)
    assert resumed.said[0].startswith(
        "checkpoint checkpoint-00000005 cannot be used (model.safetensors is damaged)"
    )
    assert len(resumed.losses) == 6
    assert resumed.digest == whole.digest
