"""How well `suggest` ranks intermediate tasks on a real encoder and real text, held against what training brought.

    python benchmarks/real_slices.py real-data --data DATA
    python benchmarks/suggest_real.py --base e5-small --data real-data --threads 1 --out suggest_real.json
    python benchmarks/suggest_real.py --again      # the numbers again, of the scores that are kept

The truth are the gains of `real_small.zip`, of seeds in which every source was trained; targets that nothing is trained
for have no train set to compare. `scores`: of each target what each estimator says of the sources. `ndcg`, `regret1`
and `regret3` are as in `suggest.py`; `chance` is any order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import measure

from adapter_stilts.report.collect import collect
from adapter_stilts.select.quality import chance_ndcg, ndcg, regret
from adapter_stilts.suggesting import suggest
from adapter_stilts.tasks import get_task

RESULTS = measure.ROOT / "benchmarks" / "results"
STORE, OUT = RESULTS / "real_small.zip", RESULTS / "suggest_real.json"
MODE, BASELINE, COMBINED, CHANCE = "lora", "none", "combined", "chance"
MEASURES = ("ndcg", "regret1", "regret3")

Gains = Mapping[str, Mapping[int, Mapping[str, float]]]
"""Target -> seed -> source -> points gained over none."""


def truth(store: Path = STORE) -> tuple[tuple[str, ...], Gains]:
    """The sources, and the gains of the seeds in which all of them were trained."""
    scores: dict[str, dict[int, dict[str, float]]] = {}
    for one in collect(store).found:
        target, seed = one.cell.setting.target, one.cell.seed
        if one.cell.setting.mode == MODE and seed is not None and get_task(target).train_task is not None:
            score = fmean(one.metrics["average"].values())
            scores.setdefault(target, {}).setdefault(seed, {})[one.cell.system.inter] = score
    every = [set(by_source) for seeds in scores.values() for by_source in seeds.values()]
    most = max(every, key=len)
    gains = {
        target: {
            seed: {source: score - found[BASELINE] for source, score in found.items() if source != BASELINE}
            for seed, found in seeds.items()
            if set(found) == most
        }
        for target, seeds in scores.items()
    }
    return tuple(sorted(most - {BASELINE})), gains


def judged(
    sources: tuple[str, ...], gains: Gains, scores: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """A row a target: means over seeds of how good each ranking is."""
    found = []
    for target, seeds in gains.items():
        rows: dict[str, list[dict[str, float]]] = {}
        for by_source in seeds.values():
            true = [by_source[source] for source in sources]
            for name, values in {**scores[target], CHANCE: [0.0] * len(sources)}.items():
                quality = chance_ndcg(true) if name == CHANCE else ndcg(values, true)
                left = {f"regret{k}": regret(values, true, k) for k in (1, 3)}
                rows.setdefault(name, []).append({"ndcg": quality, **left})
        means = {
            name: {one: round(fmean(row[one] for row in told), 4) for one in MEASURES}
            for name, told in rows.items()
        }
        found.append({"target": target, "seeds": sorted(seeds), "quality": means})
    return found


def measured(sources: tuple[str, ...], targets: tuple[str, ...], base: Path, data: Path) -> dict[str, Any]:
    """What each estimator says of the sources, by target; and the seconds that it took."""
    scores: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    for target in targets:
        told = suggest(
            target,
            among=sources,
            recipe="real-small",
            base=str(base),
            data=str(data),
            mode=MODE,
            device="cpu",
        )
        rows = {row.source: row for row in told.rows}
        scores[target] = {
            name: [round(rows[source].scores[name], 5) for source in sources]
            for name in told.ranking.estimators
        } | {COMBINED: [round(rows[source].mean_reciprocal, 5) for source in sources]}
        seconds[target] = round(sum(told.ranking.seconds.values()), 1)
        measure.say(f"{target}: {scores[target]}")
    return {"seconds": seconds, "scores": scores}


def main() -> None:
    options = measure.parser(__doc__, 1)
    options.add_argument(
        "--again", action="store_true", help="from the scores that are kept; no data, no encoder"
    )
    chosen = options.parse_args()
    sources, gains = truth()
    if chosen.again:
        kept = json.loads(OUT.read_text(encoding="utf-8"))
    else:
        about = {
            "benchmark": "suggest_real",
            **measure.environment(chosen.threads),
            "command": measure.command(),
        }
        kept = {**about, **measured(sources, tuple(gains), chosen.base, chosen.data)}
    measure.emit(
        {**kept, "sources": list(sources), "results": judged(sources, gains, kept["scores"])}, chosen.out
    )


if __name__ == "__main__":
    main()
