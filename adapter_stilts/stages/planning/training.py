"""Train stages: one task in English, or whatever else an intermediate entry asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adapter_stilts.errors import UsageError
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.recipe import Intermediate, Robust, Target, TrainingSettings
from adapter_stilts.stages.graph import LONGEST_NAME, Stage
from adapter_stilts.stages.parts import ROBUST_FORMAT, FetchPart, Member, TrainedTask, TrainedText, TrainPart
from adapter_stilts.stages.planning.names import NONE
from adapter_stilts.stages.planning.reading import options_of, reading
from adapter_stilts.stages.planning.request import Added, Request, together
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.base import Task


def plan_training(
    request: Request, task: Task, settings: Intermediate | Target, before: Added, combine: str | None = None
) -> Added:
    """The stage that trains one task in English.

    Args:
        before: the stages it starts from, and what they added.
        combine: ``stack`` or ``fuse``: how it takes its parents' modules together.

    Raises:
        UsageError: the settings do not fit the encoder or the task.
    """
    trained, notices = trained_task(
        request, task, ("en",), "no English dev split at hand; the last weights are kept, not the best"
    )
    part = TrainPart(
        **_common(request, settings, [task], task.name),
        members=(Member(task.name, task.name, (trained,)),),
        combine=combine,
        nested=combine is not None and any(_is_composition(parent, before) for parent in before.stages),
    )
    return together([Added((Stage(task.name, part, before.stages),), notices), _without_stages(before)])


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
    request: Request, task: Task, languages: Sequence[str], without_dev: str
) -> tuple[TrainedTask, tuple[str, ...]]:
    """A task's train and dev splits, and what is to be told of them.

    Args:
        without_dev: what it means that there is no dev split.
    """
    options, source = options_of(request, task), request.source
    has_dev = "en" in source.languages(task, "dev")
    read = reading(request, task, trains=True)
    train = {language: source.fingerprint(task, "train", language, options) for language in languages}
    dev = source.fingerprint(task, "dev", "en", options) if has_dev else None
    return TrainedTask(read, train, dev), () if has_dev else (f"{task.name}: {without_dev}",)


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
