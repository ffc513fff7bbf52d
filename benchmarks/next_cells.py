"""What `matrix --next` is worth: the cells that it names in the miniature's matrix with half of it hidden.

    python benchmarks/next_cells.py --threads 1 --out benchmarks/results/next_cells.json

The matrix is that of `miniature_matrix.py`: the intermediate entries that are known before all nine targets, fully
fine-tuned with one seed; `none` is known of each target. In each draw half of the gains are hidden, and PICKS of them
are named. `best_named` is the largest true gain among these in points, `best_of_any` that among as many hidden cells
drawn at random, and `best_hidden` that of all that are hidden; means over draws. `error` is what `matrix --next` tells
of itself with nothing hidden: how far off each gain is when the others alone tell it.
"""

from __future__ import annotations

from statistics import fmean
from typing import Any

import measure
import miniature_matrix
import numpy as np

from adapter_stilts.select.completion import complete
from adapter_stilts.select.next_cells import next_cells

MODE, SEED = miniature_matrix.FULL, 0
RETRIEVAL = ("bucc2018", "tatoeba")
PICKS, HIDDEN = 5, 0.5


def scores() -> dict[tuple[str, str], float]:
    """(intermediate entry, target) -> its score, of the entries that are known before every target."""
    known = {
        (inter, target): by_seed[SEED]
        for (mode, inter, target), by_seed in miniature_matrix.scores().items()
        if mode == MODE and SEED in by_seed
    }
    rows = dict.fromkeys(row for row, _ in known)
    return {
        (row, column): known[row, column]
        for row in rows
        if all((row, column) in known for column in miniature_matrix.TARGETS)
        for column in miniature_matrix.TARGETS
    }


def judged(known: dict[tuple[str, str], float], columns: list[str], draws: int) -> dict[str, Any]:
    """How near the best hidden cells those are that are named."""
    rows = list(dict.fromkeys(row for row, _ in known))
    gains = {(row, column): known[row, column] - known["none", column] for row in rows for column in columns}
    whole = complete(
        np.asarray([[gains[row, column] for column in columns] for row in rows if row != "none"])
    )
    named, anything, best = [], [], []
    for seed in range(draws):
        generator = np.random.default_rng(seed)
        cells = [cell for cell in gains if cell[0] != "none"]
        hidden = {cells[at] for at in generator.permutation(len(cells))[: round(HIDDEN * len(cells))]}
        given = {cell: {} if cell in hidden else {SEED: known[cell]} for cell in gains}
        found = next_cells(given, "none", PICKS)
        named.append(max(gains[cell.row, cell.column] for cell in found.chosen))
        several = [generator.choice(len(hidden), PICKS, replace=False) for _ in range(200)]
        values = np.asarray([gains[cell] for cell in sorted(hidden)])
        anything.append(fmean(float(values[chosen].max()) for chosen in several))
        best.append(float(values.max()))
    return {
        "targets": columns,
        "error": round(whole.error, 3),
        "mean_error": round(whole.mean_error, 3),
        "rank": whole.rank,
        "best_named": round(fmean(named), 3),
        "best_of_any": round(fmean(anything), 3),
        "best_hidden": round(fmean(best), 3),
        "named_the_best": round(fmean(one == other for one, other in zip(named, best, strict=True)), 3),
    }


def main() -> None:
    options = measure.parser(__doc__, 1, data=False)
    options.add_argument("--draws", type=int, default=25, help="of hidden cells (default %(default)s)")
    chosen = options.parse_args()
    known = scores()
    columns = list(dict.fromkeys(column for _, column in known))
    trained = [column for column in columns if column not in RETRIEVAL]
    told = {
        "benchmark": "next_cells",
        **measure.environment(chosen.threads),
        "command": measure.command(),
        "picks": PICKS,
        "hidden": HIDDEN,
        "draws": chosen.draws,
        "results": [judged(known, columns, chosen.draws), judged(known, trained, chosen.draws)],
    }
    measure.emit(told, chosen.out)


if __name__ == "__main__":
    main()
