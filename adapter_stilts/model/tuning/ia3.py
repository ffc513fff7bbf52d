"""(IA)³ (Liu et al. 2022, https://arxiv.org/abs/2205.05638): one learned factor per feature of chosen layers."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from adapter_stilts.model.tuning.base import TuningSettings
from adapter_stilts.model.tuning.libraries.layers import LayerNumbers
from adapter_stilts.model.tuning.libraries.with_peft import PeftTuning


class Settings(TuningSettings):
    """Which layers are scaled."""

    target_modules: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Endings of the names of the layers; None takes the encoder family's. Those of the feed-forward output (``dense``,
    ``lin2``, ``wo``, ``mlp.Wo``, ``down_proj``) have their input scaled, the others their output."""
    layers: LayerNumbers | None = None
    """Encoder layers that are scaled, a range (``0-5``) or a list, 0 the first after the embeddings; None is all."""


def arguments(settings: Any) -> dict[str, Any]:
    """The arguments of PEFT's IA3Config, beside the layers."""
    return {}


TUNING = PeftTuning(Settings, "IA3", arguments, frozenset({"target_modules", "feedforward_modules"}), {})
