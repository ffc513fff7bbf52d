"""Full fine-tuning: every weight is trained; what is saved is a checkpoint of Transformers' own class."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from adapter_stilts.errors import BundleError, UsageError
from adapter_stilts.io import write_json
from adapter_stilts.model import task_classes
from adapter_stilts.model.bundle_files import HEAD
from adapter_stilts.model.door import read_config
from adapter_stilts.model.encoders import encoder_class
from adapter_stilts.model.tuning.base import TRAINED, TuningSettings
from adapter_stilts.model.tuning.libraries import layers
from adapter_stilts.model.weights import (
    check_shapes,
    load_mean_state,
    load_trained_state,
    read_tensors,
    shapes_of,
    trained_state,
    write_tensors,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from adapter_stilts.model.bundle_files import Headers
    from adapter_stilts.model.bundle_info import BundleInfo
    from adapter_stilts.model.merge import Merge
    from adapter_stilts.model.task_model import TaskModel

WHOLE = True
_FREEZE_LAYERS = "tuning.full.freeze_layers"
LIBRARY = "transformers"


class Settings(TuningSettings):
    """Ways to save memory in full fine-tuning."""

    freeze_embeddings: bool = False
    """Leave the embedding table as it is: in XLM-R it holds half of all weights, and most of its rows never
    meet a token of the train set."""
    freeze_layers: int | None = Field(default=None, ge=1)
    """Leave the embeddings and this many of the first layers as they are; what comes after them is trained."""
    sparse_embeddings: bool = False
    """Train the rows of the embedding table whose tokens occur, each in the steps in which it does, with gradients and
    optimizer state for those alone; the other rows keep their bits."""
    bf16_weights: bool = False
    """Keep the encoder's weights in bfloat16, with --precision bf16: half the memory for weights and gradients.
    Updates are rounded at random, in proportion, as they are too small to be rounded to the nearest."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Settings:
        if self.freeze_embeddings and self.sparse_embeddings:
            raise ValueError(
                "freeze_embeddings leaves the table as it is, sparse_embeddings trains its rows: set one of them"
            )
        other = "freeze_embeddings" if self.freeze_embeddings else "sparse_embeddings"
        if self.freeze_layers is not None and (self.freeze_embeddings or self.sparse_embeddings):
            raise ValueError(f"freeze_layers leaves the embeddings as they are, too: leave out {other}")
        return self

    def part(self) -> dict[str, Any]:
        """Only what is switched on, so that stages trained before there were switches keep their keys."""
        return {name: value for name, value in self.model_dump(mode="json").items() if value}


def backbone_weights(settings: Settings, precision: str) -> str:
    if settings.bf16_weights and precision != "bf16":
        raise UsageError(f"tuning.full.bf16_weights goes with --precision bf16, not with {precision}")
    return "bf16" if settings.bf16_weights else "fp32"


def check_encoder(settings: Settings, config: Mapping[str, Any]) -> None:
    if settings.freeze_layers is not None:
        layers.first_of(layers.empty(config), settings.freeze_layers, _FREEZE_LAYERS)


def attach(model: TaskModel, settings: Settings | None = None, seed: int = 0, name: str = TRAINED) -> None:
    model.requires_grad_(True)
    table: Any = model.encoder.get_input_embeddings()  # type: ignore[operator]
    if settings is not None and settings.freeze_embeddings:
        table.requires_grad_(False)
    if settings is not None and settings.freeze_layers is not None:
        frozen = set(layers.first_of(model.encoder, settings.freeze_layers, _FREEZE_LAYERS))
        for key, parameter in model.encoder.named_parameters():
            parameter.requires_grad_(key not in frozen)
    if settings is not None and settings.sparse_embeddings:
        _check_rows_alone(model)
        table.sparse = True


def _check_rows_alone(model: TaskModel) -> None:
    from adapter_stilts.model.language_head import LanguageHead

    if any(isinstance(module, LanguageHead) for module in model.modules()):
        raise UsageError(
            "tuning.full.sparse_embeddings trains the rows whose tokens occur, and masked language modelling reads "
            "every row of the table: leave the text out, or that setting"
        )


state = trained_state
load_state = load_trained_state
load_mean = load_mean_state


