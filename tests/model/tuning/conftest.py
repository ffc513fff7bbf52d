"""Tunings attached to tiny encoders, with weights that are no longer what they were drawn as."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Every tuning, and every architecture of the adapters, in sizes that fit a hidden size of 32.
TUNINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "lora": ("lora", {"r": 4}),
    "dora": ("dora", {"r": 4}),
    "rslora": ("rslora", {"r": 4, "target_modules": ("query", "dense")}),
    "ia3": ("ia3", {}),
    "pfeiffer": ("adapter", {}),
    "houlsby": ("adapter", {"architecture": "houlsby", "reduction_factor": 4}),
    "parallel": ("adapter", {"architecture": "parallel"}),
    "compacter": ("adapter", {"architecture": "compacter", "reduction_factor": 4}),
    "prefix": ("adapter", {"architecture": "prefix", "prefix_length": 3, "bottleneck_size": 8}),
}


@pytest.fixture(params=TUNINGS)
def tuned(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """A tuning and its settings."""
    return _tuning_of(request.param)


@pytest.fixture
def tuning_of() -> Callable[[str], tuple[Any, Any]]:
    """The same by its name in the table above."""
    return _tuning_of


def _tuning_of(key: str) -> tuple[Any, Any]:
    from adapter_stilts.model.tuning import get_tuning

    name, values = TUNINGS[key]
    tuning = get_tuning(name)
    return tuning, tuning.Settings.model_validate(values)


@pytest.fixture
def attached(build: Callable[..., Any]) -> Callable[..., Any]:
    """A model with a tuning attached and every trained tensor moved away from its start."""
    import torch

    def call(base: Path, format_name: str, tuned: tuple[Any, Any], seed: int = 3, **more: Any) -> Any:
        model = build(base, format_name)
        tuning, settings = tuned
        tuning.attach(model, settings, seed, **more)
        generator = torch.Generator().manual_seed(seed)
        for tensor in tuning.state(model).values():
            tensor += 0.3 * torch.randn(tensor.shape, generator=generator)
        return model.eval()

    return call


@pytest.fixture
def batch() -> tuple[Any, Any, Any]:
    """Four sequences as features, and padded by hand: ids and mask."""
    import torch

    from adapter_stilts.formats.features import Features, Ragged

    lengths = [9, 5, 12, 12]
    ids = np.random.default_rng(0).integers(5, 100, size=sum(lengths)).astype(np.int32)
    features = Features(Ragged.from_lengths(ids, lengths), np.arange(5))
    padded = torch.full((4, 12), 1)
    mask = torch.zeros((4, 12), dtype=torch.long)
    for row, length in enumerate(lengths):
        padded[row, :length] = torch.as_tensor(features.input_ids[row])
        mask[row, :length] = 1
    return features, padded, mask
