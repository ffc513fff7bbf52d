"""A look at a task of one's own before it is trained on: its data, and examples as a tokenizer cuts them.

check_task("topics.toml", base="encoder").encoded
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter_stilts.errors import UsageError
from adapter_stilts.formats import get_format
from adapter_stilts.formats.base import FormatSettings
from adapter_stilts.formats.examples import Example, SpanQAExample, TaggingExample
from adapter_stilts.model.backbone import ResolvedBase, load_tokenizer
from adapter_stilts.recipe import MINIATURE, load_recipe
from adapter_stilts.stages.context import find_base, find_source
from adapter_stilts.stages.planning.reading import format_settings
from adapter_stilts.tasks import add_file
from adapter_stilts.tasks.base import Task
from adapter_stilts.tasks.declared_data import Look, look_at


@dataclass(frozen=True)
class Encoded:
    """An example as an encoder reads it.

    Args:
        gold: what is to be predicted; None where that is not known.
        pieces: of each of its sequences (windows of a question, choices), special ones included.
    """

    id: str
    gold: Any
    pieces: tuple[tuple[str, ...], ...]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Tokens of each sequence."""
        return tuple(map(len, self.pieces))


@dataclass(frozen=True)
class Checked:
    """A declared task that can be used.

    Args:
        tokenizer: the encoder whose it is.
        encoded: the first examples.
    """

    task: Task
    look: Look
    tokenizer: str
    encoded: tuple[Encoded, ...]


def check_task(
    file: str | Path, *, base: str | Path | None = None, recipe: str | Path | None = None
) -> Checked:
    """Read all of a declared task's data, and encode its first three examples.

    Args:
        file: the TOML file.
        base: the encoder whose tokenizer cuts them, a hub id or a folder; by default the recipe's.
        recipe: for the format's settings; without it and `base` the miniature, whose encoder ships with the package.

    Raises:
        UsageError, DataError: the file or the data cannot be used; names file, line and what to change.
        SourceUnavailableError: the hub cannot be reached.
    """
    task = add_file(file)
    shown = MINIATURE if recipe is None and base is None else recipe
    overrides = [] if base is None else [("base.id", str(base))]
    settled = load_recipe(None if shown is None else str(shown), overrides)
    look = look_at(task, find_source(settled.model_copy(update={"data": "real"}), None))
    found = find_base(settled.base)
    settings = _fitting(format_settings(settled, task.format), found)
    return Checked(task, look, found.id, encoded(task, look.first, load_tokenizer(found), settings))


def encoded(
    task: Task, examples: Sequence[Example], tokenizer: Any, settings: FormatSettings
) -> tuple[Encoded, ...]:
    """Examples as they would be trained on. Raises UsageError where one cannot be."""
    try:
        features = get_format(task.format).encode(examples, tokenizer, settings, task.labels)
    except ValueError as error:
        raise UsageError(f"{task.name}: {error}") from error
    bounds = zip(features.sequences, features.sequences[1:], strict=False)
    return tuple(
        Encoded(
            example.id,
            _gold(example),
            tuple(
                tuple(tokenizer.convert_ids_to_tokens(features.input_ids[row].tolist()))
                for row in range(*span)
            ),
        )
        for example, span in zip(examples, bounds, strict=True)
    )


def _fitting(settings: FormatSettings, base: ResolvedBase) -> FormatSettings:
    """The settings, with windows that the encoder has positions for."""
    longest = base.max_length
    if longest is None or getattr(settings, "max_length", 0) <= longest:
        return settings
    return settings.model_copy(update={"max_length": longest})


def _gold(example: Example) -> Any:
    if isinstance(example, TaggingExample):
        return None if example.tags is None else list(example.tags)
    if isinstance(example, SpanQAExample):
        return [answer.text for answer in example.answers] or None
    return getattr(example, "label", None)
