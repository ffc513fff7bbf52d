"""What a person reads of each stage of a plan, so that no two read alike: a title, and of equal ones what differs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping

from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.parts import TrainPart

KEY_SHOWN = 8
"""Digits of a key, where nothing that is told apart tells stages apart: as many as `stage PLAN KEY` wants."""


def titles_of(stages: Iterable[Stage], encoders: Mapping[str, str] | None = None) -> dict[str, str]:
    """The title of each stage, by its key: ``train tydiqa after hellaswag [lora, seed 1]``.

    Mode, precision, encoder and seed are of a stage's own training, or of the last before it; each is told where
    stages of one title differ in it. What differs in other settings ends in the first digits of its key.

    Args:
        encoders: their names, by the fingerprint in the stages' parts; an encoder without one is not told.
    """
    named = encoders or {}
    marks: tuple[Callable[[TrainPart], str], ...] = (
        lambda part: part.mode,
        lambda part: part.precision,
        lambda part: named.get(part.base, ""),
        lambda part: f"seed {part.seed}",
    )
    alike: dict[str, list[Stage]] = defaultdict(list)
    for stage in {stage.key: stage for stage in stages}.values():
        alike[stage.title].append(stage)
    found = {}
    for title, group in alike.items():
        trained = [_last_training(stage) for stage in group]
        told = [[mark(part) if part else "" for part in trained] for mark in marks]
        differing = [values for values in told if len(set(values)) > 1]
        words = [", ".join(filter(None, values)) for values in zip(*differing, strict=True)] or [""] * len(
            group
        )
        shared = Counter(words)
        for stage, word in zip(group, words, strict=True):
            digits = stage.key[:KEY_SHOWN] if shared[word] > 1 else ""
            shown = ", ".join(filter(None, (word, digits)))
            found[stage.key] = f"{title} [{shown}]" if shown else title
    return found


def _last_training(stage: Stage) -> TrainPart | None:
    """What was last trained before a stage, or in it; None where nothing was."""
    while not isinstance(stage.part, TrainPart):
        if not stage.parents:
            return None
        stage = stage.parents[0]
    return stage.part
