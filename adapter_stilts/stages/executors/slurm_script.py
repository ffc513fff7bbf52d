"""What is handed to Slurm: a batch script an array, and the commands that tie their tasks together."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from adapter_stilts.stages.executors.slurm_arrays import MissingStages, Task
from adapter_stilts.stages.executors.slurm_options import SIGNAL, SIGNAL_SECONDS, SlurmOptions

SUBMIT = "submit.sh"
_JOB = "adapter_stilts.stages.executors.stage_job"


def flags(missing: MissingStages, options: SlurmOptions) -> dict[str, str | bool]:
    """sbatch's options of every array of a plan, by their names without dashes; True is one without a value."""
    return {
        "comment": missing.label,
        "hold": True,  # until its tasks know what they wait for
        "kill-on-invalid-dep": "yes",  # what starts from a failed stage leaves the queue
        "nodes": "1",
        "ntasks": "1",
        "open-mode": "append",  # a job that was queued again goes on in its log
        "requeue": True,
        "signal": f"{SIGNAL}@{SIGNAL_SECONDS}",
        **({} if options.cpus_per_task is None else {"cpus-per-task": str(options.cpus_per_task)}),
        **options.passed_on(),
    }


def setup(options: SlurmOptions) -> tuple[str, ...]:
    """Lines before a stage's step: since Slurm 22.05 srun does not take a job's cores over by itself."""
    return () if options.cpus_per_task is None else (f"export SRUN_CPUS_PER_TASK={options.cpus_per_task}",)


def batch_script(missing: MissingStages, tasks: Sequence[Task], options: SlurmOptions) -> str:
    """The script of one array."""
    throttle = "" if options.array is None else f"%{options.array}"
    own: Mapping[str, str | bool] = {
        "job-name": "adapter-stilts",
        "array": f"0-{len(tasks) - 1}{throttle}",
        "output": str(missing.logs / "%A_%a.out"),
        **flags(missing, options),
    }
    given = [
        f"#SBATCH --{name}" + ("" if value is True else f"={_quoted(value)}") for name, value in own.items()
    ]
    names = [f"    {task.stage}  # {task.place[1]}" for task in tasks]
    job = [*(sys.executable, "-m", _JOB), str(missing.plan)]
    lines = [
        "#!/usr/bin/env bash",
        *given,
        "",
        "stages=(",
        *names,
        ")",
        *setup(options),
        f'srun --unbuffered {shlex.join(job)} "${{stages[SLURM_ARRAY_TASK_ID]}}" \\',
        f"    -- {shlex.join(options.command)}",
    ]
    return "\n".join(lines) + "\n"


def updates(missing: MissingStages, arrays: Sequence[str], throttled: bool) -> Iterator[list[str]]:
    """scontrol's words that give each task its stage's name and what it waits for.

    Args:
        arrays: the job ids of all arrays.
        throttled: as of `MissingStages.dependency`.
    """
    for task in missing.tasks:
        job = missing.job(task.place, arrays)
        words = ["scontrol", "update", f"JobId={job}", f"JobName={task.stage}"]
        waits = missing.dependency(task, arrays, throttled)
        yield words if waits is None else [*words, f"Dependency={waits}"]


def release(missing: MissingStages, arrays: Sequence[str]) -> list[str]:
    """scontrol's words that let the tasks begin. Slurm ranks what is equal otherwise in the order of their release."""
    jobs = [missing.job(task.place, arrays) for task in missing.tasks]
    return ["scontrol", "release", ",".join(jobs)]


def submit_script(missing: MissingStages, options: SlurmOptions, scripts: Sequence[Path]) -> str:
    """A script that submits the arrays, ties their tasks together and lets them begin.

    Args:
        scripts: one an array.
    """
    variables = [f"${{array{number}}}" for number in range(len(scripts))]
    lines = [
        "#!/usr/bin/env bash",
        f"# Submits the {len(missing.tasks)} stages that {missing.plan} still has to run.",
        "set -euo pipefail",
        f'if squeue --noheader --user "$(id -un)" --format %k | grep -qxF {shlex.quote(missing.label)}; then',
        '    echo \'this plan is in the queue already: squeue --user "$(id -un)" --format "%i %j %T"\' >&2',
        "    exit 1",
        "fi",
        "submitted=()",
        "trap 'scancel \"${submitted[@]}\"' ERR  # a part of a plan is not to run",
    ]
    for number, script in enumerate(scripts):
        lines += [
            f"array{number}=$(sbatch --parsable {shlex.quote(str(script))} | cut -d';' -f1)",
            f'submitted+=("$array{number}")',
        ]
    tied = updates(missing, variables, options.array is not None)
    for words in (*tied, release(missing, variables)):
        lines.append(" ".join(f'"{word}"' if "$" in word else shlex.quote(word) for word in words))
    lines.append('echo "${submitted[@]}"')
    return "\n".join(lines) + "\n"


def _quoted(value: str | bool) -> str:
    return shlex.quote(str(value))
