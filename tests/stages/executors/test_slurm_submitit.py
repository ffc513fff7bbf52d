"""Jobs as submitit runs them, by its local executor: pickled, in processes of their own, stopped and started again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from adapter_stilts.stages.executors.slurm_arrays import missing_stages
from adapter_stilts.stages.executors.stage_job import StageJob

submitit = pytest.importorskip("submitit", reason="no submitit: pip install -e '.[slurm]'")

Told = Callable[[], list[tuple[str, str, int, float]]]


@pytest.fixture
def job(verb: str) -> Callable[[Path, str], StageJob]:
    return lambda plan, stage: StageJob(str(plan), stage, (*verb.split(), "adapter_stilts", "stage"))


def test_the_stages_of_a_plan_one_after_another(
    make_plan: Callable[..., Path], job: Callable[[Path, str], StageJob], told: Told, tmp_path: Path
) -> None:
    graph = {"mnli": [], "qqp": [], "xquad": ["qqp"]}
    plan = make_plan(graph, {"mnli": {"fails": True}})
    executor = submitit.LocalExecutor(tmp_path / "logs")
    for task in missing_stages(plan).tasks:
        ran = executor.submit(job(plan, task.stage))
        if task.stage == "mnli":
            assert "mnli failed with exit code 1" in str(ran.exception())
        else:
            assert ran.result() is None
    assert {each[1] for each in told() if each[0] == "finished"} == {"qqp", "xquad"}
    assert [task.stage for task in missing_stages(plan).tasks] == ["mnli"]


def test_a_job_that_is_interrupted_goes_on_from_its_checkpoint(
    make_plan: Callable[..., Path], job: Callable[[Path, str], StageJob], told: Told, tmp_path: Path
) -> None:
    plan = make_plan({"mnli": []}, {"mnli": {"steps": 60}})
    executor = submitit.LocalExecutor(tmp_path / "logs", max_num_timeout=100)
    executor.update_parameters(timeout_min=2)
    ran = executor.submit(job(plan, "mnli"))
    deadline = time.monotonic() + 60
    while not told():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    # submitit numbers a local job by the process that watches it; the job itself is that one's child.
    (process,) = children(int(ran.job_id))
    os.kill(process, signal.SIGUSR2)
    assert ran.result() is None
    began, stopped, again, finished = told()
    assert [each[0] for each in (began, stopped, again, finished)] == [
        "began",
        "stopped",
        "began",
        "finished",
    ]
    assert 0 < stopped[2] < 60
    assert again[2] == stopped[2]
    assert finished[2] == 60


def children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()))
