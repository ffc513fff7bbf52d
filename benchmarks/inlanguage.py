"""How far English alone lies from training in the language itself, in the miniature: English, a few examples, all.

    python benchmarks/inlanguage.py --out benchmarks/results/inlanguage.json     # hours: a model for each language
    python benchmarks/inlanguage.py --quick                                      # a check, in minutes

Each target is trained in three ways, with nothing before it: on English; on English and then on `--shots` examples of
a language (`--few-shot each=32`); on the language's own train set (`--train-languages each`). A language's score is of
the model that was taught in it, on its test set, in percent. `levels` are the means over languages by how much text of
them the encoder saw, `gain` the points over English alone, `summary` mean, least and greatest over the seeds.

`--dev en` chooses every checkpoint on English dev, `--dev same` on the dev set of the languages that a stage trains in,
which is another experiment; the file says which it was.

Finished stages stay in `--store`, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import measure

import adapter_stilts as stilts
from adapter_stilts.results import Results

TARGETS = ("xnli", "panx", "udpos")
WAYS = ("english", "few_shot", "in_language")
QUICK = {"target.max_steps": 3, "target.dev_examples": 8, "target.few_shot_epochs": 1}
QUICK_LANGUAGES = ["en", "qaa", "qaf"]


def arguments() -> argparse.Namespace:
    options = measure.parser(__doc__, 1, data=False)
    options.add_argument("--modes", default="full", help="with commas: full, lora ... (default full)")
    options.add_argument("--targets", default=",".join(TARGETS), help="with commas (default %(default)s)")
    options.add_argument("--seeds", type=int, default=3, help="seeds from 0 (default 3)")
    options.add_argument("--shots", type=int, default=32, help="examples of few-shot (default 32)")
    options.add_argument("--dev", choices=("en", "same"), default="en", help="what chooses (default en)")
    options.add_argument("--store", type=Path, default=Path("runs"), help="finished stages (default runs)")
    options.add_argument("--device", help="cpu or cuda (default: the best at hand)")
    options.add_argument(
        "--quick", action="store_true", help="few steps, three languages, one seed: a check, not a result"
    )
    return options.parse_args()


def flags_of(way: str, options: argparse.Namespace) -> dict[str, Any]:
    """What `train` is told of a way."""
    ways: dict[str, dict[str, Any]] = {
        "english": {},
        "few_shot": {"few_shot": {"each": options.shots}},
        "in_language": {"train_languages": "each"},
    }
    return ways[way]


def trained(way: str, target: str, mode: str, seed: int, options: argparse.Namespace) -> Results:
    settings: dict[str, Any] = {"intermediate.baseline": False, **(QUICK if options.quick else {})}
    return stilts.train(
        inter="none",
        target=target,
        recipe="miniature",
        mode=mode,
        seed=seed,
        store=options.store,
        device=options.device,
        dev_language=options.dev,
        languages=QUICK_LANGUAGES if options.quick else None,
        limit_eval=8 if options.quick else None,
        settings=settings,
        **flags_of(way, options),
    )


def own_scores(results: Results, way: str) -> Iterator[tuple[str, float, str]]:
    """(language, task score, dev languages) of each language by the model that was taught in it."""
    for result in results.cells:
        assert result.metrics is not None
        taught = result.cell.taught
        own = taught.few_shot if way == "few_shot" else taught.languages
        shown = result.metrics["languages"] if way == "english" else own
        for language in shown:
            metrics = result.metrics["languages"][language]
            yield language, sum(metrics.values()) / len(metrics), "+".join(result.cell.dev or ())


def row(way: str, target: str, mode: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    results = trained(way, target, mode, seed, options)
    found = list(own_scores(results, way))
    scores = {language: score for language, score, _ in found}
    levels: dict[str, list[float]] = defaultdict(list)
    known = next(result.metrics["levels"] for result in results.cells if result.metrics is not None)
    for language, score in scores.items():
        if language in known:
            levels[known[language]].append(score)
    without_english = [score for language, score in scores.items() if language != "en"]
    means = {**levels, "all but en": without_english}
    return {
        "way": way,
        "target": target,
        "mode": mode,
        "seed": seed,
        "dev": {language: dev for language, _, dev in found},
        "scores": {language: round(score, 2) for language, score in scores.items()},
        "levels": {name: round(sum(values) / len(values), 2) for name, values in means.items()},
    }


def with_gain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each row with its points over English alone, of the same target, mode and seed."""
    english = {(row["target"], row["mode"], row["seed"]): row for row in rows if row["way"] == "english"}
    found = []
    for row in rows:
        levels = english[row["target"], row["mode"], row["seed"]]["levels"]
        gain = {name: round(value - levels[name], 2) for name, value in row["levels"].items()}
        found.append({**row, "gain": gain})
    return found


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean, least and greatest over the seeds."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["target"], row["mode"], row["way"]].append(row)
    found = []
    for (target, mode, way), members in groups.items():
        told: dict[str, Any] = {"target": target, "mode": mode, "way": way, "seeds": len(members)}
        for name in ("levels", "gain"):
            told[name] = {
                level: measure.mean_spread([member[name][level] for member in members])
                for level in members[0][name]
            }
        found.append(told)
    return found


def main() -> None:
    options = arguments()
    if options.quick:
        options.seeds = 1
    rows = []
    environment = measure.environment(options.threads, options.device or "cpu")
    for mode in options.modes.split(","):
        for target in options.targets.split(","):
            for seed in range(options.seeds):
                for way in WAYS:
                    rows.append(row(way, target, mode, seed, options))
                    measure.say(f"{mode} {target} seed {seed} {way}: {rows[-1]['levels']}")
    rows = with_gain(rows)
    measure.emit(
        {
            "benchmark": "inlanguage",
            **environment,
            "command": measure.command(),
            "quick": options.quick,
            "shots": options.shots,
            "dev": options.dev,
            "results": rows,
            "summary": summary(rows),
        },
        options.out,
    )


if __name__ == "__main__":
    main()
