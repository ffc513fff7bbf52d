"""rsLoRA (Kalajdzievski 2023, https://arxiv.org/abs/2312.03732): LoRA scaled by alpha / √r instead of alpha / r."""

from __future__ import annotations

from functools import partial

from adapter_stilts.model.tuning.libraries.with_peft import PeftTuning
from adapter_stilts.model.tuning.lora import UNDERSTOOD, Settings, arguments

TUNING = PeftTuning(
    Settings, "LORA", partial(arguments, use_rslora=True), UNDERSTOOD, {"use_dora": False, "use_rslora": True}
)
