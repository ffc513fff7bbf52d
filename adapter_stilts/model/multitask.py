"""An encoder with several heads, and the files of one: what a stage over several tasks trains.

config.json, model.safetensors     the encoder alone, as Transformers' AutoModel reads it
heads.safetensors                  "<head>.<layer>.<weight or bias>"; bundle.json lists the heads
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from adapter_stilts.errors import BundleError
from adapter_stilts.formats.base import Format
from adapter_stilts.model.bundle_files import HEADS
from adapter_stilts.model.weights import read_tensors


class Heads(nn.ModuleDict):
    """Heads by name, each with the module of its format. A step's micro-batches name theirs."""

    def __init__(self, heads: Mapping[str, nn.Module], formats: Mapping[str, Format]) -> None:
        assert heads.keys() == formats.keys()
        super().__init__(dict(heads))
        self.formats = dict(formats)

    def others(self, name: str) -> list[nn.Parameter]:
        """The trainable parameters that one head has no part in; a pooler is of several."""
        own = {id(parameter) for parameter in self[name].parameters()}
        return [p for p in self.parameters() if p.requires_grad and id(p) not in own]

    def untouched(self, name: str) -> Tensor | float:
        """Zero, in which the other heads take part: DDP expects a gradient of every parameter."""
        others = self.others(name)
        return sum((parameter.sum() * 0.0 for parameter in others), torch.zeros(())) if others else 0.0

    def forget(self, name: str) -> None:
        """Drop such gradients, so that the optimizer leaves the other heads alone."""
        for parameter in self.others(name):
            parameter.grad = None


def save(encoder: nn.Module, heads: Heads, directory: Path) -> None:
    """Write the encoder's checkpoint and the heads beside it."""
    config: Any = copy.deepcopy(encoder.config)
    config.architectures = [type(encoder).__name__]
    config.dtype = "float32"
    config.save_pretrained(directory)
    _write(encoder.state_dict(), directory / "model.safetensors", {"format": "pt"})
    save_heads(heads, directory)


def save_heads(heads: Heads, directory: Path) -> None:
    """Write the heads alone, beside what a tuning wrote of its modules."""
    # Heads that share a pooler are each whole in the file, which holds no tensor twice unless it is cloned.
    _write({name: tensor.clone() for name, tensor in heads.state_dict().items()}, directory / HEADS, None)


def load_head(directory: Path, name: str) -> dict[str, Tensor]:
    """One head's weights of what `save` wrote, by our names. Raises BundleError where it is not there."""
    prefix = f"{name}."
    weights = read_tensors(directory / HEADS)
    head = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
    if not head:
        held = sorted({key.split(".", 1)[0] for key in weights})
        raise BundleError(f"{directory}: {HEADS} holds no head {name!r}; it holds {', '.join(held)}")
    return head


def _write(weights: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None) -> None:
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()},
        path,
        metadata=metadata,
    )
