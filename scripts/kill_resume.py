#!/usr/bin/env python
"""Kill `adapter-stilts train` at random moments, resume it, and compare with a run left alone.

The weights of every train stage and the metrics of every evaluation have to be the same bits, and the store has
to hold the same files. Prints one JSON value; leaves with 0 where all is the same, else with 1.

    scripts/kill_resume.py --data DATA --base DIR --inter hellaswag --target xquad --kills 10 --seed 0

Arguments it does not know are passed on to `train`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Files of a stage that say how it was computed (seconds, speed), not what came out, and their digests.
RECORDS = ("stage.json", "log.jsonl", "SHA256SUMS")


@dataclass(frozen=True)
class Kill:
    """One kill: when, and what the store held then."""

    seconds: float
    """Since the command was started."""
    finished_stages: int
    checkpoints: dict[str, int]
    """Stage under way -> its newest checkpoint's step (0: none yet)."""


def main() -> int:
    options, passed_on = parse()
    choose = random.Random(options.seed)
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        alone, killed = Path(folder) / "alone", Path(folder) / "killed"
        command = [*train_command(options), *passed_on]
        startup = elapsed(lambda: run([sys.executable, "-c", "import adapter_stilts.stages.executors.local"]))
        seconds = elapsed(lambda: run([*command, "--store", str(alone)]))
        kills = []
        share = max(seconds - startup, 0.1) / options.kills
        hurry = 1.0
        while len(kills) < options.kills:
            # Mostly while it works, sometimes while it loads; together less than a whole run takes.
            after = hurry * (startup * choose.uniform(0.5, 1.0) + choose.uniform(0.0, 1.6 * share))
            kill = kill_after([*command, "--store", str(killed)], after, killed)
            if kill is None and kills:
                break
            if (
                kill is None
            ):  # through before the first one, as other work slowed what was measured: earlier, then
                shutil.rmtree(killed)
                hurry /= 2
                continue
            kills.append(kill)
        output = run([*command, "--store", str(killed)])
        result = compare(alone, killed)
        result |= {
            "command": command,
            "seconds_alone": round(seconds, 2),
            "kills": [asdict(kill) for kill in kills],
            "last_run": [stage["status"] for stage in json.loads(output)["stages"]],
        }
    print(json.dumps(result, indent=2))
    return 0 if result["identical"] and not result["stray_files"] and not result["missing_files"] else 1


def parse() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        description="Kill a training at random moments, resume it, compare with a run left alone.",
        epilog="Other arguments are passed on to `train`.",
    )
    parser.add_argument("--data", required=True, help="folder of release files")
    parser.add_argument("--base", required=True, help="the encoder")
    parser.add_argument("--inter", default="hellaswag", help="intermediate task [hellaswag]")
    parser.add_argument("--target", default="xquad", help="target task [xquad]")
    parser.add_argument("--kills", type=int, default=10, help="how often to kill [10]")
    parser.add_argument("--seed", type=int, default=0, help="of the moments [0]")
    parser.add_argument("--work", help="folder for the two stores, removed afterwards [a temporary one]")
    return parser.parse_known_args()


def train_command(options: argparse.Namespace) -> list[str]:
    command = [sys.executable, "-m", "adapter_stilts", "train", "--json", "--checkpoint-seconds", "0"]
    command += ["--data", options.data, "--base", options.base]
    return [*command, "--inter", options.inter, "--target", options.target, "--device", "cpu"]


def run(command: list[str]) -> str:
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if ran.returncode:
        sys.exit(f"{' '.join(command)}: exit {ran.returncode}")
    return ran.stdout


def elapsed(call: Any) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def kill_after(command: list[str], seconds: float, store: Path) -> Kill | None:
    """Start the command and SIGKILL its process group after so long. None where it ended before."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return Kill(round(seconds, 3), len(list(store.glob("*/stage.json"))), newest_checkpoints(store))
    return None


def newest_checkpoints(store: Path) -> dict[str, int]:
    found = {}
    for stage in sorted(path for path in store.glob("work/*") if path.is_dir()):
        steps = [int(path.name.removeprefix("checkpoint-")) for path in stage.glob("checkpoint-????????")]
        found[stage.name] = max(steps, default=0)
    return found


def compare(alone: Path, killed: Path) -> dict[str, Any]:
    """Which files differ between the two stores, are missing in the second, or should not be there."""
    first, second = files(alone), files(killed)
    results = [name for name in first if Path(name).parts[1:] not in [(record,) for record in RECORDS]]
    differing = [name for name in results if name in second and first[name] != second[name]]
    weights = {name: first[name] for name in results if name.endswith("model.safetensors")}
    return {
        "identical": bool(weights) and not differing,
        "differing_files": differing,
        "stray_files": sorted(second.keys() - first.keys()),
        "missing_files": sorted(first.keys() - second.keys()),
        "weights": weights,
    }


def files(folder: Path) -> dict[str, str]:
    """sha256 of every file by its path below the folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


if __name__ == "__main__":
    sys.exit(main())
