"""What a stage starts from: the encoder of a base or of a bundle, and the modules that are trained or answer in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import BundleError
from adapter_stilts.model.backbone import load_encoder
from adapter_stilts.model.bundle import BundleInfo, check_base, read_bundle
from adapter_stilts.model.cpu_linear import keep_few_products
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.model.tuning.base import Tuning, unused_name
from adapter_stilts.stages.graph import Stage

if TYPE_CHECKING:
    from adapter_stilts.stages.run import Context


@dataclass(frozen=True)
class Start:
    """Where a stage begins.

    Args:
        bundle: what it starts from; None is the base itself.
        info: of that bundle.
        tuning: what is trained, or made the bundle; None evaluates the base itself.
    """

    stage: Stage
    context: Context
    bundle: Path | None
    info: BundleInfo | None
    tuning: Tuning | None

    @property
    def settings(self) -> Any:
        """Of the tuning, as the stage has them."""
        assert self.tuning is not None
        return self.tuning.Settings.model_validate(self.stage.part.get("tuning", {}))

    def encoder(self, dropout: float | None) -> Any:
        """The encoder: out of a bundle that holds it whole, else the base's, in the stage's precision."""
        precision, base = self.stage.part["precision"], self.context.base
        weights = "fp32" if precision == "bf16" else precision
        location: tuple[str, str | None] = (base.location, base.commit)
        if self.tuning is not None:
            weights = self.tuning.backbone_weights(self.settings, precision)
            if self.tuning.WHOLE and self.bundle is not None:
                location = (str(self.bundle), None)
        if self.context.accelerator.device.type == "cpu" and precision != "fp32":
            keep_few_products()
        checkpointing = bool(self.stage.part.get("gradient_checkpointing", False))
        encoder = load_encoder(
            *location, dropout, checkpointing, weights, str(self.context.accelerator.device)
        )
        if location[0] == base.location:
            # What bundles name as their base: as it was asked for, not where the package lies on this machine.
            encoder.config.name_or_path = encoder.name_or_path = base.id
        self.context.quicken(self.stage, encoder)
        return encoder

    def model(self, encoder: Any, head: Any, format: Any) -> TaskModel:
        """The model, with the modules that are trained in it or that the bundle holds."""
        model = TaskModel(encoder, head, format, bf16=self.stage.part["precision"] != "fp32")
        tuning, stage = self.tuning, self.stage
        if tuning is None:
            return model
        name = _module_name(stage.task)
        if "combine" in stage.part:
            bundles: dict[str, Path] = {}
            for parent in stage.parents:
                # Two people's bundles of one task are two.
                bundles[unused_name(_module_name(parent.task), bundles)] = self.context.bundle_at(parent)
            for directory in bundles.values():
                _check(stage, self.context, directory, read_bundle(directory))
            name = unused_name(f"{name}_target" if name in bundles else name, bundles)
            tuning.combine(
                model, stage.part["combine"], bundles, self.settings, int(stage.part["seed"]), name
            )
            return model
        # A merge or somebody else's bundle has a shape of its own, which is gone on with.
        composed = any(parent.kind in ("compose", "fetch") for parent in stage.parents)
        if stage.kind == "train" and not composed:
            tuning.attach(model, self.settings, int(stage.part["seed"]), name)
        if self.bundle is not None:
            tuning.load_modules(model, self.bundle, name)
            if stage.kind == "train" and tuning.WHOLE and composed:
                tuning.attach(model, self.settings, int(stage.part["seed"]), name)
        return model


def start(stage: Stage, context: Context) -> Start:
    """Find what a stage starts from.

    Raises:
        BundleError: it is of another base or, in training, of another tuning.
    """
    bundle = context.bundle_of(stage)
    if bundle is None:
        tuning = get_tuning(stage.part["mode"]) if stage.kind == "train" else None
        return Start(stage, context, None, None, tuning)
    info = read_bundle(bundle)
    _check(stage, context, bundle, info)
    return Start(stage, context, bundle, info, get_tuning(info.tuning))


def _check(stage: Stage, context: Context, bundle: Path, info: BundleInfo) -> None:
    check_base(bundle, info, context.base.id, context.base.fingerprint)
    if stage.kind == "train" and info.tuning != stage.part["mode"]:
        raise BundleError(
            f"{bundle} was trained with --mode {info.tuning}: it cannot be continued with --mode {stage.part['mode']}"
        )


def _module_name(task: str) -> str:
    """A stage's task as the name of its modules: both libraries take neither dots nor signs."""
    return "".join(letter if letter.isalnum() else "_" for letter in task)
