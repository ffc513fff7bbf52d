"""Bottleneck adapters and prefixes, through AdapterHub (Pfeiffer et al. 2020, https://arxiv.org/abs/2007.07779)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from adapter_stilts.errors import UsageError
from adapter_stilts.model.door import build_config
from adapter_stilts.model.tuning.base import TRAINED, TuningSettings
from adapter_stilts.model.tuning.libraries.adapterhub_package import LIBRARY as LIBRARY
from adapter_stilts.model.tuning.libraries.adapterhub_package import adapterhub, check_supported
from adapter_stilts.model.tuning.libraries.layers import LayerNumbers, others
from adapter_stilts.model.weights import load_mean_state, load_trained_state, trained_state

if TYPE_CHECKING:
    from torch import Tensor

    from adapter_stilts.model.bundle_files import Headers
    from adapter_stilts.model.bundle_info import BundleInfo
    from adapter_stilts.model.merge import Merge
    from adapter_stilts.model.task_model import TaskModel

WHOLE = False

# Our architectures -> AdapterHub's name, and which settings mean something there, with its own defaults.
_ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "pfeiffer": ("seq_bn", {"reduction_factor": 16.0, "non_linearity": "relu"}),
    "houlsby": ("double_seq_bn", {"reduction_factor": 16.0, "non_linearity": "swish"}),
    "parallel": ("par_bn", {"reduction_factor": 2.0, "non_linearity": "relu"}),
    "compacter": ("compacter", {"reduction_factor": 32.0, "non_linearity": "gelu", "phm_dim": 4}),
    "prefix": ("prefix_tuning", {"prefix_length": 30, "bottleneck_size": 512, "non_linearity": "tanh"}),
}


class Settings(TuningSettings):
    """Where the modules stand and how large they are; what is None takes the architecture's own value."""

    architecture: Literal["pfeiffer", "houlsby", "parallel", "compacter", "prefix"] = "pfeiffer"
    """One bottleneck a layer after the feed-forward block (Pfeiffer et al. 2021), one after attention too
    (Houlsby et al. 2019), beside the block (He et al. 2022), of Kronecker products (Mahabadi et al. 2021), or
    learned keys and values before the sequence's (Li and Liang 2021)."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout rate of the modules' output."""
    reduction_factor: float | None = Field(default=None, gt=0)
    """The encoder's width over the bottleneck's."""
    non_linearity: str | None = None
    """An activation function by Transformers' name."""
    phm_dim: int | None = Field(default=None, ge=1)
    """Summands of a compacter's Kronecker products."""
    prefix_length: int | None = Field(default=None, ge=1)
    """Learned positions before the sequence."""
    bottleneck_size: int | None = Field(default=None, ge=1)
    """Width of the network that a prefix is trained through."""
    layers: LayerNumbers | None = None
    """Encoder layers that get modules, a range (``0-5``) or a list, 0 the first after the embeddings; None is all."""

    @model_validator(mode="before")
    @classmethod
    def _resolved(cls, values: Any) -> Any:
        """Defaults of the architecture are written out, so that they are part of a stage's key."""
        if not isinstance(values, dict):
            return values
        found = _ARCHITECTURES.get(str(values.get("architecture", "pfeiffer")))
        return values if found is None else {**found[1], **{k: v for k, v in values.items() if v is not None}}

    @model_validator(mode="after")
    def _with_effect(self) -> Settings:
        known = _ARCHITECTURES[self.architecture][1]
        for name in ("reduction_factor", "phm_dim", "prefix_length", "bottleneck_size"):
            if getattr(self, name) is not None and name not in known:
                raise ValueError(
                    f"tuning.adapter.{name} has no effect with architecture {self.architecture!r}; "
                    f"settings of it: {', '.join(known)}"
                )
        return self

    def config(self, depth: int) -> dict[str, Any]:
        """The fields of AdapterHub's config, for an encoder of so many layers. Raises UsageError."""
        name, known = _ARCHITECTURES[self.architecture]
        chosen = {field: getattr(self, field) for field in known}
        fields: dict[str, Any] = adapterhub().ADAPTER_CONFIG_MAP[name].to_dict()
        if self.layers is not None:
            fields["leave_out"] = others(self.layers, depth, "tuning.adapter.layers")
        return {**fields, **chosen, "dropout": self.dropout}


