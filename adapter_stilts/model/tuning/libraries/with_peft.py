"""Methods of PEFT, on the bare encoder, and their files in PEFT's own layout.

Modules are injected in place, so that the encoder stays what it is and its head stays outside. On disk a bundle
speaks of the task class, head included (as ``modules_to_save``), so that
``PeftModel.from_pretrained(AutoModelFor….from_pretrained(base), DIR)`` gives the whole model.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from adapter_stilts.errors import BundleError, UsageError
from adapter_stilts.io import write_json
from adapter_stilts.model import families
from adapter_stilts.model.merge import Merge, low_rank, low_rank_product, merged
from adapter_stilts.model.tuning.base import TRAINED, TuningSettings
from adapter_stilts.model.tuning.libraries.frozen import read_config, refused, seeded, train_only
from adapter_stilts.model.weights import fill, load_trained_state, read_tensors, trained_state

if TYPE_CHECKING:
    from torch import Tensor, nn

    from adapter_stilts.model.task_model import TaskModel

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
TASK_TYPES = {"pair_classification": "SEQ_CLS", "tagging": "TOKEN_CLS", "span_qa": "QUESTION_ANS"}
_ROOT = "base_model.model."

# Fields of a config that do not change what a loaded module computes.
_ABOUT = {
    "base_model_name_or_path",
    "inference_mode",
    "init_ia3_weights",
    "modules_to_save",
    "peft_type",
    "peft_version",
    "revision",
    "task_type",
}


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

    def attach(self, model: TaskModel, settings: Any = None, seed: int = 0, name: str = TRAINED) -> None:
        settings = self.Settings() if settings is None else settings
        encoder: Any = model.encoder
        method = self.peft_type.lower()
        targets = getattr(settings, "target_modules", None) or families.targets(
            encoder.config.model_type, method
        )
        self._inject(model, {**self.arguments(settings), "target_modules": list(targets)}, seed, name)

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
        train_only(model, _parameters(encoder, name))

    state = staticmethod(trained_state)
    load_state = staticmethod(load_trained_state)

    def save(self, model: TaskModel, directory: Path, format_name: str, labels: tuple[str, ...]) -> None:
        from safetensors.torch import save_file

        encoder: Any = model.encoder
        names = _active(encoder)
        model_type = encoder.config.model_type
        prefix = families.encoder_prefix(model_type)
        config = dataclasses.replace(encoder.peft_config[names[-1]])
        found = _tensors(encoder, names[0])
        if len(names) > 1:
            found, config.r = _collapsed(encoder, names)
            config.lora_alpha = config.r**0.5 if config.use_rslora else config.r
            config.target_modules = {t for n in names for t in encoder.peft_config[n].target_modules}
        weights = {f"{prefix}.{key}": tensor for key, tensor in found.items()}
        head: dict[str, Tensor] = {}
        if model.head is not None:
            head = families.head_to_task_class(model_type, format_name, model.head.state_dict())
        save_file(
            {_ROOT + key: tensor.detach().cpu().contiguous() for key, tensor in (weights | head).items()},
            directory / WEIGHTS,
            metadata={"format": "pt"},
        )
        layers = sorted({key.rpartition(".")[0] for key in head})
        config.base_model_name_or_path = encoder.config.name_or_path
        config.task_type = TASK_TYPES.get(format_name)
        config.inference_mode = True
        config.modules_to_save = sorted({_outermost(layer, prefix) for layer in layers}) or None
        if hasattr(config, "exclude_modules"):
            # An ending that fits layers of the encoder may fit the head's as well, which are not changed.
            ours = [layer for layer in layers if _fits(layer, config.target_modules)]
            config.exclude_modules = ours or None
        config.save_pretrained(str(directory))

    def load_modules(self, model: TaskModel, directory: Path, name: str = TRAINED) -> None:
        encoder: Any = model.encoder
        arguments = self._read_config(directory)
        path = directory / WEIGHTS
        found = _without_root(read_tensors(path), families.encoder_prefix(encoder.config.model_type), path)
        if name not in getattr(encoder, "peft_config", {}):
            with refused(directory / CONFIG):
                self._inject(model, arguments, 0, name)
        else:
            self._check_same(encoder.peft_config[name], arguments, directory)
        fill(_tensors(encoder, name), found, path)

    def check_combine(self, how: str) -> None:
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
        bundles: Mapping[str, Path],
        settings: Any,
        seed: int,
        name: str = TRAINED,
    ) -> None:
        self.check_combine(how)
        encoder: Any = model.encoder
        for own, directory in bundles.items():
            self.load_modules(model, directory, own)
        if how == "stack":
            self.attach(model, settings, seed, name)
            _activate(encoder, [*bundles, name])
            train_only(model, _parameters(encoder, name))
        else:
            _activate(encoder, list(bundles))
            train_only(model, _add_mixture(encoder, list(bundles)))

    def check_merge(self, method: str) -> None:
        if self.own.get("use_dora"):
            raise UsageError(
                "DoRA's updates depend on the weights they are applied to, so that their sum means nothing; "
                "merge LoRA or rsLoRA, or continue"
            )
        if self.peft_type == "IA3" and method == "svd":
            raise UsageError(
                "svd is for low-rank updates; IA3: linear, ties, dare_ties, dare_linear, magnitude_prune"
            )

    def merge(self, bundles: Sequence[Path], how: Merge, out: Path, base: Any, with_head: bool) -> None:
        from safetensors.torch import save_file

        configs = [self._read_config(bundle) for bundle in bundles]
        files = [read_tensors(bundle / WEIGHTS) for bundle in bundles]
        modules = [{k: t for k, t in file.items() if _is_module(k)} for file in files]
        raw = read_config(bundles[0] / CONFIG)
        if self.peft_type == "IA3":
            weights = _merged_factors(modules, configs, how, bundles)
        else:
            weights, rank = _merged_updates(modules, [_scale(c) for c in configs], how, bundles)
            raw |= {"r": rank, "lora_alpha": rank**0.5 if self.own["use_rslora"] else rank}
        raw["target_modules"] = sorted({target for c in configs for target in c["target_modules"]})
        if with_head:
            heads = [{k: t for k, t in file.items() if not _is_module(k)} for file in files]
            weights |= {k: merged([head[k] for head in heads], how.averaged(), k) for k in heads[0]}
        else:
            raw |= {"modules_to_save": None, "task_type": None, "exclude_modules": _heads(raw)}
        write_json(out / CONFIG, raw)
        save_file(
            {key: tensor.contiguous() for key, tensor in weights.items()}, out / WEIGHTS, {"format": "pt"}
        )

    def load(self, directory: Path, format_name: str) -> dict[str, Tensor]:
        path = directory / WEIGHTS
        weights = {key.removeprefix(_ROOT): tensor for key, tensor in read_tensors(path).items()}
        prefix = next((key.partition(".")[0] for key in weights if ".encoder.layer." in key), "")
        return families.head_from_task_class(families.model_type_of(prefix, path), format_name, weights, path)

    def _config_class(self) -> Any:
        import peft

        return {"LORA": peft.LoraConfig, "IA3": peft.IA3Config}[self.peft_type]

    def _read_config(self, directory: Path) -> dict[str, Any]:
        """Arguments of PEFT's config, from a file: understood fields only, all others at their defaults."""
        path = directory / CONFIG
        values = read_config(path)
        if values.get("peft_type") != self.peft_type:
            raise BundleError(f"{path}: peft_type is {values.get('peft_type')!r}, not {self.peft_type!r}")
        defaults = self._config_class()().to_dict()
        arguments: dict[str, Any] = {}
        for field, value in values.items():
            if field not in defaults:
                raise BundleError(
                    f"{path}: unknown field {field!r}; save it with peft of the installed version"
                )
            if field in self.understood:
                arguments[field] = _checked(path, field, value)
            elif field == "auto_mapping":
                _check_class(path, value)
            elif (
                field not in _ABOUT and field != "exclude_modules" and value not in (defaults[field], [], {})
            ):
                raise BundleError(
                    f"{path}: {field} = {value!r} is not supported; only {defaults[field]!r} is"
                )
        for field, expected in self.own.items():
            if arguments.get(field, defaults[field]) != expected:
                raise BundleError(
                    f"{path}: {field} = {arguments.get(field)!r}: of another tuning (this one has {expected!r})"
                )
        if not arguments.get("target_modules"):
            raise BundleError(f"{path}: names no target_modules")
        if isinstance(arguments["target_modules"], list):
            arguments["target_modules"] = sorted(arguments["target_modules"])
        return arguments

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


