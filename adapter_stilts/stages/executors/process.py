"""One worker process, as whoever gives it work sees it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adapter_stilts.runtime import Runtime
from adapter_stilts.stages.executors.crew import LAST_LINES
from adapter_stilts.stages.graph import Stage


class Process:
    """A worker process and the stage that it works on.

    Args:
        environment: variables of its own.
    """

    def __init__(self, plan: Path, runtime: Runtime, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "adapter_stilts.worker", str(plan), runtime.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C on the terminal is for whoever gives the work
        )
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        self._rest = {"answers": b"", "errors": b""}
        self.stage: Stage | None = None
        self.last: Stage | None = None
        self.ready = False
        self.lines: deque[str] = deque(maxlen=LAST_LINES)

    @property
    def number(self) -> int:
        """Of the process."""
        return self._process.pid

    def handles(self) -> tuple[int, int]:
        """What to wait for: its answers and its errors."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        return self._process.stdout.fileno(), self._process.stderr.fileno()

    def give(self, stage: Stage) -> None:
        """Let it work on a stage. One that is gone is noticed where its answers are read."""
        self.stage = self.last = stage
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{stage.key}\n".encode())
            self._process.stdin.flush()

    def answers(self) -> Iterator[dict[str, Any]]:
        """What it answered since it was last asked."""
        for line in self._lines("answers", self.handles()[0]):
            yield json.loads(line)

    def errors(self) -> Iterator[str]:
        """What it and its libraries wrote on stderr since it was last asked."""
        for line in self._lines("errors", self.handles()[1]):
            self.lines.append(line)
            yield line

    def _lines(self, name: str, handle: int) -> list[str]:
        read = self._rest[name]
        while True:
            try:
                block = os.read(handle, 1 << 16)
            except BlockingIOError:
                break
            if not block:
                break
            read += block
        *whole, self._rest[name] = read.split(b"\n")
        return [line.decode(errors="replace") for line in whole]

    def lost(self) -> str | None:
        """How it ended; None while it lives."""
        code = self._process.poll()
        if code is None:
            return None
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        return f"exit {code}"

    def stop(self) -> None:
        """No more work: the stage under way stops after its step."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def wait(self, seconds: float) -> None:
        """Wait for its end; one that takes longer is killed."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
