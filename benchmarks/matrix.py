"""A matrix as one plan against its cells one by one; with workers; over seeds; planned, calibrated, answered again.

    python benchmarks/matrix.py --out benchmarks/results/matrix.json      # an hour on two cores
    python benchmarks/matrix.py --quick                                   # a check, in minutes

All of it runs on the miniature, in `--mode lora`, each command as a process of its own, in stores that are empty when
it begins. `seconds` is wall time, `processor_seconds` that of the command and of the processes it started: on a busy
machine only the second tells of work saved. The features' cache is filled before anything is measured, so that no side
gains by what another encoded.

`sharing`: all cells of `--inters` × `--targets` by one `matrix` in one process, against a `train` for each cell.
`workers`: the same matrix with one and with two worker processes.
`seeds`: nine cells with three seeds, against one.
`overhead`: of the matrix with one worker, seconds between the ends of its stages beside those that they took, a stage.
`warm_start`: in a process that has run a stage, seconds from a training's begin to its first step.
`again`: the finished matrix planned and told again: seconds, peak memory, and whether torch was loaded.
`planning`: 10,000 cells and more: seconds and peak memory of a process that plans them.
`hours`: what `--calibrate` foretells of the matrix, over what it took.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import measure

INTERS = "anli,mnli,qqp,squad_v2,squad_v1,hellaswag,ccg,cosmosqa,commonsenseqa"
TARGETS = "xnli,pawsx,udpos,panx,xquad,mlqa,tydiqa,tatoeba,bucc2018"
FEW_INTERS, FEW_TARGETS = "mnli,qqp,hellaswag", "xnli,pawsx,tydiqa"

PLANNING = """
import json, resource, sys, time
began = time.perf_counter()
import adapter_stilts as stilts
study = stilts.plan_matrix(inter="none,each,all", target="all", mode="full,lora", precision="fp32,8bit",
                           seeds=int(sys.argv[1]), recipe="miniature", store=sys.argv[2])
