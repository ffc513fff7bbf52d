"""How a task is read under a recipe: its options, and its format's settings as far as the encoder has room for them."""

from __future__ import annotations

from adapter_stilts.errors import UsageError
from adapter_stilts.formats import get_format
from adapter_stilts.formats.base import FormatSettings
from adapter_stilts.recipe import MINIATURE, Recipe
from adapter_stilts.stages.parts import Reading
from adapter_stilts.stages.planning.request import Request
from adapter_stilts.tasks.base import Task
from adapter_stilts.validation import validated


def format_settings(recipe: Recipe, name: str) -> FormatSettings:
    """A format's settings: its defaults under the recipe's values. Raises UsageError."""
    values = {key: None if value == "none" else value for key, value in recipe.formats.get(name, {}).items()}
    return validated(get_format(name).Settings, values, where=f"formats.{name}")


def fitting_settings(request: Request, format_name: str, trains: bool) -> FormatSettings:
    """A format's settings, held against the encoder.

    Args:
        trains: whether a stage trains a new head; where it does not, switches of the head are at their default.

    Raises:
        UsageError: the encoder has no positions for them, or no pooler.
    """
    settings = format_settings(request.recipe, format_name)
    base = request.base
    max_length = settings.model_dump().get("max_length", 0)
    if base.max_length is not None and max_length > base.max_length:
        step = f"--set formats.{format_name}.max_length={base.max_length}"
        if base.id == MINIATURE and request.recipe.data != MINIATURE:
            step = "--recipe miniature"
        raise UsageError(
            f"formats.{format_name}.max_length = {max_length}: {base.id} has positions for {base.max_length} tokens; "
            f"{step}"
        )
    if not trains:
        return type(settings).model_validate(settings.reading())
    if settings.part().get("pooler"):
        request.check_pooler(format_name)
    return settings


def options_of(request: Request, task: Task) -> dict[str, str]:
    """The options that the recipe chose for a task; the others take their default."""
    return dict(request.recipe.options.get(task.name, {}))


def reading(request: Request, task: Task, trains: bool) -> Reading:
    """How a stage reads a task. Raises UsageError as `fitting_settings`."""
    defaults = {name: values[0] for name, values in task.options.items()}
    settings = fitting_settings(request, task.format, trains)
    return Reading(task.name, settings, {**defaults, **options_of(request, task)})
