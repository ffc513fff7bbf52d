"""Planned cells: what was asked for, and the stage that answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapter_stilts.model.bundle_info import BundleInfo
from adapter_stilts.recipe_sections import FewShotWhen
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.parts import EvaluatePart


@dataclass(frozen=True)
class Limits:
    """First examples taken alone; None takes all.

    Args:
        intermediate: of the intermediate train sets.
        target: of the target's train set.
        evaluation: of each language's test set.
    """

    intermediate: int | None = None
    target: int | None = None
    evaluation: int | None = None


@dataclass(frozen=True)
class Taught:
    """The languages that a target is trained in.

    Args:
        languages: those of whole train splits, sorted; none of a target that is not trained.
        few_shot: language -> examples drawn of its train split.
        when: a stage of its own after the others, or among them.
    """

    languages: tuple[str, ...] = ("en",)
    few_shot: Mapping[str, int] = field(default_factory=dict)
    when: FewShotWhen = "after"

    @property
    def told(self) -> str:
        """What a table says of it; nothing of English alone, or of a target that is not trained."""
        parts = [] if self.languages in ((), ("en",)) else [f"trained in {', '.join(self.languages)}"]
        if self.few_shot:
            shots = ", ".join(f"{language}={count}" for language, count in self.few_shot.items())
            parts.append(f"few-shot {shots}{' mixed in' if self.when == 'mixed' else ''}")
        return ", ".join(parts)


@dataclass(frozen=True)
class Cell:
    """One intermediate task (or ``none``) and one target, taught in some languages, with the stage that evaluates it.

    Args:
        inter: its name, as it was asked for.
        seed: None of a bundle that no seed made.
        added: the baseline that a recipe adds, which nobody asked for by name.
        dev: the languages whose dev split chose the checkpoint; empty where the last weights were kept, None where
            none was chosen (the base itself, a merge, a mean) or it is not known (a bundle of another library).
        combine: how its intermediate tasks enter target training; ``continue`` of one alone, and of none.
        averaged_steps: of how many steps' weights it evaluates the mean; None of a checkpoint.
    """

    inter: str
    target: str
    evaluate: Stage
    mode: str
    precision: str
    base: str
    seed: int | None
    limits: Limits
    added: bool = False
    taught: Taught = Taught()
    dev: tuple[str, ...] | None = ("en",)
    combine: str = "continue"
    averaged_steps: int | None = None

    @property
    def label(self) -> str:
        """Its name among the cells of its target: the intermediate task, and what else than English it is taught in."""
        return ", ".join(filter(None, (self.inter, self.taught.told)))

    @property
    def split(self) -> str:
        """``test``, or ``dev``."""
        part = self.evaluate.part
        return part.split if isinstance(part, EvaluatePart) else "test"

    def about(self) -> dict[str, Any]:
        """What a result is of, beside its target."""
        taught = self.taught
        return {
            "inter": self.inter,
            "label": self.label,
            "mode": self.mode,
            "precision": self.precision,
            "combine": self.combine,
            "base": self.base,
            "seed": self.seed,
            "limits": dict(self.limits.__dict__),
            "train_languages": list(taught.languages),
            "few_shot": dict(taught.few_shot),
            "few_shot_when": taught.when if taught.few_shot else None,
            "dev": None if self.dev is None else list(self.dev),
            "averaged_steps": self.averaged_steps,
            "split": self.split,
        }


def taught_by(info: BundleInfo) -> tuple[Taught, tuple[str, ...] | None]:
    """What a bundle says of the languages it was trained in, and of those that chose it."""
    settings = info.settings
    if "training" not in settings:  # merged, or somebody else's: not known
        return Taught(()), None
    dev = info.dev_languages if info.average is None else None
    trained = info.train_languages
    few = {language: count for language, count in trained.items() if count is not None}
    whole = trained.keys() - few.keys()
    after = tuple(settings.get("after", ()))
    return Taught(tuple(sorted({*whole, *after})), few, "after" if after or not few else "mixed"), dev
