#!/usr/bin/env python
"""Kill, stop, start twice and starve `adapter-stilts matrix`, run the same command again, and compare what it leaves.

A small matrix whose stages are of every kind (fetch, train, compose, evaluate) is run once undisturbed, in one process.
Then, each time in a new store:

- worker: of a run with two workers, the one that works on a stage of each kind is killed (SIGKILL);
- lost: each worker that works on one stage is killed, until that is given up;
- driver: who gives the work is killed (SIGKILL) at a random moment, and the command given again;
- twice: the command is started twice at once, with two workers both, and with two and with none;
- signals: Ctrl-C and SIGTERM, with workers and without, and the command given again;
- full: the disk is full while a stage is under way, for a while, and until a stage is given up;
- damage: what a stage starts from is damaged, and mended later.

Right are runs that end by themselves, with the exit code that docs tell, no process left over, each stage trained once
(a killed one goes on from its checkpoint), and in the end the undisturbed files and no others, bit for bit. Prints one
JSON value; leaves with 0 where nothing went wrong. Commands run in forks of this process, workers are their own.

    scripts/matrix_faults.py --data DATA --base DIR --only worker,driver
    scripts/matrix_faults.py --data DATA --base DIR --rounds 5 --out benchmarks/results/matrix_faults.json
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import random
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kill_resume import compare

STEPS = 12
KINDS = ("train", "fetch", "compose", "evaluate")
PATIENCE = 240.0
"""Seconds for a command to end, on a busy machine."""
STOPPED = 60.0
"""Seconds for workers to be gone after whoever gave the work: they may be loading their libraries."""
RETRIES = (0.5, 1.0)
"""Seconds, in the place of the matrix's own, which wait for somebody to clear a disk."""
# Python imports this module by itself: a disk that is full while a file exists, in every process.
FULL = """
import errno, os
_fsync = os.fsync
def fsync(handle):
    if os.path.exists(os.environ.get("MATRIX_FAULTS_FULL", "")):
        raise OSError(errno.ENOSPC, "No space left on device")
    return _fsync(handle)
os.fsync = fsync
"""


@dataclass
class Run:
    """A command that was started in a fork, in a process group of its own."""

    process: int
    folder: Path
    began: float = field(default_factory=time.monotonic)
    status: int | None = None

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text(errors="replace")

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text(errors="replace")

    def over(self) -> bool:
        if self.status is None:
            process, status = os.waitpid(self.process, os.WNOHANG)
            self.status = status if process else None
        return self.status is not None

    def code(self, seconds: float = PATIENCE) -> int:
        """Its exit code, once it is over; minus a signal's number. One that takes too long is killed."""
        until = time.monotonic() + seconds
        while not self.over():
            if time.monotonic() > until:
                os.kill(self.process, signal.SIGKILL)
                self.status = os.waitpid(self.process, 0)[1]
                return -999
            time.sleep(0.01)
        assert self.status is not None
        return os.waitstatus_to_exitcode(self.status)

    def until(self, happened: Callable[[], Any]) -> Any:
        """What is looked for, as soon as it is there; None where the command ended before."""
        while not (found := happened()):
            if self.over() or time.monotonic() - self.began > PATIENCE:
                return None
            time.sleep(0.001)
        return found