def backbone_weights(settings: Settings, precision: str) -> str:
    return precision


def check_encoder(settings: Settings, config: Mapping[str, Any]) -> None:
    _check_type(settings, str(config["model_type"]))
    settings.config(_depth(config))


def _check_type(settings: Settings, model_type: str) -> None:
    check_supported(model_type, "prefix_tuning" if settings.architecture == "prefix" else "bottleneck")


def _depth(config: Mapping[str, Any]) -> int:
    return int(build_config(config, "the base").num_hidden_layers)


def attach(model: TaskModel, settings: Settings | None = None, seed: int = 0, name: str = TRAINED) -> None:
    from adapter_stilts.model.tuning.libraries import with_adapterhub

    settings, encoder = Settings() if settings is None else settings, _config_of(model)
    _check_type(settings, encoder.model_type)
    with_adapterhub.add(model, settings.config(encoder.num_hidden_layers), seed, name)


def _config_of(model: TaskModel) -> Any:
    return model.encoder.config


state = trained_state
load_state = load_trained_state
load_mean = load_mean_state


def save(model: TaskModel, directory: Path, format_name: str, labels: tuple[str, ...]) -> None:
    from adapter_stilts.model.tuning.libraries import with_adapterhub

    with_adapterhub.save(model, directory, format_name, labels)


def load_modules(model: TaskModel, directory: Path, name: str = TRAINED) -> None:
    from adapter_stilts.model.tuning.libraries import with_adapterhub

    with_adapterhub.load_modules(model, directory, name)


def check_files(directory: Path, info: BundleInfo, headers: Headers) -> None:
    from adapter_stilts.model.tuning.libraries import adapterhub_checks

    adapterhub_checks.check_files(directory, info, headers)


def made(config: Mapping[str, Any]) -> bool:
    return config.get("peft_type") is None and isinstance(config.get("config"), dict)


def check_combine(how: str, settings: Any = None) -> None:
    if how == "fuse" and settings is not None and settings.architecture == "prefix":
        raise UsageError(
            "AdapterFusion weighs the outputs of bottlenecks; prefixes have none: --combine continue, stack or "
            "merge:linear"
        )


def combine(
    model: TaskModel,
    how: str,
    bundles: Mapping[str, Path | None],
    settings: Any,
    seed: int,
    name: str = TRAINED,
) -> None:
    from adapter_stilts.model.tuning.libraries import with_adapterhub

    check_combine(how, settings)
    config = settings.config(_config_of(model).num_hidden_layers)
    with_adapterhub.combine(model, how, bundles, config, seed, name)


def check_bundles(
    how: str, bundles: Sequence[Path | None], settings: Settings | None, config: Mapping[str, Any]
) -> None:
    from adapter_stilts.model.tuning.libraries import adapterhub_checks

    own = (Settings() if settings is None else settings).config(_depth(config))
    adapterhub_checks.check_bundles(how, bundles, own, config)


def check_merge(how: Merge) -> None:
    if not how.is_sum:
        raise UsageError(
            f"{how.method} is for changes of weights; bottleneck adapters and prefixes are modules of their own, which "
            "only have a mean: linear, soup"
        )
    if abs(sum(how.weights) - 1) > 1e-6:
        raise UsageError(f"adapters are averaged: their weights should sum to 1, not {sum(how.weights):g}")


def merge(bundles: Sequence[Path], how: Merge, out: Path, base: Any, with_head: bool) -> None:
    from adapter_stilts.model.tuning.libraries import with_adapterhub

    with_adapterhub.merge(bundles, how, out, base, with_head)


def check_fold() -> None:
    raise UsageError(
        "bottlenecks, prefixes and fusions are computed beside the encoder's layers, through functions that no weight "
        "of a plain encoder holds, so no checkpoint of Transformers alone computes them"
    )


def fold(model: TaskModel) -> None:
    check_fold()


def load(directory: Path, format_name: str) -> dict[str, Tensor]:
    from adapter_stilts.model.tuning.libraries import adapterhub_files

    return adapterhub_files.load_head(directory, format_name)
