"""Submission where there is nothing to submit to, or nothing to submit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from adapter_stilts.errors import UsageError
from adapter_stilts.stages.executors.slurm import submit
from adapter_stilts.stages.executors.slurm_options import SlurmOptions


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of commands: none yet."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def add(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (folder / name).chmod(0o755)


def test_without_slurm_the_scripts_are_offered(make_plan: Callable[..., Path], commands: Path) -> None:
    add(commands, "srun", "squeue")
    with pytest.raises(UsageError) as caught:
        submit(make_plan({"mnli": []}), SlurmOptions("60"))
    assert "there is no sbatch, scontrol here" in str(caught.value)
    assert "write the scripts with --dry-run" in str(caught.value)


def test_without_submitit_its_install_is_told(
    make_plan: Callable[..., Path], commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(commands, "sbatch", "srun", "scontrol", "squeue")
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UsageError, match=r"pip install 'adapter-stilts\[slurm\]'"):
        submit(make_plan({"mnli": []}), SlurmOptions("60"))


def test_a_finished_plan_asks_no_cluster(
    make_plan: Callable[..., Path], finish: Callable[..., None], commands: Path
) -> None:
    plan = make_plan({"mnli": []})
    finish("mnli")
    submitted = submit(plan, SlurmOptions("60"))
    assert submitted.jobs == {}
    assert submitted.logs == plan.parent.parent / "slurm"
