"""AdapterHub's modules (https://docs.adapterhub.ml) on the bare encoder, and their files in its layout.

On disk names are those of the task class, with the head beside them in that class's names, so that
``load_adapter(DIR, use_safetensors=True)`` gives the whole model on a Transformers task class (after
``adapters.init``) and on an ``AutoAdapterModel``.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import BundleError, UnknownNameError, UsageError
from adapter_stilts.io import write_json
from adapter_stilts.model import task_classes
from adapter_stilts.model.bundle_files import HEAD
from adapter_stilts.model.door import build_config
from adapter_stilts.model.tuning.base import unused_name
from adapter_stilts.model.tuning.libraries.adapterhub_checks import check_nesting, differences, read_setup
from adapter_stilts.model.tuning.libraries.adapterhub_files import (
    CONFIG,
    FUSION_CONFIG,
    FUSION_WEIGHTS,
    HEAD_CONFIG,
    HEAD_WEIGHTS,
    SETUP,
    WEIGHTS,
    read_adapter_config,
)
from adapter_stilts.model.tuning.libraries.adapterhub_package import adapterhub
from adapter_stilts.model.tuning.libraries.frozen import read_config, refused, seeded, train_only
from adapter_stilts.model.weights import fill, read_tensors, write_tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

    from adapter_stilts.model.merge import Merge
    from adapter_stilts.model.task_model import TaskModel

# A prefix's tensors can be reached through every layer; this is the one name they are kept under.
_THROUGH_A_LAYER = re.compile(r"^encoder\.layer\.\d+\.attention\.self\.prefix_tuning\.pool\.")


def add(model: TaskModel, config: Mapping[str, Any], seed: int, name: str) -> None:
    """Add one named adapter, make it the active one, and let nothing but it and the head be trained.

    Args:
        config: the fields of one of AdapterHub's configs.

    Raises:
        UsageError: its sizes do not fit the encoder.
    """
    AdapterConfig = adapterhub().AdapterConfig

    encoder: Any = model.encoder
    check_config(config, int(encoder.config.hidden_size))
    with seeded(seed):
        prepare(encoder)
    with seeded(seed):
        encoder.add_adapter(name, config=AdapterConfig.load(dict(config)))
    activate(encoder, name)
    train_only(model, parameters(encoder, name))


def activate(encoder: Any, setup: Any) -> None:
    """Make an adapter, or a composition of several, part of every forward pass."""
    # While it changes the setup the library warns that none is active.
    logger = logging.getLogger("adapters.model_mixin")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        encoder.set_active_adapters(setup)
    finally:
        logger.setLevel(level)


def prepare(encoder: Any) -> None:
    """Let an encoder take adapters. Its linear layers stay: AdapterHub's stand-ins for its own LoRA are undone."""
    from torch import nn

    adapters = adapterhub()

    if hasattr(encoder, "adapters_config"):
        return
    linear = {key: module for key, module in encoder.named_modules() if isinstance(module, nn.Linear)}
    try:
        adapters.init(encoder)
    except (ValueError, AttributeError, NotImplementedError) as error:
        raise UsageError(
            f"AdapterHub has no adapters for encoders of type {encoder.config.model_type!r} ({error}): --mode lora or "
            "another of PEFT's changes any encoder's linear layers"
        ) from error
    for key, module in linear.items():
        parent, _, attribute = key.rpartition(".")
        setattr(encoder.get_submodule(parent), attribute, module)
    if encoder.is_gradient_checkpointing:
        _recompute_in_context(encoder)


def _recompute_in_context(encoder: Any) -> None:
    """Recomputed layers see what the forward pass kept for them (prefixes, shared parameters).

    As AdapterHub's own `gradient_checkpointing_enable`, without its gradient for the embeddings, which nothing needs.
    """
    ForwardContext = adapterhub("adapters.context").ForwardContext
    from torch.utils.checkpoint import checkpoint

    def recomputed(function: Any, *arguments: Any, **more: Any) -> Any:
        context = ForwardContext.get_context()
        return checkpoint(
            function,
            *arguments,
            use_reentrant=False,
            context_fn=lambda: (contextlib.nullcontext(), context),
            **more,
        )

    encoder._set_gradient_checkpointing(enable=True, gradient_checkpointing_func=recomputed)


