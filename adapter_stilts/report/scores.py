"""Scores by seed: gains over the baseline, averages over languages, mean and standard deviation over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from adapter_stilts.errors import UsageError

BASELINE = "none"
"""The name of the cells without an intermediate task."""
FULL = "full"
"""The mode that the others are held against."""


@dataclass(frozen=True)
class Setting:
    """What two cells share whose scores may be compared: all but the intermediate task, the limit on it and the seed.

    Args:
        few_shot: (language, examples), sorted.
        dev: the languages whose dev split chose the checkpoint; None where none was chosen or it is not known.
        averaged_steps: at how many steps weights were taken whose mean it is; None of a checkpoint.
        target_limit, evaluation_limit: first examples taken alone; None takes all.
    """

    target: str
    mode: str
    precision: str
    base: str
    train_languages: tuple[str, ...] = ("en",)
    few_shot: tuple[tuple[str, int], ...] = ()
    few_shot_when: str | None = None
    dev: tuple[str, ...] | None = ("en",)
    split: str = "test"
    target_limit: int | None = None
    evaluation_limit: int | None = None
    averaged_steps: int | None = None

    @classmethod
    def of(cls, about: Mapping[str, Any], target: str) -> Setting:
        """The setting of a cell, by what a plan says of it (`Cell.about`)."""
        return cls(
            target=target,
            mode=about["mode"],
            precision=about["precision"],
            base=about["base"],
            train_languages=tuple(about["train_languages"]),
            few_shot=tuple(sorted(about["few_shot"].items())),
            few_shot_when=about["few_shot_when"],
            dev=None if about["dev"] is None else tuple(about["dev"]),
            split=about["split"],
            target_limit=about["limits"]["target"],
            evaluation_limit=about["limits"]["evaluation"],
            averaged_steps=about.get("averaged_steps"),  # which plans of before do not say
        )


@dataclass(frozen=True)
class Score:
    """One metric of one cell in one language, or in a group of them.

    Args:
        inter: the intermediate task, as it was asked for; ``none`` is the baseline.
        seed: None of a bundle that no seed made.
        language: or the name of a group.
        value: percent; of a gain, points.
    """

    inter: str
    setting: Setting
    seed: int | None
    language: str
    metric: str
    value: float

    @property
    def told(self) -> str:
        """For messages."""
        setting = self.setting
        return (
            f"{self.inter} before {setting.target} ({setting.mode}, {setting.precision}, seed {self.seed}), "
            f"{self.metric} in {self.language}"
        )


@dataclass(frozen=True)
class Gains:
    """Differences to the baseline.

    Args:
        found: scores whose value is the gain in points.
        without: scores that have no baseline, which no gain was computed for.
    """

    found: tuple[Score, ...]
    without: tuple[Score, ...]


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over seeds.

    Args:
        deviation: of a sample (divided by seeds less one); None of one seed, of which nothing is known.
    """

    mean: float
    deviation: float | None
    seeds: tuple[int | None, ...]


@dataclass(frozen=True)
class TableRow:
    """What seeds are summarised for."""

    inter: str
    setting: Setting
    language: str
    metric: str


def gains(scores: Sequence[Score], baseline: str = BASELINE) -> Gains:
    """Each score less that of the baseline of the same setting, seed, language and metric.

    Raises:
        UsageError: two scores are of one cell, or a score is no finite number.
    """
    known = {
        (score.setting, score.seed, score.language, score.metric): score.value
        for score in _checked(scores)
        if score.inter == baseline
    }
    found, without = [], []
    for score in scores:
        if score.inter == baseline:
            continue
        against = known.get((score.setting, score.seed, score.language, score.metric))
        if against is None:
            without.append(score)
        else:
            found.append(replace(score, value=score.value - against))
    return Gains(tuple(found), tuple(without))


def grouped(scores: Sequence[Score], groups: Mapping[str, Sequence[str]]) -> tuple[Score, ...]:
    """Plain means over the languages of each group, for each cell and seed.

    A group means those of its languages that any cell of the target has a metric in.

    Args:
        groups: name -> languages; one that holds all of a benchmark's gives its average.

    Raises:
        UsageError: a cell lacks a language that another of its target has; two scores are of one cell; a score is no
            finite number.
    """
    runs: dict[tuple[str, Setting, int | None, str], dict[str, Score]] = {}
    there: dict[tuple[str, str], set[str]] = {}
    for score in _checked(scores):
        runs.setdefault((score.inter, score.setting, score.seed, score.metric), {})[score.language] = score
        there.setdefault((score.setting.target, score.metric), set()).add(score.language)
    means = []
    for (_, setting, _, metric), run in runs.items():
        for name, languages in groups.items():
            wanted = [each for each in dict.fromkeys(languages) if each in there[setting.target, metric]]
            lacking = [each for each in wanted if each not in run]
            some = next(iter(run.values()))
            if lacking:
                raise UsageError(
                    f"{some.told}: {name} cannot be averaged without {', '.join(lacking)}, which other cells of "
                    f"{setting.target} have; evaluate in them, or choose languages that all cells have"
                )
            if wanted:
                mean = math.fsum(run[each].value for each in wanted) / len(wanted)
                means.append(replace(some, language=name, value=mean))
    return tuple(means)


def over_seeds(scores: Iterable[Score]) -> dict[TableRow, Spread]:
    """Mean and standard deviation over the seeds that there are, which may differ from row to row.

    Raises:
        UsageError: two scores are of one cell, or a score is no finite number.
    """
    by_row: dict[TableRow, dict[int | None, float]] = {}
    for score in _checked(scores):
        row = TableRow(score.inter, score.setting, score.language, score.metric)
        by_row.setdefault(row, {})[score.seed] = score.value
    return {row: spread(values) for row, values in by_row.items()}


def spread(values: Mapping[int | None, float]) -> Spread:
    """Mean and sample standard deviation of at least one seed's values."""
    seeds = tuple(sorted(values, key=lambda seed: (seed is None, seed or 0)))
    numbers = [values[seed] for seed in seeds]
    mean = math.fsum(numbers) / len(numbers)
    if len(numbers) < 2:
        return Spread(mean, None, seeds)
    squares = math.fsum((number - mean) ** 2 for number in numbers)
    return Spread(mean, math.sqrt(squares / (len(numbers) - 1)), seeds)


def _checked(scores: Iterable[Score]) -> list[Score]:
    """The scores, each of a cell, seed, language and metric of its own."""
    seen = set()
    checked = []
    for score in scores:
        if not math.isfinite(score.value):
            raise UsageError(
                f"{score.told}, is {score.value} and no finite number: evaluate again, or leave it out"
            )
        key = (score.inter, score.setting, score.seed, score.language, score.metric)
        if key in seen:
            raise UsageError(f"{score.told}, stands twice: choose one of the two evaluations")
        seen.add(key)
        checked.append(score)
    return checked
