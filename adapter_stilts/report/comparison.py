"""Scores and gains with their intervals, from stored rows: over examples, and over seeds and examples.

Two questions, two intervals:

- *examples*: would these very models do as well on other examples? Paired bootstrap: both systems and all seeds on the
  same resampled examples (Efron and Tibshirani 1993; Koehn 2004, ACL W04-3250). It knows nothing of other seeds.
- *seeds and examples*: would models trained anew? Needs at least two seeds. All seeds meet the same test set, so that
  seeds and examples are crossed, not nested: drawing examples afresh for each seed would average their chance away.
  `Resampled.hierarchical` draws seeds, then examples (the pigeonhole bootstrap: Owen 2007, arXiv
  0712.1111). Of few seeds it cannot be trusted: drawing from three, it sees two thirds of their variance, and it
  counts thrice what is of a seed on an example alone. `Resampled.by_seeds` estimates the variances and uses Student's
  distribution. `benchmarks/coverage.py` measures how often each holds the true gain.
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


@dataclass(frozen=True)
class Resampled:
    """A system's scores, or its gains over a baseline, by seed and language, as they are and on resampled examples.

    Args:
        seeds, languages: of the axes.
        observed: (seeds, languages), percent or points.
        values: (resamples, seeds, languages).
        blocks: for each block of languages that were drawn together, its languages and the number of examples.
        seed_of_draws: that examples were drawn with, and seeds are.
    """

    seeds: tuple[int | None, ...]
    languages: tuple[str, ...]
    observed: Floats
    values: Floats
    blocks: tuple[tuple[frozenset[str], int], ...]
    seed_of_draws: int

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
        generator = np.random.default_rng(self.seed_of_draws)
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
        examples = sum(number for members, number in self.blocks if members & set(names))
        return self.observed[:, columns].mean(axis=1), self.values[:, :, columns].mean(axis=2), examples

    def _check_seeds(self) -> None:
        if len(self.seeds) < 2:
            raise UsageError(
                "one seed says nothing of others: train with more (--seeds 3), or take the interval over examples"
            )


def resample(
    system: Runs,
    baseline: Runs | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    memory: int = BYTES,
) -> Resampled:
    """A system's scores, or its gains over a baseline of the same seeds and languages.

    Args:
        resamples: of the examples.
        seed: of the draws; the same seed, the same numbers, in whatever order rows, seeds or languages came.
        memory: bytes of the draws that stand in memory at once.

    Raises:
        UsageError: there is nothing to resample, or what is compared differs in seeds, languages, examples or gold
            answers.
    """
    sides = [system] if baseline is None else [system, baseline]
    seeds, languages = _axes(sides)
    if resamples < 1:
        raise UsageError(f"{resamples} resamples; take at least 1 (an interval wants {RESAMPLES})")
    matched = {
        language: match([side[each][language] for side in sides for each in seeds]) for language in languages
    }
    observed = np.empty((len(sides), len(seeds), len(languages)))
    values = np.empty((resamples, *observed.shape))
    drawn_together = []
    for block in blocks(matched):
        seen, drawn = _ratios(block, resamples, seed, memory)
        columns = [languages.index(language) for language in block.languages]
        shape = (-1, len(columns), len(sides), len(seeds))
        observed[:, :, columns] = np.moveaxis(seen.reshape(shape), 1, 3)[0]
        values[:, :, :, columns] = np.moveaxis(drawn.reshape(shape), 1, 3)
        drawn_together.append((frozenset(block.languages), len(block.numerators)))
    if baseline is not None:
        observed, values = observed[:1] - observed[1:], values[:, :1] - values[:, 1:]
    return Resampled(tuple(seeds), tuple(languages), observed[0], values[:, 0], tuple(drawn_together), seed)


def _ratios(block: Block, resamples: int, seed: int, memory: int) -> tuple[Floats, Floats]:
    """Percent of each language and system of a block: (columns,) as observed, and (resamples, columns)."""
    examples = len(block.numerators)
    named = ", ".join(block.languages)
    if examples < 2:
        raise UsageError(f"one example in {named}: an interval needs several; raise the limit on evaluation")
    # By name: a language's draws do not depend on which others are asked for.
    generator = np.random.default_rng([seed, zlib.crc32(named.encode())])
    above, below = block.numerators.reshape(examples, -1), block.denominators.reshape(examples, -1)
    return percents(above, below), resampled_ratios(above, below, resamples, generator, memory)


def _axes(sides: Sequence[Runs]) -> tuple[list[int | None], list[str]]:
    """Seeds and languages, sorted, of runs that all have the same."""
    seeds = sorted(sides[0], key=lambda seed: (seed is None, seed or 0))
    if not seeds:
        raise UsageError("no runs to compare: train or evaluate some first")
    languages = sorted(sides[0][seeds[0]])
    if not languages:
        raise UsageError("no languages to compare: evaluate in some first")
    for side in sides:
        if set(side) != set(seeds):
            raise UsageError(
                f"unlike seeds: {_told(seeds)} and {_told(side)}; a gain is taken within each: run the missing ones"
            )
        for seed, run in side.items():
            if set(run) != set(languages):
                raise UsageError(
                    f"unlike languages: {', '.join(languages)} and, with seed {seed}, "
                    f"{', '.join(sorted(run)) or 'none'}; compare those that all runs have"
                )
    return seeds, languages


def _told(seeds: Mapping[int | None, object] | Sequence[int | None]) -> str:
    return ", ".join(str(seed) for seed in seeds) or "none"
