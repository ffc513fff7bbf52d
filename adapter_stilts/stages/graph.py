"""A stage as a value: what it computes, from what. Equal stages have equal keys and are computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

from adapter_stilts.io import digest_of

Kind: TypeAlias = Literal["fetch", "train", "compose", "evaluate"]

# Raised when a kind of stage computes something else from the same part.
SCHEMA: Mapping[Kind, int] = {"fetch": 1, "train": 1, "compose": 2, "evaluate": 3}
KEY_DIGITS = 12
LONGEST_NAME = 40
"""Of a stage over several tasks: above it they are counted."""


@dataclass(frozen=True)
class Stage:
    """One unit of work.

    Args:
        task: what it trains on or evaluates.
        part: the resolved settings that determine its result, with the fingerprints of base and data.
        parents: the stages whose bundle it starts from; several where they are combined, none for the base itself.
    """

    kind: Kind
    task: str
    part: Mapping[str, Any]
    parents: tuple[Stage, ...] = ()

    @cached_property
    def key(self) -> str:
        """sha256 (hex) of all that determines the result."""
        return digest_of(
            {
                "kind": self.kind,
                "schema": SCHEMA[self.kind],
                "task": self.task,
                "part": self.part,
                "parents": [parent.key for parent in self.parents],
            }
        )

    @property
    def name(self) -> str:
        """Its directory in the store."""
        return f"{self.kind}-{self.task}-{self.key[:KEY_DIGITS]}"

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stage) and self.key == other.key


def in_order(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """All stages and their ancestors, each once, parents first."""
    ordered: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if stage.key not in ordered:
            for parent in stage.parents:
                visit(parent)
            ordered[stage.key] = stage

    for stage in stages:
        visit(stage)
    return tuple(ordered.values())