plan = study.plan()
print(json.dumps({"cells": len(plan.cells), "stages": len(plan.stages),
                  "seconds": round(time.perf_counter() - began, 2),
                  "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                  "torch": "torch" in sys.modules}))
"""

AGAIN = """
import contextlib, io, json, resource, sys, time
began = time.perf_counter()
from adapter_stilts.cli.main import run
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    code = run(json.loads(sys.argv[1]))
assert code == 0
print(json.dumps({"seconds": round(time.perf_counter() - began, 2),
                  "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                  "torch": "torch" in sys.modules}))
"""

ENDS = """
import json, sys, time
import adapter_stilts as stilts
from adapter_stilts.stages.executors.workers import Workers

class Heard(stilts.Watch):
    def __init__(self):
        self.found = []
    def finished(self, stage, status, seconds):
        self.found.append([stage.name, time.perf_counter()])

heard = Heard()
stilts.plan_matrix(**json.loads(sys.argv[1])).run(heard, executor=Workers(1))
print(json.dumps(heard.found))
"""

WARM = """
import json, sys, time
import adapter_stilts as stilts

class Heard(stilts.Watch):
    def __init__(self):
        self.began, self.found = None, []
    def started(self, stage, number, total):
        self.began = time.perf_counter() if stage.kind == "train" else None
    def step(self, step):
        if step.step == 1 and self.began is not None:
            self.found.append(round(time.perf_counter() - self.began - step.seconds, 3))

heard = Heard()
stilts.matrix(heard, **json.loads(sys.argv[1]))
print(json.dumps(heard.found))
"""


def arguments() -> argparse.Namespace:
    options = measure.parser(__doc__, 1, data=False)
    options.add_argument("--inters", default=INTERS, help="with commas (default: the study's nine)")
    options.add_argument("--targets", default=TARGETS, help="with commas (default: XTREME's nine)")
    options.add_argument("--train", type=int, default=320, help="train examples of a stage (default 320)")
    options.add_argument("--eval", type=int, default=20, help="test examples of a language (default 20)")
    options.add_argument("--parts", help="with commas: those alone (default: all)")
    options.add_argument("--device", help="cpu or cuda (default: the best at hand)")
    options.add_argument("--quick", action="store_true", help="few cells and steps: a check, not a result")
    return options.parse_args()


class Bench:
    """The commands of a benchmark run, in folders of its own."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder, self._stores = options, folder, 0
        self.few = {
            "limit_train": 16 if options.quick else options.train,
            "limit_eval": 2 if options.quick else options.eval,
        }
        self.inters = "mnli,hellaswag" if options.quick else options.inters
        self.targets = "xnli,tatoeba" if options.quick else options.targets

    def store(self) -> Path:
        self._stores += 1
        return self.folder / f"store{self._stores}"

    def flags(self) -> list[str]:
        device = ["--device", self.options.device] if self.options.device else []
        return [
            *("--recipe", "miniature", "--mode", "lora", *device),
            *("--limit-train", str(self.few["limit_train"]), "--limit-eval", str(self.few["limit_eval"])),
            *(
                "--set",
                "intermediate.epochs=1",
                "--set",
                "target.epochs=1",
                "--set",
                "intermediate.baseline=false",
            ),
        ]

    def asked(self) -> dict[str, Any]:
        """The same flags as a call's, with a store."""
        return {
            "recipe": "miniature",
            "mode": "lora",
            "store": str(self.store()),
            "device": self.options.device,
            "settings": ["intermediate.epochs=1", "target.epochs=1", "intermediate.baseline=false"],
            **self.few,
        }

    def run(self, *command: str) -> dict[str, float]:
        """Wall and processor seconds of a command."""
        before, began = _processor_seconds(), time.perf_counter()
        subprocess.run([sys.executable, "-m", "adapter_stilts", *command], check=True, capture_output=True)
        return {
            "seconds": time.perf_counter() - began,
            "processor_seconds": _processor_seconds() - before,
        }

    def matrix(
        self, store: Path, *more: str, inters: str | None = None, targets: str | None = None
    ) -> dict[str, float]:
        asked = ("--inter", inters or self.inters, "--target", targets or self.targets)
        return self.run("matrix", *asked, *self.flags(), "--store", str(store), *more)


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def rounded(measured: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in measured.items()}


def ratio(over: dict[str, float], under: dict[str, float]) -> dict[str, float]:
    return {name: round(over[name] / under[name], 3) for name in over}


def sharing(bench: Bench) -> dict[str, Any]:
    one = bench.matrix(bench.store())
    total = {"seconds": 0.0, "processor_seconds": 0.0}
    for inter in bench.inters.split(","):
        for target in bench.targets.split(","):
            asked = ("--inter", inter, "--target", target)
            took = bench.run("train", *asked, *bench.flags(), "--store", str(bench.store()))
            total = {name: total[name] + took[name] for name in total}
            measure.say(f"{inter}, {target}: {took['seconds']:.1f} s")
    cells = len(bench.inters.split(",")) * len(bench.targets.split(","))
    return {"cells": cells, "matrix": rounded(one), "one_by_one": rounded(total), "ratio": ratio(one, total)}


def workers(bench: Bench) -> dict[str, Any]:
    found = {count: bench.matrix(bench.store(), "--workers", str(count)) for count in (1, 2)}
    return {"one": rounded(found[1]), "two": rounded(found[2]), "ratio": ratio(found[2], found[1])}


def seeds(bench: Bench) -> dict[str, Any]:
    names = {"inters": bench.inters if bench.options.quick else FEW_INTERS}
    names["targets"] = bench.targets if bench.options.quick else FEW_TARGETS
    one = bench.matrix(bench.store(), "--seeds", "1", **names)
    three = bench.matrix(bench.store(), "--seeds", "3", **names)
    return {"one": rounded(one), "three": rounded(three), "ratio": ratio(three, one)}


def _records(store: Path) -> list[tuple[Path, dict[str, Any]]]:
    return [(path, json.loads(path.read_text())) for path in sorted(store.glob("*/stage.json"))]


def overhead(bench: Bench) -> dict[str, Any]:
    asked = {"inter": bench.inters, "target": bench.targets, **bench.asked()}
    told = subprocess.run(
        [sys.executable, "-c", ENDS, json.dumps(asked)], check=True, capture_output=True, text=True
    )
    ends = json.loads(told.stdout)
    took = {path.parent.name: float(record["seconds"]) for path, record in _records(Path(asked["store"]))}
    (_, first), *_, (_, last) = ends
    beside = last - first - sum(took[name] for name, _ in ends[1:])
    return {"stages": len(ends), "seconds_a_stage": round(beside / (len(ends) - 1), 3)}


def warm_start(bench: Bench) -> dict[str, Any]:
    asked = {"inter": "mnli,hellaswag", "target": "xnli,tydiqa", **bench.asked()}
    told = subprocess.run(
        [sys.executable, "-c", WARM, json.dumps(asked)], check=True, capture_output=True, text=True
    )
    first, *others = json.loads(told.stdout)
    return {"first": first, "later": measure.spread(others, 3)}


def again(bench: Bench) -> dict[str, Any]:
    store = bench.store()
    bench.matrix(store)
    command = [
        "matrix",
        "--inter",
        bench.inters,
        "--target",
        bench.targets,
        *bench.flags(),
        "--store",
        str(store),
    ]
    told = subprocess.run(
        [sys.executable, "-c", AGAIN, json.dumps(command)], check=True, capture_output=True, text=True
    )
    return {"stages": len(_records(store)), **json.loads(told.stdout)}


def planning(bench: Bench) -> dict[str, Any]:
    count = "3" if bench.options.quick else "34"
    command = [sys.executable, "-c", PLANNING, count, str(bench.store())]
    found: dict[str, Any] = json.loads(
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
    )
    return found


def hours(bench: Bench) -> dict[str, Any]:
    store = bench.store()
    asked = ("--inter", bench.inters, "--target", bench.targets)
    command = ["matrix", *asked, *bench.flags(), "--store", str(store), "--dry-run", "--calibrate", "--json"]
    began = time.perf_counter()
    told = subprocess.run(
        [sys.executable, "-m", "adapter_stilts", *command], check=True, capture_output=True, text=True
    )
    measuring = time.perf_counter() - began
    foretold = json.loads(told.stdout)["forecast"]
    bench.matrix(store)
    took = sum(float(record["seconds"]) for _, record in _records(store))
    said = 3600 * foretold["hours"]
    return {
        "measuring_seconds": round(measuring, 1),
        "foretold_seconds": round(said, 1),
        "seconds_of_stages": round(took, 1),
        "ratio": round(said / took, 3),
    }


PARTS = {
    "sharing": sharing,
    "workers": workers,
    "seeds": seeds,
    "overhead": overhead,
    "warm_start": warm_start,
    "again": again,
    "planning": planning,
    "hours": hours,
}


def main() -> None:
    options = arguments()
    if options.threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(options.threads)
    chosen = options.parts.split(",") if options.parts else list(PARTS)
    with measure.scratch() as folder:
        os.environ["ADAPTER_STILTS_CACHE"] = str(folder / "cache")
        bench = Bench(options, folder)
        bench.matrix(bench.store())  # fills the cache of features
        found = {}
        for name in chosen:
            found[name] = PARTS[name](bench)
            measure.say(f"{name}: {json.dumps(found[name])}")
    measure.emit(
        {
            "benchmark": "matrix",
            **measure.environment(options.threads, options.device or "cpu"),
            "command": measure.command(),
            "quick": options.quick,
            "inters": bench.inters.split(","),
            "targets": bench.targets.split(","),
            **bench.few,
            **found,
        },
        options.out,
    )


if __name__ == "__main__":
    main()
