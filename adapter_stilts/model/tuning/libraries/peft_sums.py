"""Sums of PEFT's modules: several at work on one encoder, and several bundles as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import BundleError
from adapter_stilts.model.merge import Merge, low_rank, low_rank_product, merged
from adapter_stilts.model.tuning.libraries.peft_files import WEIGHTS

if TYPE_CHECKING:
    from torch import Tensor, nn


def low_rank_layers(encoder: nn.Module) -> dict[str, Any]:
    """The layers that hold low-rank updates, by name."""
    return {name: module for name, module in encoder.named_modules() if hasattr(module, "lora_A")}


def activate(encoder: nn.Module, names: list[str]) -> None:
    """Let several named modules work together, each on the layers it has."""
    for module in low_rank_layers(encoder).values():
        module.set_adapter([name for name in names if name in module.lora_A])


def active_names(encoder: Any) -> list[str]:
    """The names that are at work, in the order they were attached."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = [module for module in encoder.modules() if isinstance(module, BaseTunerLayer)]
    used = {name for layer in layers for name in layer.active_adapters}
    return [str(name) for name in encoder.peft_config if name in used]


def add_mixture(encoder: nn.Module, names: list[str]) -> dict[str, nn.Parameter]:
    """A learned weight for each frozen update in each layer, in the place of its scale; all begin alike."""
    import torch
    from torch import nn as torch_nn

    for module in low_rank_layers(encoder).values():
        own = [name for name in names if name in module.lora_A]
        device = module.lora_A[own[0]].weight.device
        module.lora_mixture = torch_nn.ParameterDict(
            {name: torch_nn.Parameter(torch.tensor(1.0 / len(names), device=device)) for name in own}
        )
        for name in own:
            module.lora_B[name].weight.data *= module.scaling[name]
            module.scaling[name] = module.lora_mixture[name]
    return {key: p for key, p in encoder.named_parameters() if ".lora_mixture." in key}


def collapsed(encoder: nn.Module, names: list[str]) -> tuple[dict[str, Tensor], int]:
    """Several updates of each layer as one that is their sum, exactly: factors side by side, at the sum of ranks."""
    import torch

    layers = low_rank_layers(encoder)
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


def fold(encoder: Any) -> None:
    """The active modules as part of the weights that they change, which take their place again.

    Raises:
        BundleError: a weight would no longer be a finite number.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = {name: m for name, m in encoder.named_modules() if isinstance(m, BaseTunerLayer)}
    for name, module in layers.items():
        try:
            module.merge(safe_merge=True)
        except ValueError as error:
            raise BundleError(f"merged into the encoder, {name} is not finite: {error}") from error
        parent, _, attribute = name.rpartition(".")
        setattr(encoder.get_submodule(parent), attribute, module.get_base_layer())
    if layers:
        del encoder.peft_config


def scale_of(config: Mapping[str, Any]) -> float:
    """The scale that a low-rank product is multiplied by."""
    rank, alpha = config.get("r", 8), config.get("lora_alpha", 8)
    return float(alpha / rank**0.5 if config.get("use_rslora") else alpha / rank)


def merged_updates(
    modules: Sequence[Mapping[str, Tensor]],
    configs: Sequence[Mapping[str, Any]],
    how: Merge,
    bundles: Sequence[Path],
) -> tuple[dict[str, Tensor], int]:
    """Low-rank updates of every layer as one, all of one rank; a layer that an input leaves alone counts as zero."""
    import torch

    layers = sorted({key.partition(".lora_")[0] for tensors in modules for key in tensors})
    ranks = [max(t.shape[0] for k, t in tensors.items() if ".lora_A." in k) for tensors in modules]
    scales = [scale_of(config) for config in configs]
    rank = how.rank or (sum(ranks) if how.is_sum else max(ranks))
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
        if how.is_sum or how.method == "svd":
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


def check_same_layers(
    name: Path | str, config: Mapping[str, Any], first: Path | str, known: Mapping[str, Any]
) -> None:
    """Raises BundleError where IA3's factors are of other layers."""
    for field in ("target_modules", "feedforward_modules"):
        if config.get(field) != known.get(field):
            raise BundleError(
                f"{name} scales other layers than {first}: {field} {config.get(field)} and {known.get(field)}; factors "
                "of the same layers merge"
            )


def merged_factors(
    modules: Sequence[Mapping[str, Tensor]],
    configs: Sequence[Mapping[str, Any]],
    how: Merge,
    bundles: Sequence[Path],
) -> dict[str, Tensor]:
    """IA3's factors as one: 1 plus the merged differences from 1."""
    for bundle, tensors, config in zip(bundles, modules, configs, strict=True):
        check_same_layers(bundle, config, bundles[0], configs[0])
        if tensors.keys() != modules[0].keys():
            raise BundleError(f"{bundle / WEIGHTS}: scales other layers than {bundles[0]}")
    return {key: 1 + merged([tensors[key] - 1 for tensors in modules], how, key) for key in modules[0]}
