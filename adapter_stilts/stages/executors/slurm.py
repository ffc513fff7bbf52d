"""The Slurm executor: what a plan still has to run, as job arrays whose tasks depend on one another.

How the graph becomes arrays stands in `slurm_arrays.py`, what a job does on signals in `stage_job.py`. Nothing is kept
but the store: what is finished is seen there, and what is queued in Slurm's own queue, by the comment of its jobs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter_stilts.errors import AdapterStiltsError, UsageError
from adapter_stilts.io import INSTEAD, disk_errors, write_text
from adapter_stilts.stages.executors.slurm_arrays import MissingStages, Task, missing_stages
from adapter_stilts.stages.executors.slurm_options import SIGNAL_SECONDS, SlurmOptions, parse_options
from adapter_stilts.stages.executors.slurm_script import (
    SUBMIT,
    batch_script,
    flags,
    release,
    setup,
    submit_script,
    updates,
)
from adapter_stilts.stages.executors.stage_job import MAX_REQUEUES, StageJob

_NEEDED = ("sbatch", "srun", "scontrol", "squeue")


@dataclass(frozen=True)
class Submitted:
    """What Slurm was given.

    Args:
        jobs: a stage's name -> its job, such as ``4711_3``; empty where the store holds every stage.
        logs: the folder of what they print, by array and task.
    """

    jobs: dict[str, str]
    logs: Path

    def log(self, stage: str) -> Path:
        """The file of what a stage prints."""
        return self.logs / f"{self.jobs[stage]}_0_log.out"


def build(slurm: Sequence[str]) -> SlurmOptions:
    """What the command line's flags ask of Slurm, which is a queue: what is given to it is not waited for.

    Raises:
        UsageError: a key or a value that there is not, or no time.
    """
    return parse_options(slurm)


def write_scripts(plan: Path, options: SlurmOptions) -> tuple[Path, ...]:
    """Write what submits a plan by hand, into ``<store>/slurm/<plan>/``; nothing is submitted.

    Args:
        plan: a plan file of a store.

    Returns:
        ``submit.sh``, then a batch script an array; nothing where the store holds every stage.

    Raises:
        StoreError: the plan cannot be read, or the store not written.
    """
    missing = missing_stages(plan)
    if not missing.tasks:
        return ()
    folder = missing.logs / missing.plan.stem
    with disk_errors(folder, INSTEAD):
        folder.mkdir(parents=True, exist_ok=True)
    scripts = []
    for number, tasks in enumerate(missing.arrays()):
        scripts.append(folder / f"array-{number}.sh")
        write_text(scripts[-1], batch_script(missing, tasks, options), INSTEAD)
    submit = folder / SUBMIT
    write_text(submit, submit_script(missing, options, scripts), INSTEAD)
    submit.chmod(0o755)
    return (submit, *scripts)


def submit(plan: Path, options: SlurmOptions) -> Submitted:
    """Queue what a plan still has to run, through submitit, and return at once.

    Args:
        plan: a plan file of a store that the cluster's nodes see, too.

    Raises:
        UsageError: no Slurm, or no submitit, is here; or the plan is in the queue already.
        AdapterStiltsError: Slurm refused; then nothing of the plan is left in the queue.
        StoreError: the plan cannot be read, or the store not written.
    """
    missing = missing_stages(plan)
    if not missing.tasks:
        return Submitted({}, missing.logs)
    _check_tools()
    if queued := _queued(missing):
        raise UsageError(
            f"{plan} is in the queue already, as job {', '.join(queued)}: wait for it (`squeue --me`), or take it away "
            f"with `scancel {' '.join(queued)}` and run the same command again"
        )
    with disk_errors(missing.logs, INSTEAD):
        missing.logs.mkdir(parents=True, exist_ok=True)
    arrays: list[str] = []
    jobs: dict[str, str] = {}
    try:
        for tasks in missing.arrays():
            ids = _submit_array(missing, tasks, options)
            arrays.append(ids[0].partition("_")[0])
            jobs |= {task.stage: job for task, job in zip(tasks, ids, strict=True)}
        for words in updates(missing, arrays, options.array is not None):
            _run(words)
        _run(release(missing, arrays))
    except BaseException:
        if arrays:
            subprocess.run(["scancel", *arrays], capture_output=True)
        raise
    return Submitted(jobs, missing.logs)


def _submit_array(missing: MissingStages, tasks: Sequence[Task], options: SlurmOptions) -> list[str]:
    """The job ids of a held array's tasks."""
    import submitit

    more: dict[str, Any] = flags(missing, options)
    executor = submitit.SlurmExecutor(missing.logs, max_num_timeout=MAX_REQUEUES)
    executor.update_parameters(
        job_name="adapter-stilts",
        time=options.minutes,
        array_parallelism=options.array or len(tasks),
        signal_delay_s=SIGNAL_SECONDS,
        stderr_to_stdout=True,
        setup=list(setup(options)),
        additional_parameters=more,
    )
    try:
        queued = executor.submit_array(
            [StageJob(str(missing.plan), task.stage, options.command) for task in tasks]
        )
    except submitit.core.utils.FailedJobError as error:
        raise AdapterStiltsError(f"sbatch refused the plan: {_last_line(str(error))}") from error
    return [str(job.job_id) for job in queued]


def _check_tools() -> None:
    """Raises UsageError where Slurm's commands or submitit are missing."""
    if lacking := [name for name in _NEEDED if shutil.which(name) is None]:
        raise UsageError(
            f"--executor slurm: there is no {', '.join(lacking)} here: run the command where the cluster takes jobs "
            "from, or write the scripts with --dry-run"
        )
    try:
        import submitit  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "--executor slurm needs submitit: pip install 'adapter-stilts[slurm]'; or write the scripts with --dry-run"
        ) from error


def _queued(missing: MissingStages) -> list[str]:
    """The arrays of a plan that are in the queue."""
    words = ["squeue", "--noheader", "--user", str(os.getuid()), "--format", "%F %k"]
    lines = (line.partition(" ") for line in _run(words).splitlines())
    return list(dict.fromkeys(job for job, _, comment in lines if comment.strip() == missing.label))


def _run(words: list[str]) -> str:
    """What a command of Slurm's prints. Raises AdapterStiltsError with its own words where it fails."""
    ran = subprocess.run(words, capture_output=True, text=True)
    if ran.returncode != 0:
        raise AdapterStiltsError(f"{' '.join(words)} failed: {_last_line(ran.stderr)}")
    return ran.stdout


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[-1]
