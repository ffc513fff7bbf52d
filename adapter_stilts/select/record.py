"""How well such a ranking did where the truth is known: what `benchmarks/suggest.py` measured, shipped beside this."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

FILE = Path(__file__).parent / "measured.json"
NUMBERS = {2: "two", 3: "three"}
KINDS = (
    "tasks",
    "tasks with a short training",
    "tasks by fitted weights",
    "bundles",
    "bundles with a short training",
)
"""What is ranked, and how."""


@dataclass(frozen=True)
class Record:
    """Means over targets whose truth is known, the one that is asked for left out.

    Args:
        base: the encoder that it was measured with.
        kind: what was ranked, and how: one of `KINDS`; `sources` of them for each target.
        targets: their names.
        picks: how many of the first sources are looked at.
        best_among_picks: of which share of the targets the best source was among them, over seeds.
        targets_with_best: of how many targets it was, in more than half of their seeds.
        regret: points lost by training these alone.
        ndcg: 1 is the true order; `chance_ndcg` is that of any order.
    """

    base: str
    kind: str
    sources: int
    mode: str
    targets: tuple[str, ...]
    picks: int
    best_among_picks: float
    targets_with_best: int
    regret: float
    ndcg: float
    chance_ndcg: float

    def __str__(self) -> str:
        many = f"{len(self.targets)} target{'' if len(self.targets) == 1 else 's'}"
        first = "the first" if self.picks == 1 else f"among the first {NUMBERS.get(self.picks, self.picks)}"
        return (
            f"on the {self.base}, {self.mode}, {self.sources} {self.kind}: the best was {first} for "
            f"{self.targets_with_best} of {many} ({', '.join(self.targets)}), none of them the one asked for; "
            f"{self.regret:.1f} points were left; NDCG {self.ndcg:.2f}, any order {self.chance_ndcg:.2f}"
        )


def record(kind: str, target: str, mode: str) -> Record | None:
    """The record of a mode, or of full fine-tuning where the mode was not measured; None where nothing is left.

    Args:
        kind: one of `KINDS`.
        target: the cell at hand, which is never part of it.
    """
    told = json.loads(FILE.read_text(encoding="utf-8"))
    every: list[dict[str, Any]] = told["rows"][kind]
    shown = mode if mode in {row["mode"] for row in every} else "full"
    rows = [row for row in every if row["mode"] == shown and row["target"] != target]
    if not rows:
        return None
    means = {
        name: fmean(row[name] for row in rows)
        for name in ("best_among_picks", "regret", "ndcg", "chance_ndcg")
    }
    held = sum(row["best_among_picks"] > 0.5 for row in rows)
    targets = tuple(row["target"] for row in rows)
    return Record(
        told["base"],
        kind,
        rows[0]["sources"],
        shown,
        targets,
        rows[0]["picks"],
        targets_with_best=held,
        **means,
    )
