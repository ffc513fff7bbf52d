"""DoRA (Liu et al. 2024, https://arxiv.org/abs/2402.09353): LoRA on directions, magnitudes learned apart."""

from __future__ import annotations

from functools import partial

from adapter_stilts.model.tuning.libraries.with_peft import PeftTuning
from adapter_stilts.model.tuning.lora import UNDERSTOOD, Settings, arguments

TUNING = PeftTuning(
    Settings, "LORA", partial(arguments, use_dora=True), UNDERSTOOD, {"use_dora": True, "use_rslora": False}
)
