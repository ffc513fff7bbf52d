"""How far English alone lies from training in the language itself, on real text: names in four languages.

    python benchmarks/real_inlanguage.py --base e5-small --threads 1 --out FILE.json     # hours on one thread
    python benchmarks/real_inlanguage.py --quick                                         # a check, in a minute

Reads slices of UNER and MasakhaNER 2 below `--data` (`real_slices.py`). Swahili and Yoruba are trained in three ways,
with nothing before it: on English UNER; on that and then on `--shots` examples of the language (`--few-shot sw=32`);
on the language's own train set (`--train-languages sw`), all that the slice holds. English and German are scored by
the model of English UNER. A language's score is of the model that was taught in it, F1 on its test sentences, in
percent; `gain` the points over English alone, `summary` mean, least and greatest over the seeds.

`--dev en` chooses every checkpoint on English dev, `--dev same` on the dev set of the language that a stage trains in,
which is another experiment; the file says which it was. SETTINGS and MODES were chosen on English dev with seed 0:
LoRA's F1 there is 40.5 at 4e-4 with three tenths of the steps as warm-up and 14.0 with one tenth, 0 at 6e-4 and above;
37.6 at 1e-3 in query and value alone.

Finished stages stay in `--store`, so that an interrupted run goes on; `--finished` tells what is there and trains
nothing, and `seeds` in `summary` counts what that was.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import measure
from real_slices import TRAIN, prepare

import adapter_stilts as stilts

SETTINGS: dict[str, Any] = {
    "intermediate.baseline": False,
    "target.batch_size": 4,
    "target.epochs": 2,
    "target.few_shot_epochs": 6,
    "target.eval_every_steps": 300,
    "target.dev_examples": "none",
}
MODES: dict[str, dict[str, Any]] = {
    "full": {"tuning.full.freeze_embeddings": True, "target.learning_rate": 1e-4},
    "lora": {
        "tuning.lora.r": 16,
        "tuning.lora.alpha": 32,
        "tuning.lora.target_modules": ["query", "key", "value", "dense"],
        "target.learning_rate": 4e-4,
        "target.warmup_ratio": 0.3,
    },
}
WAYS = ("english", "few_shot", "in_language")
EPOCHS = {"in_language": {"target.epochs": 5}}
"""500 sentences: with these passes as many steps as English has, within one in twenty."""
QUICK = {"target.max_steps": 3, "target.dev_examples": 8, "target.few_shot_epochs": 1}


def arguments() -> argparse.Namespace:
    options = measure.parser(__doc__, 1)
    options.add_argument("--modes", default=",".join(MODES), help="with commas (default %(default)s)")
    options.add_argument("--seeds", type=int, default=3, help="seeds from 0 (default 3)")
    options.add_argument(
        "--ways", default=",".join(WAYS), help="with commas, english first (default %(default)s)"
    )
    options.add_argument("--languages", default="sw,yo", help="of MasakhaNER, with commas (default sw,yo)")
    options.add_argument(
        "--train", type=int, default=TRAIN, help=f"English sentences to train on (default {TRAIN})"
    )
    options.add_argument("--shots", type=int, default=32, help="examples of few-shot (default 32)")
    options.add_argument("--dev", choices=("en", "same"), default="en", help="what chooses (default en)")
    options.add_argument("--store", type=Path, default=Path("runs"), help="finished stages (default runs)")
    options.add_argument(
        "--finished", action="store_true", help="train nothing: tell what the store holds, leave out the rest"
    )
    options.add_argument("--device", help="cpu or cuda (default: the best at hand)")
    options.add_argument("--quick", action="store_true", help="few steps, one seed: a check, not a result")
    return options.parse_args()


def settings_of(mode: str, way: str, options: argparse.Namespace) -> dict[str, Any]:
    return {**SETTINGS, **MODES[mode], **EPOCHS.get(way, {}), **(QUICK if options.quick else {})}


def runs(options: argparse.Namespace) -> list[tuple[str, str, tuple[str, ...]]]:
    """Target, way and languages of each training."""
    ways, languages = options.ways.split(","), options.languages.split(",")
    others = [("masakhaner2", way, (language,)) for language in languages for way in ways]
    return [("uner", "english", ("en", "de")), *others]


def flags_of(way: str, languages: tuple[str, ...], options: argparse.Namespace) -> dict[str, Any]:
    """What `train` is told of a way."""
    if way == "few_shot":
        return {"few_shot": dict.fromkeys(languages, options.shots)}
    return {"train_languages": languages} if way == "in_language" else {}


def rows_of(mode: str, seed: int, data: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each language and way."""
    for target, way, languages in runs(options):
        began = time.monotonic()
        study = stilts.plan_train(
            inter="none",
            target=target,
            mode=mode,
            seed=seed,
            base=options.base,
            data=data,
            store=options.store,
            device=options.device,
            dev_language=options.dev,
            languages=languages,
            limit_eval=8 if options.quick else None,
            settings=settings_of(mode, way, options),
            **flags_of(way, languages, options),
        )
        if options.finished and any(state.status != "cached" for state in study.states()):
            measure.say(f"{mode} seed {seed} {'+'.join(languages)} {way}: not finished, left out")
            continue
        (cell,) = study.run().cells
        assert cell.metrics is not None
        for language in languages:
            yield {
                "mode": mode,
                "seed": seed,
                "target": target,
                "language": language,
                "way": way,
                "dev": "+".join(cell.cell.dev or ()),
                "f1": round(cell.metrics["languages"][language]["f1"], 2),
            }
        measure.say(f"{mode} seed {seed} {target} {way}: {time.monotonic() - began:.0f} s")


def with_gain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each row with its points over English alone, of the same mode, seed and language."""
    english = {
        (row["mode"], row["seed"], row["language"]): row["f1"] for row in rows if row["way"] == "english"
    }
    return [
        {**row, "gain": round(row["f1"] - english[row["mode"], row["seed"], row["language"]], 2)}
        for row in rows
    ]


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean, least and greatest over the seeds."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["mode"], row["language"], row["way"]].append(row)
    return [
        {
            "mode": mode,
            "language": language,
            "way": way,
            "seeds": len(members),
            **{name: measure.mean_spread([member[name] for member in members]) for name in ("f1", "gain")},
        }
        for (mode, language, way), members in groups.items()
    ]


def main() -> None:
    options = arguments()
    if options.quick:
        options.seeds = 1
    rows: list[dict[str, Any]] = []
    environment = measure.environment(options.threads, options.device or "cpu")
    with measure.scratch() as data:
        sizes = prepare(options.data, options.train, data)
        for seed in range(options.seeds):
            for mode in options.modes.split(","):
                for row in rows_of(mode, seed, data, options):
                    rows.append(row)
                    measure.say(f"{mode} seed {seed} {row['language']} {row['way']}: {row['f1']}")
    rows = with_gain(rows)
    measure.emit(
        {
            "benchmark": "real_inlanguage",
            **environment,
            "command": measure.command(),
            "quick": options.quick,
            "base": options.base.name,
            "sentences": sizes,
            "shots": options.shots,
            "dev": options.dev,
            "settings": {
                mode: {way: settings_of(mode, way, options) for way in options.ways.split(",")}
                for mode in options.modes.split(",")
            },
            "results": rows,
            "summary": summary(rows),
        },
        options.out,
    )


if __name__ == "__main__":
    main()
