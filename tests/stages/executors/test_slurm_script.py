"""The scripts of a dry run, as text and as a shell runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from adapter_stilts.stages.executors import slurm_arrays
from adapter_stilts.stages.executors.slurm import write_scripts
from adapter_stilts.stages.executors.slurm_options import SlurmOptions, parse_options

GRAPH = {"mnli": [], "qqp": [], "xquad": ["mnli"], "merge": ["mnli", "qqp"]}
OPTIONS = SlurmOptions("12:00:00", array=8, partition="gpu", constraint="a100|h100", cpus_per_task=4)

# Write down how they were called; FAILS names the call that fails.
COMMAND = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
case "$(basename "$0") $*" in *"$FAILS"*) exit 1 ;; esac
case "$(basename "$0")" in
    sbatch) echo "$(grep -c ^sbatch "$CALLS")00;cluster" ;;
    squeue) echo "$QUEUE" ;;
esac
"""


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., tuple[subprocess.CompletedProcess[str], list[str]]]:
    """Run a script among commands that write down how they were called; what it printed, and those calls."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sbatch", "scontrol", "scancel", "squeue", "srun"):
        (folder / name).write_text(COMMAND, encoding="utf-8")
        (folder / name).chmod(0o755)

    def run(script: Path, **env: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        calls = tmp_path / "calls"
        calls.write_text("", encoding="utf-8")
        path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        given = {"CALLS": str(calls), "PATH": path, "FAILS": "no such call", "QUEUE": "", **env}
        ran = subprocess.run(["bash", script], capture_output=True, text=True, env={**os.environ, **given})
        return ran, calls.read_text(encoding="utf-8").splitlines()

    return run


def test_the_batch_script_says_all_of_its_array(make_plan: Callable[..., Path]) -> None:
    plan = make_plan(GRAPH)
    submit, script = write_scripts(plan, OPTIONS)
    folder = plan.parent.parent / "slurm"
    assert submit == folder / "0123456789ab" / "submit.sh"
    assert script == folder / "0123456789ab" / "array-0.sh"
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert lines[1 : lines.index("")] == [
        "#SBATCH --job-name=adapter-stilts",
        "#SBATCH --array=0-3%8",
        f"#SBATCH --output={folder}/%A_%a.out",
        "#SBATCH --comment=adapter-stilts:0123456789ab",
        "#SBATCH --hold",
        "#SBATCH --kill-on-invalid-dep=yes",
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks=1",
        "#SBATCH --open-mode=append",
        "#SBATCH --requeue",
        "#SBATCH --signal=USR2@120",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --partition=gpu",
        "#SBATCH --constraint='a100|h100'",
        "#SBATCH --time=12:00:00",
    ]
    assert lines[lines.index("stages=(") + 1 : lines.index(")")] == [
        "    mnli  # 0",
        "    qqp  # 1",
        "    xquad  # 2",
        "    merge  # 3",
    ]
    assert "export SRUN_CPUS_PER_TASK=4" in lines
    assert lines[-1] == f"    -- {sys.executable} -m adapter_stilts stage"


def test_without_a_throttle_the_cluster_decides(make_plan: Callable[..., Path]) -> None:
    _, script = write_scripts(make_plan(GRAPH), SlurmOptions("60"))
    text = script.read_text(encoding="utf-8")
    assert "#SBATCH --array=0-3\n" in text
    assert "cpus" not in text.lower()


def test_a_shell_understands_both(make_plan: Callable[..., Path]) -> None:
    for script in write_scripts(make_plan(GRAPH), OPTIONS):
        ran = subprocess.run(["bash", "-n", script], capture_output=True, text=True)
        assert (ran.returncode, ran.stderr) == (0, "")
    assert os.access(write_scripts(make_plan(GRAPH), OPTIONS)[0], os.X_OK)


def test_submit_ties_the_tasks_of_a_held_array_and_releases_it(
    make_plan: Callable[..., Path], shell: Callable[..., tuple[subprocess.CompletedProcess[str], list[str]]]
) -> None:
    submit, script = write_scripts(make_plan(GRAPH), OPTIONS)
    ran, calls = shell(submit)
    assert (ran.returncode, ran.stdout.split()) == (0, ["100"])
    assert calls[1:] == [
        f"sbatch --parsable {script}",
        "scontrol update JobId=100_0 JobName=mnli",
        "scontrol update JobId=100_1 JobName=qqp",
        "scontrol update JobId=100_2 JobName=xquad Dependency=afterok:100_0",
        "scontrol update JobId=100_3 JobName=merge Dependency=afterok:100_0:100_1",
        "scontrol release 100_0,100_1,100_2,100_3",
    ]


def test_a_refusal_leaves_nothing_in_the_queue(
    make_plan: Callable[..., Path],
    shell: Callable[..., tuple[subprocess.CompletedProcess[str], list[str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slurm_arrays, "ARRAY_TASKS", 2)
    submit, *scripts = write_scripts(make_plan(GRAPH), OPTIONS)
    assert len(scripts) == 2
    ran, calls = shell(submit, FAILS="JobName=xquad")
    assert ran.returncode != 0
    assert calls[-1] == "scancel 100 200"
    assert not any(call.startswith("scontrol release") for call in calls)
    ran, calls = shell(submit, FAILS="array-1.sh")
    assert ran.returncode != 0
    assert calls[-1] == "scancel 100"


def test_what_is_queued_is_not_queued_twice(
    make_plan: Callable[..., Path], shell: Callable[..., tuple[subprocess.CompletedProcess[str], list[str]]]
) -> None:
    submit, _ = write_scripts(make_plan(GRAPH), OPTIONS)
    ran, calls = shell(submit, QUEUE="adapter-stilts:0123456789ab")
    assert ran.returncode == 1
    assert "in the queue already" in ran.stderr
    assert [call.split()[0] for call in calls] == ["squeue"]
    ran, _ = shell(submit, QUEUE="adapter-stilts:ba9876543210")
    assert ran.returncode == 0


def test_the_array_runs_the_stage_of_its_number(
    make_plan: Callable[..., Path], shell: Callable[..., tuple[subprocess.CompletedProcess[str], list[str]]]
) -> None:
    plan = make_plan(GRAPH)
    prefix = "command_prefix='accelerate launch --module'"
    _, script = write_scripts(plan, parse_options(["time=60", prefix]))
    _, calls = shell(script, SLURM_ARRAY_TASK_ID="2")
    assert calls == [
        f"srun --unbuffered {sys.executable} -m adapter_stilts.stages.executors.stage_job {plan} xquad "
        "-- accelerate launch --module adapter_stilts stage"
    ]


def test_a_finished_plan_writes_nothing(
    make_plan: Callable[..., Path], finish: Callable[..., None], tmp_path: Path
) -> None:
    plan = make_plan({"mnli": []})
    finish("mnli")
    assert write_scripts(plan, OPTIONS) == ()
    assert not (tmp_path / "store" / "slurm").exists()


def test_the_page_shows_what_is_written(make_plan: Callable[..., Path]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "clusters.md").read_text(encoding="utf-8")
    shown, tied = re.findall(r"^```bash\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    names = re.findall(r"^    (\S+)  # \d+$", shown, re.MULTILINE)
    mnli, alone, after, *evaluations = names
    plan = make_plan({mnli: [], alone: [], after: [mnli], evaluations[0]: [alone], evaluations[1]: [after]})
    submit, script = write_scripts(plan, parse_options(["partition=gpu,gres=gpu:1,time=12:00:00,array=8"]))
    text = script.read_text(encoding="utf-8").replace(str(plan.parent.parent), "/home/me/runs")
    assert text.replace(sys.executable, "/home/me/venv/bin/python") == shown
    assert tied in submit.read_text(encoding="utf-8")
