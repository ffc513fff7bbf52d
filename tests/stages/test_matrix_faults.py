"""What a machine does to a matrix: it ends by itself, says what failed and what to type, and leaves nothing over."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.errors import StageError
from adapter_stilts.matrices import plan_matrix
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.parts import FetchPart
from adapter_stilts.stages.states import StageState
from adapter_stilts.stages.store import Store

ROOT = Path(__file__).resolve().parents[2]
Cli = Callable[..., Any]
Listing = Callable[[Path], list[str]]


@pytest.fixture
def matrix(tiny: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """Arguments of a matrix of two cells whose stages take a moment: the baseline and hellaswag, each to xquad."""
    asked = ("--inter", "none,hellaswag", "--target", "xquad", "--mode", "lora", "--limit-train", "8")
    return lambda *more: ["matrix", *tiny(*asked, *more)[1:]]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries after a moment."""
    monkeypatch.setattr("adapter_stilts.matrices.RETRIES", (0.01, 0.02))


class Disk:
    """A disk that is full for so many flushes, from the first of a stage's commit on."""

    def __init__(self, fsync: Callable[[int], None]) -> None:
        self._fsync, self.full = fsync, 0

    def __call__(self, handle: int) -> None:
        where = os.readlink(f"/proc/self/fd/{handle}")
        if self.full > 0 and re.search(r"/train-hellaswag-\w+\.partial-", where):
            self.full -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        self._fsync(handle)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    found = Disk(os.fsync)
    monkeypatch.setattr(os, "fsync", found)
    return found


def retries(err: str) -> list[str]:
    """The commands that a run tells to try again with, as arguments."""
    return re.findall(r"^retry:  adapter-stilts (.*)$", err, re.MULTILINE)


def test_a_disk_that_is_full_for_a_while_and_one_that_stays_so(
    cli: Cli, matrix: Any, short: None, disk: Disk, listing: Listing, tmp_path: Path
) -> None:
    alone = cli(*matrix("--store", tmp_path / "alone"))
    disk.full = 2
    ran = cli(*matrix())
    assert (ran.code, disk.full) == (0, 0), ran.err
    assert ran.json["cells"] == alone.json["cells"]
    assert (
        len(
            re.findall(
                r"train-hellaswag-\w+ failed: cannot write .*: the disk is full: .*tried again in", ran.err
            )
        )
        == 2
    )
    assert listing(tmp_path / "store") == listing(tmp_path / "alone")

    disk.full = 1000
    ran = cli(*matrix("--store", tmp_path / "other"))
    assert ran.code == 1
    assert 1000 - disk.full == 3  # tried three times
    assert ran.statuses() == ["ran", "ran", "failed", "skipped", "skipped"]
    assert [cell["results"] is not None for cell in ran.json["cells"]] == [True, False]
    assert "failed: train hellaswag: cannot write" in ran.err
    assert "2 stages wait for it" in ran.err
    assert not [name for name in listing(tmp_path / "other") if "partial" in name]
    told = cli("status", tmp_path / "other", "--json").json
    assert [(one["stage"], one["descendants"]) for one in told["failed"]] == [
        (Path(ran.json["stages"][2]["dir"]).name, 2)
    ]
    assert cli("status", tmp_path / "other").out.count("failed: train hellaswag: cannot write") == 1
    disk.full = 0
    (command,) = retries(ran.err)
    again = cli(*shlex.split(command))
    assert again.code == 0, again.err
    assert not (tmp_path / "other" / "failed").exists()
    whole = cli(*matrix("--store", tmp_path / "other"))
    assert whole.statuses() == ["cached", "cached", "cached", "ran", "ran"]
    assert whole.json["cells"] == alone.json["cells"]


