"""Full fine-tuning: every weight is trained; what is saved is a checkpoint of Transformers' own class."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from adapter_stilts.errors import BundleError, CheckpointError
from adapter_stilts.model import families
from adapter_stilts.model.encoders import encoder_class
from adapter_stilts.model.task_model import TaskModel

HEAD = "head.safetensors"


def attach(model: TaskModel) -> None:
    model.requires_grad_(True)


def state(model: TaskModel) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in model.named_parameters()}


def load_state(model: TaskModel, state: dict[str, Tensor]) -> None:
    parameters = dict(model.named_parameters())
    if parameters.keys() != state.keys():
        odd = sorted(parameters.keys() ^ state.keys())
        raise CheckpointError(f"the checkpoint is of another model: {', '.join(odd[:3])} ...")
    with torch.no_grad():
        for name, parameter in parameters.items():
            if parameter.shape != state[name].shape:
                raise CheckpointError(f"the checkpoint is of another model: shape of {name}")
            parameter.copy_(state[name])


def save(model: TaskModel, directory: Path, format_name: str, labels: tuple[str, ...]) -> None:
    """Weights under the task class's names, so that ``AutoModelFor….from_pretrained(directory)`` reads them.

    Where Transformers has no task class on the bare encoder (T5's are on the decoder), model.safetensors is the
    encoder's own checkpoint, which its class loads, and the head stands beside it in head.safetensors under our
    names: ``dense`` and ``output``, see `Head`.
    """
    config: Any = copy.deepcopy(model.encoder.config)
    encoder = _untied(model.encoder.state_dict())
    head = {} if model.head is None else dict(model.head.state_dict())
    if families.has_task_class(config.model_type, format_name):
        prefix = families.encoder_prefix(config.model_type)
        weights = {f"{prefix}.{name}": tensor for name, tensor in encoder.items()}
        names = families.head_names(config.model_type, format_name)
        for name, tensor in head.items():
            layer, kind = name.rsplit(".", 1)
            weights[f"{names[layer]}.{kind}"] = tensor
        config.architectures = [families.task_class(config, format_name)]
    else:
        weights = encoder
        config.architectures = [encoder_class(config).__name__]
        _write(head, directory / HEAD)
    if labels:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: row for row, label in enumerate(labels)}
    config.dtype = "float32"
    config.save_pretrained(directory)
    _write(weights, directory / "model.safetensors")


def _untied(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without second names of one tensor (T5's word embeddings have two), which the format does not allow."""
    first: dict[tuple[int, torch.Size], str] = {}
    for name, tensor in weights.items():
        first.setdefault((tensor.data_ptr(), tensor.shape), name)
    return {name: weights[name] for name in first.values()}


def _write(weights: dict[str, Tensor], path: Path) -> None:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    save_file(plain, path, metadata={"format": "pt"})


def load(directory: Path, format_name: str) -> dict[str, Tensor]:
    import json

    if (directory / HEAD).is_file():
        return dict(load_file(directory / HEAD))
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    if not families.has_task_class(config["model_type"], format_name):
        raise BundleError(f"{directory}: {HEAD} is missing, the head of {format_name}")
    weights = load_file(directory / "model.safetensors")
    head = {}
    for ours, theirs in families.head_names(config["model_type"], format_name).items():
        for kind in ("weight", "bias"):
            if f"{theirs}.{kind}" not in weights:
                raise BundleError(
                    f"{directory}: model.safetensors lacks {theirs}.{kind}, the head of {format_name}"
                )
            head[f"{ours}.{kind}"] = weights[f"{theirs}.{kind}"]
    return head
