"""One job: what it runs, how it stops, when it is queued again. Processes and signals are real."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from adapter_stilts.errors import AdapterStiltsError
from adapter_stilts.stages.executors import stage_job
from adapter_stilts.stages.executors.stage_job import StageJob

Told = Callable[[], list[tuple[str, str, int, float]]]


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """The environment of a job, with commands that write down how they were called; those calls so far."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    for name in ("scontrol", "squeue"):
        text = f'#!/bin/sh\necho "{name} $*" >> {calls}\n[ {name} = squeue ] && echo "$STATE"\nexit 0\n'
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    return lambda: calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []


def stopped_and_queued_again(job: StageJob) -> None:
    """Run a job that is told to stop after a while."""
    before = signal.signal(signal.SIGALRM, lambda number, frame: job.stop())
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    try:
        with pytest.raises(AdapterStiltsError, match="mnli was stopped: job 4711 is queued again"):
            job()
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def start(verb: str) -> Callable[..., subprocess.Popen[str]]:
    """The process of a job, in a group of its own as a step of Slurm is."""

    def call(plan: Path, stage: str, **env: str) -> subprocess.Popen[str]:
        module = ["-m", "adapter_stilts.stages.executors.stage_job"]
        words = [sys.executable, *module, str(plan), stage, "--", *verb.split(), "adapter_stilts", "stage"]
        return subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **env}
        )

    return call


def wait_for(told: Told, word: str, times: int = 1) -> None:
    deadline = time.monotonic() + 30
    while sum(each[0] == word for each in told()) < times:
        assert time.monotonic() < deadline, told()
        time.sleep(0.02)


def words(told: Told) -> list[tuple[str, str]]:
    return [each[:2] for each in told()]


def test_a_job_runs_its_stage_and_fails_with_it(
    make_plan: Callable[..., Path], verb: str, told: Told
) -> None:
    plan = make_plan({"mnli": [], "xquad": ["mnli"]}, {"xquad": {"fails": True}})
    command = (*verb.split(), "adapter_stilts", "stage")
    StageJob(str(plan), "mnli", command)()
    with pytest.raises(AdapterStiltsError, match="xquad failed with exit code 1"):
        StageJob(str(plan), "xquad", command)()
    assert words(told) == [("began", "mnli"), ("finished", "mnli"), ("began", "xquad"), ("failed", "xquad")]


def test_a_job_is_the_same_after_pickling() -> None:
    job: StageJob = pickle.loads(pickle.dumps(StageJob("plan.json", "mnli", ["stage"])))
    assert (job.plan, job.stage, job.command) == ("plan.json", "mnli", ("stage",))


def test_the_signal_stops_with_a_checkpoint_and_queues_again(
    make_plan: Callable[..., Path],
    start: Callable[..., subprocess.Popen[str]],
    told: Told,
    slurm: Callable[[], list[str]],
) -> None:
    plan = make_plan({"mnli": []}, {"mnli": {"steps": 40}})
    process = start(plan, "mnli")
    wait_for(told, "began")
    time.sleep(0.3)
    process.send_signal(signal.SIGUSR2)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"mnli of {plan}" in out
    assert "job 4711 is queued again, and goes on from its last checkpoint" in err
    assert slurm() == ["scontrol requeue 4711"]
    (_, stopped) = told()
    assert stopped[0] == "stopped"
    # Queued again: it goes on from that step, and ends.
    again = start(plan, "mnli")
    again.communicate(timeout=30)
    assert again.returncode == 0
    assert [each[:3] for each in told()[2:]] == [("began", "mnli", stopped[2]), ("finished", "mnli", 40)]
    assert slurm() == ["scontrol requeue 4711"]


