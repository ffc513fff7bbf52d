"""The kinds of stages: one module each, named as `Stage.kind` is, that runs such a stage."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

from adapter_stilts.stages.context import Context
from adapter_stilts.stages.graph import Part, Stage

Commit: TypeAlias = Callable[[Mapping[str, Any]], AbstractContextManager[Path]]


@dataclass(frozen=True)
class Running:
    """A stage that runs.

    Args:
        commit: opens the directory to fill, which becomes the finished stage; takes what its kind adds to stage.json.
            To be called in the one process that writes.
    """

    stage: Stage
    context: Context
    commit: Commit


class Kind(Protocol):
    """The interface of a module in `stages/kinds/`."""

    def run(self, running: Running, part: Any) -> None:
        """Compute the stage and commit it.

        Args:
            part: the stage's, by its own type.
        """


def kind_of(part: Part) -> Kind:
    """The module that runs stages with such a part."""
    return cast(Kind, importlib.import_module(f"{__name__}.{part.KIND}"))
