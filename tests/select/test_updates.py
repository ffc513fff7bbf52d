"""Updates of encoders: what they are, and how alike two of them are; under planted bugs told by the number."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from adapter_stilts.errors import UsageError
from adapter_stilts.library import plan_train
from adapter_stilts.model.bundle import read_bundle
from adapter_stilts.select.reading import TrainSets
from adapter_stilts.select.updates import UPDATES, arrow, update_cosine
from adapter_stilts.select.updates.update import Update, update_of_bundle
from adapter_stilts.stages.drawing import Draw
from adapter_stilts.stages.planning.request import Request

SHELF = Path(__file__).resolve().parents[2] / "adapters_hub"


def update(**layers: list[list[float]]) -> Update:
    return {name: np.asarray(matrix, dtype=np.float32) for name, matrix in layers.items()}


def test_the_cosine_of_updates_by_hand() -> None:
    """Of lengths 1 and sqrt(1 + 1 + 4), with 1 in common."""
    one, other = update(a=[[1, 0], [0, 0]]), update(a=[[1, 1], [0, 0]], b=[[2]])
    assert update_cosine.score(one, other) == pytest.approx(1 / np.sqrt(6))
    assert update_cosine.score(other, one) == pytest.approx(1 / np.sqrt(6))
    assert update_cosine.score(one, update(a=[[-3, 0], [0, 0]])) == pytest.approx(-1.0)
    assert update_cosine.score(one, {}) == 0.0


def test_arrow_by_hand() -> None:
    """Products of a column and a row are moved most along the row: (1, 0) and (3, 4) / 5, whatever their sign."""
    one, other = update(a=[[2, 0], [4, 0]]), update(a=[[-3, -4], [-6, -8]])
    assert arrow.score(one, other) == pytest.approx(0.6)
    assert arrow.score(one, {**other, **update(b=[[1]])}) == pytest.approx(0.3)
    assert arrow.score({}, {}) == 0.0


def test_a_prototype_is_the_first_right_singular_vector() -> None:
    generator = np.random.default_rng(0)
    for shape in ((30, 20), (20, 30)):
        matrix = generator.standard_normal(shape).astype(np.float32)
        first = np.linalg.svd(matrix.astype(np.float64))[2][0]
        assert abs(float(first @ arrow.prototype(matrix))) == pytest.approx(1.0, abs=1e-6)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> TrainSets:
    study = plan_train("none", "tydiqa", recipe="miniature")
    request = Request(study.recipe, study.source, lambda: study.base)
    return TrainSets(request, tmp_path_factory.mktemp("cache"), "cpu", Draw(32, 0))


def of(sets: TrainSets, name: str) -> Update:
    place = SHELF / name
    return update_of_bundle(place, read_bundle(place), sets.request.base, sets.encoder, "cpu")


@pytest.mark.parametrize("mode", ["lora", "rslora"])
def test_a_low_rank_update_is_its_scaled_product(sets: TrainSets, mode: str) -> None:
    found = of(sets, f"squad_v1-{mode}")
    config = json.loads((SHELF / f"squad_v1-{mode}" / "adapter_config.json").read_text(encoding="utf-8"))
    rank = config["r"]
    scale = config["lora_alpha"] / (rank**0.5 if mode == "rslora" else rank)
    tensors = load_file(SHELF / f"squad_v1-{mode}" / "adapter_model.safetensors")
    factors = {name: tensor for name, tensor in tensors.items() if name.endswith("lora_A.weight")}
    assert len(found) == len(factors) > 0
    for name, first in factors.items():
        layer = name.removesuffix(".lora_A.weight")
        product = scale * tensors[f"{layer}.lora_B.weight"] @ first
        (own,) = [matrix for key, matrix in found.items() if layer.endswith(key)]
        np.testing.assert_allclose(own, product, atol=1e-5)


def test_an_update_of_the_whole_encoder_is_its_weights_less_the_base_s(sets: TrainSets) -> None:
    found = of(sets, "mnli-full")
    after = load_file(SHELF / "mnli-full" / "model.safetensors")
    before = sets.encoder.state_dict()
    assert not any("embedding" in name or "norm" in name.lower() for name in found)
    layer = next(name for name in found if name.endswith("attention.self.query"))
    (name,) = [key for key in after if key.endswith(f"{layer}.weight")]
    np.testing.assert_allclose(found[layer], after[name] - before[f"{layer}.weight"].numpy(), atol=1e-7)


def test_adapters_change_no_weights(sets: TrainSets) -> None:
    with pytest.raises(UsageError, match="beside the encoder's layers"):
        of(sets, "mnli-adapter")


@pytest.mark.parametrize("name", UPDATES)
def test_layers_in_another_order_are_told_by_the_number(sets: TrainSets, name: str) -> None:
    """A planted bug: SQuAD's update is like itself, and like nothing with its layers turned around."""
    right = of(sets, "squad_v1-lora")
    assert UPDATES[name].score(right, right) == pytest.approx(1.0, abs=1e-6)
    layers = sorted(right)
    wrong = dict(zip(layers, [right[layer] for layer in reversed(layers)], strict=True))
    assert UPDATES[name].score(right, wrong) < 0.7
