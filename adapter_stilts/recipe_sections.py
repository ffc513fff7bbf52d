"""What sections of a recipe are made of: their common base, and in which languages a target is trained and chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

EACH = "each"
"""In the place of languages: one model for every language that is evaluated, a cell each."""
SAME = "same"
"""In the place of dev languages: those that the stage trains in."""

FewShotWhen = Literal["after", "mixed"]
EvaluatedSplit = Literal["test", "dev"]


class Frozen(BaseModel):
    """A section: frozen, with no other keys than its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _none_by_word(cls, values: Any) -> Any:
        """TOML has no null: the word ``none`` stands for it where a field allows it and takes no text."""
        if not isinstance(values, Mapping):
            return values
        optional = {
            name
            for name, field in cls.model_fields.items()
            if type(None) in get_args(field.annotation) and str not in get_args(field.annotation)
        }
        return {key: None if key in optional and value == "none" else value for key, value in values.items()}


class BesideOneRun(Frozen):
    """What a train stage begins as and leaves, where that is more than one run and its best checkpoint.

    These came later than others, and are part of a stage's key only where they are set.
    """

    init_seed: int | None = Field(default=None, ge=0, lt=2**31)
    """Of new heads and modules, in place of `seed`: runs of several seeds that begin alike, as `merge:soup` wants them.
    None takes `seed`."""
    average: int | None = Field(default=None, ge=1)
    """Leave the mean of the weights at so many equidistant steps, the last among them, in place of the checkpoint that
    is best on dev (Schmidt et al. 2023, arXiv 2305.16834); `patience` then ends nothing. None takes that checkpoint."""
    keep_evaluations: bool = False
    """Keep a bundle of every evaluation on dev, and score each on what is evaluated: what choosing on dev leaves to be
    had (the oracle of a report). None of them is used for anything else."""


class TargetLanguages(Frozen):
    """The languages that a target is trained in, and those whose dev split chooses its checkpoint."""

    languages: tuple[str, ...] | None = None
    """Languages to train in, one model for all of them, or ``each``: one model for every language evaluated, as far as
    the data hold train splits; None is English alone, or the languages that a declared task is trained in."""
    few_shot: Mapping[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """Language -> examples of its train split, drawn by the seed, or ``each`` -> examples: one model for every language
    evaluated."""
    few_shot_when: FewShotWhen = "after"
    """A stage of its own that goes on from `languages`, head and all, or among their examples from the start."""
    few_shot_epochs: float = Field(default=10.0, gt=0)
    """Of ``after``: passes over the few examples. Dev is looked at after each pass. The default is ours."""
    few_shot_learning_rate: float | None = Field(default=None, gt=0)
    """Of ``after``; None takes `learning_rate`."""
    dev_languages: tuple[str, ...] | None = None
    """Languages whose dev split chooses the checkpoint (the mean over them), or ``same``: those that each stage trains
    in; None is English, or the first that a declared task is trained in. To choose on a target language is another
    experiment, and results say so."""

    @model_validator(mode="after")
    def _one_meaning(self) -> TargetLanguages:
        given = {"languages": self.languages or (), "few_shot": tuple(self.few_shot)}
        for key, names in given.items():
            if EACH in names and len(names) > 1:
                raise ValueError(f"target.{key} = {', '.join(names)}: {EACH!r} stands alone")
        if EACH in given["languages"] and given["few_shot"]:
            raise ValueError(
                f"target.languages = {EACH!r} trains on all of each language already: leave out target.few_shot, or "
                "name languages"
            )
        both = sorted(set(given["few_shot"]) & set(self.languages or ("en",)))
        if both:
            raise ValueError(
                f"target.few_shot names {', '.join(both)}, in which the target is trained on all examples: leave it "
                "out there, or name other languages in target.languages (--train-languages)"
            )
        if self.dev_languages is not None and SAME in self.dev_languages and len(self.dev_languages) > 1:
            raise ValueError(f"target.dev_languages = {', '.join(self.dev_languages)}: {SAME!r} stands alone")
        for key in ("languages", "dev_languages"):
            if getattr(self, key) == ():
                raise ValueError(f"target.{key} names no language: leave it out for English")
        return self
