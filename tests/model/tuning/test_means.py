"""The mean of a model's states: of what its modules make of the encoder's weights, as PEFT itself folds them in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapter_stilts.errors import CheckpointError

Attached = Callable[..., Any]


def states_of(tuning: Any, model: Any, count: int) -> list[dict[str, torch.Tensor]]:
    """Unlike states of a model, as a run would leave them."""
    generator = torch.Generator().manual_seed(7)
    return [
        {
            name: tensor + 0.2 * torch.randn(tensor.shape, generator=generator)
            for name, tensor in tuning.state(model).items()
        }
        for _ in range(count)
    ]


def folded(
    attached: Attached, base: Path, tuned: Any, fill: Callable[[Any], None]
) -> dict[str, torch.Tensor]:
    """The weights of encoder and head, in double precision, after `fill` and after the modules are folded in."""
    model = attached(base, "tagging", tuned)
    fill(model)
    tuned[0].fold(model)
    return {name: tensor.double() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("key", ["lora", "rslora", "dora", "ia3"])
@pytest.mark.parametrize("count", [1, 3])
def test_weights_are_the_mean_of_the_weights(
    attached: Attached, tiny_base: Path, tuning_of: Callable[[str], Any], key: str, count: int
) -> None:
    tuned = tuning_of(key)
    tuning = tuned[0]
    states = states_of(tuning, attached(tiny_base, "tagging", tuned), count)
    apart = [
        folded(attached, tiny_base, tuned, lambda model, state=state: tuning.load_state(model, state))
        for state in states
    ]
    mean = folded(attached, tiny_base, tuned, lambda model: tuning.load_mean(model, iter(states)))
    assert mean.keys() == apart[0].keys()
    start = attached(tiny_base, "tagging", tuned).state_dict()
    moved = 0
    for name, tensor in mean.items():
        expected = torch.stack([one[name] for one in apart]).mean(0)
        assert float((tensor - expected).abs().max()) < 2e-6, name
        moved += name in start and float((tensor - start[name].double()).abs().max()) > 0.01
    assert moved  # the head, at least
    if key != "ia3" and count > 1:
        # The mean of factors is another thing.
        factors = {n: torch.stack([state[n] for state in states]).mean(0) for n in states[0]}
        plain = folded(attached, tiny_base, tuned, lambda model: tuning.load_state(model, factors))
        assert max(float((plain[name] - mean[name]).abs().max()) for name in mean) > 0.01


@pytest.mark.parametrize("key", ["pfeiffer", "houlsby", "parallel", "compacter", "prefix", "ia3"])
def test_other_modules_are_averaged_tensor_by_tensor(
    attached: Attached, tiny_base: Path, tuning_of: Callable[[str], Any], key: str
) -> None:
    tuned = tuning_of(key)
    model, tuning = attached(tiny_base, "tagging", tuned), tuned[0]
    states = states_of(tuning, model, 3)
    tuning.load_mean(model, iter(states))
    for name, tensor in tuning.state(model).items():
        expected = np.mean([state[name].double().numpy() for state in states], axis=0)
        assert np.abs(tensor.numpy() - expected).max() < 1e-6, name


@pytest.mark.parametrize("key", ["lora", "rslora", "dora"])
def test_a_mean_is_saved_and_answers_alike_where_it_is_loaded(
    attached: Attached, tiny_base: Path, build: Any, tuning_of: Callable[[str], Any], batch: Any, tmp_path: Path,
    key: str,
) -> None:  # fmt: skip
    tuned = tuning_of(key)
    model, tuning = attached(tiny_base, "tagging", tuned, name="own"), tuned[0]
    tuning.load_mean(model, iter(states_of(tuning, model, 3)))
    tuning.save(model, tmp_path, "tagging", model.head and tuple("abc"))
    again = build(tiny_base, "tagging")
    tuning.load_modules(again, tmp_path)
    again.head.load_state_dict(model.head.state_dict())
    rows = np.arange(4)
    assert torch.allclose(again.eval().predict(batch[0], rows), model.predict(batch[0], rows), atol=1e-6)
    assert {m.r["task"] for m in again.modules() if hasattr(m, "lora_A")} == {12}


def test_what_no_step_moved_keeps_its_bits(
    attached: Attached, tiny_base: Path, tuning_of: Callable[[str], Any]
) -> None:
    tuned = tuning_of("ia3")
    model, tuning = attached(tiny_base, "tagging", tuned), tuned[0]
    state = {name: tensor.clone() for name, tensor in tuning.state(model).items()}
    tuning.load_mean(model, [state] * 3)
    assert all(torch.equal(tensor, state[name]) for name, tensor in tuning.state(model).items())


@pytest.mark.parametrize("key", ["lora", "pfeiffer"])
def test_a_state_of_another_model_is_refused(
    attached: Attached, tiny_base: Path, tuning_of: Callable[[str], Any], key: str
) -> None:
    tuned = tuning_of(key)
    model, tuning = attached(tiny_base, "tagging", tuned), tuned[0]
    states = states_of(tuning, model, 2)
    name = next(iter(states[1]))
    states[1][name] = states[1][name][:1]
    with pytest.raises(CheckpointError, match=f"another model: shape of {name}"):
        tuning.load_mean(model, iter(states))
    del states[1][name]
    with pytest.raises(CheckpointError, match="another model"):
        tuning.load_mean(model, iter(states))


def test_frozen_updates_under_a_mean_stay_as_they_are(
    attached: Attached, build: Any, tiny_base: Path, tuning_of: Callable[[str], Any], tmp_path: Path
) -> None:
    """A stack: the intermediate task's updates are frozen, those on top are averaged, and both are saved as one."""
    tuned = tuning_of("lora")
    tuning, settings = tuned
    tuning.save(attached(tiny_base, "tagging", tuned), tmp_path, "tagging", ("a",))

    def stacked() -> Any:
        model = build(tiny_base, "tagging")
        tuning.combine(model, "stack", {"before": tmp_path}, settings, 5, "own")
        return model

    states = states_of(tuning, stacked(), 2)
    apart = []
    for fill in [lambda m, s=s: tuning.load_state(m, s) for s in states] + [
        lambda m: tuning.load_mean(m, states)
    ]:
        model = stacked()
        fill(model)
        tuning.fold(model)
        apart.append(model.state_dict())
    one, two, mean = apart
    assert max(float((mean[n] - (one[n] + two[n]) / 2).abs().max()) for n in mean) < 2e-6
