"""One stage as a job of a cluster: run, stopped in time, queued again.

    python -m adapter_stilts.stages.executors.stage_job PLAN STAGE -- COMMAND ...

runs COMMAND PLAN STAGE in a process of its own. The scripts that `slurm_script.py` writes do so; submitit calls a
`StageJob`. In both the job is a step of Slurm (srun), whose signals reach every process in it.

*USR2*, before the time is over or on preemption: the stage gets SIGTERM, stops after its step with a checkpoint, and
the job is queued again. The stage itself does not hear USR2. *SIGTERM*, from a cluster that preempts so: the stage
hears it by itself, and is not told again, as a second one would stop it at once. The job is queued again unless Slurm
has already decided what becomes of it: a job that its user cancelled is not to come back.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from adapter_stilts.errors import AdapterStiltsError
from adapter_stilts.stages.executors.slurm_options import SIGNAL

STOP_SECONDS = 90.0
"""A stage writes its checkpoint within them; then it is killed, and goes on from the one before."""
MAX_REQUEUES = 100
"""A stage that is stopped more often than that gets nowhere."""

# What a stage leaves with when it was stopped: Ctrl-C, SIGTERM; negative where it had no time to say so.
_STOPPED = (130, 143, -signal.SIGINT, -signal.SIGTERM)
_LOOKS = 3
_PAUSE_SECONDS = 0.1


class StageJob:
    """Runs one stage of a plan when it is called, as submitit calls it.

    Args:
        plan: the path of its file.
        stage: a stage's name or key.
        command: the words before both, such as ``python -m adapter_stilts stage``.
    """

    def __init__(self, plan: str, stage: str, command: Sequence[str]) -> None:
        self.plan, self.stage, self.command = plan, stage, tuple(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = self._heard = False

    def __reduce__(self) -> tuple[Any, ...]:
        return StageJob, (self.plan, self.stage, self.command)

    def __call__(self) -> None:
        """Run the stage.

        Raises:
            AdapterStiltsError: it failed, or was stopped; then the job is queued again where it may be.
        """
        print(f"{self.stage} of {self.plan}", flush=True)
        with self._hearing_sigterm():
            code = self._run()
            if code == 0:
                return
            if not (self._asked or self._heard or code in _STOPPED):
                raise AdapterStiltsError(
                    f"{self.stage} failed with exit code {code}: what it printed stands above"
                )
            raise AdapterStiltsError(f"{self.stage} was stopped: {self._again()}")

    def _run(self) -> int:
        """The exit code of the stage's process."""
        # An ignored signal stays ignored over exec: a stage has no ear for USR2, and would die of it.
        shielded = ("sh", "-c", f'trap "" {SIGNAL}; exec "$@"', "sh")
        words = (*shielded, *self.command, self.plan, self.stage)
        # A group of its own, so that a signal reaches what a launcher started, too.
        self._process = subprocess.Popen(words, start_new_session=True)
        if self._asked:  # the signal came just before
            self.stop()
        _wait(self._process)
        code = self._process.wait()
        if code != 0:
            self._let_end(self._process)
        return code

    @contextlib.contextmanager
    def _hearing_sigterm(self) -> Iterator[None]:
        """Note SIGTERM and let it pass, as the stage hears it too (which ignores it if this process does)."""

        def hear(number: int, frame: FrameType | None) -> None:
            self._heard = True

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, hear)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def stop(self) -> None:
        """Let the stage stop after its step with a checkpoint, and wait until it has. Fit for a signal's handler."""
        self._asked = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        _send(process, signal.SIGTERM)
        self._let_end(process)

    def _let_end(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for all of its group: a launcher may end before what it started has written a checkpoint."""
        deadline = time.monotonic() + STOP_SECONDS
        while not _ended(process) and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)
        if not _ended(process):
            print(
                f"{self.stage} did not stop within {STOP_SECONDS:.0f} s: killed", file=sys.stderr, flush=True
            )
            _send(process, signal.SIGKILL)

    def checkpoint(self) -> Any:
        """submitit's question on USR2: stops the stage, and returns what is to be queued again, which is the same."""
        import submitit

        self.stop()
        return submitit.helpers.DelayedSubmission(StageJob(self.plan, self.stage, self.command))

    def _again(self) -> str:
        """Queue the job again where that is for us to do; what becomes of it, in words."""
        job = os.environ.get("SLURM_JOB_ID")
        if job is None:
            return "the same command goes on from its last checkpoint"
        restarts = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        if restarts >= MAX_REQUEUES:
            return f"it was queued again {restarts} times and is not finished; give it more time"
        state = "RUNNING" if self._asked else _state(job)
        if state != "RUNNING":
            return f"Slurm says {state} of job {job}, and it is not queued again"
        ran = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
        if ran.returncode != 0:
            return f"scontrol requeue {job} failed: {ran.stderr.strip()}"
        return f"job {job} is queued again, and goes on from its last checkpoint"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a job with its signals; 1 where the stage failed or was stopped."""
    parser = argparse.ArgumentParser(prog="python -m adapter_stilts.stages.executors.stage_job")
    parser.add_argument("plan")
    parser.add_argument("stage")
    parser.add_argument("command", nargs="+", help="what runs a stage, after --")
    given = parser.parse_args(arguments)
    job = StageJob(given.plan, given.stage, given.command)
    signal.signal(signal.Signals[f"SIG{SIGNAL}"], lambda number, frame: job.stop())
    try:
        job()
    except AdapterStiltsError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def _send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:  # it has ended
        return


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Until it has ended, without asking `Popen`: its lock would be held while a handler asks, too."""
    with contextlib.suppress(ChildProcessError):  # a handler fetched its exit code
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has, and nothing is left of its group."""
    if process.poll() is None:
        return False
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return True
    return False


def _state(job: str) -> str:
    """Slurm's word for what a job does; a controller that is busy is asked again."""
    for look in range(_LOOKS):
        if look:
            time.sleep(look)
        words = ["squeue", "--noheader", "--jobs", job, "--format", "%T"]
        ran = subprocess.run(words, capture_output=True, text=True)
        if ran.returncode == 0:
            return ran.stdout.strip() or "nothing"
    return f"nothing ({ran.stderr.strip()})"


if __name__ == "__main__":
    sys.exit(main())
