"""The miniature's matrix as far as it was run: what README shows, and what benchmarks hold their forecasts against.

Scores are of the exported store `miniature_matrix.zip`, and where that lacks a cell, of the single runs in the JSON
files beside it: one intermediate entry before one target, trained in English on whole data, in fp32. Single runs were
made by earlier versions, so that a gain is never between the two: where the store has a mode, target and seed, single
runs of these stand for nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from adapter_stilts.report.collect import Planned, System, collect
from adapter_stilts.report.scores import Setting

RESULTS = Path(__file__).resolve().parent / "results"
STORE = "miniature_matrix.zip"
SINGLE = ("miniature_seed0.json", "miniature_modes.json", "miniature_ways.json")
TARGETS = ("xnli", "pawsx", "udpos", "panx", "xquad", "mlqa", "tydiqa", "bucc2018", "tatoeba")
FULL, FP32, ENGLISH = "full", "fp32", "en"

Key = tuple[str, str, str]
"""Mode, intermediate entry, target."""
Scores = Mapping[Key, Mapping[int, float]]
"""Of each cell, seed -> percent, the mean of the target's metrics over its languages."""
Run = tuple[str, str, int, Mapping[str, Mapping[str, float]]]
"""Mode, intermediate entry, seed, and averages by target."""


def files(folder: Path = RESULTS) -> tuple[Path, ...]:
    """Those that scores come from, as far as they are there."""
    return tuple(folder / name for name in (STORE, *SINGLE) if (folder / name).is_file())


def version(folder: Path = RESULTS) -> str:
    """Their digest."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in files(folder))).hexdigest()[:12]


def scores(folder: Path = RESULTS) -> Scores:
    """Every cell that is known.

    Raises:
        StoreError: the store is damaged.
    """
    return together(of_single_runs(folder), of_store(folder / STORE) if (folder / STORE).exists() else {})


def together(single: Scores, stored: Scores) -> Scores:
    """The store's, and single runs of other seeds, targets and modes."""
    own = {(mode, target, seed) for (mode, _, target), seeds in stored.items() for seed in seeds}
    found: dict[Key, dict[int, float]] = {key: dict(seeds) for key, seeds in stored.items()}
    for key, seeds in single.items():
        kept = {seed: score for seed, score in seeds.items() if (key[0], key[2], seed) not in own}
        if kept:
            found.setdefault(key, {}).update(kept)
    return found


def of_store(store: Path) -> Scores:
    """Of an exported store, zipped or not."""
    cells = [one for one in collect(store).found if _plain(one.cell)]
    seeds = {(one.cell.setting.mode, one.cell.seed) for one in cells if one.cell.seed is not None}
    found: dict[Key, dict[int, float]] = defaultdict(dict)
    for one in cells:
        cell, mode = one.cell, one.cell.setting.mode
        score = fmean(one.metrics["average"].values())
        # What trains nothing has no seed: it stands beside every seed of its mode.
        for seed in [seed for known, seed in seeds if known == mode] if cell.seed is None else [cell.seed]:
            found[mode, cell.system.inter, cell.setting.target][seed] = score
    return dict(found)


def _plain(cell: Planned) -> bool:
    asked = cell.setting
    # A target that trains nothing is trained in no language.
    plain = Setting(asked.target, asked.mode, FP32, asked.base, asked.train_languages, dev=asked.dev)
    english = set(asked.train_languages) <= {ENGLISH}
    return asked == plain and english and cell.system == System(cell.system.inter)


def of_single_runs(folder: Path) -> Scores:
    """Of the JSON files."""
    found: dict[Key, dict[int, float]] = defaultdict(dict)
    for name in SINGLE:
        for mode, inter, seed, average in _runs(
            json.loads((folder / name).read_text(encoding="utf-8"))["results"]
        ):
            for target, metrics in average.items():
                found[mode, inter, target][seed] = fmean(metrics.values())
    return dict(found)


def _runs(results: Any) -> Iterator[Run]:
    """Of the three forms that the files have."""
    if isinstance(results, Mapping):
        for inter, targets in results.items():
            yield FULL, inter, 0, {target: told["average"] for target, told in targets.items()}
        return
    for run in results:
        if "mode" in run:
            if run["precision"] == FP32:
                yield run["mode"], run["intermediate"], run["seed"], run["average"]
            continue
        flag, *inter = run["arguments"].split()
        if flag == "--inter" and len(inter) == 1 and "," not in inter[0]:
            yield FULL, inter[0], run["seed"], run["average"]


def lacking(stored: Scores, single: Scores) -> Iterable[tuple[Key, int]]:
    """Seeds that single runs have of the store's entries, and the store has not."""
    entries = {(mode, inter) for mode, inter, _ in stored}
    for key, seeds in single.items():
        for seed in seeds:
            if key[:2] in entries and seed not in stored.get(key, {}):
                yield key, seed
