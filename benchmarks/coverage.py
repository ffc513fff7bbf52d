"""How often intervals hold the true gain, and how often nothing is starred as a gain: simulated studies.

    python benchmarks/coverage.py --threads 1
    python benchmarks/coverage.py --rounds 100        # a quick look

Every round is a study of two systems whose true gain is known, analysed as a report does (`report.comparison`). What
becomes of an example follows from a normal score: the system's mean, what its seed adds, how hard the example is, how
hard it is for this system, and chance. Metrics are counted from it:

- accuracy, and as steps of the score the F1 of answers and average precision at 20 of one relevant candidate;
- tagging: Poisson numbers of spans in a sentence, found by the score's probability, and spans that are none;
- mining: one sentence in two has a true pair, found or not, and sentences that are paired wrongly.

The gain of these very seeds is what the interval over examples should hold; the expectation over all seeds is what the
interval over seeds and examples should. The first stands as ``of_these_seeds``, the second as ``of_new_seeds``. Shares
are of `rounds` studies: at 0.95 and 2,000 of them, a share's own standard error is 0.005.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Any, TypeAlias

import measure
import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from adapter_stilts.report.comparison import Resampled, Runs, resample
from adapter_stilts.report.counts import Counts, ratio
from adapter_stilts.report.intervals import LEVEL, Estimate
from adapter_stilts.report.multiplicity import holm

Floats: TypeAlias = npt.NDArray[np.float64]
Ratio: TypeAlias = tuple[Floats, Floats]
"""Numerators and denominators."""

HARD, HARD_FOR_ONE, CHANCE = 0.8, 0.3, 0.6
"""Standard deviations of an example's difficulty, of the part that one system alone has, and of each run's chance."""
SPREAD = float(np.sqrt(HARD**2 + HARD_FOR_ONE**2 + CHANCE**2))

LANGUAGES = 10
"""In which nothing is gained, looked at together."""

NODES, SHARES = np.polynomial.hermite_e.hermegauss(40)


@dataclass(frozen=True)
class Metric:
    """How a metric is counted.

    Args:
        observe: (scores (systems, seeds, examples), generator) -> its numerators and denominators.
        expect: means of the score -> what numerators and denominators are in expectation.
        examples_each: examples drawn for one that is asked for; of mining, one sentence in two has a true pair.
        complete: whether each example has a row.
    """

    observe: Callable[[Floats, np.random.Generator], Ratio]
    expect: Callable[[Floats], Ratio]
    examples_each: int = 1
    complete: bool = True

    def true(self, means: Floats) -> Floats:
        return ratio(*self.expect(means))


def steps(thresholds: Sequence[float], values: Sequence[float]) -> Metric:
    """Percent that an example gets as its score passes one threshold after another."""
    ascending = np.sort(np.asarray(thresholds))
    rises = np.diff(np.sort(np.asarray(values)), prepend=0.0)

    def observe(scores: Floats, generator: np.random.Generator) -> Ratio:
        percents = np.append(0.0, rises.cumsum())[np.searchsorted(ascending, scores)]
        return percents, np.ones_like(percents)

    def expect(means: Floats) -> Ratio:
        passed = ndtr((means[..., None] - ascending) / SPREAD)
        return (passed * rises).sum(axis=-1), np.ones_like(means)

    return Metric(observe, expect)


def tagging() -> Metric:
    spans, wrong = 1.5, 0.3  # a sentence, in the mean

    def observe(scores: Floats, generator: np.random.Generator) -> Ratio:
        gold = np.broadcast_to(generator.poisson(spans, scores.shape[-1]), scores.shape)
        correct = generator.binomial(gold, ndtr(scores))
        return 200.0 * correct, gold + correct + generator.poisson(wrong * np.exp(-scores / 2)).astype(float)

    def expect(means: Floats) -> Ratio:
        correct = spans * ndtr(means / np.sqrt(1 + SPREAD**2))
        return 200.0 * correct, spans + correct + wrong * np.exp(-means / 2 + SPREAD**2 / 8)

    return Metric(observe, expect)


def mining() -> Metric:
    paired, mistaken = 0.5, 0.3

    def observe(scores: Floats, generator: np.random.Generator) -> Ratio:
        gold = generator.random(scores.shape[-1]) < paired
        correct = gold & (scores > 0)
        wrong = (generator.random(scores.shape) < mistaken) & (scores <= 0)
        return 200.0 * correct, gold.astype(float) + correct + wrong

    def expect(means: Floats) -> Ratio:
        found = ndtr(means / SPREAD)
        return 200.0 * paired * found, paired * (1 + found) + mistaken * (1 - found)

    return Metric(observe, expect, examples_each=2, complete=False)


METRICS = {
    "accuracy": steps([0.0], [100.0]),
    "f1 of answers": steps(np.linspace(-1, 0, 7).tolist(), [28.6, 40.0, 50.0, 57.1, 66.7, 80.0, 100.0]),
    "f1 of tagging": tagging(),
    "f1 of mining": mining(),
    "map@20": steps(np.linspace(-1.5, 1, 20).tolist(), [100 / rank for rank in range(1, 21)]),
}


@dataclass(frozen=True)
class Study:
    """What is simulated.

    Args:
        examples: of a test set; of mining, its true pairs, about.
        seed_spread: standard deviation of what a seed adds to the score.
        gain: of the score's mean; that of the metric follows.
    """

    seeds: int
    examples: int
    seed_spread: float
    gain: float


GAINED = [
    *(Study(1, examples, 0.0, 0.3) for examples in (100, 300, 1000)),
    *(Study(3, 300, spread, 0.3) for spread in (0.0, 0.1, 0.3)),
    Study(5, 300, 0.1, 0.3),
]
UNGAINED = {Study(1, 300, 0.0, 0.0): 4, Study(3, 300, 0.1, 0.0): 8}
"""And the part of the rounds that is enough: each has ten languages."""

BASELINE_MEAN = 0.2


@dataclass(frozen=True)
class Simulated:
    """One language of a study, analysed, and its true gains in points."""

    found: Resampled
    of_these_seeds: float
    of_new_seeds: float


def simulate(metric: Metric, study: Study, resamples: int, generator: np.random.Generator) -> Simulated:
    examples = study.examples * metric.examples_each
    shape = (2, study.seeds, examples)
    means = np.asarray([BASELINE_MEAN + study.gain, BASELINE_MEAN])[:, None]
    seeded = means + study.seed_spread * generator.standard_normal((2, study.seeds))
    scores = (
        seeded[..., None]
        + HARD * generator.standard_normal(examples)
        + HARD_FOR_ONE * generator.standard_normal((2, 1, examples))
        + CHANCE * generator.standard_normal(shape)
    )
    above, below = metric.observe(scores, generator)
    ids = names(examples)
    system, baseline = (
        {seed: {"xx": counted(metric, ids, above[side, seed], below[side, seed])} for seed in range(study.seeds)}
        for side in (0, 1)
    )  # fmt: skip
    found = gains(system, baseline, resamples, generator)
    these = metric.true(seeded).mean(axis=1)
    new = (metric.true(means + study.seed_spread * NODES) * SHARES).sum(axis=1) / SHARES.sum()
    return Simulated(found, float(these[0] - these[1]), float(new[0] - new[1]))


@cache
def names(examples: int) -> tuple[str, ...]:
    return tuple(f"{number:06d}" for number in range(examples))


def counted(metric: Metric, ids: tuple[str, ...], above: Floats, below: Floats) -> Counts:
    """The counts of the rows that are stored."""
    if metric.complete:
        return Counts(ids, above, below, None, True, "simulated")
    stored = np.flatnonzero(below)
    return Counts(
        tuple(ids[place] for place in stored), above[stored], below[stored], None, False, "simulated"
    )


def gains(system: Runs, baseline: Runs, resamples: int, generator: np.random.Generator) -> Resampled:
    runs = {"system": system, "baseline": baseline}
    found = resample(runs, resamples=resamples, seed=int(generator.integers(2**31)))
    return found["system"].over(found["baseline"])


def intervals(found: Resampled) -> dict[str, Estimate]:
    """By the name of the interval."""
    over = {"examples": found.by_examples()}
    if len(found.seeds) > 1:
        over |= {"seeds_and_examples": found.by_seeds(), "hierarchical_bootstrap": found.hierarchical()}
    return over


def coverage(metric: Metric, study: Study, rounds: int, resamples: int, seed: int) -> dict[str, Any]:
    """Shares of studies whose interval holds the true gain, and mean widths in points."""
    generator = np.random.default_rng(seed)
    held: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        simulated = simulate(metric, study, resamples, generator)
        for name, estimate in intervals(simulated.found).items():
            told = held.setdefault(name, {"of_these_seeds": 0, "of_new_seeds": 0, "width": 0})
            interval = estimate.interval
            told["of_these_seeds"] += interval.holds(simulated.of_these_seeds)
            told["of_new_seeds"] += interval.holds(simulated.of_new_seeds)
            told["width"] += interval.high - interval.low
    shares = {
        name: {key: round(value / rounds, 4 if key != "width" else 2) for key, value in told.items()}
        for name, told in held.items()
    }
    return {**asdict(study), "true_gain": round(simulated.of_new_seeds, 2), "intervals": shares}


def false_positives(metric: Metric, study: Study, rounds: int, resamples: int, seed: int) -> dict[str, Any]:
    """Where nothing is gained in ten languages: shares of cells, and of studies, that say otherwise."""
    generator = np.random.default_rng(seed)
    told: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        languages = [intervals(simulate(metric, study, resamples, generator).found) for _ in range(LANGUAGES)]
        for name in languages[0]:
            counts = told.setdefault(name, {"cells": 0, "cells_holm": 0, "studies_holm": 0})
            estimates = [language[name] for language in languages]
            adjusted = holm({str(n): estimate.p_value for n, estimate in enumerate(estimates)}).values()
            starred = sum(p < 1 - LEVEL for p in adjusted)
            counts["cells"] += sum(not estimate.interval.holds(0.0) for estimate in estimates) / LANGUAGES
            counts["cells_holm"] += starred / LANGUAGES
            counts["studies_holm"] += starred > 0
    shares = {
        name: {key: round(value / rounds, 4) for key, value in counts.items()}
        for name, counts in told.items()
    }
    return {**asdict(study), "languages": LANGUAGES, "starred": shares}


def measured(name: str, rounds: int, resamples: int, seed: int) -> dict[str, Any]:
    """All studies of one metric."""
    began = time.process_time()
    metric = METRICS[name]
    found: dict[str, Any] = {"coverage": [], "false_positives": []}
    for study in GAINED:
        found["coverage"].append(coverage(metric, study, rounds, resamples, seed))
        measure.say(f"{name}: {found['coverage'][-1]}")
    for study, part in UNGAINED.items():
        few = max(1, rounds // part)
        told = false_positives(metric, study, few, resamples, seed)
        found["false_positives"].append({"rounds": few, **told})
        measure.say(f"{name}: {found['false_positives'][-1]}")
    return {**found, "cpu_seconds": round(time.process_time() - began, 1)}


def main() -> None:
    parser = measure.parser(__doc__, rounds=2000, data=False)
    parser.add_argument("--resamples", type=int, default=1000, help="of each study (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation (default 0)")
    parser.add_argument("--metric", choices=METRICS, action="append", help="this one alone")
    parser.add_argument("--processes", type=int, default=1, help="metrics at a time (default 1)")
    options = parser.parse_args()
    environment = measure.environment(options.threads)
    names = options.metric or list(METRICS)
    run = partial(measured, rounds=options.rounds, resamples=options.resamples, seed=options.seed)
    with ProcessPoolExecutor(options.processes) as pool:
        found = dict(zip(names, pool.map(run, names), strict=True))
    result = {
        "benchmark": "coverage",
        **environment,
        "rounds": options.rounds,
        "resamples": options.resamples,
        "seed": options.seed,
        "level": LEVEL,
        "metrics": found,
    }
    measure.emit(result, options.out)


if __name__ == "__main__":
    main()