def check_config(config: Mapping[str, Any], hidden_size: int) -> None:
    """Raises UsageError where a bottleneck's width is not a whole number, its blocks are not, or there is no such
    activation."""
    from transformers.activations import ACT2FN

    activation = str(config["non_linearity"]).lower()
    if activation != "leakyrelu" and activation not in ACT2FN:
        raise UnknownNameError("non_linearity", activation, ("leakyrelu", *ACT2FN))
    if "reduction_factor" not in config:
        return
    factor = config["reduction_factor"]
    if not isinstance(factor, (int, float)) or isinstance(factor, bool) or factor <= 0:
        raise UsageError(f"reduction_factor = {factor!r}: should be a positive number")
    if hidden_size % factor:
        raise UsageError(
            f"reduction_factor = {factor:g} does not divide the encoder's hidden size {hidden_size}"
        )
    width, blocks = int(hidden_size // factor), config.get("phm_dim", 1)
    if config.get("phm_layer") and (width % blocks or hidden_size % blocks):
        raise UsageError(
            f"phm_dim = {blocks} divides not both the hidden size {hidden_size} and the bottleneck's width {width}"
        )


def parameters(encoder: nn.Module, name: str) -> dict[str, nn.Parameter]:
    """The parameters of one named adapter."""
    marks = [f".{kind}.{name}." for kind in ("adapters", "prefix_tunings", "shared_parameters")]
    return {
        key: parameter
        for key, parameter in encoder.named_parameters()
        if any(mark in f".{key}" for mark in marks)
    }


def tensors(encoder: nn.Module, name: str) -> dict[str, Tensor]:
    """The same by their names in the bare encoder's files, on the encoder's own memory."""
    return {_kept_name(key): parameter.detach() for key, parameter in parameters(encoder, name).items()}


def _kept_name(key: str) -> str:
    return _THROUGH_A_LAYER.sub("prefix_tuning.", key)


def save(model: TaskModel, directory: Path, format_name: str, labels: tuple[str, ...]) -> None:
    """Write what is active and the head: one adapter at the root, or a composition in folders of its own parts.

    A composition is in the layout of AdapterHub's `save_adapter_setup`, which ``load_adapter_setup(DIR,
    set_active=True, use_safetensors=True)`` reads.
    """
    Fuse = adapterhub("adapters.composition").Fuse

    encoder: Any = model.encoder
    setup = encoder.active_adapters
    names = setup.flatten()
    pooler = getattr(model.head, "pooler", None) is not None
    in_class = task_classes.has_task_class(encoder.config.model_type, format_name, pooler)
    task_class = task_classes.task_class(encoder.config, format_name) if in_class else type(encoder).__name__
    about = {"model_name": encoder.config.name_or_path, "model_class": task_class}
    if len(names) == 1:
        _save_adapter(encoder, next(iter(names)), directory, about)
    else:
        for name in sorted(names):
            (directory / name).mkdir()
            _save_adapter(encoder, name, directory / name, about)
        if isinstance(setup, Fuse):
            (directory / setup.name).mkdir()
            _save_fusion(encoder, setup.name, directory / setup.name, about)
        # In a folder and under a name, as `AutoAdapterModel` asks for; a task class has one head and takes it too.
        known = model.head is not None and in_class
        composed = {
            "adapter_setup": setup.to_dict(),
            "head_setup": setup.last() if known else None,
            "version": f"adapters.{adapterhub().__version__}",
        }
        write_json(directory / SETUP, composed)
        directory = directory / setup.last() if known else directory
    if model.head is not None and in_class:
        _save_head(encoder, model.head, directory, format_name, labels, about)
    elif model.head is not None:
        write_tensors(model.head.state_dict(), directory / HEAD)


def _save_adapter(encoder: Any, name: str, directory: Path, about: Mapping[str, str]) -> None:
    build_full_config = adapterhub("adapters.configuration").build_full_config

    prefix = task_classes.encoder_prefix(encoder.config.model_type)
    config = encoder.adapters_config.get(name)
    write_json(directory / CONFIG, build_full_config(config, encoder.config, name=name, **about))
    write_tensors({f"{prefix}.{k}": t for k, t in tensors(encoder, name).items()}, directory / WEIGHTS)


def _save_fusion(encoder: Any, name: str, directory: Path, about: Mapping[str, str]) -> None:
    build_full_config = adapterhub("adapters.configuration").build_full_config

    prefix = task_classes.encoder_prefix(encoder.config.model_type)
    config, names = encoder.adapters_config.get_fusion(name)
    named = {**about, "adapter_names": names}
    write_json(directory / FUSION_CONFIG, build_full_config(config, encoder.config, name=name, **named))
    write_tensors(
        {f"{prefix}.{k}": p.detach() for k, p in fusion_parameters(encoder, name).items()},
        directory / FUSION_WEIGHTS,
    )


def _save_head(
    encoder: Any,
    head: Any,
    directory: Path,
    format_name: str,
    labels: tuple[str, ...],
    about: Mapping[str, str],
) -> None:
    """The head under the names of its task class."""
    build_full_config = adapterhub("adapters.configuration").build_full_config

    values = build_full_config(None, encoder.config, name=None, **about)
    named = task_classes.outputs_of(format_name, labels).get("label2id")
    if named:
        values |= {"label2id": named, "num_labels": len(named)}
    write_json(directory / HEAD_CONFIG, values)
    weights = task_classes.head_to_task_class(encoder.config.model_type, format_name, head.state_dict())
    write_tensors(weights, directory / HEAD_WEIGHTS)


def fusion_parameters(encoder: nn.Module, name: str) -> dict[str, nn.Parameter]:
    """The parameters of one AdapterFusion."""
    mark = f".adapter_fusion_layer.{name}."
    return {key: parameter for key, parameter in encoder.named_parameters() if mark in key}


def combine(
    model: TaskModel,
    how: str,
    bundles: Mapping[str, Path | None],
    config: Mapping[str, Any],
    seed: int,
    name: str,
) -> None:
    """Frozen adapters from bundles, with a new adapter on top (``stack``) or an AdapterFusion over them (``fuse``).

    The fusion is Pfeiffer et al.'s (2021, https://arxiv.org/abs/2005.00247), without the pull of its value matrices
    towards the identity, where they begin.
    """
    Stack = adapterhub("adapters.composition").Stack

    encoder: Any = model.encoder
    used = {*bundles, name}
    frozen: list[str] = []
    for own, directory in bundles.items():
        if directory is None:
            add(model, config, seed, own)
            frozen.append(own)
        else:
            frozen += _load_parts(model, directory, own, how, used)
    if how == "stack":
        add(model, config, seed, name)
        activate(encoder, Stack(*frozen, name))
    else:
        _add_fusion(model, frozen, seed)


def _load_parts(model: TaskModel, directory: Path, own: str, how: str, used: set[str]) -> list[str]:
    """The adapters of a bundle, loaded under its name; those of a stack, in their order, under names behind it.

    A stack on a stack is one stack: what comes out of the lower is what goes into the upper.

    Args:
        used: names that others have; those given here are added.
    """
    if not (directory / SETUP).exists():
        load_modules(model, directory, own)
        return [own]
    kind, names = read_setup(directory / SETUP)
    check_nesting(directory, kind, names, how)
    parts = []
    for name in names:
        parts.append(unused_name(f"{own}_{name}", used))
        used.add(parts[-1])
        load_modules(model, directory / name, parts[-1])
    return parts


def _add_fusion(model: TaskModel, names: list[str], seed: int) -> None:
    ADAPTERFUSION_CONFIG_MAP = adapterhub().ADAPTERFUSION_CONFIG_MAP
    Fuse = adapterhub("adapters.composition").Fuse

    encoder: Any = model.encoder
    setup = Fuse(*names)
    config = ADAPTERFUSION_CONFIG_MAP["dynamic"].replace(regularization=False)
    with seeded(seed):
        encoder.add_adapter_fusion(setup, config=config)
    activate(encoder, setup)
    train_only(model, fusion_parameters(encoder, setup.name))


def _load_setup(model: TaskModel, directory: Path) -> None:
    """A composition as `save` writes it. Raises BundleError."""
    Stack = adapterhub("adapters.composition").Stack

    encoder: Any = model.encoder
    path = directory / SETUP
    kind, names = read_setup(path)
    for name in names:
        load_modules(model, directory / name, name)
    if kind == "Stack":
        activate(encoder, Stack(*names))
        return
    with refused(path):
        _add_fusion(model, names, 0)
    fusion = ",".join(names)
    prefix = f"{task_classes.encoder_prefix(encoder.config.model_type)}."
    weights = directory / fusion / FUSION_WEIGHTS
    found = {key.removeprefix(prefix): tensor for key, tensor in read_tensors(weights).items()}
    fill(dict(fusion_parameters(encoder, fusion)), found, weights)


def load_modules(model: TaskModel, directory: Path, name: str) -> None:
    """Fill the named adapter from a folder, adding it where there is none. Raises BundleError."""
    encoder: Any = model.encoder
    if (directory / SETUP).exists():
        _load_setup(model, directory)
        return
    path = directory / CONFIG
    theirs, config = read_adapter_config(path, encoder.config)
    found = {}
    prefix = f"{task_classes.encoder_prefix(encoder.config.model_type)}."
    for key, tensor in read_tensors(directory / WEIGHTS).items():
        bare = _kept_name(key.removeprefix(prefix))
        found[
            re.sub(
                rf"(adapters|prefix_tunings|shared_parameters)\.{re.escape(theirs)}\.", rf"\1.{name}.", bare
            )
        ] = tensor
    if name not in getattr(encoder, "adapters_config", ()):
        with refused(path):
            add(model, config, 0, name)
    else:
        _check_same(encoder.adapters_config.get(name).to_dict(), config, directory)
    fill(tensors(encoder, name), found, directory / WEIGHTS)


def _check_same(mine: Mapping[str, Any], theirs: Mapping[str, Any], directory: Path) -> None:
    for field, asked, own in differences(mine, theirs):
        raise BundleError(
            f"{directory}: was trained with {field} = {own!r}, the recipe asks for {asked!r}; give both the same"
        )


def merge(bundles: Sequence[Path], how: Merge, out: Path, base: Any, with_head: bool) -> None:
    """The weighted mean of adapters of one config, which `check_bundles` has seen to. Raises BundleError."""
    from adapter_stilts.model.merge import merged

    config = build_config(base.config, base.id)
    read = [read_adapter_config(bundle / CONFIG, config) for bundle in bundles]
    inputs = []
    for bundle, (name, _) in zip(bundles, read, strict=True):
        inputs.append(
            {k.replace(f".{name}.", ".merged."): t for k, t in read_tensors(bundle / WEIGHTS).items()}
        )
        if inputs[-1].keys() != inputs[0].keys():
            raise BundleError(f"{bundle / WEIGHTS}: other tensors than in {bundles[0]}")
    mean = {key: merged([tensors[key] for tensors in inputs], how, key) for key in inputs[0]}
    write_tensors(mean, out / WEIGHTS)
    write_json(out / CONFIG, {**read_config(bundles[0] / CONFIG), "name": "merged"})
    if with_head and (bundles[0] / HEAD).is_file():
        heads = [read_tensors(bundle / HEAD) for bundle in bundles]
        write_tensors({k: merged([head[k] for head in heads], how, k) for k in heads[0]}, out / HEAD)
    elif with_head:
        heads = [read_tensors(bundle / HEAD_WEIGHTS) for bundle in bundles]
        mean = {key: merged([head[key] for head in heads], how, key) for key in heads[0]}
        write_tensors(mean, out / HEAD_WEIGHTS)
        write_json(out / HEAD_CONFIG, read_config(bundles[0] / HEAD_CONFIG))
