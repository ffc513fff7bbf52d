"""What estimators say of bundles that exist, and after short trainings, for the targets of the miniature.

    python benchmarks/suggest_trained.py --threads 1 --out benchmarks/results/suggest_trained.json
    python benchmarks/suggest_trained.py --threads 1 --store runs --out benchmarks/results/suggest_trained_nine.json

`suggest.py --again` holds the scores against what training brought. `scores`: of each mode and target, what
`suggest --among adapters_hub --mode MODE --steps 32` says of the three bundles of the repository, by estimator.
`task_embedding`: what `suggest --steps 32` adds to tasks, of each target for the nine sources. With `--store` the
bundles are those that a store holds of each of the nine with one seed, in the modes in which it holds all, as

    adapter-stilts matrix --recipe miniature --inter none,each --target xnli,pawsx,udpos,panx,xquad,mlqa,tydiqa --seed 0

leaves them, and nothing is said of tasks. `cost_cpu_seconds` are of the processor, as other work is around.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import measure
import suggest

from adapter_stilts.library import plan_train
from adapter_stilts.model.bundle import read_bundle
from adapter_stilts.select.bundles import TrainedSource
from adapter_stilts.select.clock import Clock
from adapter_stilts.select.estimators import task_embedding
from adapter_stilts.select.reading import TrainSets
from adapter_stilts.select.short import short_of
from adapter_stilts.select.train_set import TrainSet, union
from adapter_stilts.select.trained.ranking import Further, rank_trained
from adapter_stilts.stages.drawing import Draw
from adapter_stilts.stages.planning.request import Request
from adapter_stilts.suggesting import SAMPLE
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.groups import STUDY, UNIONS

SEED = 0
"""Of a store's bundles."""
STEPS = 32
"""Of a short training: of 256 examples, twice, at the miniature's batches of 16."""


def arguments() -> argparse.Namespace:
    options = measure.parser(__doc__, 1, data=False)
    options.add_argument(
        "--examples", type=int, default=SAMPLE, help="of each train set (default %(default)s)"
    )
    options.add_argument("--steps", type=int, default=STEPS, help="of short trainings (default %(default)s)")
    options.add_argument("--store", type=Path, help="a store with the nine sources fully fine-tuned")
    options.add_argument("--quick", action="store_true", help="16 examples, 2 steps, one target: a check")
    return options.parse_args()


def sets_of(mode: str, cache: Path, examples: int) -> TrainSets:
    """The miniature's train sets under a mode's recipe."""
    study = plan_train("none", "xnli", recipe="miniature", mode=mode)
    request = Request(study.recipe, study.source, lambda: study.base)
    return TrainSets(request, cache, "cpu", Draw(examples, 0))


def bundles_of(mode: str, store: Path | None, sources: Sequence[str] = STUDY) -> dict[str, Path]:
    """Source -> its bundle: the repository's three, or those of a store that begin at the base itself."""
    if store is None:
        return {source: suggest.SHELF / f"{source}-{mode}" for source in suggest.SHELVED}
    found: dict[str, Path] = {}
    for place in sorted(store.glob("train-*/bundle")):
        info = read_bundle(place)
        first = not info.parents and info.settings.get("seed") == SEED
        if info.tuning == mode and first and info.task in sources:
            found[info.task] = place
    return {source: found[source] for source in sources if source in found}


def of_bundles(
    mode: str, targets: Sequence[str], bundles: Mapping[str, Path], sets: TrainSets, steps: int
) -> dict[str, dict[str, list[float]]]:
    """target -> estimator -> a score for each bundle."""
    sources = [TrainedSource(name, place, read_bundle(place)) for name, place in bundles.items()]
    further = Further(short_of(sets.request, steps))
    found: dict[str, dict[str, list[float]]] = {}
    for target in targets:
        task = get_task(suggest.trained_by(target))
        ranking = rank_trained(sources, task, sets, None, Clock(None), further)
        rows = {row.source: row.scores for row in ranking.rows}
        found[target] = {
            name: [round(rows[source][name], 5) for source in bundles] for name in ranking.estimators
        }
        measure.say(f"{mode} {target}: {found[target]}")
    return found


def of_tasks(targets: Sequence[str], sets: TrainSets, steps: int) -> dict[str, list[float]]:
    """target -> TaskEmb of each source."""
    parts = {source: UNIONS.get(source, (source,)) for source in STUDY}
    names = dict.fromkeys([part for each in parts.values() for part in each])
    names |= dict.fromkeys(suggest.trained_by(target) for target in targets)
    short, found = short_of(sets.request, steps), {}
    for name in names:
        plain: TrainSet = sets.measure(get_task(name), None)
        found[name] = sets.trained(plain, get_task(name), None, short)
        measure.say(f"trained on {name}")
    return {
        target: [
            round(
                task_embedding.score(
                    union([found[part] for part in parts[source]]), found[suggest.trained_by(target)]
                ),
                5,
            )
            for source in STUDY
        ]
        for target in targets
    }


def main() -> None:
    options = arguments()
    examples, steps = (16, 2) if options.quick else (options.examples, options.steps)
    environment = measure.environment(options.threads)
    targets = {mode: list(by_target) for mode, by_target in suggest.truth().items()}
    whole = set(STUDY if options.store else suggest.SHELVED)
    modes = [mode for mode in targets if set(bundles_of(mode, options.store)) == whole]
    if options.quick:
        modes, targets = ["lora"], {"lora": ["tydiqa"], "full": ["tydiqa"]}
    seconds: dict[str, float] = {}
    scores, embeddings = {}, None
    with tempfile.TemporaryDirectory() as cache:
        for mode in modes:
            began = time.process_time()
            sets = sets_of(mode, Path(cache), examples)
            bundles = bundles_of(mode, options.store)
            scores[mode] = of_bundles(mode, targets[mode], bundles, sets, steps)
            seconds[f"bundles, {mode}"] = round(time.process_time() - began, 1)
        if not options.store:
            began = time.process_time()
            embeddings = of_tasks(targets["full"], sets_of("lora", Path(cache), examples), steps)
            seconds["task_embedding"] = round(time.process_time() - began, 1)
    told: dict[str, Any] = {
        "benchmark": "suggest_trained",
        **environment,
        "command": measure.command(),
        "quick": options.quick,
        "examples": examples,
        "steps": steps,
        "cost_cpu_seconds": seconds,
        "sources": list(STUDY if options.store else suggest.SHELVED),
        "scores": scores,
        **({} if embeddings is None else {"task_embedding": embeddings}),
    }
    measure.emit(told, options.out)


if __name__ == "__main__":
    main()
