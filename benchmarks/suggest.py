"""How well `suggest` ranks intermediate tasks in the miniature, held against what training them brought.

    python benchmarks/suggest.py --threads 1 --out benchmarks/results/suggest.json      # a minute, and a forecast's two
    python benchmarks/suggest.py --again     # the numbers again, of the features, costs and draws that are kept

The truth is what `miniature_matrix.py` reads: of each mode, target, seed and intermediate task the points gained over
`none`, of seeds in which all nine were trained. Targets without a train set (retrieval) are left out. Beside the result
the features that it comes from are written (`..._features.json`), so that a change of an estimator is judged without
reading data, and with `--record` what `suggest` tells of its past (`adapter_stilts/select/measured.json`).

`ndcg`, `regret1` and `regret3` are means over the seeds of the truth; `ceiling` is the truth of one seed predicted by
another's, in the mean over all ordered pairs; `chance` any order. `as_good_by_chance` is the share of random
assignments of the combined scores to sources (one assignment for all targets) that do as well or better. No target's
truth enters a ranking: `combined` fits nothing, and `ridge` is a ridge regression over the estimators' scores that is
fitted on all modes of the other targets, with the penalty that does best among those by leaving out each in its turn.
`draws` repeats the whole with other examples drawn from the train sets.

`trained` is the same of the bundles in adapters_hub/, three sources in each mode, ranked by what `suggest_trained.py`
measured of them; beside it the same three by their train sets. `combined` is without a short training, `combined, 32
steps` with one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import measure
import miniature_matrix
import numpy as np

from adapter_stilts.io import write_json
from adapter_stilts.library import plan_train
from adapter_stilts.matrices import forecast, plan_matrix
from adapter_stilts.select.estimators import ESTIMATORS
from adapter_stilts.select.quality import chance_ndcg, ndcg, regret
from adapter_stilts.select.ranks import mean_reciprocal_rank, ranks_of
from adapter_stilts.select.reading import TrainSets
from adapter_stilts.select.ridge import fitted, relevance, standardised
from adapter_stilts.select.train_set import TrainSet, union
from adapter_stilts.select.trained import TRAINED
from adapter_stilts.stages.drawing import Draw
from adapter_stilts.stages.planning.request import Request
from adapter_stilts.suggesting import SAMPLE
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.groups import STUDY, UNIONS

RESULTS = measure.ROOT / "benchmarks" / "results"
FEATURES = RESULTS / "suggest_features.json"
RECORD = measure.ROOT / "adapter_stilts" / "select" / "measured.json"
MODES = ("full", "lora", "adapter")
TARGETS = ("tydiqa", "xnli", "pawsx", "udpos", "panx", "xquad", "mlqa", "bucc2018", "tatoeba")
MEASURED = RESULTS / "suggest_trained.json"
NINE = RESULTS / "suggest_trained_nine.json"
BASELINE = "none"
COMBINED, CHANCE, RIDGE = "combined", "chance", "ridge"
WITH_STEPS = "combined, 32 steps"
PENALTIES = (1.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
"""Of the ridge regression; 63 to 117 rows of standardised scores."""
MEASURES = ("ndcg", "regret1", "regret3")
ASSIGNMENTS = 2000
SHELF = measure.ROOT / "adapters_hub"
SHELVED = ("hellaswag", "mnli", "squad_v1")
"""Sources that the repository holds trained, in every mode."""

Truth = Mapping[str, Mapping[str, Mapping[int, Mapping[str, float]]]]
"""mode -> target -> seed -> source -> points gained over none."""


def arguments() -> argparse.Namespace:
    options = measure.parser(__doc__, 1, data=False)
    options.add_argument(
        "--examples", type=int, default=SAMPLE, help="of each train set (default %(default)s)"
    )
    options.add_argument("--draws", type=int, default=3, help="draws of examples (default 3)")
    options.add_argument(
        "--again", action="store_true", help="from the features that are kept; no data, no encoder"
    )
    options.add_argument("--record", action="store_true", help=f"write {RECORD.relative_to(measure.ROOT)}")
    options.add_argument(
        "--markdown", action="store_true", help="print the tables of docs/suggest.md instead"
    )
    options.add_argument("--quick", action="store_true", help="16 examples, one draw, no forecast: a check")
    return options.parse_args()


def truth() -> Truth:
    """Gains by mode, target, seed and source, of seeds in which every source was trained."""
    scores: dict[tuple[str, str, int], dict[str, float]] = defaultdict(dict)
    for (mode, inter, target), by_seed in miniature_matrix.scores().items():
        for seed, score in by_seed.items():
            scores[mode, target, seed][inter] = score
    gains: dict[str, dict[str, dict[int, dict[str, float]]]] = {mode: {} for mode in MODES}
    for (mode, target, seed), by_source in sorted(scores.items(), key=_in_order):
        whole = {BASELINE, *STUDY} <= by_source.keys()
        if mode in MODES and whole and get_task(target).train_task is not None:
            found = {source: by_source[source] - by_source[BASELINE] for source in STUDY}
            gains[mode].setdefault(target, {})[seed] = found
    return gains


def _in_order(cell: tuple[tuple[str, str, int], Any]) -> tuple[int, int, int]:
    mode, target, seed = cell[0]
    return MODES.index(mode) if mode in MODES else len(MODES), TARGETS.index(target), seed


def trained_by(target: str) -> str:
    found = get_task(target).train_task
    assert found is not None
    return found


def tasks_of(truth: Truth) -> list[str]:
    """Every task whose train set is measured."""
    sources = [part for source in STUDY for part in UNIONS.get(source, (source,))]
    targets = [trained_by(target) for by_target in truth.values() for target in by_target]
    return list(dict.fromkeys([*sources, *targets]))


def measured(tasks: Iterable[str], examples: int, seed: int) -> tuple[dict[str, TrainSet], dict[str, float]]:
    """Train sets, and what they took: reading (with encoding) and embedding, in seconds of the processor."""
    study = plan_train("none", "xnli", recipe="miniature")
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as cache:
        request = Request(study.recipe, study.source, lambda: study.base)
        sets = TrainSets(request, Path(cache), "cpu", Draw(examples, seed))
        found = {}
        for name, one in (("reading", sets.measure), ("embedding", sets.embedded)):
            began = time.process_time()
            found = {task: one(get_task(task), None) for task in tasks}
            seconds[name] = time.process_time() - began
    return found, seconds


def features_json(sets: Mapping[str, TrainSet], examples: int) -> dict[str, Any]:
    """Train sets as JSON; of pieces those that occur, as counts in the sample."""
    told = {}
    for task, one in sets.items():
        assert one.embedding is not None
        sample = min(examples, one.examples)
        counts = np.rint(one.pieces * sample).astype(int)
        told[task] = {
            "format": one.format,
            "examples": one.examples,
            "sample": sample,
            "length": round(one.length, 4),
            "pieces": {str(piece): int(counts[piece]) for piece in np.flatnonzero(counts)},
            "embedding": [round(float(value), 5) for value in one.embedding],
        }
    return {"vocabulary": len(next(iter(sets.values())).pieces), "train_sets": told}


def read_features(path: Path = FEATURES) -> dict[str, TrainSet]:
    """Train sets as `features_json` told them."""
    told = json.loads(path.read_text(encoding="utf-8"))
    found = {}
    for task, one in told["train_sets"].items():
        pieces = np.zeros(told["vocabulary"])
        pieces[[int(piece) for piece in one["pieces"]]] = list(one["pieces"].values())
        vector = np.asarray(one["embedding"], dtype=np.float64)
        found[task] = TrainSet(one["format"], one["examples"], pieces / one["sample"], one["length"], vector)
    return found


def scores_of(sets: Mapping[str, TrainSet], target: str) -> dict[str, list[float]]:
    """What each estimator, and all together, say of the sources, in the order of `STUDY`."""
    own = sets[trained_by(target)]
    sources = [union([sets[part] for part in UNIONS.get(source, (source,))]) for source in STUDY]
    scores = {name: [one.score(source, own) for source in sources] for name, one in ESTIMATORS.items()}
    ranks = {name: ranks_of(values) for name, values in scores.items()}
    return {**scores, COMBINED: mean_reciprocal_rank(ranks)}


def quality(
    scores: Sequence[float], gains: Mapping[str, float], sources: Sequence[str] = STUDY
) -> dict[str, float]:
    true = [gains[source] for source in sources]
    return {
        "ndcg": ndcg(scores, true),
        "regret1": regret(scores, true, 1),
        "regret3": regret(scores, true, 3),
    }


def chance(gains: Mapping[str, float]) -> dict[str, float]:
    return {**quality([0.0] * len(STUDY), gains), "ndcg": chance_ndcg([gains[source] for source in STUDY])}


def means(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: round(fmean(one[name] for one in found), 4) for name in MEASURES}


def rows(
    truth: Truth, sets: Mapping[str, TrainSet], embeddings: Mapping[str, Sequence[float]] | None = None
) -> list[dict[str, Any]]:
    """A row a mode and target: the mean over seeds of how good each ranking is.

    Args:
        embeddings: TaskEmb of the sources, by target; None leaves out what a short training tells.
    """
    found, ridge = [], ridge_fits(truth, sets)
    for mode, by_target in truth.items():
        for target, seeds in by_target.items():
            scores = scores_of(sets, target)
            columns = standardised([scores[name] for name in ESTIMATORS])
            scores[RIDGE] = (columns @ np.asarray(ridge["without"][target])).tolist()
            if embeddings is not None:
                scores["task_embedding"] = list(embeddings[target])
                voting = (*ESTIMATORS, "task_embedding")
                scores[WITH_STEPS] = mean_reciprocal_rank({name: ranks_of(scores[name]) for name in voting})
            told: dict[str, Any] = {"mode": mode, "target": target, "seeds": sorted(seeds)}
            told["quality"] = {
                name: means([quality(values, gains) for gains in seeds.values()])
                for name, values in scores.items()
            }
            told["quality"][CHANCE] = means([chance(gains) for gains in seeds.values()])
            combined = [quality(scores[COMBINED], gains) for gains in seeds.values()]
            told["best_among_picks"] = {
                name: round(
                    fmean(quality(scores[name], gains)["regret3"] == 0 for gains in seeds.values()), 4
                )
                for name in (COMBINED, RIDGE, WITH_STEPS)
                if name in scores
            }
            if len(seeds) > 1:
                pairs = itertools.permutations(seeds.values(), 2)
                told["ceiling"] = means([quality([one[s] for s in STUDY], other) for one, other in pairs])
                told["ndcg_over_seeds"] = round(pstdev(one["ndcg"] for one in combined), 4)
            found.append(told)
    return found


def ridge_fits(truth: Truth, sets: Mapping[str, TrainSet]) -> dict[str, Any]:
    """Weights fitted on all targets, and without each, with the penalties that were chosen and the truth's version."""
    cells = [(mode, target) for mode, by_target in truth.items() for target in by_target]
    targets = list(dict.fromkeys(target for _, target in cells))
    columns = {
        target: standardised([scores[name] for name in ESTIMATORS])
        for target in targets
        for scores in [scores_of(sets, target)]
    }
    brought = {
        (mode, target): relevance([fmean(seed[s] for seed in truth[mode][target].values()) for s in STUDY])
        for mode, target in cells
    }

    def fit(known: Sequence[str], penalty: float) -> Any:
        chosen = [(mode, target) for mode, target in cells if target in known]
        return fitted([columns[target] for _, target in chosen], [brought[one] for one in chosen], penalty)

    def penalty_for(known: Sequence[str]) -> float:
        def told(penalty: float) -> float:
            values = []
            for left in known:
                weights = fit([target for target in known if target != left], penalty)
                scores = (columns[left] @ weights).tolist()
                values += [ndcg(scores, brought[one].tolist()) for one in cells if one[1] == left]
            return fmean(values)

        return max(PENALTIES, key=told)

    def whole(known: Sequence[str]) -> tuple[float, list[float]]:
        penalty = penalty_for(known)
        return penalty, [round(float(value), 5) for value in fit(known, penalty)]

    without = {left: whole([target for target in targets if target != left]) for left in targets}
    penalty, weights = whole(targets)
    return {
        "version": miniature_matrix.version(),
        "estimators": list(ESTIMATORS),
        "targets": targets,
        "penalty": penalty,
        "all": weights,
        "penalties": {target: one for target, (one, _) in without.items()},
        "without": {target: own for target, (_, own) in without.items()},
    }