def save(model: TaskModel, directory: Path, format_name: str, labels: tuple[str, ...]) -> None:
    """Weights under the task class's names, so that ``AutoModelFor….from_pretrained(directory)`` reads them.

    Where Transformers has no task class of the bare encoder and our head (T5's are on the decoder, none has a pooler
    before a dense head), model.safetensors is the encoder's own checkpoint, which its class loads, and the head stands
    beside it in head.safetensors under our names: ``pooler``, ``dense`` and ``output``, see `Head`.
    """
    config: Any = copy.deepcopy(model.encoder.config)
    encoder = _untied(model.encoder.state_dict())
    head = {} if model.head is None else dict(model.head.state_dict())
    if task_classes.has_task_class(config.model_type, format_name, "pooler.weight" in head):
        prefix = task_classes.encoder_prefix(config.model_type)
        weights = {f"{prefix}.{name}": tensor for name, tensor in encoder.items()}
        if head:
            weights |= task_classes.head_to_task_class(config.model_type, format_name, head)
        config.architectures = [task_classes.task_class(config, format_name)]
    else:
        weights = encoder
        config.architectures = [encoder_class(config).__name__]
        if head:
            write_tensors(head, directory / HEAD)
    config.update(task_classes.outputs_of(format_name, labels))
    config.dtype = str(next(model.encoder.parameters()).dtype).removeprefix("torch.")
    config.save_pretrained(directory)
    write_tensors(weights, directory / "model.safetensors")


def _untied(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without second names of one tensor (T5's word embeddings have two), which the format does not allow."""
    first: dict[tuple[int, torch.Size], str] = {}
    for name, tensor in weights.items():
        first.setdefault((tensor.data_ptr(), tensor.shape), name)
    return {name: weights[name] for name in first.values()}


def load_modules(model: TaskModel, directory: Path, name: str = TRAINED) -> None:
    """Nothing: the encoder itself is loaded from the bundle."""


def check_files(directory: Path, info: BundleInfo, headers: Headers) -> None:
    from adapter_stilts.model import implied

    implied.check_whole(directory, info, headers)


def made(config: Mapping[str, Any]) -> bool:
    """No: such a folder holds modules, and no whole model."""
    return False


def check_combine(how: str, settings: Any = None) -> None:
    raise UsageError(
        f"--combine {how} puts modules on top of one another or side by side; full models have none: continue or merge"
    )


def combine(
    model: TaskModel,
    how: str,
    bundles: Mapping[str, Path | None],
    settings: Any,
    seed: int,
    name: str = TRAINED,
) -> None:
    check_combine(how)


def check_bundles(
    how: str, bundles: Sequence[Path | None], settings: Settings | None, config: Mapping[str, Any]
) -> None:
    """They are of one base, and so of one shape."""


def check_merge(how: Merge) -> None:
    if how.method == "svd":
        raise UsageError(
            "svd is for low-rank updates; full models: linear, soup, ties, dare_ties, dare_linear, magnitude_prune"
        )


def merge(bundles: Sequence[Path], how: Merge, out: Path, base: Any, with_head: bool) -> None:
    """Task arithmetic (Ilharco et al. 2023, arXiv 2212.04089): the base plus the merged changes of it."""
    from safetensors import safe_open

    from adapter_stilts.model.backbone import load_encoder
    from adapter_stilts.model.merge import merged

    config = read_config(bundles[0] / "config.json")
    encoder = load_encoder(base.location, base.commit, None, False)
    files: list[Any] = [safe_open(bundle / "model.safetensors", "pt") for bundle in bundles]
    held = [set(file.keys()) for file in files]
    prefixes = [task_classes.prefix_in(config["model_type"], keys) for keys in held]
    weights = {}
    own_weights = _untied(encoder.state_dict())
    for bundle, file, prefix in zip(bundles, files, prefixes, strict=True):
        # What a bundle names as its base is a word; its files tell.
        names = {name for name in own_weights if prefix + name in file.keys()}  # noqa: SIM118
        there = {name: tuple(file.get_slice(prefix + name).get_shape()) for name in names}
        check_shapes(shapes_of(own_weights), there, bundle / "model.safetensors")
    for name, tensor in own_weights.items():
        found = [file.get_tensor(own + name).float() for file, own in zip(files, prefixes, strict=True)]
        weights[prefixes[0] + name] = tensor + merged([own - tensor for own in found], how, name)
    if with_head:
        for name in sorted(held[0] - set(weights)):
            weights[name] = merged([file.get_tensor(name) for file in files], how.averaged(), name)
        if (bundles[0] / HEAD).is_file():
            heads = [read_tensors(bundle / HEAD) for bundle in bundles]
            head = {name: merged([own[name] for own in heads], how.averaged(), name) for name in heads[0]}
            write_tensors(head, out / HEAD)
    else:
        config["architectures"] = [type(encoder).__name__]
    write_json(out / "config.json", {**config, "dtype": "float32"})
    write_tensors(weights, out / "model.safetensors")


def check_fold() -> None:
    """The weights are the change."""


def fold(model: TaskModel) -> None:
    """Nothing: there are no modules."""


def load(directory: Path, format_name: str) -> dict[str, Tensor]:
    if (directory / HEAD).is_file():
        return read_tensors(directory / HEAD)
    config = read_config(directory / "config.json")
    if not task_classes.has_task_class(config["model_type"], format_name):
        raise BundleError(f"{directory}: {HEAD} is missing, the head of {format_name}")
    path = directory / "model.safetensors"
    return task_classes.head_from_task_class(config["model_type"], format_name, read_tensors(path), path)
