"""A bundle's account of itself: bundle.json, as a value."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = 1
MULTITASK = "multitask"
"""The format of a bundle with several heads, each of its own."""
NO_HEAD = "none"
"""The format of a bundle without a head."""
TASK_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+.-]{0,199}", re.ASCII)
"""A task's name becomes part of a folder's."""


class HeadInfo(BaseModel):
    """One of several heads, in `heads.safetensors`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    labels: tuple[str, ...]
    tasks: tuple[str, ...]
    """The tasks it was trained on."""
    pooler: bool = False
    """Whether it reads the encoder's pooler, which it then holds."""


EVALUATIONS = "evaluations"
"""The folder of the bundles that a run keeps of its evaluations, a ``step-…`` each."""
EVALUATION_STEP = "evaluation_step"
"""Among a bundle's settings: the step of the evaluation that it is kept of (`keep_evaluations`)."""


class BundleInfo(BaseModel):
    """bundle.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA
    tuning: str
    base: str
    base_revision: str | None
    base_fingerprint: str
    task: str
    format: str
    labels: tuple[str, ...]
    settings: dict[str, Any]
    """Resolved settings of the stage and of its format."""
    parents: tuple[str, ...]
    """Keys of the stages it was trained from."""
    metrics: dict[str, float]
    """Dev metrics of the chosen checkpoint, in percent; of which languages, `dev_languages` says."""
    versions: dict[str, str]
    heads: dict[str, HeadInfo] = Field(default_factory=dict)
    """The heads of a stage over several tasks, by name. Empty where there is one, of `format` and `labels`."""
    pooler: bool = False
    """Whether the one head reads the encoder's pooler, which it then holds."""
    command: str | None = None
    """The command that makes it; None where that is not known."""
    declared: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Declarations of the tasks of its maker's own that it was trained on, by name (`tasks/declaration.py`)."""

    @property
    def dev_languages(self) -> tuple[str, ...]:
        """The languages of the dev splits that chose the checkpoint, or that judged a mean; none where none did, or it
        is not known.

        A stage's settings name them where they are not English alone (`TrainPart.settings`).
        """
        found = self.settings.get("dev_languages", ["en"])
        told = isinstance(found, list | tuple) and all(isinstance(language, str) for language in found)
        return tuple(found) if self.metrics and told else ()

    @property
    def train_languages(self) -> dict[str, int | None]:
        """Language -> examples drawn (None: all) that the tasks of its last stage were trained in; empty where it is
        not known, as of what was made elsewhere or merged.

        A stage's settings name them where they are not English alone (`TrainPart.settings`).
        """
        if "mixture" not in self.settings:
            trained = "training" in self.settings and "merge" not in self.settings
            return {"en": None} if trained else {}
        try:
            parts = [part for member in self.settings["mixture"]["tasks"] for part in member["parts"]]
            data = [part["data"] for part in parts]
            drawn = {
                language: int(count) for each in data for language, count in each.get("drawn", {}).items()
            }
            languages = sorted({str(language) for each in data for language in each["train"]})
        except (TypeError, KeyError, AttributeError, ValueError):  # somebody else's settings
            return {}
        return {language: drawn.get(language) for language in languages}

    @property
    def average(self) -> int | None:
        """At how many steps of a run weights were taken whose mean it is; None of a checkpoint."""
        if self.evaluation_step is not None:
            return None
        training = self.settings.get("training")
        found = training.get("average") if isinstance(training, dict) else None
        return found if isinstance(found, int) else None

    @property
    def evaluation_step(self) -> int | None:
        """The step whose evaluation it was kept of, whether dev chose it or not; None of what a run ended with."""
        found = self.settings.get(EVALUATION_STEP)
        return found if isinstance(found, int) else None

    def answers(self, format_name: str, labels: tuple[str, ...]) -> bool:
        """Whether a head fits."""
        return (self.format, self.labels) == (format_name, labels) or self.head(
            format_name, labels
        ) is not None

    def head(self, format_name: str, labels: tuple[str, ...]) -> str | None:
        """The name of the head that fits, where there are several."""
        fitting = [
            name for name, head in self.heads.items() if (head.format, head.labels) == (format_name, labels)
        ]
        return fitting[0] if fitting else None
