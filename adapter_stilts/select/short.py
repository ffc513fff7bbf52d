"""A short training: some steps on a sample of a train set, from the untouched encoder or a bundle's, kept nowhere."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter_stilts.formats import get_format
from adapter_stilts.formats.features import Features
from adapter_stilts.model.backbone import ResolvedBase
from adapter_stilts.model.build import build_encoder
from adapter_stilts.model.heads import build_head
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning import check_installed, get_tuning
from adapter_stilts.model.tuning.base import TRAINED, TuningSettings
from adapter_stilts.recipe import TrainingSettings
from adapter_stilts.runtime import OVERHEAD_TOKENS, Runtime
from adapter_stilts.stages.context import build_accelerator
from adapter_stilts.stages.planning.request import Request
from adapter_stilts.tasks.base import Task
from adapter_stilts.training.learner import Learner
from adapter_stilts.training.loop import Speed, train
from adapter_stilts.training.memory import micro_batch_tokens
from adapter_stilts.training.mixture import alone
from adapter_stilts.training.watch import LoopWatch, Step


@dataclass(frozen=True)
class Short:
    """How a short training trains: as a recipe trains its targets, but so many steps, and without a dev set.

    Args:
        mode: what is trained, with the settings of its `tuning`.
        seed: of new modules and heads, and of the order of examples.
    """

    mode: str
    tuning: TuningSettings
    training: TrainingSettings
    seed: int

    def to_json(self) -> dict[str, Any]:
        """What a key in the cache says of it."""
        return {
            "mode": self.mode,
            "tuning": self.tuning.part(),
            "training": self.training.model_dump(mode="json"),
            "seed": self.seed,
        }


def short_of(request: Request, steps: int) -> Short:
    """The short training of a recipe, in its mode.

    The rate rises and falls within these steps, as it does in a whole training. No mean of weights is taken, and no
    evaluation kept: there is none.
    """
    target = request.recipe.target
    values = {name: getattr(target, name) for name in TrainingSettings.model_fields}
    own = {
        "max_steps": steps,
        "eval_every_steps": steps,
        "patience": None,
        "average": None,
        "keep_evaluations": False,
    }
    training = TrainingSettings.model_validate({**values, **own})
    return Short(request.recipe.mode, request.tuning, training, request.recipe.seed)


def new_model(
    task: Task, base: ResolvedBase, short: Short, device: str, seed: int | None = None
) -> TaskModel:
    """The untouched encoder in fp32 with new modules and a new head, which is without the encoder's pooler.

    Args:
        seed: in the place of the recipe's.

    Raises:
        UsageError: the tuning's library is not installed.
    """
    check_installed(short.mode)
    tuning = get_tuning(short.mode)
    begun = short.seed if seed is None else seed
    encoder = build_encoder(base, tuning, short.tuning, "fp32", device=device)
    head = build_head(task.format, task.labels, encoder.config, seed=begun)
    model = TaskModel(encoder, head, get_format(task.format))
    tuning.attach(model, short.tuning, begun, TRAINED)
    return model.to(device)


def model_of_bundle(
    task: Task, base: ResolvedBase, short: Short, device: str, directory: Path, precision: str
) -> TaskModel:
    """A bundle's encoder with its modules, whatever their shape, to be trained on under a new head.

    Args:
        precision: that the bundle was trained under.

    Raises:
        BundleError: it is damaged.
    """
    check_installed(short.mode)
    tuning = get_tuning(short.mode)
    encoder = build_encoder(base, tuning, tuning.Settings(), precision, directory, device=device)
    head = build_head(task.format, task.labels, encoder.config, seed=short.seed)
    model = TaskModel(encoder, head, get_format(task.format), bf16=precision != "fp32")
    tuning.load_modules(model, directory, TRAINED)
    if tuning.WHOLE:
        tuning.attach(model, short.tuning, short.seed, TRAINED)
    return model.to(device)


class Course(LoopWatch):
    """The course of a short training.

    Args:
        steps_per_pass: after which every example was trained on once.
    """

    def __init__(self, steps_per_pass: int) -> None:
        self.losses: list[float] = []
        self._steps_per_pass = steps_per_pass

    def step(self, step: Step) -> None:
        """Keep a step's loss."""
        self.losses.append(step.loss)

    @property
    def unseen(self) -> int:
        """Of the first so many steps no example had been trained on before."""
        return min(len(self.losses), self._steps_per_pass)


def train_short(model: TaskModel, features: Features, short: Short, device: str) -> Course:
    """Train the model in place, as stages do; its last weights are kept.

    Raises:
        TrainingError: the loss is not a number, or one example alone does not fit the memory.
    """
    format = model.format
    assert format is not None
    config: Any = model.encoder.config
    sizes = {name: getattr(config, name) for name in ("num_hidden_layers", "hidden_size")}
    speed = Speed(
        micro_batch_tokens(sizes, device, False),
        OVERHEAD_TOKENS.get(device, OVERHEAD_TOKENS["cuda"]),
    )
    with tempfile.TemporaryDirectory() as work:
        learner = Learner(model, get_tuning(short.mode), short.training, "adamw", None, Path(work))
        mixture = alone(features, format, short.training, short.seed)
        course = Course(round(mixture.steps_per_pass))
        train(learner, mixture, short.seed, speed, build_accelerator(Runtime(device=device)), course)
    model.eval()
    return course
