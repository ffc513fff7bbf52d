"""A real Slurm of this machine alone: one array with a throttle, dependencies, signals, jobs queued again.

Skipped where Slurm is missing, or this is not root (which `tests/slurm_one_node.py` needs).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapter_stilts.errors import AdapterStiltsError, UsageError
from adapter_stilts.stages.executors import slurm
from adapter_stilts.stages.executors.slurm import submit, write_scripts
from adapter_stilts.stages.executors.slurm_options import SlurmOptions, parse_options

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

ONE_NODE = Path(__file__).parents[2] / "slurm_one_node.py"
TOOLS = ("sbatch", "srun", "slurmctld", "slurmd", "munged")
Told = Callable[[], list[tuple[str, str, int, float]]]
Queue = Callable[[], dict[str, tuple[str, str]]]

# `qqp` fails; what starts from it may not run. `squad` takes long enough to be stopped.
GRAPH = {
    "squad": [],
    "qqp": [],
    "mnli": [],
    "squad-xquad": ["squad"],
    "squad-mlqa": ["squad"],
    "qqp-pawsx": ["qqp"],
    "merge": ["squad", "qqp"],
    "squad-xquad-e": ["squad-xquad"],
    "qqp-pawsx-e": ["qqp-pawsx"],
    "mnli-e": ["mnli"],
}
ABOUT = {"squad": {"steps": 160}, "qqp": {"steps": 20, "fails": True}}
RUN = {"squad", "mnli", "squad-xquad", "squad-mlqa", "squad-xquad-e", "mnli-e"}
THROTTLE = 2


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    if lacking := [
        name for name in TOOLS if shutil.which(name) is None and not Path("/usr/sbin", name).exists()
    ]:
        pytest.skip(f"no {', '.join(lacking)}: apt-get install slurmctld slurmd slurm-client munge")
    if os.getuid() != 0:
        pytest.skip("a Slurm of one machine is started by root alone")
    folder = tmp_path_factory.mktemp("slurm")
    path = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", path)
        patch.setenv("PYTHONPATH", str(ONE_NODE.parents[1]) + os.pathsep + os.environ.get("PYTHONPATH", ""))
        subprocess.run([sys.executable, ONE_NODE, "start", folder], check=True, stdout=subprocess.DEVNULL)
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        try:
            yield
        finally:
            subprocess.run([sys.executable, ONE_NODE, "stop", folder], check=True)


@pytest.fixture
def queue(cluster: None) -> Iterator[Queue]:
    """The jobs in the queue: a stage's name -> its job and state. Ends with none."""

    def read() -> dict[str, tuple[str, str]]:
        text = slurm_says("squeue", "--noheader", "--format", "%j %i %T")
        return {name: (job, state) for name, job, state in (line.split() for line in text.splitlines())}

    yield read
    slurm_says("scancel", "--user", str(os.getuid()))
    until(lambda: not read())


@pytest.fixture
def options(verb: str) -> SlurmOptions:
    return parse_options([f"time=30,array={THROTTLE},cpus_per_task=1,command_prefix={verb!r}"])


def slurm_says(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def until(true: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def submit_by(how: str, plan: Path, options: SlurmOptions) -> None:
    if how == "submitit":
        pytest.importorskip("submitit", reason="no submitit: pip install -e '.[slurm]'")
        submit(plan, options)
    else:
        subprocess.run([write_scripts(plan, options)[0]], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("how", ["script", "submitit"])
@pytest.mark.parametrize("signal", ["USR2", "TERM"])
def test_a_plan_with_a_failure_and_a_stop(
    how: str, signal: str, make_plan: Callable[..., Path], options: SlurmOptions, told: Told, queue: Queue
) -> None:
    plan = make_plan(GRAPH, ABOUT)
    submit_by(how, plan, options)
    if how == "submitit":
        with pytest.raises(UsageError, match="is in the queue already, as job"):
            submit(plan, options)
    until(lambda: ("began", "squad") in [each[:2] for each in told()])
    until(lambda: "qqp" not in queue())
    job, _ = queue()["squad"]
    slurm_says("scancel", f"--signal={signal}", job)
    until(lambda: queue()["squad"] == (job, "PENDING"))
    until(lambda: not {"merge", "qqp-pawsx", "qqp-pawsx-e"} & queue().keys())
    until(lambda: not queue())

    assert {each[1] for each in told()[:THROTTLE]} == {"squad", "qqp"}, "those with the longest chains begin"
    finished = [each[1] for each in told() if each[0] == "finished"]
    assert sorted(finished) == sorted(RUN)
    for stage in RUN:
        assert not [name for name in GRAPH[stage] if finished.index(name) > finished.index(stage)]
    began, stopped, again, end = (each for each in told() if each[1] == "squad")
    assert (began[0], stopped[0], again[0], end[0]) == ("began", "stopped", "began", "finished")
    assert (began[2], again[2], end[2]) == (0, stopped[2], 160)
    assert stopped[2] > 0
    assert most_at_once(told()) == THROTTLE


def most_at_once(told: list[tuple[str, str, int, float]]) -> int:
    running, most = 0, 0
    for each in sorted(told, key=lambda each: each[3]):
        running += 1 if each[0] == "began" else -1
        most = max(most, running)
    return most


def test_what_its_user_cancels_does_not_come_back(
    make_plan: Callable[..., Path], options: SlurmOptions, told: Told, queue: Queue
) -> None:
    submit_by("script", make_plan({"mnli": []}, {"mnli": {"steps": 2000}}), options)
    until(lambda: bool(told()))
    slurm_says("scancel", queue()["mnli"][0])
    until(lambda: not queue(), seconds=30)
    time.sleep(1)
    assert not queue()
    assert [each[0] for each in told()] == ["began", "stopped"]


def test_one_stage_alone(
    make_plan: Callable[..., Path], options: SlurmOptions, told: Told, queue: Queue
) -> None:
    pytest.importorskip("submitit", reason="no submitit: pip install -e '.[slurm]'")
    plan = make_plan({"mnli": []})
    submitted = submit(plan, options)
    until(lambda: not queue())
    assert [each[0] for each in told()] == ["began", "finished"]
    assert f"mnli of {plan}" in submitted.log("mnli").read_text(encoding="utf-8")
    assert submit(plan, options).jobs == {}


def test_a_refusal_is_told_and_leaves_nothing(
    make_plan: Callable[..., Path],
    options: SlurmOptions,
    queue: Queue,
    verb: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("submitit", reason="no submitit: pip install -e '.[slurm]'")
    plan = make_plan(GRAPH)
    with pytest.raises(AdapterStiltsError, match=r"sbatch refused the plan: .*[Ii]nvalid partition"):
        submit(plan, parse_options(["time=30,partition=nowhere"]))
    monkeypatch.setattr(slurm, "updates", lambda *_: iter([["scontrol", "update", "JobId=1_99999"]]))
    with pytest.raises(AdapterStiltsError, match="scontrol update JobId=1_99999 failed"):
        submit(plan, options)
    until(lambda: not queue(), seconds=20)
