#!/usr/bin/env python
"""Let processes take and release the locks of a store's stages against one another, and count what goes wrong.

In each round a process takes the lock of one of a few stages, does what holds of nobody else's (a counter in a file is
raised by one, in two steps), and lets go. As the stages are few, `work/` is made and removed all the time. Prints one
JSON value; leaves with 0 where no call failed, no two processes held one lock, and nothing is left.

    scripts/lock_rounds.py --rounds 400
    scripts/lock_rounds.py --all
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.parts import FetchPart
from adapter_stilts.stages.store import Store

ALL = 10_000


def main() -> int:
    parser = argparse.ArgumentParser(description="Take and release locks of a store from many processes.")
    parser.add_argument("--rounds", type=int, default=400, help="of all processes together [400]")
    parser.add_argument("--processes", type=int, default=8, help="[8]")
    parser.add_argument("--stages", type=int, default=2, help="locks that they take in turn [2]")
    parser.add_argument("--all", action="store_true", help=f"{ALL} rounds")
    options = parser.parse_args()
    result = rounds(ALL if options.all else options.rounds, options.processes, options.stages)
    print(json.dumps(result, indent=2))
    return 0 if not result["errors"] and not result["lost_counts"] and not result["left_over"] else 1


def rounds(count: int, processes: int, stages: int) -> dict[str, Any]:
    """Run so many rounds; what failed, and what a lock held twice would have lost."""
    began = time.perf_counter()
    share = -(-count // processes)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "store"
        Store(root).open()
        with multiprocessing.get_context("fork").Pool(processes) as pool:
            calls = [(root, share, number, stages) for number in range(processes)]
            found = pool.starmap(work, calls, chunksize=1)
        counted = sum(int(path.read_text()) for path in root.glob("count-*"))
        left = sorted(str(path.relative_to(root)) for path in root.glob("work*"))
    errors = Counter(error for one in found for error in one["errors"])
    return {
        "rounds": share * processes,
        "processes": processes,
        "stages": stages,
        "waited": sum(one["waited"] for one in found),
        "errors": sum(errors.values()),
        "errors_by_kind": dict(errors),
        "lost_counts": share * processes - sum(errors.values()) - counted,
        "left_over": left,
        "seconds": round(time.perf_counter() - began, 2),
    }


def work(root: Path, count: int, number: int, stages: int) -> dict[str, Any]:
    store, errors, waited = Store(root), [], []
    for turn in range(count):
        stage = Stage("squad_v1", FetchPart(str((number + turn) % stages)))
        counter = root / f"count-{stage.part.bundle}"
        try:
            with store.lock(stage, waited.append):
                before = int(counter.read_text()) if counter.exists() else 0
                counter.write_text(str(before + 1))
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}".replace(str(root), "STORE"))
    return {"errors": errors, "waited": len(waited)}


if __name__ == "__main__":
    sys.exit(main())
