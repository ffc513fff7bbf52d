#!/usr/bin/env python
"""Kill runs at random moments and damage what they left, run the same command again, and count what comes of it.

A run of two train stages and an evaluation is made once undisturbed. Then

- it is killed (SIGKILL) again and again, wherever it is, until it is through;
- one file of what a whole run, or one stopped half-way, left (store, work folder, checkpoints, encoded features) has a
  bit flipped, is cut or emptied, and a command that reads it is run: the same, or one with a further target.

Right are the undisturbed results, and an error of our own that names what is damaged. Wrong are other results
without an error, and tracebacks. Prints one JSON value; leaves with 0 where nothing went wrong. Every command runs in a
fork of this process, which has loaded all it needs.

    scripts/damage_runs.py --data DATA --base DIR --kills 20 --flips 40
    scripts/damage_runs.py --data DATA --base DIR --all --out benchmarks/results/damage_runs.json
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ALL_KILLS, ALL_FLIPS = 320, 600
STEPS = 12


@dataclass(frozen=True)
class Ran:
    """How a command ended: its exit code (negative where a signal ended it), and what it printed."""

    code: int
    out: str
    err: str

    @property
    def results(self) -> Any:
        return json.loads(self.out)["results"]


@dataclass(frozen=True)
class Place:
    """Where runs of one kind lie: a folder with their store and their cache."""

    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def copy(self, to: Path) -> Place:
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.folder, to)
        return Place(to)


class Runs:
    """Starts the command in forks."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._fixed = ["train", "--json", "--checkpoint-seconds", "0", "--device", "cpu"]
        self._fixed += ["--data", str(options.data), "--base", str(options.base), "--inter", "hellaswag"]
        for part in ("intermediate", "target"):
            self._fixed += ["--set", f"{part}.max_steps={STEPS}", "--set", f"{part}.eval_every_steps=4"]

    def start(self, place: Place, targets: str) -> int:
        child = os.fork()
        if child:
            return child
        os.setsid()
        place.folder.mkdir(parents=True, exist_ok=True)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(place.folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.environ["ADAPTER_STILTS_CACHE"] = str(place.folder / "cache")
        code = 70
        try:
            from adapter_stilts.cli.main import run

            code = run([*self._fixed, "--target", targets, "--store", str(place.store)])
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def finish(self, place: Place, targets: str = "xquad") -> Ran:
        return self.ended(place, os.waitpid(self.start(place, targets), 0)[1])

    def ended(self, place: Place, status: int) -> Ran:
        texts = [(place.folder / name).read_text(errors="replace") for name in ("out", "err")]
        return Ran(os.waitstatus_to_exitcode(status), *texts)


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill and damage runs, and run the same command again.")
    parser.add_argument("--data", required=True, help="folder of release files (hellaswag, squad, xquad, ud)")
    parser.add_argument("--base", required=True, help="the encoder: a small one")
    parser.add_argument("--kills", type=int, default=20, help="[20]")
    parser.add_argument("--flips", type=int, default=40, help="[40]")
    parser.add_argument("--seed", type=int, default=0, help="[0]")
    parser.add_argument("--all", action="store_true", help=f"{ALL_KILLS} kills, {ALL_FLIPS} flips and cuts")
    parser.add_argument("--out", type=Path, help="write the JSON there, too")
    options = parser.parse_args()
    kills, flips = (ALL_KILLS, ALL_FLIPS) if options.all else (options.kills, options.flips)
    # Before the first fork, so that no child pays for it.
    import transformers.models.xlm_roberta.modeling_xlm_roberta  # noqa: F401

    import adapter_stilts.stages.executors.local  # noqa: F401

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        runs, root = Runs(options), Path(folder)
        result = {
            "steps": STEPS,
            "kills": kill(runs, root, kills, options.seed),
            "damage": damage(runs, root, flips, options.seed),
        }
    result["seconds"] = round(time.perf_counter() - began, 1)
    told = json.dumps(result, indent=2, ensure_ascii=False) + "\n"
    if options.out:
        options.out.write_text(told, encoding="utf-8")
    sys.stdout.write(told)
    return 1 if result["kills"]["wrong"] or result["damage"]["wrong"] else 0


def kill(runs: Runs, root: Path, count: int, seed: int) -> dict[str, Any]:
    """So many kills, spread over as many runs as it takes."""
    dice = random.Random(f"kill {seed}")
    alone = Place(root / "alone")
    wanted, weights = _whole(runs.finish(alone)), _weights(alone)
    where: Counter[str] = Counter()
    wrong: list[str] = []
    done = through = 0
    while done < count:
        place = Place(root / "killed")
        shutil.rmtree(place.folder, ignore_errors=True)
        over = False
        while not over and done < count:
            child = runs.start(place, "xquad")
            time.sleep(dice.uniform(0.0, 1.5))
            ended = os.waitpid(child, os.WNOHANG)
            over = ended != (0, 0)
            if not over:
                where[_phase(place.store)] += 1
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                done += 1
                if "Traceback" in runs.ended(place, 9).err:
                    wrong.append(f"kill {done}: traceback")
        ran = runs.finish(place)
        through += 1
        if ran.code or "Traceback" in ran.err:
            wrong.append(f"after kill {done}: exit {ran.code}: {ran.err[-800:]}")
        elif ran.results != wanted or _weights(place) != weights:
            wrong.append(f"after kill {done}: other results")
        elif left := [str(p.relative_to(place.folder)) for p in place.folder.rglob("*.partial-*")]:
            wrong.append(f"after kill {done}: left over: {left}")
    return {"kills": done, "runs": through, "while": dict(where.most_common()), "wrong": wrong}


def _phase(store: Path) -> str:
    """What the run had done when it was killed."""
    stages = sorted(path.parent.name.split("-")[0] for path in store.glob("*/stage.json"))
    begun = any(store.glob("work/*/checkpoint-*"))
    return f"{len(stages)} stages finished, {'the next begun' if begun else 'the next not begun'}"


Damage = Callable[[bytes, random.Random], bytes]


def flip(content: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(content))
    return content[:place] + bytes([content[place] ^ (1 << dice.randrange(8))]) + content[place + 1 :]


def cut(content: bytes, dice: random.Random) -> bytes:
    return content[: dice.randrange(len(content))]


def emptied(content: bytes, dice: random.Random) -> bytes:
    return b""


def hole(content: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(content))
    stop = min(len(content), start + 512)
    return content[:start] + bytes(stop - start) + content[stop:]


KINDS: tuple[Damage, ...] = (flip, cut, flip, emptied, flip, hole)


def damage(runs: Runs, root: Path, count: int, seed: int) -> dict[str, Any]:
    """So many damaged files, of a whole run and of one stopped half-way in turn."""
    whole, halted = Place(root / "whole"), Place(root / "halted")
    further = "xquad,udpos"
    runs.finish(whole)
    _halt(runs, halted)
    wanted = {"xquad": _whole(runs.finish(whole.copy(root / "again")))}
    wanted[further] = _whole(runs.finish(whole.copy(root / "again"), further))
    outcomes: dict[str, Counter[str]] = {}
    wrong: list[str] = []
    for number in range(count):
        dice = random.Random(f"damage {seed} {number}")
        name, source = (("whole", whole), ("halted", halted))[number % 2]
        place = source.copy(root / "damaged")
        files = [path for path in sorted(place.folder.rglob("*")) if path.is_file() and path.stat().st_size]
        groups: dict[str, list[Path]] = {}
        for path in files:
            if path.name not in ("out", "err"):
                groups.setdefault(_kind(path.relative_to(place.folder)), []).append(path)
        group = dice.choice(sorted(groups))  # else most would be the many small files of the cache
        path = dice.choice(groups[group])
        kind = KINDS[number // 2 % len(KINDS)]
        path.write_bytes(kind(path.read_bytes(), dice))
        targets = dice.choice(["xquad", further])
        ran = runs.finish(place, targets)
        what = f"{number}: {kind.__name__} of {path.relative_to(place.folder)}, then {targets}"
        if "Traceback" in ran.err or ran.code not in (0, 1, 2):
            outcome = "traceback"
        elif ran.code:
            outcome = "refused" if "error: " in ran.err or "failed: " in ran.err else "silent failure"
        else:
            outcome = "the undisturbed results" if ran.results == wanted[targets] else "other results"
        if outcome not in ("the undisturbed results", "refused"):
            wrong.append(f"{what}: {outcome}: {ran.err[-600:]}")
        outcomes.setdefault(f"{name}: {group}", Counter())[outcome] += 1
    total: Counter[str] = sum(outcomes.values(), Counter())
    return {
        "damaged": count,
        "outcomes": dict(total.most_common()),
        "by_file": {group: dict(found) for group, found in sorted(outcomes.items())},
        "wrong": wrong,
    }


def _halt(runs: Runs, place: Place) -> None:
    """A run that was stopped in its second train stage, with checkpoints."""
    child = runs.start(place, "xquad")
    while not list(place.store.glob("work/train-squad_v1-*/checkpoint-*")):
        assert os.waitpid(child, os.WNOHANG) == (0, 0), (place.folder / "err").read_text()
        time.sleep(0.001)
    os.killpg(child, signal.SIGINT)
    os.waitpid(child, 0)
    assert list(place.store.glob("work/*/checkpoint-*")), "the run was through before it could be stopped"


def _kind(path: Path) -> str:
    """What a file is, without the names that differ from run to run."""
    if path.parts[0] == "cache":
        return "features"
    if path.parts[1] == "work":
        return f"work/{path.parts[-1]}"
    if path.parts[1] == "plans":
        return "plans"
    if len(path.parts) == 2:
        return path.name
    stage = path.parts[1].split("-")[0]
    return f"{stage}/{path.parts[2]}" if len(path.parts) > 3 else f"{stage}/{path.name}"


def _whole(ran: Ran) -> Any:
    assert ran.code == 0, ran.err
    return ran.results


def _weights(place: Place) -> dict[str, bytes]:
    return {
        str(path.relative_to(place.store)): path.read_bytes()
        for path in place.store.glob("train-*/bundle/*.safetensors")
    }


if __name__ == "__main__":
    sys.exit(main())
