"""What a plan is asked for, and what each step of planning adds to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from adapter_stilts.model.backbone import ResolvedBase
from adapter_stilts.model.pooler import check_pooler
from adapter_stilts.model.tuning import tuning_settings
from adapter_stilts.model.tuning.base import TuningSettings
from adapter_stilts.recipe import Recipe
from adapter_stilts.stages.graph import Stage
from adapter_stilts.tasks.sources import Source
from adapter_stilts.tasks.text import TextSource


@dataclass(frozen=True)
class Request:
    """A recipe, and where it finds what it names.

    Args:
        resolve: finds the base; called where a stage first needs it, so that a misspelt task is told before the network
            is asked.
    """

    recipe: Recipe
    source: Source
    resolve: Callable[[], ResolvedBase]
    _with_pooler: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    @cached_property
    def base(self) -> ResolvedBase:
        """Raises UsageError, SourceUnavailableError."""
        return self.resolve()

    @cached_property
    def tuning(self) -> TuningSettings:
        """Settings of the recipe's mode."""
        return tuning_settings(self.recipe.mode, self.recipe.tuning)

    def check_pooler(self, format_name: str) -> None:
        """Raises UsageError where the encoder has no pooler that a format's head could read; looked at once."""
        if format_name not in self._with_pooler:
            check_pooler(self.base.config, self.base.id, f"formats.{format_name}.pooler")
            self._with_pooler.add(format_name)


@dataclass(frozen=True)
class Added:
    """What a step of planning adds to a plan.

    Args:
        stages: where what comes next starts.
        notices: what a user should know before it runs.
        bundles: folders of bundles that stages start from, by their digest in the stage's part.
        texts: text that stages train on, by name (``mlm``, ``tlm``).
    """

    stages: tuple[Stage, ...] = ()
    notices: tuple[str, ...] = ()
    bundles: Mapping[str, Path] = field(default_factory=dict)
    texts: Mapping[str, TextSource] = field(default_factory=dict)


def together(parts: Iterable[Added]) -> Added:
    """All that several steps add; a notice stands once."""
    found = Added()
    for part in parts:
        found = Added(
            found.stages + part.stages,
            tuple(dict.fromkeys(found.notices + part.notices)),
            {**found.bundles, **part.bundles},
            {**found.texts, **part.texts},
        )
    return found
