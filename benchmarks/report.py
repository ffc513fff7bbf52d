"""How long reports take: made-up stores of about 100 and 1,000 cells, each report in a process of its own.

    python benchmarks/report.py --out benchmarks/results/report.json
    python benchmarks/report.py --rounds 1 --large 20        # a check

The small store has five intermediate entries before five targets in ten languages, in as many seeds as the cells need;
its report takes 1,000 resamples. The large one has ten entries before five targets in twenty languages, four modes and
as many seeds as the cells need; its report takes 10,000. Each has rows of `--examples` examples a language.

What is measured is the whole command, from the start of Python on, with its tables on a pipe. `seconds` is wall time,
`processor_seconds` that of the XX
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import made_store
import measure

FEW_INTERS = ("none", "mnli", "hellaswag", "squad_v1", "snli")
INTERS = (*FEW_INTERS, "anli", "cosmosqa", "commonsenseqa", "qamr", "ccg")
FEW_TARGETS = ("xnli", "pawsx", "xquad", "udpos", "panx")
TARGETS = ("belebele", "panx", "sib200", "tatoeba", "udpos")
MODES = ("full", "lora", "adapter", "ia3")

PEAK = """
import resource, sys
from adapter_stilts.cli.main import run
code = run(sys.argv[1:])
assert code == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "torch" in sys.modules)
"""


def main() -> None:
    options = measure.parser(__doc__, 3, data=False)
    options.add_argument("--small", type=int, default=100, help="cells of the small store (default 100)")
    options.add_argument("--large", type=int, default=1000, help="cells of the large store (default 1,000)")
    options.add_argument("--stores", type=Path, help="folder that stores are kept in, and taken from")
    options.add_argument("--examples", type=int, default=100, help="of a language (default 100)")
    given = options.parse_args()
    with measure.scratch() as folder:
        stores = given.stores or folder
        small, few = made(
            stores / "small", FEW_INTERS, FEW_TARGETS, ("lora",), given.small, 10, given.examples
        )
        large, many = made(stores / "large", INTERS, TARGETS, MODES, given.large, 20, given.examples)
        kept, out = folder / "kept", str(folder / "out")
        sides = {
            "small": lambda: timed(small, folder / "small_kept", True, "--resamples", "1000"),
            "large_first": lambda: timed(large, kept, True),
            "large_again": lambda: timed(large, kept, False),
            "large_written": lambda: timed(large, kept, False, "--by", "language", "--out", out),
        }
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
        for number in range(given.rounds):
            for name, side in sides.items():
                found[name].append(side())
                print(f"report: round {number}, {name}: {found[name][-1]}", file=sys.stderr, flush=True)
        page = (folder / "out" / "index.html").stat().st_size
    measure.emit(
        {
            "benchmark": "report",
            **measure.environment(given.threads),
            "small": {"cells": few, "languages": 10, "resamples": 1000},
            "large": {"cells": many, "languages": 20, "resamples": 10_000, "page_bytes": page},
            "examples": given.examples,
            "rounds": given.rounds,
            "reports": {
                name: {
                    "seconds": measure.spread([one["seconds"] for one in rounds], 2),
                    "processor_seconds": measure.spread([one["processor_seconds"] for one in rounds], 2),
                    "peak_bytes": max(one["peak_bytes"] for one in rounds),
                    "torch": any(one["torch"] for one in rounds),
                }
                for name, rounds in found.items()
            },
        },
        given.out,
    )


def made(
    store: Path,
    inters: tuple[str, ...],
    targets: tuple[str, ...],
    modes: tuple[str, ...],
    cells: int,
    languages: int,
    examples: int,
) -> tuple[Path, int]:
    """A store of about so many cells, and how many it has."""
    seeds = max(1, cells // (len(inters) * len(targets) * len(modes)))
    if not store.exists():
        made_store.matrix(
            store,
            inters=inters,
            targets=targets,
            modes=modes,
            seeds=seeds,
            languages=languages,
            examples=examples,
        )
    return store, len(inters) * len(targets) * len(modes) * seeds


def timed(store: Path, cache: Path, anew: bool, *more: str) -> dict[str, Any]:
    """Seconds and peak memory of a report in a process of its own.

    Args:
        cache: where intervals are kept.
        anew: whether none are kept before.
    """
    if anew:
        shutil.rmtree(cache, ignore_errors=True)
    before, began = _processor_seconds(), time.perf_counter()
    command = [sys.executable, "-c", PEAK, "report", str(store), *more]
    environment = {**os.environ, "ADAPTER_STILTS_CACHE": str(cache)}
    finished = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - began
    peak, torch = finished.stdout.strip().splitlines()[-1].split()
    return {
        "seconds": seconds,
        "processor_seconds": _processor_seconds() - before,
        "peak_bytes": int(peak),
        "torch": torch == "True",
    }


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
