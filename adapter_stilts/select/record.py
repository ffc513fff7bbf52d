"""How well such a ranking did where the truth is known: what `benchmarks/suggest.py` measured, shipped beside this."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

FILE = Path(__file__).parent / "measured.json"


@dataclass(frozen=True)
class Record:
    """Means over targets whose truth is known, the one that is asked for left out.

    Args:
        base: the encoder that it was measured with.
        targets: their names.
        best_in_first_three: of how many of them the best source was among the first three; a share, over seeds.
        ndcg: 1 is the true order; `chance_ndcg` is that of any order.
        regret3: points lost by training the first three alone.
    """

    base: str
    mode: str
    targets: tuple[str, ...]
    best_in_first_three: float
    ndcg: float
    chance_ndcg: float
    regret3: float

    def __str__(self) -> str:
        best = self.best_in_first_three * len(self.targets)
        return (
            f"on the {self.base}, {self.mode}, {len(self.targets)} other targets ({', '.join(self.targets)}): the best "
            f"source was among the first three for {best:.3g} of them; these left {self.regret3:.1f} points; NDCG "
            f"{self.ndcg:.2f}, chance {self.chance_ndcg:.2f}"
        )


def record(target: str, mode: str) -> Record | None:
    """The record of a mode, or of full fine-tuning where the mode was not measured; None where nothing is left.

    Args:
        target: the cell at hand, which is never part of it.
    """
    told = json.loads(FILE.read_text(encoding="utf-8"))
    modes = {row["mode"] for row in told["rows"]}
    shown = mode if mode in modes else "full"
    rows: list[dict[str, Any]] = [
        row for row in told["rows"] if row["mode"] == shown and row["target"] != target
    ]
    if not rows:
        return None
    return Record(
        told["base"],
        shown,
        tuple(row["target"] for row in rows),
        fmean(row["best_in_first_three"] for row in rows),
        fmean(row["ndcg"] for row in rows),
        fmean(row["chance_ndcg"] for row in rows),
        fmean(row["regret3"] for row in rows),
    )
