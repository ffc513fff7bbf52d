"""The miniature's matrix as far as it was run: what other benchmarks hold what they foretell against.

Scores are of the exported store `miniature_matrix.zip`, and where that lacks a cell of the single runs in
`miniature_modes.json` and `miniature_seed0.json`: English training, whole data, fp32, one intermediate task before
another's training. The table is read anew each time; nothing is computed from examples.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean

import measure

from adapter_stilts.report.collect import Planned, System, collect
from adapter_stilts.report.scores import Setting

RESULTS = measure.ROOT / "benchmarks" / "results"
STORE = RESULTS / "miniature_matrix.zip"
SINGLE = (RESULTS / "miniature_modes.json", RESULTS / "miniature_seed0.json")

Scores = Mapping[tuple[str, str, str], Mapping[int, float]]
"""(mode, intermediate entry, target) -> seed -> percent, the mean of the target's metrics over its languages."""


def version() -> str:
    """Digest of the files that scores come from."""
    files = [path for path in (STORE, *SINGLE) if path.is_file()]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def scores(store: Path = STORE) -> Scores:
    """Every cell that is known.

    Raises:
        StoreError: the store is damaged.
    """
    found: dict[tuple[str, str, str], dict[int, float]] = defaultdict(dict)
    for mode, inter, target, seed, average in (*_of_single_runs(), *_of_store(store)):
        found[mode, inter, target][seed] = fmean(average.values())
    return dict(found)


def _of_store(store: Path) -> Iterator[tuple[str, str, str, int, Mapping[str, float]]]:
    cells = [one for one in collect(store).found if _plain(one.cell)] if store.exists() else []
    seeds = {(one.cell.setting.mode, one.cell.seed) for one in cells if one.cell.seed is not None}
    for one in cells:
        cell, mode = one.cell, one.cell.setting.mode
        # What trains nothing has no seed: it stands beside every seed of its mode.
        for seed in [seed for known, seed in seeds if known == mode] if cell.seed is None else [cell.seed]:
            yield mode, cell.system.inter, cell.setting.target, seed, one.metrics["average"]


def _plain(cell: Planned) -> bool:
    asked = cell.setting
    alike = Setting(asked.target, asked.mode, "fp32", asked.base, dev=asked.dev)
    return asked == alike and cell.system == System(cell.system.inter)


def _of_single_runs() -> Iterator[tuple[str, str, str, int, Mapping[str, float]]]:
    modes, first = (json.loads(path.read_text(encoding="utf-8"))["results"] for path in SINGLE)
    for run in modes:
        if run["precision"] == "fp32":
            for target, average in run["average"].items():
                yield run["mode"], run["intermediate"], target, run["seed"], average
    for inter, targets in first.items():
        for target, found in targets.items():
            yield "full", inter, target, 0, found["average"]
