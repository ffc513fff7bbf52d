"""Train stages: one task in some languages, or whatever else an intermediate entry asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from adapter_stilts.errors import DataError, UsageError
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.recipe import Intermediate, Robust, Target, TrainingSettings
from adapter_stilts.stages.graph import LONGEST_NAME, Stage
from adapter_stilts.stages.parts import (
    ROBUST_FORMAT,
    DevSplit,
    FetchPart,
    Member,
    TrainedTask,
    TrainedText,
    TrainPart,
)
from adapter_stilts.stages.planning.names import NONE
from adapter_stilts.stages.planning.reading import options_of, reading
from adapter_stilts.stages.planning.request import Added, Request, together
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.base import Task, language_names


@dataclass(frozen=True)
class TaughtTask:
    """A task, and the languages that one stage trains it in.

    Args:
        languages: of train splits.
        dev: of the dev splits that choose the checkpoint; those that are not at hand are left out.
        drawn: of languages in which only some examples are taken, how many.
        target: the task that it is trained for, whose own dev splits count first in other languages than English.
    """

    task: Task
    languages: Sequence[str]
    dev: Sequence[str]
    drawn: Mapping[str, int] = field(default_factory=dict)
    target: Task | None = None


def as_it_is(task: Task) -> TaughtTask:
    """A task in the languages that it is trained in unless others are asked for, English most often."""
    return TaughtTask(task, task.trained_in, task.trained_in[:1])


def plan_training(
    request: Request,
    taught: TaughtTask,
    settings: Intermediate | Target,
    before: Added,
    combine: str | None = None,
) -> Added:
    """The stage that trains one task.

    Args:
        before: the stages it starts from, and what they added.
        combine: ``stack`` or ``fuse``: how it takes its parents' modules together.

    Raises:
        UsageError: the settings do not fit the encoder or the task.
        DataError: a dev split that is asked for is not at hand.
    """
    task = taught.task
    trained, notices = trained_task(request, taught, "the last weights are kept, not the best")
    part = TrainPart(
        **_common(request, settings, [task], task.name),
        members=(Member(task.name, task.name, (trained,)),),
        combine=combine,
        nested=combine is not None and any(_is_composition(parent, before) for parent in before.stages),
    )
    return together([Added((Stage(task.name, part, before.stages),), notices), _without_stages(before)])


def plan_few_shot(request: Request, taught: TaughtTask, before: Added, languages: tuple[str, ...]) -> Added:
    """The stage that goes on from a target's training, head and all, with a few examples of other languages.

    Args:
        languages: that the training before was in.
    """
    settings = request.recipe.target
    planned = plan_training(request, taught, settings, before)
    (stage,) = planned.stages
    part = stage.part
    assert isinstance(part, TrainPart)
    passes = -(-sum(taught.drawn.values()) // settings.batch_size)
    training = part.training.model_copy(
        update={
            "epochs": settings.few_shot_epochs,
            "learning_rate": settings.few_shot_learning_rate or settings.learning_rate,
            "max_steps": None,
            "limit_train": None,
            # So few steps that dev would be looked at once, at the end.
            "eval_every_steps": min(settings.eval_every_steps, passes),
        }
    )
    return replace(planned, stages=(replace(stage, part=replace(part, training=training, after=languages)),))


def plan_mixture(
    request: Request,
    members: Sequence[Member],
    texts: Sequence[TrainedText],
    before: Added,
    max_steps: int | None = None,
) -> Added:
    """The stage that trains several tasks, languages, or text.

    Args:
        members: sorted by name, so that the order they are typed in changes no key.
        max_steps: None leaves them to the recipe.
    """
    settings = request.recipe.intermediate
    names = [member.name for member in members] + [text.name for text in texts]
    label = "+".join(names)
    tasks = [get_task(task.task) for member in members for task in member.tasks]
    common = _common(request, settings, tasks, label)
    if max_steps is not None:
        common["training"] = common["training"].model_copy(update={"max_steps": max_steps})
    part = TrainPart(
        **common,
        members=tuple(members),
        texts=tuple(texts),
        sampling=settings.mixture if len(members) > 1 else None,
    )
    name = label if len(label) <= LONGEST_NAME else f"{len(names)}_tasks"
    return together([Added((Stage(name, part, before.stages),)), _without_stages(before)])


def trained_task(
    request: Request, taught: TaughtTask, without_dev: str
) -> tuple[TrainedTask, tuple[str, ...]]:
    """A task's train and dev splits, and what is to be told of them.

    Args:
        without_dev: what it means that there is no dev split in the task's own language, most often English.

    Raises:
        DataError: a dev split in another language is not at hand.
    """
    task = taught.task
    options = options_of(request, task)
    train = {
        language: request.source.fingerprint(task, "train", language, options)
        for language in taught.languages
    }
    dev = tuple(filter(None, (_dev(request, taught, language) for language in sorted(set(taught.dev)))))
    own = task.trained_in[0]
    lacks = own in taught.dev and own not in {split.language for split in dev}
    told = (f"{task.name}: no {language_names([own])} dev split at hand; {without_dev}",) if lacks else ()
    return TrainedTask(reading(request, task, trains=True), train, dev, taught.drawn), told


def _dev(request: Request, taught: TaughtTask, language: str) -> DevSplit | None:
    """A dev split; None where the task's own first language has none, which is used unasked."""
    task, source = taught.task, request.source
    if language == task.trained_in[0]:
        # A target's own train split in another language goes with the English dev split of its train task.
        others = () if task.train_task == task.name or taught.target is None else (taught.target,)
        own = [one for one in (task, *others) if language in source.languages(one, "dev")]
        if not own:
            return None
        found = own[0]
    else:
        # XNLI's people translated its own dev set, not MultiNLI's.
        tasks = {one.name: one for one in (taught.target, task) if one is not None}
        held = {name: source.dev_languages(one) for name, one in tasks.items()}
        having = [one for name, one in tasks.items() if language in held[name]]
        if not having:
            told = "; ".join(f"of {name} {', '.join(found) or 'none'}" for name, found in held.items())
            raise DataError(
                source.place,
                None,
                f"holds no dev split of {' or '.join(tasks)} in {language!r}; it holds: {told}. Choose on one of "
                f"these, or leave out target.dev_languages (--dev-language) for {language_names(task.trained_in[:1])}",
            )
        found = having[0]
    fingerprint = source.fingerprint(found, "dev", language, options_of(request, found))
    return DevSplit(reading(request, found, trains=True), language, fingerprint)


