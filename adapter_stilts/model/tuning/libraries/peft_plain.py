"""What PEFT's users save, in as many ways as PEFT offers, written as the one way that bundles have.

A stranger's config may name layers by a pattern, give some of them another rank or scale, and its tensors may speak of
any task class. Here the tensors tell: each stands in a linear layer of the encoder, and its shape is its rank.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import BundleError
from adapter_stilts.io import write_json
from adapter_stilts.model.door import refuse_code
from adapter_stilts.model.tuning.libraries.frozen import read_config
from adapter_stilts.model.tuning.libraries.peft_fields import declared
from adapter_stilts.model.tuning.libraries.peft_files import (
    CONFIG,
    ROOT,
    WEIGHTS,
    fits,
    is_module,
    layer_of,
    of_encoder,
)
from adapter_stilts.model.weights import read_tensors, write_tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

# Starts that leave the base as it is; PiSSA's, OLoRA's and LoftQ's change its weights, and are of no use without them.
_STARTS = (True, False, None, "gaussian", "orthogonal", "eva")
# Which layers have modules, and of which rank: the tensors tell.
_TOLD_BY_TENSORS = ("rank_pattern", "layers_to_transform", "layers_pattern", "exclude_modules", "eva_config")
_PLAIN = re.compile(r"[\w.]+", re.ASCII)

Modules = dict[str, dict[str, "Tensor"]]
"""Of each layer of the encoder, its tensors by their names in it."""


def rewrite(directory: Path, encoder: nn.Module, out: Path) -> None:
    """Write PEFT's files of a plain folder, without its head, as `save` writes them for this encoder.

    Raises:
        BundleError: a method or setting that is not read here, or tensors of no layer of the encoder.
    """
    path = directory / CONFIG
    values = read_config(path)
    refuse_code(values, str(path))
    kind = values.get("peft_type")
    if kind not in ("LORA", "IA3"):
        raise BundleError(f"{path}: peft_type = {kind!r}; LORA and IA3 are read here")
    known = declared(kind)
    # A newer PEFT's fields that are off say nothing.
    kept = {name: value for name, value in values.items() if name in known or value}
    found = _modules(read_tensors(directory / WEIGHTS), encoder, directory / WEIGHTS)
    start = kept.pop("init_lora_weights", True)
    if start not in _STARTS:
        raise BundleError(
            f"{path}: init_lora_weights = {start!r} changes the base's own weights, which nobody else has: save it as "
            "LoRA on the plain base (PEFT: path_initial_model_for_weight_conversion)"
        )
    if kind == "IA3":
        kept["feedforward_modules"] = sorted(layer for layer, own in found.items() if len(own["ia3_l"]) == 1)
    else:
        kept |= _of_one_rank(found, kept, path)
    for name in (*_TOLD_BY_TENSORS, "alpha_pattern", "modules_to_save", "auto_mapping"):
        kept.pop(name, None)
    endings: list[str] = []
    named = values.get("target_modules")
    if isinstance(named, list) and all(isinstance(each, str) for each in named):
        prefix = f"{getattr(encoder, 'base_model_prefix', '')}."
        endings = of_encoder(directory, {"target_modules": named}, found, prefix)["target_modules"]
    # IA3's two lists speak alike, and its tensors alone tell the second: both are full names.
    whole = {layer for layer in _linear(encoder) if fits(layer, endings)} == found.keys() and kind != "IA3"
    write_json(out / CONFIG, {**kept, "target_modules": sorted(endings if whole else found)})
    held = {f"{ROOT}{layer}.{name}": tensor for layer, own in found.items() for name, tensor in own.items()}
    write_tensors(held, out / WEIGHTS)


def _linear(encoder: nn.Module) -> set[str]:
    """The names of an encoder's linear layers."""
    from torch import nn as torch_nn

    return {name for name, module in encoder.named_modules() if isinstance(module, torch_nn.Linear)}


def _modules(held: Mapping[str, Tensor], encoder: nn.Module, path: Path) -> Modules:
    """The tensors of modules by layer of the bare encoder; a head's are left behind. Raises BundleError."""
    prefix = f"{getattr(encoder, 'base_model_prefix', '')}."
    linear, own = _linear(encoder), {name for name, _ in encoder.named_parameters()}
    found: Modules = {}
    for key, tensor in held.items():
        bare = key.removeprefix(ROOT)
        if not is_module(bare):
            changed = next((name for name in (bare, bare.removeprefix(prefix)) if name in own), None)
            if changed is not None:
                raise BundleError(
                    f"{path}: holds the encoder's own {changed}: only what is added to a base is read"
                )
            continue
        if ".lora_embedding_" in bare:
            raise BundleError(
                f"{path}: {key} changes an embedding; updates of linear layers alone are read here"
            )
        layer = layer_of(bare)
        name = bare.removeprefix(f"{layer}.").replace("lora_magnitude_vector.weight", "lora_magnitude_vector")
        layer = layer if layer in linear else layer.removeprefix(prefix)
        if layer not in linear:
            raise BundleError(
                f"{path}: {key} stands in no linear layer of this base ({type(encoder).__name__}): it was trained on "
                "another kind of encoder. Give --base with its own"
            )
        found.setdefault(layer, {})[name] = tensor
    if not found:
        raise BundleError(f"{path}: holds no modules of PEFT's")
    return found


def _of_one_rank(found: Modules, values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Updates of several ranks and scales as updates of one, in place: zeros beside them, and the scale in a factor.

    Returns:
        The rank and the scale that all have then.
    """
    from torch.nn.functional import pad

    for layer, own in found.items():
        shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
        first, second = shapes.get("lora_A.weight", ()), shapes.get("lora_B.weight", ())
        if len(first) != 2 or len(second) != 2 or first[0] != second[1] or not first[0]:
            raise BundleError(
                f"{path.parent / WEIGHTS}: {layer} holds {shapes}, which are no update of low rank"
            )
    rooted = bool(values.get("use_rslora"))
    ranks = {layer: len(own["lora_A.weight"]) for layer, own in found.items()}
    alphas = {layer: _alpha(layer, values, path) for layer in found}
    scales = {layer: alphas[layer] / (ranks[layer] ** 0.5 if rooted else ranks[layer]) for layer in found}
    if len(set(ranks.values())) == 1 and len(set(scales.values())) == 1:
        return {"r": next(iter(ranks.values())), "lora_alpha": next(iter(alphas.values()))}
    rank = max(ranks.values())
    for layer, own in found.items():
        more = rank - ranks[layer]
        own["lora_A.weight"] = pad(own["lora_A.weight"], (0, 0, 0, more))
        own["lora_B.weight"] = pad(own["lora_B.weight"] * scales[layer], (0, more))
    return {"r": rank, "lora_alpha": rank**0.5 if rooted else rank}


def _alpha(layer: str, values: Mapping[str, Any], path: Path) -> float:
    """A layer's alpha: that of the first pattern which it ends in, or everybody's. Raises BundleError."""
    patterns = values.get("alpha_pattern") or {}
    if not isinstance(patterns, dict) or not all(_PLAIN.fullmatch(name) for name in patterns):
        raise BundleError(
            f"{path}: alpha_pattern = {patterns!r}: plain endings of layers' names are read here"
        )
    # Such a name may begin with what a task class calls its encoder.
    fitting = (alpha for name, alpha in patterns.items() if fits(layer, [name]) or name.endswith(f".{layer}"))
    alpha = next(fitting, values.get("lora_alpha", 8))
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or alpha <= 0:
        raise BundleError(f"{path}: lora_alpha = {alpha!r}: should be a positive number")
    return alpha