def _is_module(key: str) -> bool:
    return any(mark in key for mark in (".lora_", ".ia3_l"))


def _scale(config: Mapping[str, Any]) -> float:
    """What a low-rank product is multiplied by."""
    rank, alpha = config.get("r", 8), config.get("lora_alpha", 8)
    return float(alpha / rank**0.5 if config.get("use_rslora") else alpha / rank)


def _heads(raw: Mapping[str, Any]) -> list[str] | None:
    """Layers of a task class that are no part of the modules, head or not."""
    known = ["classifier.dense", "pooler.dense"]
    return [layer for layer in known if _fits(layer, raw["target_modules"])] or None


def _merged_updates(
    modules: Sequence[Mapping[str, Tensor]], scales: Sequence[float], how: Merge, bundles: Sequence[Path]
) -> tuple[dict[str, Tensor], int]:
    """Low-rank updates of every layer as one, all of one rank; a layer that an input leaves alone counts as zero."""
    import torch

    layers = sorted({key.partition(".lora_")[0] for tensors in modules for key in tensors})
    ranks = [max(t.shape[0] for k, t in tensors.items() if ".lora_A." in k) for tensors in modules]
    rank = how.rank or (sum(ranks) if how.method == "linear" else max(ranks))
    weights: dict[str, Tensor] = {}
    for layer in layers:
        names = (f"{layer}.lora_A.weight", f"{layer}.lora_B.weight")
        shape = next((t[names[1]].shape[0], t[names[0]].shape[1]) for t in modules if names[0] in t)
        factors = []
        for tensors, scale, own, bundle in zip(modules, scales, ranks, bundles, strict=True):
            first = tensors.get(names[0], torch.zeros(own, shape[1]))
            second = tensors.get(names[1], torch.zeros(shape[0], own))
            if (second.shape[0], first.shape[1]) != shape or second.shape[1] != first.shape[0]:
                raise BundleError(f"{bundle / WEIGHTS}: {layer} is of another shape than in {bundles[0]}")
            factors.append((first.float(), scale * second.float()))
        if how.method in ("linear", "svd"):
            first = torch.cat([first for first, _ in factors])
            second = torch.cat(
                [w * second for w, (_, second) in zip(how.weights, factors, strict=True)], dim=1
            )
            if how.method == "svd":
                first, second = low_rank_product(first, second, rank)
        else:
            change = merged([second @ first for first, second in factors], how, layer)
            first, second = low_rank(change, rank)
        weights |= dict(zip(names, (first, second), strict=True))
    return weights, rank


