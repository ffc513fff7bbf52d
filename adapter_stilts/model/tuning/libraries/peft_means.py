"""The mean of low-rank updates at several steps of a run, exactly.

The mean of products B A is no product of means: it is that of the factors side by side, at the sum of their ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from adapter_stilts.model.tuning.libraries.peft_sums import low_rank_layers
from adapter_stilts.model.weights import load_mean_state, load_trained_state

if TYPE_CHECKING:
    from torch import Tensor

    from adapter_stilts.model.task_model import TaskModel


def load_mean_updates(model: TaskModel, states: Sequence[dict[str, Tensor]]) -> None:
    """Let the updates in training be the mean of those of several states; other tensors become their own mean.

    DoRA's weights are s (W + B A), with a row's s its magnitude over the norm of W + B A. Their mean is s' (W + B' A'),
    where s' is the mean of the s, and B' has each state's B side by side, weighed by s / s': so it is DoRA's as well.

    Raises CheckpointError where the names or shapes of a state are not the model's.
    """
    if len(states) == 1:
        load_trained_state(model, states[0])
        return
    load_mean_state(model, states)
    configs: Any = model.encoder.peft_config
    for path, layer in low_rank_layers(model).items():
        for name in layer.lora_A:
            if f"{path}.lora_A.{name}.weight" in states[0]:
                rank = _average(layer, name, path, states)
                config = configs[name]
                config.r, config.lora_alpha = rank, rank**0.5 if config.use_rslora else rank


def _average(layer: Any, name: str, path: str, states: Sequence[Mapping[str, Tensor]]) -> int:
    """Let one layer's named update be the mean of several states'; its rank."""
    import torch
    from torch import nn

    scale, device = float(layer.scaling[name]), layer.lora_A[name].weight.device
    firsts = [state[f"{path}.lora_A.{name}.weight"].to(device) for state in states]
    seconds = [scale / len(states) * state[f"{path}.lora_B.{name}.weight"].to(device) for state in states]
    magnitude = f"{path}.lora_magnitude_vector.{name}.weight"
    if magnitude in states[0]:
        changes = [len(states) * second @ first for second, first in zip(seconds, firsts, strict=True)]
        shares = [
            state[magnitude].to(device) / _norms(layer, change)
            for state, change in zip(states, changes, strict=True)
        ]
        mean = torch.stack(shares).mean(0)
        seconds = [(share / mean)[:, None] * second for share, second in zip(shares, seconds, strict=True)]
    first, second = torch.cat(firsts), torch.cat(seconds, dim=1)
    rank = len(first)
    layer.lora_A[name].weight, layer.lora_A[name].out_features = nn.Parameter(first), rank
    layer.lora_B[name].weight, layer.lora_B[name].in_features = nn.Parameter(second), rank
    layer.scaling[name], layer.r[name], layer.lora_alpha[name] = 1.0, rank, rank
    if magnitude in states[0]:
        layer.lora_magnitude_vector[name].weight = nn.Parameter(mean * _norms(layer, second @ first))
    return rank


def _norms(layer: Any, change: Tensor) -> Tensor:
    """The norm of each row of a layer's weight with a change."""
    import torch
    from peft.utils.integrations import dequantize_module_weight

    weight = dequantize_module_weight(layer.get_base_layer()).to(change.device)
    norms: Tensor = torch.linalg.norm(weight + change, dim=1)
    return norms