def shares(
    by_target: Mapping[str, Mapping[int, Mapping[str, float]]],
    sets: Mapping[str, TrainSet],
    assignments: int = ASSIGNMENTS,
) -> dict[str, float]:
    """The share of random assignments of the combined scores to sources that do as well or better, seed 0."""
    generator = np.random.default_rng(0)
    combined = {target: np.asarray(scores_of(sets, target)[COMBINED]) for target in by_target}

    def mean(order: Any) -> dict[str, float]:
        return means(
            [
                means([quality(combined[target][order].tolist(), gains) for gains in seeds.values()])
                for target, seeds in by_target.items()
            ]
        )

    ours = mean(np.arange(len(STUDY)))
    others = [mean(generator.permutation(len(STUDY))) for _ in range(assignments)]
    return {
        "ndcg": round(fmean(one["ndcg"] >= ours["ndcg"] for one in others), 4),
        "regret3": round(fmean(one["regret3"] <= ours["regret3"] for one in others), 4),
        "mean_ndcg": round(fmean(one["ndcg"] for one in others), 4),
    }


def summary(
    found: Sequence[Mapping[str, Any]], truth: Truth | None = None, sets: Mapping[str, TrainSet] | None = None
) -> list[dict[str, Any]]:
    """Means over the targets of a mode; and over those with several seeds, beside the ceiling.

    Args:
        truth, sets: with them also what random assignments do.
    """
    told = []
    for mode in MODES:
        members = [row for row in found if row["mode"] == mode]
        several = [row for row in members if "ceiling" in row]
        for name, chosen in (("all targets", members), ("targets of several seeds", several)):
            one: dict[str, Any] = {"mode": mode, "of": name, "targets": [row["target"] for row in chosen]}
            one["quality"] = {
                each: means([row["quality"][each] for row in chosen]) for each in members[0]["quality"]
            }
            if all("ceiling" in row for row in chosen):
                one["ceiling"] = means([row["ceiling"] for row in chosen])
            if truth is not None and sets is not None and chosen is members:
                one["as_good_by_chance"] = shares(truth[mode], sets)
            told.append(one)
    return told


