"""Scores and gains with their intervals, from stored rows: over examples, and over seeds and examples.

Two questions, two intervals:

- *examples*: would these very models do as well on other examples? Paired bootstrap: both systems and all seeds on the
  same resampled examples (Efron and Tibshirani 1993; Koehn 2004, ACL W04-3250). It knows nothing of other seeds.
- *seeds and examples*: would models trained anew? Needs at least two seeds. All seeds meet the same test set, so that
  seeds and examples are crossed, not nested: drawing examples afresh for each seed would average their chance away.
  `Resampled.hierarchical` draws seeds, then examples (the pigeonhole bootstrap: Owen 2007, arXiv 0712.1111). Of few
  seeds it cannot be trusted: drawing from three, it sees two thirds of their variance, and it counts thrice what is of
  a seed on an example alone. `Resampled.by_seeds` estimates the variances and adds Student's bounds of both parts.
  `benchmarks/coverage.py` measures how often each holds the true gain.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from adapter_stilts.errors import UnknownNameError, UsageError
from adapter_stilts.report.counts import Counts, Floats
from adapter_stilts.report.intervals import (
    LEVEL,
    Estimate,
    Interval,
    check_level,
    expanded,
    expanded_p_value,
    percentile,
    percentile_p_value,
    student,
    variances,
)
from adapter_stilts.report.matching import Block, blocks, match
from adapter_stilts.report.resampling import BYTES, RESAMPLES, percents, resampled_ratios

Runs: TypeAlias = Mapping["int | None", Mapping[str, Counts]]
"""Seed -> language -> counts of one metric."""


@dataclass(frozen=True, eq=False)
class Draws:
    """One drawing of examples; what comes of it can be compared with one another and with nothing else.

    Args:
        seed: of the examples, and of seeds where they are drawn.
        blocks: for each block of languages that were drawn together, its languages and the number of examples.
    """

    seed: int
    blocks: tuple[tuple[frozenset[str], int], ...]


@dataclass(frozen=True, eq=False)
class Resampled:
    """A system's scores, or its gains over a baseline, by seed and language, as they are and on resampled examples.

    Args:
        name: of the system, for messages.
        seeds, languages: of the axes.
        observed: (seeds, languages), percent or points.
        values: (resamples, seeds, languages).
    """

    name: str
    seeds: tuple[int | None, ...]
    languages: tuple[str, ...]
    observed: Floats
    values: Floats
    draws: Draws

    def over(self, baseline: Resampled) -> Resampled:
        """The gains over a baseline, within each seed, in points.

        Raises:
            UsageError: the two were not drawn together, or have unlike seeds.
        """
        if self.draws is not baseline.draws:
            raise UsageError(
                f"{self.name} and {baseline.name} were resampled apart: resample both in one call, on the same draws"
            )
        if self.seeds != baseline.seeds:
            raise UsageError(
                f"unlike seeds: {self.name} has {_told(self.seeds)} and {baseline.name} {_told(baseline.seeds)}; "
                "a gain is taken within each: run the missing ones, or compare those that both have"
            )
        observed, values = self.observed - baseline.observed, self.values - baseline.values
        name = f"{self.name} over {baseline.name}"
        return Resampled(name, self.seeds, self.languages, observed, values, self.draws)

    def of_seeds(self, seeds: Sequence[int | None]) -> Resampled:
        """The same of some seeds alone. Raises UsageError where one is not there."""
        for seed in seeds:
            if seed not in self.seeds:
                raise UsageError(f"no seed {seed} of {self.name}; it has {_told(self.seeds)}")
        rows = [self.seeds.index(seed) for seed in seeds]
        return Resampled(
            self.name, tuple(seeds), self.languages, self.observed[rows], self.values[:, rows], self.draws
        )

    def by_examples(self, languages: Sequence[str] | None = None, level: float = LEVEL) -> Estimate:
        """The mean over seeds and languages, with the interval over examples.

        Args:
            languages: a group of them, or one; all where there is none.

        Raises:
            UnknownNameError: a language is not there.
            UsageError: there are no languages, `level` is no share, or scipy is not installed.
        """
        observed, values, examples = self._of(languages, level)
        means = values.mean(axis=1)
        bounds = percentile(means, expanded(level, examples))
        interval = Interval(*bounds, level, "examples", "expanded percentile")
        return self._estimate(observed, interval, expanded_p_value(means, examples), examples)

    def by_seeds(self, languages: Sequence[str] | None = None, level: float = LEVEL) -> Estimate:
        """The mean over seeds and languages, with the interval over seeds and examples, by estimated variances.

        Raises:
            UnknownNameError, UsageError: as `by_examples`; there is one seed.
        """
        observed, values, examples = self._of(languages, level)
        self._check_seeds()
        low, high, p_value = student(float(observed.mean()), variances(observed, values, examples), level)
        interval = Interval(low, high, level, "seeds and examples", "t")
        return self._estimate(observed, interval, p_value, examples)

    def hierarchical(self, languages: Sequence[str] | None = None, level: float = LEVEL) -> Estimate:
        """The same by drawing seeds, then examples; see above why `by_seeds` is the one to show.

        Raises:
            UnknownNameError, UsageError: as `by_seeds`.
        """
        observed, values, examples = self._of(languages, level)
        self._check_seeds()
        number = len(self.seeds)
        generator = np.random.default_rng(self.draws.seed)
        drawn = generator.multinomial(number, np.full(number, 1 / number), size=len(values))
        means = (values * drawn).sum(axis=1) / number
        interval = Interval(*percentile(means, level), level, "seeds and examples", "percentile")
        return self._estimate(observed, interval, percentile_p_value(means), examples)

    def _estimate(self, observed: Floats, interval: Interval, p_value: float, examples: int) -> Estimate:
        return Estimate(float(observed.mean()), interval, p_value, len(self.seeds), examples)

    def _of(self, languages: Sequence[str] | None, level: float) -> tuple[Floats, Floats, int]:
        """Means over languages, (seeds,) and (resamples, seeds), and the number of examples they are of."""
        check_level(level)
        names = self.languages if languages is None else tuple(dict.fromkeys(languages))
        if not names:
            raise UsageError(f"no languages; choose some of {', '.join(self.languages)}")
        for name in names:
            if name not in self.languages:
                raise UnknownNameError("language", name, self.languages)
        columns = [self.languages.index(name) for name in names]
        examples = sum(number for members, number in self.draws.blocks if members & set(names))
        return self.observed[:, columns].mean(axis=1), self.values[:, :, columns].mean(axis=2), examples

    def _check_seeds(self) -> None:
        if len(self.seeds) < 2:
            raise UsageError(
                "one seed says nothing of others: train with more (--seeds 3), or take the interval over examples"
            )


def resample(
    systems: Mapping[str, Runs], *, resamples: int = RESAMPLES, seed: int = 0, memory: int = BYTES
) -> dict[str, Resampled]:
    """The scores of systems, by name, on the same examples and the same resamples of them.

    Drawing takes most of the time: whatever meets the same test sets is best resampled in one call. Gains are
    differences of what it gives (`Resampled.over`).

    Args:
        systems: name -> runs, each in the same languages. Their seeds may differ.
        resamples: of the examples.
        seed: of the draws. The same examples and seed give the same numbers, in whatever order rows, seeds or languages
            came, and whatever other systems are in the call. Of mining, where the examples are those that a system has
            a row of, another system makes other draws: what is to have one interval is resampled by itself.
        memory: bytes of the draws that stand in memory at once; the values take 8 each beside them.

    Raises:
        UsageError: there is nothing to resample, or systems differ in languages, examples or gold answers.
    """
    if resamples < 1:
        raise UsageError(f"{resamples} resamples; take at least 1 (an interval wants {RESAMPLES})")
    seeds = {name: _sorted_seeds(name, runs) for name, runs in systems.items()}
    languages = _languages(systems)
    columns = [(name, each) for name, own in seeds.items() for each in own]
    matched = {
        language: match([systems[name][each][language] for name, each in columns]) for language in languages
    }
    observed = np.empty((len(columns), len(languages)))
    values = np.empty((resamples, *observed.shape))
    drawn_together = []
    for block in blocks(matched):
        seen, drawn = _ratios(block, resamples, seed, memory)
        places = [languages.index(language) for language in block.languages]
        shape = (len(places), len(columns))
        observed[:, places] = seen.reshape(shape).T
        values[:, :, places] = drawn.reshape(-1, *shape).transpose(0, 2, 1)
        drawn_together.append((frozenset(block.languages), len(block.numerators)))
    draws = Draws(seed, tuple(drawn_together))
    found, start = {}, 0
    for name, own in seeds.items():
        rows = slice(start, start := start + len(own))
        found[name] = Resampled(name, own, tuple(languages), observed[rows], values[:, rows], draws)
    return found


def _ratios(block: Block, resamples: int, seed: int, memory: int) -> tuple[Floats, Floats]:
    """Percent of each language and system of a block: (columns,) as observed, and (resamples, columns)."""
    examples = len(block.numerators)
    named = ", ".join(block.languages)
    if examples < 2:
        raise UsageError(f"one example in {named}: an interval needs several; raise the limit on evaluation")
    # By the examples: a language's draws do not depend on which others are asked for.
    generator = np.random.default_rng([seed, zlib.crc32("\n".join(block.ids).encode())])
    above, below = block.numerators.reshape(examples, -1), block.denominators.reshape(examples, -1)
    drawn = resampled_ratios(above, below, resamples, generator, memory, by_kind=not block.complete)
    return percents(above, below), drawn


def _sorted_seeds(name: str, runs: Runs) -> tuple[int | None, ...]:
    if not runs:
        raise UsageError(f"no runs of {name}: train or evaluate some first")
    return tuple(sorted(runs, key=lambda seed: (seed is None, seed or 0)))


def _languages(systems: Mapping[str, Runs]) -> list[str]:
    """The languages, sorted, that all runs have."""
    runs = {(name, seed): run for name, own in systems.items() for seed, run in own.items()}
    if not runs:
        raise UsageError("no systems to resample")
    (first, _), some = next(iter(runs.items()))
    languages = sorted(some)
    if not languages:
        raise UsageError(f"no languages of {first}: evaluate in some first")
    for (name, seed), run in runs.items():
        if set(run) != set(languages):
            raise UsageError(
                f"unlike languages: {first} has {', '.join(languages)} and {name}, seed {seed}, "
                f"{', '.join(sorted(run)) or 'none'}; compare those that all runs have"
            )
    return languages


def _told(seeds: Sequence[int | None]) -> str:
    return ", ".join(str(seed) for seed in seeds)
