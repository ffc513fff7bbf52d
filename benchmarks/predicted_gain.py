"""Whether the points that a source will bring can be told before training: it cannot, by what is measured here.

    python benchmarks/predicted_gain.py --threads 1 --out benchmarks/results/predicted_gain.json    # seconds; no data

The truth and the estimators' scores are those of `suggest.py`. Of each mode every target is left out in its turn, and
the gains of its nine sources are predicted from the other targets alone, in points: `zero` says that nothing changes,
`mean` what a cell gained in the mean, `source` what this source brought to the other targets in the mean, `ridge`
`mean` and a ridge regression over what the estimators say of the source, with the penalty that does best among the
others by leaving out each in its turn. `error` is the mean absolute error in points over targets and sources.

The interval of a prediction is as wide as nine in ten of the errors that the same way makes among the other targets
(the jackknife, as in Barber et al. 2021, arXiv 1905.02928); `half_width` is its mean in points, `coverage` the share of
gains within, and `clear` the share of intervals without zero, of which something could be said.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any, TypeAlias

import measure
import numpy as np
import suggest

from adapter_stilts.select.estimators import ESTIMATORS
from adapter_stilts.select.ridge import fitted, standardised
from adapter_stilts.tasks.groups import STUDY

Floats: TypeAlias = Any
PENALTIES = (*suggest.PENALTIES, 1e9)
"""The last one leaves nothing of what the estimators say."""
SHARE = 0.9
FEWEST = 4
"""Targets of a mode: one is left out, and of the others each again."""


def gains_of(by_target: Mapping[str, Mapping[int, Mapping[str, float]]]) -> dict[str, Floats]:
    """(sources,) points gained over no intermediate task, the mean over seeds."""
    return {
        target: np.asarray([fmean(one[source] for one in seeds.values()) for source in STUDY])
        for target, seeds in by_target.items()
    }


def ways(
    columns: Mapping[str, Floats],
) -> dict[str, Callable[[Mapping[str, Floats], str], Floats]]:
    """Predictions of a target's gains from those of others.

    Args:
        columns: of each target (sources, estimators), standardised.
    """

    def zero(known: Mapping[str, Floats], target: str) -> Floats:
        return np.zeros(len(STUDY))

    def mean(known: Mapping[str, Floats], target: str) -> Floats:
        return np.full(len(STUDY), np.concatenate(list(known.values())).mean())

    def source(known: Mapping[str, Floats], target: str) -> Floats:
        return np.mean(list(known.values()), axis=0)

    def with_penalty(known: Mapping[str, Floats], target: str, penalty: float) -> Floats:
        weights = fitted([columns[each] for each in known], list(known.values()), penalty)
        return mean(known, target) + columns[target] @ weights

    def ridge(known: Mapping[str, Floats], target: str) -> Floats:
        def error(penalty: float) -> float:
            return fmean(
                float(abs(known[left] - with_penalty(without(known, left), left, penalty)).mean())
                for left in known
            )

        return with_penalty(known, target, min(PENALTIES, key=error))

    return {"zero": zero, "mean": mean, "source": source, "ridge": ridge}


def without(known: Mapping[str, Floats], left: str) -> dict[str, Floats]:
    return {target: values for target, values in known.items() if target != left}


def judged(gains: Mapping[str, Floats], columns: Mapping[str, Floats]) -> dict[str, dict[str, float]]:
    """How well each way does over the targets of a mode."""
    found = {}
    for name, way in ways(columns).items():
        errors, widths, within, clear = [], [], [], []
        for target, true in gains.items():
            known = without(gains, target)
            predicted = way(known, target)
            missed = [abs(known[left] - way(without(known, left), left)) for left in known]
            width = float(np.quantile(np.concatenate(missed), SHARE))
            error = abs(true - predicted)
            errors.append(float(error.mean()))
            widths.append(width)
            within.append(float((error <= width).mean()))
            clear.append(float((abs(predicted) > width).mean()))
        told = {"error": errors, "half_width": widths, "coverage": within, "clear": clear}
        found[name] = {each: round(fmean(values), 4) for each, values in told.items()}
    return found


def results(truth: suggest.Truth, sets: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a mode that has targets enough."""
    found = []
    for mode, by_target in truth.items():
        if len(by_target) < FEWEST:
            continue
        columns = {
            target: standardised([scores[name] for name in ESTIMATORS])
            for target in by_target
            for scores in [suggest.scores_of(sets, target)]
        }
        gains = gains_of(by_target)
        found.append(
            {
                "mode": mode,
                "targets": list(by_target),
                "cells": len(by_target) * len(STUDY),
                "ways": judged(gains, columns),
            }
        )
    return found


def markdown(found: Sequence[Mapping[str, Any]]) -> str:
    """The table of docs/suggest.md."""
    names = list(found[0]["ways"])
    lines = ["| error, half width | cells | " + " | ".join(names) + " |", "| --- " * (2 + len(names)) + "|"]
    for row in found:
        cells = [f"{one['error']:.1f}, ±{one['half_width']:.1f}" for one in row["ways"].values()]
        lines.append(f"| {row['mode']} | {row['cells']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def arguments() -> argparse.Namespace:
    options = measure.parser(__doc__, 1, data=False)
    options.add_argument("--markdown", action="store_true", help="print the table of docs/suggest.md instead")
    return options.parse_args()


def main() -> None:
    options = arguments()
    environment = measure.environment(options.threads)
    found = results(suggest.truth(), suggest.read_features())
    if options.markdown:
        print(markdown(found), end="")
        return
    told = {
        "benchmark": "predicted_gain",
        **environment,
        "command": measure.command(),
        "share": SHARE,
        "sources": list(STUDY),
        "results": found,
    }
    measure.emit(told, options.out)


if __name__ == "__main__":
    main()