def read_measured(path: Path = MEASURED) -> dict[str, Any]:
    """What `suggest_trained.py` measured."""
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return told


def trained_rows(
    truth: Truth,
    sets: Mapping[str, TrainSet],
    measured: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """A row a mode and target: means over seeds of how good the rankings of the bundles are.

    Args:
        measured: what `suggest_trained.py` told.
    """
    sources: list[str] = measured["sources"]
    scores: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]] = measured["scores"]
    places = [STUDY.index(source) for source in sources]
    picks = _picks(len(sources))
    found = []
    for mode, by_target in scores.items():
        for target, own in by_target.items():
            by_sets = scores_of(sets, target)
            every: dict[str, Sequence[float]] = {
                **own,
                COMBINED: mean_reciprocal_rank({name: ranks_of(own[name]) for name in TRAINED}),
                WITH_STEPS: mean_reciprocal_rank({name: ranks_of(one) for name, one in own.items()}),
                "train sets: same_format": [by_sets["same_format"][at] for at in places],
                "train sets: combined": [by_sets[COMBINED][at] for at in places],
                CHANCE: [0.0] * len(sources),
            }
            seeds = truth[mode][target]
            told = {
                name: [quality(values, gains, sources) for gains in seeds.values()]
                for name, values in every.items()
            }
            found.append(
                {
                    "mode": mode,
                    "target": target,
                    "seeds": sorted(seeds),
                    "quality": {name: means(values) for name, values in told.items()},
                    "best_among_picks": {
                        name: round(fmean(one[f"regret{picks}"] == 0 for one in told[name]), 4)
                        for name in (COMBINED, WITH_STEPS)
                    },
                    "sources": len(sources),
                }
            )
    return found


