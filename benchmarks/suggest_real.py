"""How well `suggest` ranks intermediate tasks on a real encoder and real text, held against what training them brought.

    python benchmarks/real_slices.py real-data --data DATA
    python benchmarks/suggest_real.py --base e5-small --data real-data --store runs --threads 1 \
        --out benchmarks/results/suggest_real.json
    python benchmarks/suggest_real.py --again      # the numbers again, of the scores that are kept; no data, no encoder

The truth are the gains of `real_small.zip` with LoRA, of seeds in which every source of the study so far was trained.
`tasks` is the ranking by train sets, `bundles` that of the bundles with seed 0 that the store of that study holds, by
their states and by short trainings of 32 steps; `scores` what each estimator says of the sources. The rest is as in
`suggest.py`. Targets that nothing is trained for (Tatoeba, LAReQA) have no train set to compare.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import measure
import suggest as miniature
import suggest_trained

from adapter_stilts.report.collect import collect
from adapter_stilts.select.quality import chance_ndcg
from adapter_stilts.suggesting import suggest
from adapter_stilts.tasks import get_task

STUDY, OUT = miniature.RESULTS / "real_small.zip", miniature.RESULTS / "suggest_real.json"
MODE = "lora"

Gains = Mapping[str, Mapping[int, Mapping[str, float]]]
"""Target -> seed -> source -> points gained over none."""


def arguments() -> argparse.Namespace:
    options = measure.parser(__doc__, 1)
    options.add_argument("--store", type=Path, help="of the study; without it no bundles are ranked")
    options.add_argument("--again", action="store_true", help="from the scores that are kept")
    options.add_argument("--markdown", action="store_true", help="print the table of docs/suggest.md instead")
    return options.parse_args()


def truth(results: Path = STUDY) -> tuple[tuple[str, ...], Gains]:
    """The sources, and the gains of the seeds in which all of them were trained."""
    scores: dict[str, dict[int, dict[str, float]]] = {}
    for one in collect(results).found:
        target, seed = one.cell.setting.target, one.cell.seed
        if one.cell.setting.mode == MODE and seed is not None and get_task(target).train_task is not None:
            score = fmean(one.metrics["average"].values())
            scores.setdefault(target, {}).setdefault(seed, {})[one.cell.system.inter] = score
    every = {inter for by_seed in scores.values() for found in by_seed.values() for inter in found}
    sources = tuple(sorted(every - {miniature.BASELINE}))
    gains = {
        target: {
            seed: {source: found[source] - found[miniature.BASELINE] for source in sources}
            for seed, found in by_seed.items()
            if found.keys() == every
        }
        for target, by_seed in scores.items()
    }
    return sources, gains


def judged(
    sources: Sequence[str], gains: Gains, scores: Mapping[str, Mapping[str, Sequence[float]]]
) -> list[dict[str, Any]]:
    """A row a target: means over seeds of how good each ranking is."""
    found = []
    for target, by_seed in gains.items():
        quality = {
            name: miniature.means([miniature.quality(values, one, sources) for one in by_seed.values()])
            for name, values in scores[target].items()
        }
        chance = [
            miniature.quality([0.0] * len(sources), one, sources)
            | {"ndcg": chance_ndcg([one[source] for source in sources])}
            for one in by_seed.values()
        ]
        quality[miniature.CHANCE] = miniature.means(chance)
        found.append({"target": target, "seeds": sorted(by_seed), "quality": quality})
    return found


def measured(
    sources: Sequence[str], targets: Sequence[str], among: Sequence[str], options: argparse.Namespace
) -> dict[str, Any]:
    """What each estimator says of the sources, by target; and the seconds of what was not measured before.

    Args:
        among: tasks or bundles, in the order of the sources.
    """
    bundles = list(among) != list(sources)
    scores: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    for target in targets:
        told = suggest(
            target,
            among=among,
            recipe="real-small",
            base=options.base,
            data=options.data,
            mode=MODE,
            steps=suggest_trained.STEPS if bundles else None,
            device="cpu",
        )
        rows = {row.source: row for row in told.rows}
        by_source = [rows[name] for name in among]
        scores[target] = {
            name: [round(row.scores[name], 5) for row in by_source] for name in told.ranking.estimators
        } | {miniature.COMBINED: [round(row.mean_reciprocal, 5) for row in by_source]}
        seconds[target] = round(sum(told.ranking.seconds.values()), 1)
        measure.say(f"{target}: {scores[target]}")
    return {"seconds": seconds, "scores": scores}


def markdown(told: Mapping[str, Any]) -> str:
    """The table of docs/suggest.md: a row an estimator, a column a target."""
    targets = [row["target"] for row in told["tasks"]["results"]]
    lines = ["| NDCG, Regret@1 | " + " | ".join(targets) + " |", "| --- " * (1 + len(targets)) + "|"]
    for kind in ("tasks", "bundles"):
        if kind in told:
            rows = told[kind]["results"]
            for name in rows[0]["quality"]:
                cells = [
                    f"{row['quality'][name]['ndcg']:.2f}, {row['quality'][name]['regret1']:.1f}"
                    for row in rows
                ]
                lines.append(f"| {kind}: {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    options = arguments()
    sources, gains = truth()
    if options.again or options.markdown:
        told = json.loads(OUT.read_text(encoding="utf-8"))
    else:
        told = {
            "benchmark": "suggest_real",
            **measure.environment(options.threads),
            "command": measure.command(),
            "sources": list(sources),
            "tasks": measured(sources, tuple(gains), sources, options),
        }
        if options.store is not None:
            bundles = suggest_trained.bundles_of(MODE, options.store, sources)
            among = [str(bundles[source]) for source in sources]
            told["bundles"] = measured(sources, tuple(gains), among, options)
    for kind in ("tasks", "bundles"):
        if kind in told:
            told[kind]["results"] = judged(sources, gains, told[kind]["scores"])
    if options.markdown:
        print(markdown(told), end="")
    else:
        measure.emit(told, options.out)


if __name__ == "__main__":
    main()
