"""Methods of PEFT, on the bare encoder, and their files in PEFT's own layout.

Modules are injected in place, so that the encoder stays what it is and its head stays outside. On disk a bundle
speaks of the task class, head included (as ``modules_to_save``), so that
``PeftModel.from_pretrained(AutoModelFor….from_pretrained(base), DIR)`` gives the whole model.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from adapter_stilts.errors import BundleError, UsageError
from adapter_stilts.formats import get_format
from adapter_stilts.io import write_json
from adapter_stilts.model import task_classes
from adapter_stilts.model.merge import Merge, merged
from adapter_stilts.model.tuning.base import TRAINED, TuningSettings
from adapter_stilts.model.tuning.libraries import layers as encoder_layers
from adapter_stilts.model.tuning.libraries import peft_files, peft_means, peft_sums
from adapter_stilts.model.tuning.libraries.frozen import read_config, refused, seeded, train_only
from adapter_stilts.model.tuning.libraries.peft_files import CONFIG, WEIGHTS, fits, is_module
from adapter_stilts.model.weights import (
    fill,
    load_mean_state,
    load_trained_state,
    read_tensors,
    trained_state,
    write_tensors,
)
from adapter_stilts.runtime import return_freed_memory

if TYPE_CHECKING:
    from torch import Tensor, nn

    from adapter_stilts.model.bundle_files import Headers
    from adapter_stilts.model.bundle_info import BundleInfo
    from adapter_stilts.model.task_model import TaskModel


def around_integers(owner: nn.Module, layer: nn.Module) -> None:
    """Where `owner` is PEFT's layer around another, let it be the one PEFT has around integers, as `layer` holds them.

    Its pass keeps other tensors. PEFT chooses by what it finds when it attaches; a skeleton's integers come later.
    """
    from peft.tuners import ia3, lora

    for kind in (lora, ia3):
        if type(owner) is kind.Linear:
            owner.__class__ = getattr(kind, type(layer).__name__)


@dataclass(frozen=True)
class PeftTuning:
    """One method.

    Args:
        peft_type: PEFT's name of its kind of module.
        arguments: a settings object to the arguments of PEFT's config, target modules apart.
        understood: fields of PEFT's config that a bundle may set; every other has to hold its default.
        own: values that make a config this tuning's and no other's.
    """

    Settings: type[TuningSettings]
    peft_type: Literal["LORA", "IA3"]
    arguments: Callable[[Any], dict[str, Any]]
    understood: frozenset[str]
    own: Mapping[str, Any]
    WHOLE: bool = False
    LIBRARY: str = "peft"

    def backbone_weights(self, settings: Any, precision: str) -> str:
        return precision

    def check_encoder(self, settings: Any, config: Mapping[str, Any]) -> None:
        targets = self._endings(settings, str(config["model_type"]))
        if getattr(settings, "layers", None) is not None:
            encoder_layers.linear_in(encoder_layers.empty(config), settings.layers, targets, self._setting)

    def attach(self, model: TaskModel, settings: Any = None, seed: int = 0, name: str = TRAINED) -> None:
        settings = self.Settings() if settings is None else settings
        arguments = {**self.arguments(settings), "target_modules": self._targets(model.encoder, settings)}
        self._inject(model, arguments, seed, name)

    @property
    def _setting(self) -> str:
        """How messages call the setting that names layers."""
        kind = "dora" if self.own.get("use_dora") else "rslora" if self.own.get("use_rslora") else "lora"
        return f"tuning.{'ia3' if self.peft_type == 'IA3' else kind}.layers"

    def _endings(self, settings: Any, model_type: str) -> list[str]:
        """Endings of the names of the layers that are changed. Raises UsageError where none are known."""
        named = getattr(settings, "target_modules", None)
        return list(named or task_classes.targets(model_type, self.peft_type.lower()))

    def _targets(self, encoder: Any, settings: Any) -> list[str]:
        """The same, or full names where a recipe names the encoder's layers: any version of PEFT reads both."""
        endings = self._endings(settings, encoder.config.model_type)
        if getattr(settings, "layers", None) is None:
            return endings
        return encoder_layers.linear_in(encoder, settings.layers, endings, self._setting)

    def _inject(self, model: TaskModel, arguments: dict[str, Any], seed: int, name: str) -> None:
        from peft import inject_adapter_in_model

        encoder: Any = model.encoder
        _check_targets(encoder, arguments["target_modules"])
        if self.peft_type == "IA3":
            arguments.setdefault("feedforward_modules", _feedforward(arguments["target_modules"]))
        if arguments.get("use_dora"):
            _keep_scales(encoder)
        config = self._config_class()(**arguments)
        with seeded(seed), warnings.catch_warnings():
            # Several named modules on one encoder are meant.
            warnings.filterwarnings("ignore", "Already found a `peft_config` attribute")
            inject_adapter_in_model(config, encoder, name)
        if arguments.get("use_dora"):
            return_freed_memory()  # the norms of all weights start from sums as large as they
        train_only(model, _parameters(encoder, name))

    state = staticmethod(trained_state)
    load_state = staticmethod(load_trained_state)

    def load_mean(self, model: TaskModel, states: Iterable[dict[str, Tensor]]) -> None:
        if self.peft_type == "IA3":
            load_mean_state(model, states)
        else:
            peft_means.load_mean_updates(model, list(states))

    def save(self, model: TaskModel, directory: Path, format_name: str, labels: tuple[str, ...]) -> None:
        encoder: Any = model.encoder
        names = peft_sums.active_names(encoder)
        config = dataclasses.replace(encoder.peft_config[names[-1]])
        found = _tensors(encoder, names[0])
        if len(names) > 1:
            found, config.r = peft_sums.collapsed(encoder, names)
            config.lora_alpha = config.r**0.5 if config.use_rslora else config.r
            config.target_modules = {t for n in names for t in encoder.peft_config[n].target_modules}
        head = {} if model.head is None else model.head.state_dict()
        model_type = encoder.config.model_type
        outermost, layers = peft_files.write_weights(directory, model_type, format_name, found, head)
        config.base_model_name_or_path = encoder.config.name_or_path
        config.task_type = get_format(format_name).PEFT_TASK if layers else None
        config.inference_mode = True
        config.modules_to_save = outermost
        if hasattr(config, "exclude_modules"):
            # An ending that fits layers of the encoder may fit the head's as well, which are not changed.
            ours = [layer for layer in layers if fits(layer, config.target_modules)]
            config.exclude_modules = ours or None
        # PEFT writes a set in its own order, which differs from process to process.
        for field, value in vars(config).items():
            if isinstance(value, set):
                setattr(config, field, sorted(value))
        config.save_pretrained(str(directory))

    def load_modules(self, model: TaskModel, directory: Path, name: str = TRAINED) -> None:
        encoder: Any = model.encoder
        arguments, found = self._read(directory, encoder.config.model_type)
        if name not in getattr(encoder, "peft_config", {}):
            with refused(directory / CONFIG):
                self._inject(model, arguments, 0, name)
        else:
            self._check_same(encoder.peft_config[name], arguments, directory)
        fill(_tensors(encoder, name), found, directory / WEIGHTS)

    def check_files(self, directory: Path, info: BundleInfo, headers: Headers) -> None:
        if CONFIG not in headers:
            raise BundleError(f"{directory}: {CONFIG} is missing, which says what the modules are")
        arguments = peft_files.read_arguments(directory, self.peft_type, self.understood, self.own)
        peft_files.check_weights(directory, info, headers, arguments)

    def made(self, config: Mapping[str, Any]) -> bool:
        same = all(bool(config.get(field)) == value for field, value in self.own.items())
        return config.get("peft_type") == self.peft_type and same

    def check_combine(self, how: str, settings: Any = None) -> None:
        if self.peft_type == "IA3" or self.own.get("use_dora"):
            kind = "IA3's factors" if self.peft_type == "IA3" else "DoRA's updates"
            raise UsageError(
                f"--combine {how}: {kind} do not add; low-rank updates do (lora, rslora). Here: continue"
                + (" or merge" if self.peft_type == "IA3" else "")
            )

    def combine(
        self,
        model: TaskModel,
        how: str,
        bundles: Mapping[str, Path | None],
        settings: Any,
        seed: int,
        name: str = TRAINED,
    ) -> None:
        self.check_combine(how)
        encoder: Any = model.encoder
        for own, directory in bundles.items():
            if directory is None:
                self.attach(model, settings, seed, own)
            else:
                self.load_modules(model, directory, own)
        if how == "stack":
            self.attach(model, settings, seed, name)
            peft_sums.activate(encoder, [*bundles, name])
            train_only(model, _parameters(encoder, name))
        else:
            peft_sums.activate(encoder, list(bundles))
            train_only(model, peft_sums.add_mixture(encoder, list(bundles)))

    def check_bundles(
        self, how: str, bundles: Sequence[Path | None], settings: Any, config: Mapping[str, Any]
    ) -> None:
        found = [self._read(bundle, config["model_type"])[0] for bundle in bundles if bundle is not None]
        if how == "merge" and self.peft_type == "IA3":
            own = self._own_layers(self.Settings() if settings is None else settings, config)
            scaled = [own if bundle is None else found.pop(0) for bundle in bundles]
            names = [bundle or "the recipe" for bundle in bundles]
            for name, arguments in zip(names, scaled, strict=True):
                peft_sums.check_same_layers(name, arguments, names[0], scaled[0])

    def _own_layers(self, settings: Any, config: Mapping[str, Any]) -> dict[str, Any]:
        """The layers that modules yet to be trained stand in, as a bundle of theirs names them."""
        targets = self._endings(settings, config["model_type"])
        if getattr(settings, "layers", None) is not None:
            targets = self._targets(encoder_layers.empty(config), settings)
        return {"target_modules": sorted(targets), "feedforward_modules": sorted(_feedforward(targets))}

    def check_merge(self, how: Merge) -> None:
        if self.own.get("use_dora"):
            raise UsageError(
                "DoRA's updates depend on the weights they are applied to, so that their sum means nothing; "
                "merge LoRA or rsLoRA, or continue"
            )
        if self.peft_type == "IA3" and how.method == "svd":
            raise UsageError(
                "svd is for low-rank updates; IA3: linear, soup, ties, dare_ties, dare_linear, magnitude_prune"
            )

    def merge(self, bundles: Sequence[Path], how: Merge, out: Path, base: Any, with_head: bool) -> None:
        # A file speaks of a task class or of the bare encoder, as its head is; all are to speak alike.
        model_type = base.config["model_type"]
        spoken = peft_files.spoken_of(bundles[0], model_type)
        read = [self._read(bundle, model_type) for bundle in bundles]
        configs = [arguments for arguments, _ in read]
        modules = [{spoken + key: tensor for key, tensor in found.items()} for _, found in read]
        raw = read_config(bundles[0] / CONFIG)
        if self.peft_type == "IA3":
            weights = peft_sums.merged_factors(modules, configs, how, bundles)
        else:
            weights, rank = peft_sums.merged_updates(modules, configs, how, bundles)
            raw |= {"r": rank, "lora_alpha": rank**0.5 if self.own["use_rslora"] else rank}
        raw["target_modules"] = sorted({target for c in configs for target in c["target_modules"]})
        if with_head:
            files = [read_tensors(bundle / WEIGHTS) for bundle in bundles]
            heads = [{k: t for k, t in file.items() if not is_module(k)} for file in files]
            weights |= {k: merged([head[k] for head in heads], how.averaged(), k) for k in heads[0]}
            peft_files.merge_heads(bundles, how, out)
        else:
            weights = {peft_files.ROOT + key.removeprefix(spoken): t for key, t in weights.items()}
            excluded = sorted(
                layer for layer in task_classes.head_layers() if fits(layer, raw["target_modules"])
            )
            raw |= {"modules_to_save": None, "task_type": None}
            raw |= {"exclude_modules": excluded or None} if "exclude_modules" in raw else {}
        write_json(out / CONFIG, raw)
        write_tensors(weights, out / WEIGHTS)

    def check_fold(self) -> None:
        """Every method here changes what linear layers multiply by."""

    def fold(self, model: TaskModel) -> None:
        peft_sums.fold(model.encoder)

    def load(self, directory: Path, format_name: str) -> dict[str, Tensor]:
        return peft_files.read_head(directory, format_name)

    def _read(self, directory: Path, model_type: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """A bundle's arguments and modules, which name the same layers. Raises BundleError."""
        arguments = peft_files.read_arguments(directory, self.peft_type, self.understood, self.own)
        found = peft_files.read_modules(directory, model_type)
        return peft_files.of_encoder(
            directory, arguments, found, task_classes.prefix_before(model_type)
        ), found

    def _config_class(self) -> Any:
        import peft

        return {"LORA": peft.LoraConfig, "IA3": peft.IA3Config}[self.peft_type]

    def _check_same(self, config: Any, arguments: Mapping[str, Any], directory: Path) -> None:
        """A target stage goes on from its intermediate's modules only where both have the same shape."""
        for field, value in arguments.items():
            mine = getattr(config, field)
            mine = sorted(mine) if isinstance(mine, (set, list, tuple)) else mine
            theirs = sorted(value) if isinstance(value, list) else value
            if "dropout" not in field and mine != theirs:
                raise BundleError(
                    f"{directory}: was trained with {field} = {theirs!r}, the recipe asks for {mine!r}; "
                    "give both the same"
                )


def _keep_scales(encoder: nn.Module) -> None:
    """DoRA reads 8-bit weights at every step; on a CPU PEFT then makes them anew from a parameter that bitsandbytes
    has taken the scales from."""
    if getattr(encoder, "is_loaded_in_8bit", False):
        import bitsandbytes

        class Linear8bit(bitsandbytes.nn.Linear8bitLt):  # type: ignore[misc]
            def init_8bit_state(self) -> None:
                scales = self.weight.SCB
                super().init_8bit_state()
                self.weight.SCB = scales

        for module in encoder.modules():
            if type(module) is bitsandbytes.nn.Linear8bitLt:
                module.__class__ = Linear8bit


def _parameters(encoder: nn.Module, name: str) -> dict[str, nn.Parameter]:
    """The parameters of one named set of modules."""
    marks = (f".{name}.", f".ia3_l.{name}")
    own = ("lora_", "ia3_l")
    return {
        key: parameter
        for key, parameter in encoder.named_parameters()
        if any(f".{mark}" in key for mark in own) and (marks[0] in key or key.endswith(marks[1]))
    }


def _tensors(encoder: nn.Module, name: str) -> dict[str, Tensor]:
    """The same by PEFT's names on disk, on the encoder's own memory."""
    from peft import get_peft_model_state_dict

    tensors: dict[str, Tensor] = get_peft_model_state_dict(
        encoder, adapter_name=name, save_embedding_layers=False
    )
    return tensors


def _check_targets(encoder: nn.Module, targets: Any) -> None:
    """Every target names at least one linear layer."""
    from torch import nn as torch_nn

    linear = [name for name, module in encoder.named_modules() if isinstance(module, torch_nn.Linear)]
    linear = [name.removesuffix(".base_layer") for name in linear if ".lora_" not in name]
    for target in targets:
        if not any(fits(name, [target]) for name in linear):
            endings = dict.fromkeys(name.rpartition(".")[2] for name in linear)
            raise UsageError(
                f"target module {target!r} names no linear layer of this encoder; "
                f"endings of their names: {', '.join(endings)}"
            )


def _feedforward(targets: Any) -> list[str]:
    """IA3 scales the input of feed-forward layers and the output of the others."""
    return [target for target in targets if target.endswith(("dense", "lin2", "wo", "mlp.Wo", "down_proj"))]