class Faults:
    """The command, where it runs, and what went wrong."""

    def __init__(self, options: argparse.Namespace, root: Path) -> None:
        self.root, self.dice = root, random.Random(options.seed)
        self._fixed = [
            "--data",
            str(Path(options.data).absolute()),
            "--base",
            str(Path(options.base).absolute()),
        ]
        self._fixed += ["--device", "cpu", "--checkpoint-seconds", "0", "--mode", "lora"]
        for part in ("intermediate", "target"):
            self._fixed += ["--set", f"{part}.max_steps={STEPS}", "--set", f"{part}.eval_every_steps=4"]
        self.wrong: list[str] = []
        self.workers: int | None = options.workers or None
        self.with_and_without = tuple(dict.fromkeys((self.workers, None)))
        self.full = root / "the-disk-is-full"
        self.alone = root / "alone" / "store"

    def prepare(self) -> None:
        """A bundle to fetch, and the undisturbed run."""
        elsewhere = self.root / "elsewhere"
        trained = self.command(
            ["train", "--inter", "hellaswag", "--seed", "9", "--json"], elsewhere, self._fixed
        )
        assert trained.code() == 0, trained.err
        self._bundle = json.loads(trained.out)["bundles"][0]["bundle"]
        assert self.start("alone").code() == 0, self.last.err

    def start(self, name: str, workers: int | None = None, log: str = "") -> Run:
        """The matrix in a store; `log` tells apart what two runs of one print."""
        asked = ["matrix", "--json", "--inter", "hellaswag", "--inter", "snli", "--inter", self._bundle]
        asked += ["--combine", "continue,merge:linear", "--target", "xquad"]
        asked += [] if workers is None else ["--workers", str(workers)]
        self.last = self.command(asked, self.root / name, self._fixed, log)
        return self.last

    def command(self, asked: list[str], folder: Path, more: list[str], log: str = "") -> Run:
        logs = folder / f"log{log}"
        logs.mkdir(parents=True, exist_ok=True)
        child = os.fork()
        if child:
            return Run(child, logs)
        os.setsid()
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(logs / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.environ["ADAPTER_STILTS_CACHE"] = str(folder / "cache")
        code = 70
        try:
            from adapter_stilts.cli.main import main

            main([*asked, *more, *(["--store", str(folder / "store")] if more else [])])
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 70
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def check(self, what: str, run: Run, wanted: int = 0) -> None:
        """Note where a run did not end as it should."""
        code = run.code()
        if code != wanted or "Traceback" in run.err:
            self.wrong.append(f"{what}: exit {code}: {run.err[-1500:]}")

    def equal(self, what: str, name: str) -> None:
        """Note where a store does not hold what the undisturbed one does, or a process was left over."""
        store = self.root / name / "store"
        found = compare(self.alone, store)
        for kind in ("differing_files", "stray_files", "missing_files"):
            if found[kind]:
                self.wrong.append(f"{what}: {kind}: {found[kind]}")
        folders = [str(path) for path in (store / "work", store / "failed") if path.exists()]
        partial = [str(path) for path in (self.root / name).rglob("*.partial-*")]
        if folders or partial:
            self.wrong.append(f"{what}: left over: {folders + partial}")
        if left := workers_of(store):
            self.wrong.append(f"{what}: processes left over: {left}")
        shutil.rmtree(self.root / name)


def workers_of(store: Path) -> list[int]:
    """Process ids of workers whose store it is."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().decode(errors="replace")
            if "adapter_stilts.worker" in words and str(store) in words:
                found.append(int(folder.name))
    return found


def worker(faults: Faults, number: int) -> dict[str, Any]:
    """In one run, the worker on a stage of each kind is killed."""
    name = f"worker-{number}"
    run, store, killed = faults.start(name, faults.workers), faults.root / name / "store", Counter[str]()
    for kind in KINDS:
        stage = run.until(lambda kind=kind: _begun(store, kind))  # type: ignore[misc]
        if stage is None:
            faults.wrong.append(f"{name}: no stage of kind {kind} was seen under way")
            continue
        os.kill(stage[1], signal.SIGKILL)
        killed["too late" if (store / stage[0]).exists() else kind] += 1
    faults.check(name, run)
    lost, ran = run.err.count("was lost (killed by SIGKILL)"), ran_of(run.err)
    if lost < sum(killed.values()) - killed["too late"] or max(Counter(ran).values()) > 1:
        faults.wrong.append(f"{name}: {dict(killed)} killed, {lost} noticed, ran: {ran}")
    faults.equal(name, name)
    return {"killed": dict(killed), "noticed": lost}


def lost(faults: Faults, number: int) -> dict[str, Any]:
    """The workers on one stage are killed until it is given up."""
    name = f"lost-{number}"
    run, store, killed = faults.start(name, faults.workers), faults.root / name / "store", set[int]()
    while not run.over() and time.monotonic() - run.began < PATIENCE:
        for path in store.glob("work/train-snli-*.lock"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                process = int(json.loads(path.read_text())["process"])
                if process not in killed:
                    os.kill(process, signal.SIGKILL)
                    killed.add(process)
        time.sleep(0.001)
    faults.check(name, run, 1)
    if len(killed) != 1 + len(RETRIES):
        faults.wrong.append(f"{name}: tried {len(killed)} times")
    _retry(faults, name, run)
    faults.equal(name, name)
    return {"killed": len(killed)}


def _begun(store: Path, kind: str) -> tuple[str, int] | None:
    """A stage of a kind that a process works on, one that trains after its first checkpoint, and the process."""
    for path in store.glob(f"work/{kind}-*.lock"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            if kind != "train" or list(path.with_suffix("").glob("checkpoint-????????")):
                return path.stem, int(json.loads(path.read_text())["process"])
    return None


def ran_of(err: str) -> list[str]:
    """Stages that a run tells to have run, by number and title."""
    return re.findall(r"^(\[\d+/\d+\] [^:\n]+): ran in", err, re.MULTILINE)


def driver(faults: Faults, number: int) -> dict[str, Any]:
    """Who gives the work is killed: the workers stop by themselves, and the command given again goes on."""
    name = f"driver-{number}"
    run, store = faults.start(name, faults.workers), faults.root / name / "store"
    at = faults.dice.choice([0, 0, 1, 2, 4, 7])  # stages finished before
    run.until(lambda: len(list(store.glob("*/stage.json"))) >= at and (at or list(store.glob("work/*.lock"))))
    time.sleep(faults.dice.uniform(0.0, 1.0))
    workers = workers_of(store)
    os.kill(run.process, signal.SIGKILL)
    run.code()
    seconds = _gone(workers)
    if seconds is None:
        faults.wrong.append(f"{name}: workers live on: {workers}")
    held = [str(path) for path in store.glob("work/*.lock")]
    if held:
        faults.wrong.append(f"{name}: locks left over: {held}")
    begun = {path.parent.name for path in store.glob("work/*/checkpoint-????????")}
    again = faults.start(name, faults.workers)
    faults.check(name, again)
    faults.equal(name, name)
    return {"stages_before": at, "workers": len(workers), "gone_after": seconds, "begun": sorted(begun)}


def _gone(processes: list[int]) -> float | None:
    """Seconds until no process lives; None where one does for too long."""
    began = time.monotonic()
    while time.monotonic() - began < STOPPED:
        if not any(_lives(process) for process in processes):
            return round(time.monotonic() - began, 2)
        time.sleep(0.02)
    return None


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def twice(faults: Faults, number: int) -> dict[str, Any]:
    """The same command twice at once."""
    told = {}
    for other in faults.with_and_without:
        name = f"twice-{number}-{other}"
        first, second = faults.start(name, faults.workers, "-1"), faults.start(name, other, "-2")
        for run in (first, second):
            faults.check(name, run)
        ran = Counter(ran_of(first.err) + ran_of(second.err))
        stages = len(json.loads(first.out)["stages"])
        if set(ran.values()) != {1} or len(ran) != stages:
            faults.wrong.append(f"{name}: {stages} stages, ran: {ran}")
        if json.loads(first.out)["cells"] != json.loads(second.out)["cells"]:
            faults.wrong.append(f"{name}: other results")
        told[f"{faults.workers or 'no'} and {other or 'no'} workers"] = [
            len(ran_of(first.err)),
            len(ran_of(second.err)),
        ]
        faults.equal(name, name)
    return told


def signals(faults: Faults, number: int) -> dict[str, Any]:
    """Ctrl-C and SIGTERM: the right exit code, a checkpoint, and the command given again goes on."""
    told = {}
    for workers in faults.with_and_without:
        for which in (signal.SIGINT, signal.SIGTERM):
            name = f"{which.name}-{workers}-{number}"
            run, store = faults.start(name, workers), faults.root / name / "store"
            run.until(lambda store=store: list(store.glob("work/train-*/checkpoint-????????")))  # type: ignore[misc]
            began = time.monotonic()
            (os.killpg if which == signal.SIGINT else os.kill)(run.process, which)
            faults.check(name, run, 128 + which)
            seconds = round(time.monotonic() - began, 2)
            kept = list(store.glob("work/train-*/checkpoint-????????"))
            if not kept or list(store.glob("work/*.lock")) or workers_of(store):
                faults.wrong.append(f"{name}: {len(kept)} checkpoints, {workers_of(store)} left over")
            faults.check(name, faults.start(name, workers))
            faults.equal(name, name)
            told[f"{which.name}, {workers or 'no'} workers"] = seconds
    return told


def full(faults: Faults, number: int) -> dict[str, Any]:
    """A disk that is full for a while, and one that stays so until a stage is given up."""
    told = {}
    for workers in faults.with_and_without:
        for lasting in (False, True):
            name = f"full-{number}-{workers}-{lasting}"
            run, store = faults.start(name, workers), faults.root / name / "store"
            run.until(lambda store=store: list(store.glob("work/train-*/checkpoint-????????")))  # type: ignore[misc]
            faults.full.touch()
            run.until(lambda run=run: "tried again in" in run.err)  # type: ignore[misc]
            if not lasting:
                faults.full.unlink()
            faults.check(name, run, int(lasting))
            faults.full.unlink(missing_ok=True)
            told[f"{name}"] = run.err.count("tried again in")
            if lasting:
                _retry(faults, name, run)
            faults.equal(name, name)
    return told


def _retry(faults: Faults, name: str, run: Run) -> None:
    """What failed is listed with why and a command, which works; then the rest is run."""
    failed = [state for state in json.loads(run.out)["stages"] if state["status"] == "failed"]
    commands = re.findall(r"^retry:  adapter-stilts (.*)$", run.err, re.MULTILINE)
    if not failed or len(commands) != len(failed):
        faults.wrong.append(f"{name}: {len(failed)} failed, told to try again: {commands}")
    for number, command in enumerate(commands):
        faults.check(
            f"{name}: {command}", faults.command(shlex.split(command), faults.root / name, [], f"-{number}")
        )
    faults.check(name, faults.start(name))


def damage(faults: Faults, number: int) -> dict[str, Any]:
    """The bundle that a stage starts from is damaged before it begins: its descendants alone are kept back."""
    name = f"damage-{number}"
    run, store = faults.start(name, faults.workers), faults.root / name / "store"
    path = run.until(lambda: next(store.glob("train-snli-????????????/bundle/*.safetensors"), None))
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    faults.check(name, run, 1)
    states = Counter(state["status"] for state in json.loads(run.out)["stages"])
    if "tried again" in run.err or not states["failed"] or not states["ran"]:
        faults.wrong.append(f"{name}: {states}: {run.err[-1500:]}")
    path.write_bytes(content)
    _retry(faults, name, run)
    faults.equal(name, name)
    return dict(states)


FAULTS: tuple[Callable[[Faults, int], dict[str, Any]], ...] = (
    worker,
    lost,
    driver,
    twice,
    signals,
    full,
    damage,
)


@contextlib.contextmanager
def starving(root: Path, flag: Path) -> Iterator[None]:
    """This process's forks, and the workers that they start, find the disk full while the flag is there."""
    (root / "sitecustomize.py").write_text(FULL, encoding="utf-8")
    os.environ["MATRIX_FAULTS_FULL"] = str(flag)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    fsync = os.fsync

    def starved(handle: int) -> None:
        if flag.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    os.fsync = starved  # type: ignore[assignment]
    yield
    os.fsync = fsync


def main() -> int:
    names = [fault.__name__ for fault in FAULTS]
    parser = argparse.ArgumentParser(description="Do to a matrix what a machine does to it, and compare.")
    parser.add_argument(
        "--data", required=True, help="folder of release files (hellaswag, snli, squad, xquad)"
    )
    parser.add_argument("--base", required=True, help="the encoder: a small one")
    parser.add_argument("--only", default=",".join(names), help=f"faults, by commas [{','.join(names)}]")
    parser.add_argument("--workers", type=int, default=2, help="0 leaves out all that needs some [2]")
    parser.add_argument("--rounds", type=int, default=1, help="of each fault [1]")
    parser.add_argument("--seed", type=int, default=0, help="of the moments [0]")
    parser.add_argument("--out", type=Path, help="write the JSON there, too")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if not options.workers and {"worker", "lost"} & set(chosen):
        parser.error("--workers 0: there is none to kill; leave out worker and lost with --only")
    if unknown := set(chosen) - set(names):
        parser.error(f"--only {','.join(sorted(unknown))}: choices are {', '.join(names)}")
    # Before the first fork, so that no child pays for it.
    import transformers.models.xlm_roberta.modeling_xlm_roberta  # noqa: F401

    import adapter_stilts.matrices
    import adapter_stilts.stages.executors.local

    adapter_stilts.matrices.RETRIES = RETRIES
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        faults = Faults(options, Path(folder))
        with starving(Path(folder), faults.full):
            faults.prepare()
            found = {
                fault.__name__: [fault(faults, number) for number in range(options.rounds)]
                for fault in FAULTS
                if fault.__name__ in chosen
            }
    result = {"steps": STEPS, "rounds": options.rounds, **found, "wrong": faults.wrong}
    result["seconds"] = round(time.perf_counter() - began, 1)
    told = json.dumps(result, indent=2, ensure_ascii=False) + "\n"
    if options.out:
        options.out.write_text(told, encoding="utf-8")
    sys.stdout.write(told)
    return 1 if faults.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