def nine_rows(truth: Truth, sets: Mapping[str, TrainSet]) -> list[dict[str, Any]]:
    """The same of bundles of all nine, as far as they were measured."""
    return trained_rows(truth, sets, read_measured(NINE)) if NINE.is_file() else []


def trained_summary(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Means over the targets of a mode."""
    told = []
    for mode in MODES:
        members = [row for row in found if row["mode"] == mode]
        if not members:
            continue
        names = members[0]["quality"]
        told.append(
            {
                "mode": mode,
                "targets": [row["target"] for row in members],
                "quality": {name: means([row["quality"][name] for row in members]) for name in names},
            }
        )
    return told


def matrix_seconds(truth: Truth) -> float:
    """Seconds that the matrix of the truth takes in one mode and with one seed, as its dry run forecasts them."""
    targets = list(dict.fromkeys(target for by_target in truth.values() for target in by_target))
    with tempfile.TemporaryDirectory() as store:
        study = plan_matrix(
            inter=["none", "each"], target=targets, mode="full", recipe="miniature", store=store, device="cpu"
        )
        told = forecast(study, measure=True, say=measure.say)
    assert not told.unknown
    return told.seconds


def record_of(
    found: Sequence[Mapping[str, Any]],
    trained: Sequence[Mapping[str, Any]],
    nine: Sequence[Mapping[str, Any]],
    ridge: Mapping[str, Any],
) -> dict[str, Any]:
    """What `suggest` tells of its past, and the weights that it may take; of bundles the nine, where there are nine."""
    of_tasks = {
        "tasks": COMBINED,
        "tasks with a short training": WITH_STEPS,
        "tasks by fitted weights": RIDGE,
    }
    of_bundles = {"bundles": COMBINED, "bundles with a short training": WITH_STEPS}
    of_nine = {row["mode"] for row in nine}
    bundles = [*nine, *(row for row in trained if row["mode"] not in of_nine)]
    return {
        "base": "miniature",
        "rows": {
            **{kind: [_told(row, name) for row in found] for kind, name in of_tasks.items()},
            **{kind: [_told(row, name) for row in bundles] for kind, name in of_bundles.items()},
        },
        "ridge": dict(ridge),
    }


def _picks(sources: int) -> int:
    """How many of the first are looked at."""
    return 3 if sources > 3 else 1


def _told(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    combined, sources = row["quality"][name], row.get("sources", len(STUDY))
    return {
        "mode": row["mode"],
        "target": row["target"],
        "seeds": row["seeds"],
        "sources": sources,
        "picks": _picks(sources),
        "best_among_picks": row["best_among_picks"][name],
        "regret": combined[f"regret{_picks(sources)}"],
        "ndcg": combined["ndcg"],
        "chance_ndcg": row["quality"][CHANCE]["ndcg"],
    }


SHOWN = (COMBINED, "size", "same_format", "vocabulary", "lengths", "text_embedding", CHANCE)
FURTHER = (COMBINED, WITH_STEPS, "task_embedding", RIDGE, CHANCE)
STATES = (
    "logme",
    "h_score",
    "nleep",
    "transrate",
    COMBINED,
    "update_cosine",
    "arrow",
    "few_shot",
    "training_curve",
    WITH_STEPS,
)
BESIDE = ("train sets: same_format", "train sets: combined", CHANCE)


def markdown(told: Mapping[str, Any]) -> str:
    """The tables of docs/suggest.md."""
    lines = ["| NDCG, Regret@1, @3 | seeds | " + " | ".join(SHOWN) + " | another seed |", "| --- " * 10 + "|"]
    for row in told["results"]:
        lines.append(_row(f"{row['mode']}, {row['target']}", row, f"{len(row['seeds'])}"))
    for one in told["summary"]:
        if one["of"] == "all targets":
            lines.append(_row(f"**{one['mode']}, mean**", one, ""))
    lines += ["", "| NDCG, Regret@1, @3 | targets | " + " | ".join(FURTHER) + " |", "| --- " * 7 + "|"]
    for one in told["summary"]:
        if one["of"] == "all targets":
            cells = [_cell(one["quality"].get(name), MEASURES) for name in FURTHER]
            lines.append(f"| {one['mode']} | {len(one['targets'])} | " + " | ".join(cells) + " |")
    for name in ("nine", "trained"):
        if f"{name}_summary" not in told:
            continue
        shown = MEASURES[:2] if name == "trained" else MEASURES
        title = ", ".join({"ndcg": "NDCG", "regret1": "Regret@1", "regret3": "@3"}[one] for one in shown)
        names = (*STATES, *BESIDE)
        lines += ["", f"| {title} | targets | " + " | ".join(names) + " |", "| --- " * (2 + len(names)) + "|"]
        for one in told[f"{name}_summary"]:
            cells = [_cell(one["quality"].get(each), shown) for each in names]
            lines.append(f"| {one['mode']} | {len(one['targets'])} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(one: Mapping[str, float] | None, measures: Sequence[str]) -> str:
    return (
        "" if one is None else ", ".join(f"{one[each]:.{2 if each == 'ndcg' else 1}f}" for each in measures)
    )


def _row(title: str, one: Mapping[str, Any], seeds: str) -> str:
    found = [one["quality"][name] for name in SHOWN] + [one.get("ceiling")]
    cells = [_cell(each, MEASURES) for each in found]
    return f"| {title} | {seeds} | " + " | ".join(cells) + " |"


def measure_all(known: Truth, options: argparse.Namespace) -> tuple[dict[str, TrainSet], dict[str, Any]]:
    """The features of the first draw, and what is told of all of them but how good they are."""
    environment = measure.environment(options.threads)
    by_draw, taken = [], []
    for seed in range(options.draws):
        sets, seconds = measured(tasks_of(known), options.examples, seed)
        measure.say(f"draw {seed}: {seconds}")
        by_draw.append(sets)
        taken.append(seconds)
    cost = {name: round(fmean(one[name] for one in taken), 2) for name in taken[0]}
    cost["total"] = round(sum(cost.values()), 2)
    if not options.quick:
        cost["matrix_forecast"] = round(matrix_seconds(known), 1)
        cost["share_of_matrix"] = round(cost["total"] / cost["matrix_forecast"], 4)
        write_json(FEATURES, features_json(by_draw[0], options.examples))
        by_draw[0] = read_features()  # as they are kept, so that --again says the same
    told = {
        "benchmark": "suggest",
        **environment,
        "command": measure.command(),
        "quick": options.quick,
        "examples": options.examples,
        "cost_cpu_seconds": cost,
        "draws": [
            {
                one["mode"]: one["quality"][COMBINED]
                for one in summary(rows(known, sets))
                if one["of"] == "all targets"
            }
            for sets in by_draw
        ],
    }
    return by_draw[0], told


def main() -> None:
    options = arguments()
    if options.quick:
        options.examples, options.draws = 16, 1
    known = truth()
    if options.again or options.markdown:
        sets, told = read_features(), json.loads((RESULTS / "suggest.json").read_text(encoding="utf-8"))
    else:
        sets, told = measure_all(known, options)
    measured = read_measured()
    found, trained = rows(known, sets, measured["task_embedding"]), trained_rows(known, sets, measured)
    ridge = ridge_fits(known, sets)
    told.pop("trained_scores", None)
    told |= {
        "sources": list(STUDY),
        "scores": {
            target: {
                name: [round(value, 4) for value in values]
                for name, values in scores_of(sets, target).items()
            }
            for target in known["full"]
        },
        "results": found,
        "summary": summary(found, known, sets),
        "ridge": ridge,
        "trained": trained,
        "trained_summary": trained_summary(trained),
    }
    nine = nine_rows(known, sets)
    if nine:
        told |= {"nine": nine, "nine_summary": trained_summary(nine)}
    if options.record:
        write_json(RECORD, record_of(found, trained, nine, ridge))
    if options.markdown:
        print(markdown(told), end="")
    else:
        measure.emit(told, options.out)


if __name__ == "__main__":
    main()
