"""What a stage starts from: the encoder of a base or of a bundle, and the modules that are trained or answer in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import BundleError
from adapter_stilts.model.build import build_encoder, bundle_head
from adapter_stilts.model.bundle import check_base, read_bundle
from adapter_stilts.model.bundle_info import BundleInfo
from adapter_stilts.model.heads import Head, build_head
from adapter_stilts.model.multitask import load_head
from adapter_stilts.model.pooler import POOLER, pretrained_pooler
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.model.tuning.base import Tuning, unused_name
from adapter_stilts.model.weights import fill
from adapter_stilts.stages.context import Context
from adapter_stilts.stages.graph import Part, Stage
from adapter_stilts.stages.parts import ComposePart, EvaluatePart, FetchPart, TrainPart
from adapter_stilts.tasks.base import Task

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Start:
    """Where a stage begins.

    Args:
        part: of the stage.
        bundle: what it starts from; None is the base itself.
        info: of that bundle.
        tuning: what is trained, or made the bundle; None evaluates the base itself.
    """

    stage: Stage
    part: TrainPart | EvaluatePart
    context: Context
    bundle: Path | None
    info: BundleInfo | None
    tuning: Tuning | None

    @property
    def trained(self) -> TrainPart | None:
        """The part of a stage that trains."""
        return self.part if isinstance(self.part, TrainPart) else None

    @property
    def settings(self) -> Any:
        """Settings of the tuning, as the stage has them."""
        assert self.tuning is not None
        return self.tuning.Settings() if self.trained is None else self.trained.tuning

    def encoder(self, dropout: float | None) -> Any:
        """The encoder: out of a bundle that holds it whole, else the base's, in the stage's precision."""
        trained = self.trained
        return build_encoder(
            self.context.inputs.base,
            self.tuning,
            None if self.tuning is None else self.settings,
            self.part.precision,
            self.bundle,
            dropout,
            trained is not None and trained.gradient_checkpointing,
            str(self.context.machine.accelerator.device),
        )

    def head(self, task: Task, config: Any) -> Head | None:
        """The bundle's head for a task; None where the task has none.

        Args:
            config: the encoder's config object.
        """
        if self.bundle is None or self.info is None:
            head = build_head(task.format, task.labels, config)
            assert head is None  # a base answers nothing that needs one
            return None
        name = self.info.head(task.format, task.labels)
        return bundle_head(self.bundle, self.info, task.format, task.labels, config, name)

    def fill_head(self, head: Head) -> None:
        """Let a head begin as the bundle's one head, which is trained on."""
        assert self.bundle is not None
        assert self.info is not None
        assert self.tuning is not None
        fill(head.state_dict(), self.tuning.load(self.bundle, self.info.format), self.bundle)

    def fill_pooler(self, head: Head | None) -> None:
        """Let a new head's pooler, if it has one, begin as the encoder's: as trained before, or as in its checkpoint.

        Of several bundles together none has a say, as each trained its own.
        """
        if head is None or head.pooler is None:
            return
        base = self.context.inputs.base
        weights = self._trained_pooler() if len(self.stage.parents) <= 1 else None
        if weights is None:
            weights = pretrained_pooler(base.location, base.commit)
        if weights is None:
            self.context.machine.watch.say(
                f"{base.id} holds no pooler: {self.stage.task} trains a new one with its head"
            )
        else:
            own = {name: tensor for name, tensor in head.state_dict().items() if name in POOLER}
            fill(own, weights, self.bundle or Path(base.location))

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
        model = TaskModel(encoder, head, format, bf16=self.part.precision != "fp32")
        tuning, stage, trained = self.tuning, self.stage, self.trained
        if tuning is None:
            return model
        name = _module_name(stage.task)
        if trained is not None and trained.combine is not None:
            self._combine(model, tuning, trained, trained.combine, name)
            return model
        # A merge, a mean or somebody else's bundle has a shape of its own, which is gone on with.
        composed = any(_has_own_shape(parent.part) for parent in stage.parents)
        if trained is not None and not composed:
            tuning.attach(model, self.settings, trained.init_seed, name)
        if self.bundle is not None:
            tuning.load_modules(model, self.bundle, name)
            if trained is not None and tuning.WHOLE and composed:
                tuning.attach(model, self.settings, trained.init_seed, name)
        return model

    def _combine(self, model: TaskModel, tuning: Tuning, part: TrainPart, how: str, name: str) -> None:
        """Take the parents' modules together, under names of their own, with what the stage trains."""
        bundles: dict[str, Path | None] = {}
        for parent in self.stage.parents:
            # Two people's bundles of one task are two.
            directory = self.context.bundle_at(parent)
            bundles[unused_name(_module_name(parent.task), bundles)] = directory
            _check(part, self.context, directory, read_bundle(directory))
        name = unused_name(f"{name}_target" if name in bundles else name, bundles)
        tuning.combine(model, how, bundles, self.settings, part.init_seed, name)


def start(stage: Stage, context: Context, instead: Path | None = None) -> Start:
    """Find what a stage starts from.

    Args:
        instead: a bundle in the place of that of its parent, as one of another step.

    Raises:
        BundleError: it is of another base or, in training, of another tuning.
    """
    part = stage.part
    assert isinstance(part, TrainPart | EvaluatePart)
    bundle = instead or context.bundle_of(stage)
    if bundle is None:
        tuning = get_tuning(part.mode) if isinstance(part, TrainPart) else None
        return Start(stage, part, context, None, None, tuning)
    info = read_bundle(bundle)
    _check(part, context, bundle, info)
    return Start(stage, part, context, bundle, info, get_tuning(info.tuning))


def _check(part: TrainPart | EvaluatePart, context: Context, bundle: Path, info: BundleInfo) -> None:
    check_base(bundle, info, context.inputs.base.id, context.inputs.base.fingerprint)
    if isinstance(part, TrainPart) and info.tuning != part.mode:
        raise BundleError(
            f"{bundle} was trained with --mode {info.tuning}: it cannot be continued with --mode {part.mode}"
        )


def _has_own_shape(part: Part) -> bool:
    """Whether a stage's bundle may have another shape than its recipe's settings give."""
    averaged = isinstance(part, TrainPart) and part.training.average is not None
    return averaged or isinstance(part, ComposePart | FetchPart)


def _module_name(task: str) -> str:
    """A stage's task as the name of its modules: both libraries take neither dots nor signs."""
    return "".join(letter if letter.isalnum() else "_" for letter in task)