def _merged_factors(
    modules: Sequence[Mapping[str, Tensor]],
    configs: Sequence[Mapping[str, Any]],
    how: Merge,
    bundles: Sequence[Path],
) -> dict[str, Tensor]:
    """IA3's factors as one: 1 plus the merged differences from 1."""
    for bundle, tensors, config in zip(bundles, modules, configs, strict=True):
        if tensors.keys() != modules[0].keys() or config != configs[0]:
            raise BundleError(f"{bundle}: scales other layers than {bundles[0]}")
    return {key: 1 + merged([tensors[key] - 1 for tensors in modules], how, key) for key in modules[0]}


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


def _low_rank_layers(encoder: nn.Module) -> dict[str, Any]:
    return {name: module for name, module in encoder.named_modules() if hasattr(module, "lora_A")}


def _activate(encoder: nn.Module, names: list[str]) -> None:
    """Let several named modules work together, each on the layers it has."""
    for module in _low_rank_layers(encoder).values():
        module.set_adapter([name for name in names if name in module.lora_A])


def _active(encoder: Any) -> list[str]:
    """The names that are at work, in the order they were attached."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = [module for module in encoder.modules() if isinstance(module, BaseTunerLayer)]
    used = {name for layer in layers for name in layer.active_adapters}
    return [str(name) for name in encoder.peft_config if name in used]


def _add_mixture(encoder: nn.Module, names: list[str]) -> dict[str, nn.Parameter]:
    """A learned weight for each frozen update in each layer, in the place of its scale; all begin alike."""
    import torch
    from torch import nn as torch_nn

    for module in _low_rank_layers(encoder).values():
        own = [name for name in names if name in module.lora_A]
        device = module.lora_A[own[0]].weight.device
        module.lora_mixture = torch_nn.ParameterDict(
            {name: torch_nn.Parameter(torch.tensor(1.0 / len(names), device=device)) for name in own}
        )
        for name in own:
            module.lora_B[name].weight.data *= module.scaling[name]
            module.scaling[name] = module.lora_mixture[name]
    return {key: p for key, p in encoder.named_parameters() if ".lora_mixture." in key}


def _collapsed(encoder: nn.Module, names: list[str]) -> tuple[dict[str, Tensor], int]:
    """Several updates of each layer as one that is their sum, exactly: factors side by side, at the sum of ranks."""
    import torch

    layers = _low_rank_layers(encoder)
    ranks = {n: max(m.lora_A[n].weight.shape[0] for m in layers.values() if n in m.lora_A) for n in names}
    rank = sum(ranks.values())
    found = {}
    for key, module in layers.items():
        own = [name for name in names if name in module.lora_A]
        first = torch.cat([module.lora_A[name].weight.detach() for name in own])
        scales = [torch.as_tensor(module.scaling[name]).detach() for name in own]
        second = torch.cat(
            [scale * module.lora_B[n].weight.detach() for scale, n in zip(scales, own, strict=True)], dim=1
        )
        short = rank - len(first)
        found[f"{key}.lora_A.weight"] = torch.nn.functional.pad(first, (0, 0, 0, short))
        found[f"{key}.lora_B.weight"] = torch.nn.functional.pad(second, (0, short))
    return found, rank


def _check_targets(encoder: nn.Module, targets: Any) -> None:
    """Every target names at least one linear layer."""
    from torch import nn as torch_nn

    linear = [name for name, module in encoder.named_modules() if isinstance(module, torch_nn.Linear)]
    linear = [name.removesuffix(".base_layer") for name in linear if ".lora_" not in name]
    for target in targets:
        if not any(_fits(name, [target]) for name in linear):
            endings = dict.fromkeys(name.rpartition(".")[2] for name in linear)
            raise UsageError(
                f"target module {target!r} names no linear layer of this encoder; "
                f"endings of their names: {', '.join(endings)}"
            )


def _fits(name: str, targets: Any) -> bool:
    return any(name == target or name.endswith(f".{target}") for target in targets)


def _feedforward(targets: Any) -> list[str]:
    """IA3 scales the input of feed-forward layers and the output of the others."""
    return [target for target in targets if target.endswith("dense")]


def _outermost(layer: str, prefix: str) -> str:
    """The module of a task class that a head's layer stands in."""
    return layer.removeprefix(f"{prefix}.").partition(".")[0]