def test_what_failed_is_told_where_the_store_cannot_keep_it(
    cli: Cli, matrix: Any, short: None, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk takes no record of the failure either."""
    monkeypatch.setattr(Store, "keep_failure", lambda *_: None)
    disk.full = 1000
    ran = cli(*matrix())
    assert ran.code == 1
    (command,) = retries(ran.err)
    assert Path(ran.json["stages"][2]["dir"]).name in command


def test_a_cause_that_does_not_pass_is_met_once(
    cli: Cli, matrix: Any, short: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss of the intermediate stage is no number."""
    ran = cli(*matrix("--set", "intermediate.learning_rate=1e30"))
    assert ran.code == 1
    assert "tried again in" not in ran.err
    assert ran.statuses() == ["ran", "ran", "failed", "skipped", "skipped"]
    assert ran.json["stages"][2]["error"] in ran.err
    assert len(retries(ran.err)) == 1


def test_a_damaged_bundle_fails_what_starts_from_it_until_it_is_mended(
    cli: Cli, matrix: Any, tmp_path: Path
) -> None:
    first = cli(*matrix())
    trained = next(stage for stage in first.json["stages"] if stage["task"] == "hellaswag")
    for stage in first.json["stages"][3:]:
        for path in sorted(Path(stage["dir"]).rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        Path(stage["dir"]).rmdir()
    (weights,) = Path(trained["dir"]).glob("bundle/*.safetensors")
    content = weights.read_bytes()
    weights.write_bytes(content[:-1])
    ran = cli(*matrix())
    assert ran.code == 1
    assert ran.statuses() == ["cached", "cached", "cached", "failed", "skipped"]
    (command,) = retries(ran.err)
    assert cli(*shlex.split(command)).code == 1  # the cause is still there
    weights.write_bytes(content)
    assert cli(*shlex.split(command)).code == 0
    assert cli(*matrix()).json["cells"] == first.json["cells"]


def test_a_file_system_without_locks_is_told(
    cli: Cli, matrix: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    ran = cli(*matrix())
    assert ran.code == 1
    assert ran.statuses() == ["failed", "skipped", "failed", "skipped", "skipped"]
    why = f"cannot be locked ({os.strerror(errno.ENOLCK)})"
    assert f"{why}: choose another place with --store, on a file system with locks" in ran.err
    assert cli("status", tmp_path / "store").code == 0


def test_a_file_system_without_hard_links_is_none_of_our_business(
    cli: Cli, matrix: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "symlink", refuse)
    assert cli(*matrix()).code == 0


READ_ONLY = """
import builtins, errno, io, os, sys
from adapter_stilts.cli.main import run

store = sys.argv[1]

def refusing(call, writes=lambda *_, **__: True):
    def refuse(path, *more, **named):
        if isinstance(path, (str, os.PathLike)) and os.path.abspath(path).startswith(store) and writes(*more, **named):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return call(path, *more, **named)
    return refuse

for name in ("mkdir", "unlink", "rmdir", "rename", "replace", "utime", "remove"):
    setattr(os, name, refusing(getattr(os, name)))
os.open = refusing(os.open, lambda flags=0, *_, **__: flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
io.open = builtins.open = refusing(io.open, lambda mode="r", *_, **__: not set("wax+").isdisjoint(mode))
code = run(sys.argv[2:])
assert "torch" not in sys.modules
sys.exit(code)
"""


def test_a_finished_store_that_can_only_be_read_answers_without_torch(
    cli: Cli, matrix: Any, tmp_path: Path, listing: Listing
) -> None:
    """With what killed runs left in it, and asked for from another directory than it was made in."""
    first = cli(*matrix())
    store = tmp_path / "store"
    left = Path(first.json["stages"][0]["dir"]).name
    (store / "work" / left).mkdir(parents=True)
    (store / "work" / f"{left}.lock").touch()
    (store / ".store.json.partial-000000-1-0").touch()
    (store / f"{left}.partial-000000-1-0").mkdir()
    os.utime(store / ".store.json.partial-000000-1-0", (0, 0))
    os.utime(store / f"{left}.partial-000000-1-0", (0, 0))
    before = listing(store)
    for verb in ("matrix", "train"):
        asked = (
            matrix()[1:]
            if verb == "matrix"
            else [word for word in matrix()[1:] if word not in ("--inter", "none,hellaswag")]
            + ["--inter", "none"]
        )
        ran = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(store), verb, *asked],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=120,
        )
        assert ran.returncode == 0, ran.stderr
        told = json.loads(ran.stdout)
        assert {stage["status"] for stage in told["stages"]} == {"cached"}
        assert "will not know these results by name: cannot write" in ran.stderr
        if verb == "matrix":
            assert told["plan"] is None
            assert told["cells"] == first.json["cells"]
    assert listing(store) == before


def test_a_plan_of_a_newer_version(cli: Cli, matrix: Any, tmp_path: Path) -> None:
    first = cli(*matrix())
    plan = Path(first.json["plan"])
    newer = plan.with_name("0" * 12 + ".json")
    newer.write_text(json.dumps({**json.loads(plan.read_text()), "schema": 99}))
    for asked in (
        ("status", tmp_path / "store"),
        ("stage", newer, first.json["stages"][0]["key"]),
        ("submit", "--store", tmp_path / "store", "--out", tmp_path / "out"),
    ):
        ran = cli(*asked)
        assert ran.code == 1, asked
        assert f"{newer} has schema 99, this version reads up to 2: upgrade adapter-stilts" in ran.err
    # What a matrix asks for is another plan's, or written anew.
    assert cli(*matrix()).statuses() == ["cached"] * 5
    newer.replace(plan)
    assert cli(*matrix()).json["cells"] == first.json["cells"]
    assert json.loads(plan.read_text())["schema"] == 2


def test_a_store_is_moved_and_the_directory_of_its_plan_gone(
    cli: Cli, matrix: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    monkeypatch.chdir(there)
    first = cli(*matrix("--store", "store"))
    last = Path(first.json["stages"][-1]["dir"])
    metrics = (there / last / "metrics.json").read_bytes()
    (there / last / "metrics.json").unlink()
    monkeypatch.chdir(tmp_path)
    (there / "store").rename(tmp_path / "moved")
    there.rmdir()
    (plan,) = (tmp_path / "moved" / "plans").iterdir()
    assert "5 of 5 stages" in cli("status", tmp_path / "moved").out
    ran = cli("stage", plan, last.name)
    assert ran.code == 0, ran.err
    assert (
        f"note: the plan was made in {there}, which cannot be entered (No such file or directory)" in ran.err
    )
    assert (tmp_path / "moved" / last.name / "metrics.json").read_bytes() == metrics


def test_the_plan_that_was_run_last_is_told_of_also_where_the_clock_was_set_back(
    cli: Cli, matrix: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cli(*matrix("--target", "tatoeba", "--inter", "none"))
    other = cli(*matrix("--target", "udpos", "--inter", "none"))
    assert cli("status", tmp_path / "store", "--json").json["plan"] == other.json["plan"]
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 86400)
    for path in (tmp_path / "store").glob("evaluate-tatoeba-*/metrics.json"):
        path.unlink()
    again = cli(*matrix("--target", "tatoeba", "--inter", "none"))
    assert again.code == 0, again.err
    assert again.json["cells"] == first.json["cells"]
    assert cli("status", tmp_path / "store", "--json").json["plan"] == first.json["plan"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("faketime") is None, reason="no libfaketime: apt-get install faketime")
def test_a_clock_that_was_set_back_two_days_while_a_matrix_was_half_done(
    cli: Cli, matrix: Any, tmp_path: Path, listing: Listing
) -> None:
    alone = cli(*matrix("--store", tmp_path / "alone"))
    assert cli(*matrix("--inter", "none")).code == 0
    before = ["faketime", "-m", "-f", "-2d", sys.executable, "-m", "adapter_stilts"]
    for more in (["--workers", "1"], []):
        ran = subprocess.run([*before, *matrix(*more)], capture_output=True, text=True, timeout=300)
        assert ran.returncode == 0, ran.stderr
        assert [cell["results"] for cell in json.loads(ran.stdout)["cells"]] == [
            cell["results"] for cell in alone.json["cells"]
        ]
    told = subprocess.run([*before, "status", str(tmp_path / "store")], capture_output=True, text=True)
    assert told.stdout.startswith("2 of 2 cells"), told.stdout + told.stderr
    assert {name for name in listing(tmp_path / "store") if not name.startswith("plans/")} == {
        name for name in listing(tmp_path / "alone") if not name.startswith("plans/")
    }


def test_a_failure_that_is_told_late_leaves_nothing(tmp_path: Path, listing: Listing) -> None:
    """A worker is lost after its commit; another process finishes a stage before its failure is written."""
    store, stage = Store(tmp_path), Stage("squad_v1", FetchPart("0"))
    record = {"key": stage.key, "kind": "fetch", "task": "squad_v1", "part": {"bundle": "0"}, "parents": []}
    store.open()
    store.keep_failure(stage, StageError("its worker was lost"))
    assert f"failed/{stage.name}.json" in listing(tmp_path)
    with store.commit(stage, record):
        pass
    store.tidy(stage)
    assert not (tmp_path / "failed").exists()
    store.keep_failure(stage, StageError("its worker was lost"))
    assert not (tmp_path / "failed").exists()
    # And a writer of a failure that was killed.
    (tmp_path / "failed").mkdir()
    left = tmp_path / "failed" / f".{stage.name}.json.partial-000000-1-0"
    left.touch()
    os.utime(left, (0, 0))
    store.sweep()
    assert not left.exists()


class Elsewhere:
    """An executor whose places do nothing."""

    here = False

    def execute(self, *_: Any) -> tuple[StageState, ...]:
        return ()


def test_a_cut_off_encoding_is_swept_whoever_runs_the_stages(
    tiny_base: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADAPTER_STILTS_CACHE", str(tmp_path / "cache"))
    left = tmp_path / "cache" / "features" / "xquad" / "0123.partial-000000-1-0"
    left.mkdir(parents=True)
    os.utime(left, (0, 0))
    study = plan_matrix(
        inter="none", target="xquad", base=tiny_base, data=tiny_data, store=tmp_path / "store"
    )
    assert study.run(executor=Elsewhere()).stages == ()
    assert not left.exists()


@pytest.fixture
def scripted(tiny_base: Path, tiny_data: Path) -> Callable[..., Any]:
    """What the script finds of some faults."""

    def call(workers: int, *faults: str) -> Any:
        ran = subprocess.run(
            [sys.executable, str(ROOT / "scripts" / "matrix_faults.py"), "--data", str(tiny_data), "--base",
             str(tiny_base), "--workers", str(workers), "--only", ",".join(faults)],
            capture_output=True, text=True, timeout=580,
        )  # fmt: skip
        found = json.loads(ran.stdout)
        assert (ran.returncode, found["wrong"]) == (0, []), ran.stderr
        return found

    return call


@pytest.mark.slow
def test_a_worker_killed_in_each_kind_of_stage_and_the_driver(scripted: Callable[..., Any]) -> None:
    """The whole: scripts/matrix_faults.py without --only, with more --rounds."""
    found = scripted(2, "worker", "driver")
    assert set(found["worker"][0]["killed"]) <= {"train", "fetch", "compose", "evaluate", "too late"}
    assert found["worker"][0]["noticed"] >= 2
    assert found["driver"][0]["workers"] > 0


@pytest.mark.slow
def test_one_command_twice_at_once_and_stopped_by_signals(scripted: Callable[..., Any]) -> None:
    found = scripted(0, "twice", "signals")
    (ran,) = found["twice"][0].values()
    assert sum(ran) == 12
    assert set(found["signals"][0]) == {"SIGINT, no workers", "SIGTERM, no workers"}