@pytest.mark.parametrize(
    ("state", "queued", "leaves"),
    [("RUNNING", True, 143), ("RUNNING", True, 1), ("COMPLETING", False, 143), ("CANCELLED", False, 143)],
)
def test_sigterm_to_all_queues_again_what_slurm_lets_run(
    state: str,
    queued: bool,
    leaves: int,
    make_plan: Callable[..., Path],
    start: Callable[..., subprocess.Popen[str]],
    told: Told,
    slurm: Callable[[], list[str]],
) -> None:
    """Slurm's signals reach every process of a step: the stage is to hear one alone. A cancelled job stays away.

    A launcher leaves with 1 when it was stopped.
    """
    plan = make_plan({"mnli": []}, {"mnli": {"steps": 400, "leaves": leaves}})
    process = start(plan, "mnli", STATE=state)
    wait_for(told, "began")
    for pid in [process.pid, *children(process.pid)]:
        os.kill(pid, signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert [each[0] for each in told()] == ["began", "stopped"]
    asked = "squeue --noheader --jobs 4711 --format %T"
    assert slurm() == ([asked, "scontrol requeue 4711"] if queued else [asked])
    assert (f"Slurm says {state}" in err) is not queued


def test_usr2_to_all_leaves_the_stage_alone(
    make_plan: Callable[..., Path],
    start: Callable[..., subprocess.Popen[str]],
    told: Told,
    slurm: Callable[[], list[str]],
) -> None:
    process = start(make_plan({"mnli": []}, {"mnli": {"steps": 400}}), "mnli")
    wait_for(told, "began")
    for pid in [*children(process.pid), process.pid]:
        os.kill(pid, signal.SIGUSR2)
    process.communicate(timeout=30)
    assert [each[0] for each in told()] == ["began", "stopped"]
    assert slurm() == ["scontrol requeue 4711"]


def test_a_launcher_that_ends_first_is_no_end(
    make_plan: Callable[..., Path], verb: str, told: Told, slurm: Callable[[], list[str]]
) -> None:
    """What it started writes its checkpoint before the job is queued again."""
    plan = make_plan({"mnli": []}, {"mnli": {"steps": 400, "writes": 1.0}})
    launcher = ("sh", "-c", '"$@"; exit $?', "sh")
    job = StageJob(str(plan), "mnli", (*launcher, *verb.split(), "adapter_stilts", "stage"))
    stopped_and_queued_again(job)
    assert [each[0] for each in told()] == ["began", "stopped"]
    assert slurm() == ["scontrol requeue 4711"]


def test_a_stage_that_does_not_stop_is_killed_and_queued_again(
    make_plan: Callable[..., Path],
    verb: str,
    slurm: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    told: Told,
) -> None:
    monkeypatch.setattr(stage_job, "STOP_SECONDS", 0.5)
    plan = make_plan({"mnli": []}, {"mnli": {"steps": 4000, "deaf": True}})
    job = StageJob(str(plan), "mnli", (*verb.split(), "adapter_stilts", "stage"))
    stopped_and_queued_again(job)
    assert [each[0] for each in told()] == ["began"]
    assert slurm() == ["scontrol requeue 4711"]


def test_a_stage_that_gets_nowhere_is_not_queued_for_ever(
    make_plan: Callable[..., Path],
    start: Callable[..., subprocess.Popen[str]],
    told: Told,
    slurm: Callable[[], list[str]],
) -> None:
    process = start(make_plan({"mnli": []}, {"mnli": {"steps": 400}}), "mnli", SLURM_RESTART_COUNT="100")
    wait_for(told, "began")
    process.send_signal(signal.SIGUSR2)
    _, err = process.communicate(timeout=30)
    assert "it was queued again 100 times and is not finished; give it more time" in err
    assert slurm() == []


def test_outside_of_slurm_a_stop_says_how_to_go_on(
    make_plan: Callable[..., Path],
    start: Callable[..., subprocess.Popen[str]],
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    process = start(make_plan({"mnli": []}, {"mnli": {"steps": 400}}), "mnli")
    wait_for(told, "began")
    process.send_signal(signal.SIGUSR2)
    _, err = process.communicate(timeout=30)
    assert "mnli was stopped: the same command goes on from its last checkpoint" in err


def children(pid: int) -> list[int]:
    """The processes that a process started, and those that these started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [each for child in map(int, found) for each in (child, *children(child))]
