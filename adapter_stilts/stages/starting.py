"""What a stage starts from: the encoder of a base or of a bundle, and the modules that are trained or answer in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import BundleError
from adapter_stilts.model.backbone import load_encoder
from adapter_stilts.model.bundle import BundleInfo, check_base, read_bundle
from adapter_stilts.model.cpu_linear import keep_few_products
from adapter_stilts.model.heads import Head, build_head
from adapter_stilts.model.multitask import load_head
from adapter_stilts.model.pooler import POOLER, pretrained_pooler
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.model.tuning.base import Tuning, unused_name
from adapter_stilts.model.weights import fill
from adapter_stilts.stages.graph import Stage
from adapter_stilts.tasks.base import Task

if TYPE_CHECKING:
    from torch import Tensor

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

    def head(self, task: Task, config: Any) -> Head | None:
        """The bundle's head for a task; None where the task has none.

        Args:
            config: the encoder's config object.
        """
        bundle, info, tuning = self.bundle, self.info, self.tuning
        name = None if info is None else info.head(task.format, task.labels)
        pooler = info is not None and (info.pooler if name is None else info.heads[name].pooler)
        head = build_head(task.format, task.labels, config, pooler)
        if head is not None:
            assert bundle is not None
            assert tuning is not None
            weights = tuning.load(bundle, task.format) if name is None else load_head(bundle, name)
            fill(head.state_dict(), weights, bundle)
        return head

    def fill_pooler(self, head: Head | None) -> None:
        """Let a new head's pooler, if it has one, begin as the encoder's: as trained before, or as in its checkpoint.

        Of several bundles together none has a say, as each trained its own.
        """
        if head is None or head.pooler is None:
            return
        weights = self._trained_pooler() if len(self.stage.parents) <= 1 else None
        if weights is None:
            weights = pretrained_pooler(self.context.base.location, self.context.base.commit)
        if weights is None:
            self.context.watch.say(
                f"{self.context.base.id} holds no pooler: {self.stage.task} trains a new one with its head"
            )
        else:
            own = {name: tensor for name, tensor in head.state_dict().items() if name in POOLER}
            fill(own, weights, self.bundle or Path(self.context.base.location))

    def _trained_pooler(self) -> dict[str, Tensor] | None:
        """The pooler in the heads of the bundle that is gone on with; None where they have none."""
        if self.bundle is None or self.info is None or self.tuning is None:
            return None
        if self.info.pooler:
            head = self.tuning.load(self.bundle, self.info.format)
        else:
            having = [name for name, head in self.info.heads.items() if head.pooler]
            if not having:
                return None
            head = load_head(self.bundle, having[0])
        return {name: head[name] for name in POOLER}

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
