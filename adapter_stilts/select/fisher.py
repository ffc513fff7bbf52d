"""The diagonal of the empirical Fisher information of what a model trains in its encoder, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import torch

from adapter_stilts.formats.features import Features, item_lengths
from adapter_stilts.model.task_model import MicroBatch, TaskModel
from adapter_stilts.runtime import OVERHEAD_TOKENS
from adapter_stilts.select.train_set import Floats

Fisher: TypeAlias = Mapping[str, Floats]
"""Of each layer that is trained, a number for each of its weights."""


def fisher(model: TaskModel, features: Features) -> Fisher:
    """The mean over examples of the squared gradient of an example's loss, in each weight.

    Vu et al. 2020 (arXiv 2005.00770), section 4: with the examples' own labels, not drawn ones. The gradients are those
    of the model as it answers, without dropout. A window of a passage and a tagged sequence are examples of their own.

    Args:
        model: on whose encoder the tensors that are trained ask for gradients; its head is left out.
    """
    format, device = model.format, model.device
    assert format is not None
    trained = {name: one for name, one in model.encoder.named_parameters() if one.requires_grad}
    sums = [torch.zeros_like(one, dtype=torch.float64) for one in trained.values()]
    overhead = OVERHEAD_TOKENS.get(device.type, OVERHEAD_TOKENS["cuda"])
    lengths = item_lengths(features, format.ITEMS)
    counted = 0
    model.eval()
    for item in range(len(lengths)):
        items = np.asarray([item])
        units = format.units(features, items)
        if not units:
            continue
        (cut,) = model.layout.cut(features, items, format.ITEMS, int(lengths[item]), overhead)
        loss = model(MicroBatch(features, cut.items, cut.parts, 1 / units))
        gradients = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
        for total, gradient in zip(sums, gradients, strict=True):
            if gradient is not None:
                total += gradient.double() ** 2
        counted += 1
    found: dict[str, list[Floats]] = {}
    for name, total in zip(trained, sums, strict=True):
        found.setdefault(layer_of(name), []).append((total / max(1, counted)).flatten().cpu().numpy())
    return {layer: np.concatenate(parts) for layer, parts in found.items()}


def layer_of(name: str) -> str:
    """The layer that a low-rank update's factor stands in."""
    return name.partition(".lora_")[0]
