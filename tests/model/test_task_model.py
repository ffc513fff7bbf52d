"""One module for encoder and head: padding does not count, heads are seeded, layers can be left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapter_stilts.errors import CheckpointError, UnknownNameError
from adapter_stilts.formats.base import HeadShape
from adapter_stilts.formats.features import Features, Ragged
from adapter_stilts.model.heads import Head
from adapter_stilts.model.layout import PADDED
from adapter_stilts.model.task_model import states_of_layer
from adapter_stilts.model.tuning import full, get_tuning, tuning_names

Build = Callable[..., Any]


@pytest.fixture
def features() -> Features:
    lengths = [4, 9, 6]
    ids = np.arange(5, 5 + sum(lengths)).astype(np.int32)
    return Features(Ragged.from_lengths(ids, lengths), np.arange(4))


def test_collate_pads_on_the_right(features: Features) -> None:
    inputs = PADDED.lay(features, np.asarray([2, 0]), 1, "cpu")
    assert inputs.input_ids.tolist() == [[18, 19, 20, 21, 22, 23], [5, 6, 7, 8, 1, 1]]
    assert inputs.attention_mask.tolist() == [[1] * 6, [1] * 4 + [0] * 2]
    assert inputs.token_type_ids is None


def test_segments_reach_the_encoder(build: Build, tiny_bert: Path, features: Features) -> None:
    model = build(tiny_bert, "pair_classification")
    plain = model.predict(features, np.arange(3))
    ones = Ragged(np.ones(19, dtype=np.int8), features.input_ids.offsets)
    zeros = Ragged(np.zeros(19, dtype=np.int8), features.input_ids.offsets)
    same = model.predict(Features(features.input_ids, features.sequences, zeros), np.arange(3))
    other = model.predict(Features(features.input_ids, features.sequences, ones), np.arange(3))
    assert torch.allclose(plain, same, atol=1e-6)
    assert not torch.allclose(plain, other, atol=1e-3)


def test_padding_does_not_count(build: Build, tiny_base: Path, features: Features, format_name: str) -> None:
    model = build(tiny_base, format_name)
    together = model.predict(features, np.arange(3))
    for row in range(3):
        alone = model.predict(features, np.asarray([row]))
        real = together[row : row + 1]
        if alone.dim() == 3:
            real = real[:, : alone.shape[1]]
        assert torch.allclose(alone, real, atol=1e-5)


def test_without_a_head_the_states_come_out(build: Build, tiny_base: Path, features: Features) -> None:
    model = build(tiny_base, "tagging")
    model.head = None
    assert model.predict(features, np.arange(3)).shape == (3, 9, 32)


def test_layers_above_the_wanted_one_are_left_out(build: Build, tiny_base: Path, features: Features) -> None:
    model = build(tiny_base, "tagging")
    model.head = None
    inputs = PADDED.lay(features, np.arange(3), model.padding_id, "cpu")
    with torch.inference_mode():
        states = model.encoder(
            input_ids=inputs.input_ids, attention_mask=inputs.attention_mask, output_hidden_states=True
        ).hidden_states
    for layer in range(3):
        with states_of_layer(model, layer):
            found = model.predict(features, np.arange(3))
        assert torch.allclose(found, states[layer], atol=1e-5), layer
    assert len(model.encoder.encoder.layer) == 2
    with pytest.raises(RuntimeError), states_of_layer(model, 1):
        raise RuntimeError
    assert len(model.encoder.encoder.layer) == 2


def test_heads_depend_on_their_seed_alone() -> None:
    shape = HeadShape("first_token", dense=True, outputs=3)
    torch.manual_seed(5)
    first = Head(shape, 16, 0.1, 0.02, seed=7).state_dict()
    torch.manual_seed(6)
    again, other = (Head(shape, 16, 0.1, 0.02, seed=seed).state_dict() for seed in (7, 8))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["dense.weight"], other["dense.weight"])
    assert {name: tuple(tensor.shape) for name, tensor in first.items()} == {
        "dense.weight": (16, 16),
        "dense.bias": (16,),
        "output.weight": (3, 16),
        "output.bias": (3,),
    }
    assert float(first["dense.weight"].std()) == pytest.approx(0.02, rel=0.2)
    assert float(first["output.bias"].abs().max()) == 0


def test_heads_by_shape() -> None:
    states = torch.randn(2, 5, 16)
    pooled = Head(HeadShape("first_token", dense=True, outputs=3), 16, 0.0, 0.02, 0)
    tokens = Head(HeadShape("all_tokens", dense=False, outputs=4), 16, 0.0, 0.02, 0)
    assert pooled(states).shape == (2, 3)
    assert tokens(states).shape == (2, 5, 4)
    assert torch.equal(pooled(states), pooled(states[:, :1]))


def test_states_go_out_and_in(build: Build, tiny_base: Path) -> None:
    model, other = build(tiny_base, "tagging", seed=1), build(tiny_base, "tagging", seed=2)
    full.attach(model)
    assert all(parameter.requires_grad for parameter in model.parameters())
    state = {name: tensor.clone() for name, tensor in full.state(model).items()}
    full.load_state(other, state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in full.state(other).items())
    with pytest.raises(CheckpointError, match="of another model"):
        full.load_state(other, {name: tensor for name, tensor in state.items() if "head" not in name})
    with pytest.raises(CheckpointError, match=r"of another model: shape of head\.output\.weight"):
        full.load_state(other, {**state, "head.output.weight": torch.zeros(1, 1)})


def test_tunings_by_name() -> None:
    assert "full" in tuning_names()
    assert get_tuning("full") is full
    with pytest.raises(UnknownNameError, match="unknown mode 'ful'; did you mean 'full'"):
        get_tuning("ful")
