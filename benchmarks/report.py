"""How long a report takes: made-up stores of 100 cells and more, each report in a process of its own.

    python benchmarks/report.py --out benchmarks/results/report.json
    python benchmarks/report.py --rounds 1 --cells 20        # a check

A store has five intermediate entries before five targets (XNLI, PAWS-X, XQuAD, UDPOS, PAN-X), in as many seeds as the
cells need, each with rows of `--languages` languages and `--examples` examples. What is measured is the whole command,
from the start of Python on, with its tables on a pipe. `seconds` is wall time, `processor_seconds` that of the process:
on a busy machine the second tells of the work.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import made_store
import measure

INTERS = ("none", "mnli", "hellaswag", "squad_v1", "snli")
TARGETS = ("xnli", "pawsx", "xquad", "udpos", "panx")

PEAK = """
import resource, sys
from adapter_stilts.cli.main import run
code = run(sys.argv[1:])
assert code == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "torch" in sys.modules)
"""


def main() -> None:
    options = measure.parser(__doc__, 3, data=False)
    options.add_argument("--cells", type=int, default=100, help="about so many (default 100)")
    options.add_argument("--languages", type=int, default=10, help="of a target (default 10)")
    options.add_argument("--examples", type=int, default=100, help="of a language (default 100)")
    given = options.parse_args()
    seeds = max(1, given.cells // (len(INTERS) * len(TARGETS)))
    with measure.scratch() as folder:
        store = folder / "runs"
        made_store.matrix(
            store,
            inters=INTERS,
            targets=TARGETS,
            modes=("lora",),
            seeds=seeds,
            languages=given.languages,
            examples=given.examples,
        )
        sides = {
            "resamples_1000": ("--resamples", "1000"),
            "resamples_1000_total": ("--resamples", "1000", "--by", "total"),
            "resamples_10000": (),
            "written": ("--out", str(folder / "out")),
        }
        found: dict[str, list[dict[str, Any]]] = measure.alternate(
            {name: lambda _, more=more: timed(store, *more) for name, more in sides.items()},
            given.rounds,
            "report",
        )
    measure.emit(
        {
            "benchmark": "report",
            **measure.environment(given.threads),
            "cells": len(INTERS) * len(TARGETS) * seeds,
            "seeds": seeds,
            "languages": given.languages,
            "examples": given.examples,
            "rounds": given.rounds,
            **{
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


def timed(store: Path, *more: str) -> dict[str, Any]:
    """Seconds and peak memory of a report in a process of its own."""
    before, began = _processor_seconds(), time.perf_counter()
    command = [sys.executable, "-c", PEAK, "report", str(store), *more]
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
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
