"""A stage as a value: what it computes, from what. Equal stages have equal keys and are computed once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sized
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

from adapter_stilts.io import digest_of

KEY_DIGITS = 12
LEAST_DIGITS = 4
"""Of a key or a plan's digest, that stand for the whole."""
LONGEST_NAME = 40
"""Of a stage over several tasks: above it they are counted."""


def few_digits(asked: str, found: Sized) -> str:
    """What to say of first digits that name nothing, or several; empty where it is no matter of digits.

    Args:
        found: what begins so.
    """
    if len(found) > 1:
        return "Give more digits: several begin so."
    digits = re.fullmatch("[0-9a-f]+", asked) is not None
    return f"It takes {LEAST_DIGITS} digits at least." if digits and len(asked) < LEAST_DIGITS else ""


class Part(Protocol):
    """The resolved settings that determine a stage's result; `parts.py` holds one class for each kind of stage."""

    KIND: ClassVar[str]
    SCHEMA: ClassVar[int]
    """Raised when the kind computes something else from the same part."""
    MADE_AGAIN: ClassVar[bool] = False
    """Whether a damaged stage is made again unasked: nothing starts from it, and it takes minutes."""
    READ_AGAIN: ClassVar[tuple[str, ...]] = ("stage.json",)
    """Files that are read when a finished stage is asked for, so that their digests are looked at first."""

    @property
    def told(self) -> str:
        """What its title says beside the task: languages, a split; nothing of what is usual."""
        return ""

    def to_json(self) -> Mapping[str, Any]:
        """A JSON value of all of it: what is hashed, and kept in stage.json."""


@dataclass(frozen=True)
class Stage:
    """One unit of work.

    Args:
        task: what it trains on or evaluates.
        part: its settings, with the fingerprints of base and data.
        parents: the stages whose bundle it starts from; several where they are combined, none for the base itself.
    """

    task: str
    part: Part
    parents: tuple[Stage, ...] = ()

    @property
    def kind(self) -> str:
        """``fetch``, ``train``, ``compose`` or ``evaluate``."""
        return self.part.KIND

    @cached_property
    def key(self) -> str:
        """sha256 (hex) of all that determines the result."""
        return digest_of(
            {
                "kind": self.kind,
                "schema": self.part.SCHEMA,
                "task": self.task,
                "part": self.part.to_json(),
                "parents": [parent.key for parent in self.parents],
            }
        )

    @property
    def name(self) -> str:
        """Its directory in the store."""
        return f"{self.kind}-{self.task}-{self.key[:KEY_DIGITS]}"

    @property
    def title(self) -> str:
        """What a person reads of it: ``train tydiqa after hellaswag``."""
        before = [stage.task for stage in in_order(self.parents) if stage.task != self.task]
        after = f" after {', '.join(dict.fromkeys(before))}" if before else ""
        told = f" ({self.part.told})" if self.part.told else ""
        return f"{self.kind} {self.task}{told}{after}"

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