def _without_root(weights: Mapping[str, Tensor], prefix: str, path: Path) -> dict[str, Tensor]:
    """The modules' tensors by their names in the bare encoder; the head's are left out."""
    found = {}
    for key, tensor in weights.items():
        if not key.startswith(_ROOT):
            raise BundleError(f"{path}: {key} is not a name of PEFT's")
        bare = key.removeprefix(_ROOT).removeprefix(f"{prefix}.")
        if any(mark in bare for mark in (".lora_", ".ia3_l")):
            found[bare] = tensor
        elif not bare.startswith(("classifier.", "qa_outputs.", "pooler.", "score.")):
            raise BundleError(f"{path}: {key} is neither a module of {CONFIG} nor a head")
    return found


def _check_class(path: Path, value: Any) -> None:
    """PEFT writes the class a module was trained on; it is never imported here, and may be Transformers' alone."""
    library = value.get("parent_library") if isinstance(value, dict) else None
    if value is not None and not str(library).startswith("transformers.models."):
        raise BundleError(f"{path}: auto_mapping names a class outside Transformers: {value!r}")


def _checked(path: Path, field: str, value: Any) -> Any:
    """A field's value, as simple as PEFT writes it."""
    plain = isinstance(value, (bool, int, float, str)) or value is None
    names = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    if field in ("target_modules", "feedforward_modules"):
        if not names:
            raise BundleError(f"{path}: {field} should list endings of module names; got {value!r}")
        return value
    if field == "r" and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise BundleError(f"{path}: r = {value!r}: should be a positive whole number")
    if not plain:
        raise BundleError(f"{path}: {field} = {value!r} is not supported")
    return value
