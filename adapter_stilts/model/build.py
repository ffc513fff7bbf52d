"""From a base, a bundle and a head to a model: the one way, for stages, for exports and for a bundle that answers.

model = load_model(base, directory, read_bundle(directory), "span_qa", (), "fp32", "cpu")
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapter_stilts.formats import get_format
from adapter_stilts.model.backbone import ResolvedBase, load_encoder
from adapter_stilts.model.bundle_info import BundleInfo
from adapter_stilts.model.cpu_linear import keep_few_products, quicken
from adapter_stilts.model.heads import Head, build_head
from adapter_stilts.model.multitask import load_head
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.model.tuning.base import TRAINED, Tuning
from adapter_stilts.model.weights import fill


def build_encoder(
    base: ResolvedBase,
    tuning: Tuning | None,
    settings: Any,
    precision: str,
    bundle: Path | None = None,
    dropout: float | None = None,
    gradient_checkpointing: bool = False,
    device: str = "cpu",
) -> Any:
    """An encoder: out of a bundle that holds it whole, else the base's, in a recipe's precision.

    Args:
        tuning: what is trained in it, or made the bundle; None runs the base itself.
        settings: of the tuning.
        dropout: replaces the encoder's own rates; None keeps them.
        device: where integers are made; other weights are moved later.

    Raises:
        UsageError: the tuning has no such precision, or the base is no encoder.
        BundleError: a weight is missing.
        SourceUnavailableError: the weights cannot be fetched.
    """
    weights = "fp32" if precision == "bf16" else precision
    location: tuple[str, str | None] = (base.location, base.commit)
    if tuning is not None:
        weights = tuning.backbone_weights(settings, precision)
        if tuning.WHOLE and bundle is not None:
            location = (str(bundle), None)
    on_cpu = device.partition(":")[0] == "cpu"
    if on_cpu and precision != "fp32":
        keep_few_products()
    encoder = load_encoder(*location, dropout, gradient_checkpointing, weights, device)
    if location[0] == base.location:
        # What bundles name as their base: as it was asked for, not where the package lies on this machine.
        encoder.config.name_or_path = encoder.name_or_path = base.id
    if quick_linears(device, precision):
        quicken(encoder)
    return encoder


def quick_linears(device: str, precision: str) -> bool:
    """Whether linear layers may use the processor's quicker library: it multiplies fp32 on CPUs only."""
    return device.partition(":")[0] == "cpu" and precision == "fp32"


def bundle_head(
    bundle: Path, info: BundleInfo, format_name: str, labels: tuple[str, ...], config: Any, name: str | None
) -> Head | None:
    """A bundle's head; None where the format has none.

    Args:
        config: the encoder's config object.
        name: of the head, where the bundle has several; None is its only one.

    Raises:
        BundleError: the head's weights are not there, or of other shapes.
    """
    pooler = info.pooler if name is None else info.heads[name].pooler
    head = build_head(format_name, labels, config, pooler)
    if head is not None:
        weights = (
            get_tuning(info.tuning).load(bundle, format_name) if name is None else load_head(bundle, name)
        )
        fill(head.state_dict(), weights, bundle)
    return head


def load_model(
    base: ResolvedBase,
    bundle: Path,
    info: BundleInfo,
    format_name: str,
    labels: tuple[str, ...],
    precision: str,
    device: str,
) -> TaskModel:
    """A bundle's model with the head that answers a format, ready to run.

    Args:
        base: the encoder it was trained on, or the bundle itself where it holds one.

    Raises:
        BundleError: it has no such head, or is damaged.
    """
    tuning = get_tuning(info.tuning)
    encoder = build_encoder(base, tuning, tuning.Settings(), precision, bundle, device=device)
    name = info.head(format_name, labels)
    head = bundle_head(bundle, info, format_name, labels, encoder.config, name)
    model = TaskModel(encoder, head, get_format(format_name), bf16=precision != "fp32")
    tuning.load_modules(model, bundle, TRAINED)
    model.to(device)
    return model.eval()
