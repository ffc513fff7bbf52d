"""LoRA (Hu et al. 2021, https://arxiv.org/abs/2106.09685): low-rank updates of chosen linear layers."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from adapter_stilts.model.tuning.base import TuningSettings
from adapter_stilts.model.tuning.libraries.layers import LayerNumbers
from adapter_stilts.model.tuning.libraries.with_peft import PeftTuning


class Settings(TuningSettings):
    """Shape of the updates: a layer's weight W becomes W + alpha / r · B A."""

    r: int = Field(default=8, ge=1)
    """Rank of the updates."""
    alpha: float = Field(default=16.0, gt=0)
    """Their scale, times the rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout rate of the updates' input."""
    target_modules: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Endings of the names of the layers, e.g. ``["query", "value"]``; None takes the encoder family's."""
    layers: LayerNumbers | None = None
    """Encoder layers that get updates, a range (``0-5``) or a list, 0 the first after the embeddings; None is all."""


def arguments(settings: Any, **more: Any) -> dict[str, Any]:
    """The arguments of PEFT's LoraConfig."""
    return {"r": settings.r, "lora_alpha": settings.alpha, "lora_dropout": settings.dropout, **more}


UNDERSTOOD = frozenset({"r", "lora_alpha", "lora_dropout", "target_modules", "use_dora", "use_rslora"})
TUNING = PeftTuning(Settings, "LORA", arguments, UNDERSTOOD, {"use_dora": False, "use_rslora": False})