def _common(
    request: Request, settings: Intermediate | Target, tasks: Sequence[Task], name: str
) -> dict[str, Any]:
    """The fields of every train stage's part."""
    recipe = request.recipe
    get_tuning(recipe.mode).check_encoder(request.tuning, request.base.config)
    return {
        "base": request.base.fingerprint,
        "precision": recipe.precision,
        "mode": recipe.mode,
        "tuning": request.tuning,
        "optimizer": recipe.optimizer,
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "seed": recipe.seed,
        "training": TrainingSettings.model_validate(
            {field: getattr(settings, field) for field in TrainingSettings.model_fields}
        ),
        "robust": _robust(settings.robust, tasks, name),
    }


def _robust(robust: Robust, tasks: Sequence[Task], name: str) -> Robust | None:
    """Robust training of a stage; None where it is off, or the stage trains no task.

    Raises:
        UsageError: no task of the stage is pair classification.
    """
    if robust.kind == NONE or not tasks:
        return None
    if not any(task.format == ROBUST_FORMAT for task in tasks):
        formats = ", ".join(sorted({task.format for task in tasks}))
        raise UsageError(
            f"robust.kind = {robust.kind!r} trains pair classification; {name} is {formats}. "
            "Leave it at 'none', or name tasks such as mnli or pawsx"
        )
    return robust


def _is_composition(stage: Stage, before: Added) -> bool:
    """Whether a stage brings several adapters in one bundle."""
    from adapter_stilts.model.tuning.libraries.adapterhub_files import SETUP

    return isinstance(stage.part, FetchPart) and (before.bundles[stage.part.bundle] / SETUP).is_file()


def _without_stages(added: Added) -> Added:
    return Added((), added.notices, added.bundles, added.texts)
