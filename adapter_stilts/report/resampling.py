"""Bootstrap resamples of metrics: examples drawn with replacement, the same for all systems.

Efron and Tibshirani 1993, chapters 6 and 13. A resample of n examples is told by how often each is in it, so that all
sums of all resamples are one product of matrices. Examples that count alike in every system are one kind, and summed as
one; of accuracy in two systems there are four kinds, however many examples. Examples are drawn, not kinds, so that the
same examples have the same draws whatever else is looked at: a gain has one interval, in every table and comparison.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from adapter_stilts.report.counts import Floats, ratio

RESAMPLES = 10_000
BYTES = 64 * 2**20
"""Of the draws that stand in memory at once."""

_DECIMALS = 9
"""Of a resampled metric in percent: products of matrices differ in the last digits, and 1e-13 is no gain."""

_SHARE_OF_KINDS = 8
"""From how many examples a kind on, counts by kind may be drawn: faster than examples (measured: 1,000 examples)."""


def resampled_ratios(
    numerators: Floats,
    denominators: Floats,
    resamples: int,
    generator: np.random.Generator,
    memory: int = BYTES,
    by_kind: bool = False,
) -> Floats:
    """Ratios of sums over resampled examples, in percent where the numerators are: (resamples, systems).

    Args:
        numerators, denominators: (examples, systems).
        memory: bytes that draws may take at once; changes no value.
        by_kind: whether counts of kinds may be drawn where these are few, which other systems change.
    """
    systems = numerators.shape[1]
    # The order of systems is none of the draws': a less b has the interval of b less a.
    pairs = [np.stack([numerators[:, each], denominators[:, each]]).tobytes() for each in range(systems)]
    order = sorted(range(systems), key=pairs.__getitem__)
    columns = np.hstack([numerators[:, order], denominators[:, order]])
    kinds, kind_of = np.unique(columns, axis=0, return_inverse=True)
    found = np.empty((resamples, systems))
    start = 0
    for weights in _weights(kind_of.reshape(-1), len(kinds), resamples, generator, memory, by_kind):
        sums = weights @ kinds
        rows = slice(start, start := start + len(weights))
        found[rows, order] = ratio(sums[:, :systems], sums[:, systems:])
    return np.round(found, _DECIMALS)


def percents(numerators: Floats, denominators: Floats) -> Floats:
    """The ratios of sums over axis 0, rounded as resampled ones are."""
    return np.round(ratio(numerators.sum(axis=0), denominators.sum(axis=0)), _DECIMALS)


def _weights(
    kind_of: npt.NDArray[np.intp],
    kinds: int,
    resamples: int,
    generator: np.random.Generator,
    memory: int,
    by_kind: bool,
) -> Iterator[Floats]:
    """How often each kind of example is in each resample: (some resamples, kinds), until all were given.

    Args:
        kind_of: of each example.
        kinds: how many there are.
    """
    examples = len(kind_of)
    few = by_kind and kinds * _SHARE_OF_KINDS <= examples
    # Eight bytes a count and a weight; an example drawn takes four, its cell eight.
    width = 16 * kinds if few else 16 * kinds + 12 * examples
    rows = max(1, min(resamples, memory // width))
    shares = np.bincount(kind_of, minlength=kinds) / examples
    for start in range(0, resamples, rows):
        drawn = min(rows, resamples - start)
        if few:
            yield generator.multinomial(examples, shares, size=drawn).astype(np.float64)
        else:
            examples_drawn = generator.integers(examples, size=(drawn, examples), dtype=np.int32)
            cells = kind_of[examples_drawn]
            cells += np.arange(drawn)[:, None] * kinds
            counted = np.bincount(cells.ravel(), minlength=drawn * kinds)
            yield counted.reshape(drawn, kinds).astype(np.float64)
