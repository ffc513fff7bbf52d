"""The examples for other schedulers, where these are installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.skipif(shutil.which("snakemake") is None, reason="no snakemake: pip install snakemake")
def test_snakemake_runs_each_stage_once_and_after_its_parents(tmp_path: Path) -> None:
    parents = {"mnli": [], "qqp": [], "xquad": ["mnli"], "merge": ["mnli", "qqp"], "merge-e": ["merge"]}
    plan = tmp_path / "runs" / "plans" / "plan.json"
    plan.parent.mkdir(parents=True)
    stages = [{"name": name, "parents": before} for name, before in parents.items()]
    plan.write_text(json.dumps({"schema": 2, "stages": stages}), encoding="utf-8")
    command = tmp_path / "bin" / "adapter-stilts"
    command.parent.mkdir()
    # `qqp` fails in the first round.
    command.write_text(
        f'#!/bin/sh\n[ "$3" = qqp ] && [ -n "$FAILS" ] && exit 1\necho "$1 $2 $3" >> {tmp_path}/told\n',
        encoding="utf-8",
    )
    command.chmod(0o755)
    words = ["snakemake", "--snakefile", EXAMPLES / "Snakefile", "--config", "plan=runs/plans/plan.json"]
    env = {**os.environ, "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"}
    for fails, code in (("1", 1), ("", 0)):
        ran = subprocess.run(
            [*words, "--cores", "2", "--keep-going"],
            cwd=tmp_path,
            env={**env, "FAILS": fails},
            capture_output=True,
        )
        assert ran.returncode == code, ran.stderr
        lines = (tmp_path / "told").read_text(encoding="utf-8").splitlines()
        told = [line.removeprefix("stage runs/plans/plan.json ") for line in lines]
        assert sorted(told) == sorted({"mnli", "xquad"} if fails else parents)
    assert all(told.index(before) < told.index(name) for name in told for before in parents[name])


def test_the_rented_machine_runs_a_command_of_ours() -> None:
    task = yaml.safe_load((EXAMPLES / "sky.yaml").read_text(encoding="utf-8"))
    assert task["run"] == "adapter-stilts $COMMAND"
    words = task["envs"]["COMMAND"].split()
    assert words[0] == "matrix"
    assert words[words.index("--store") + 1] in task["volumes"]


def test_skypilot_takes_the_task() -> None:
    pytest.importorskip("sky", reason="no SkyPilot: pip install skypilot")
    code = f"import sky; print(sky.Task.from_yaml({str(EXAMPLES / 'sky.yaml')!r}).name)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1:] == ["adapter-stilts"], ran.stderr
