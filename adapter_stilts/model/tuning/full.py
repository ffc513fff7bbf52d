"""Full fine-tuning: every weight is trained; what is saved is a checkpoint of Transformers' own task class."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import UsageError
from adapter_stilts.io import write_json
from adapter_stilts.model import families
from adapter_stilts.model.tuning.base import TRAINED, TuningSettings
from adapter_stilts.model.weights import load_trained_state, read_tensors, trained_state

if TYPE_CHECKING:
    from torch import Tensor

    from adapter_stilts.model.merge import Merge
    from adapter_stilts.model.task_model import TaskModel

WHOLE = True
LIBRARY = "transformers"


class Settings(TuningSettings):
    """What saves memory in full fine-tuning."""

    freeze_embeddings: bool = False
    """Leave the embedding table as it is: in XLM-R it holds half of all weights, and most of its rows never
    meet a token of the train set."""
    bf16_weights: bool = False
    """Keep the encoder's weights in bfloat16, with --precision bf16: half the memory for weights and gradients.
    Updates are rounded at random, in proportion, as they are too small to be rounded to the nearest."""

    def part(self) -> dict[str, Any]:
        """Only what is switched on, so that stages trained before there were switches keep their keys."""
        return {name: value for name, value in self.model_dump(mode="json").items() if value}


def backbone_weights(settings: Settings, precision: str) -> str:
    if settings.bf16_weights and precision != "bf16":
        raise UsageError(f"tuning.full.bf16_weights goes with --precision bf16, not with {precision}")
    return "bf16" if settings.bf16_weights else "fp32"


def attach(model: TaskModel, settings: Settings | None = None, seed: int = 0, name: str = TRAINED) -> None:
    model.requires_grad_(True)
    if settings is not None and settings.freeze_embeddings:
        model.encoder.get_input_embeddings().requires_grad_(False)  # type: ignore[operator]


state = trained_state
load_state = load_trained_state


def save(model: TaskModel, directory: Path, format_name: str, labels: tuple[str, ...]) -> None:
    """Weights under the task class's names, so that ``AutoModelFor….from_pretrained(directory)`` reads them."""
    from safetensors.torch import save_file

    config: Any = copy.deepcopy(model.encoder.config)
    prefix = families.encoder_prefix(config.model_type)
    weights = {f"{prefix}.{name}": tensor for name, tensor in model.encoder.state_dict().items()}
    if model.head is not None:
        weights |= families.head_to_task_class(config.model_type, format_name, model.head.state_dict())
    config.architectures = [families.task_class(config, format_name)]
    if labels:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: row for row, label in enumerate(labels)}
    config.dtype = str(next(model.encoder.parameters()).dtype).removeprefix("torch.")
    config.save_pretrained(directory)
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()},
        directory / "model.safetensors",
        metadata={"format": "pt"},
    )


def load_modules(model: TaskModel, directory: Path, name: str = TRAINED) -> None:
    """Nothing: the encoder itself is loaded from the bundle."""


def check_combine(how: str) -> None:
    raise UsageError(
        f"--combine {how} puts modules on top of one another or side by side; full models have none: continue or merge"
    )


def combine(
    model: TaskModel, how: str, bundles: Mapping[str, Path], settings: Any, seed: int, name: str = TRAINED
) -> None:
    check_combine(how)


def check_merge(method: str) -> None:
    if method == "svd":
        raise UsageError(
            "svd is for low-rank updates; full models: linear, ties, dare_ties, dare_linear, magnitude_prune"
        )


def merge(bundles: Sequence[Path], how: Merge, out: Path, base: Any, with_head: bool) -> None:
    """Task arithmetic (Ilharco et al. 2023, arXiv 2212.04089): the base plus the merged changes of it."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    from adapter_stilts.model.backbone import load_encoder
    from adapter_stilts.model.merge import merged

    config = json.loads((bundles[0] / "config.json").read_text(encoding="utf-8"))
    prefix = families.encoder_prefix(config["model_type"]) + "."
    encoder = load_encoder(base.location, base.commit, None, False)
    start = encoder.state_dict()
    files: list[Any] = [safe_open(bundle / "model.safetensors", "pt") for bundle in bundles]
    weights = {}
    for name, tensor in start.items():
        found = [file.get_tensor(prefix + name).float() for file in files]
        weights[prefix + name] = tensor + merged([own - tensor for own in found], how, name)
    if with_head:
        for name in sorted(set(files[0].keys()) - set(weights)):
            weights[name] = merged([file.get_tensor(name) for file in files], how.averaged(), name)
    else:
        config["architectures"] = [type(encoder).__name__]
    write_json(out / "config.json", {**config, "dtype": "float32"})
    save_file(
        {name: tensor.contiguous() for name, tensor in weights.items()},
        out / "model.safetensors",
        metadata={"format": "pt"},
    )


def load(directory: Path, format_name: str) -> dict[str, Tensor]:
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    path = directory / "model.safetensors"
    return families.head_from_task_class(config["model_type"], format_name, read_tensors(path), path)
