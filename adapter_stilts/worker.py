"""A worker process: runs stages of one plan, one after another, as it is told on stdin, and answers on stdout.

    python -m adapter_stilts.worker PLAN RUNTIME

A line in is a stage's key. A line out is a JSON object: ``{"ready": true}`` once the libraries are loaded;
``{"say": TEXT}``; and for each key ``{"done": KEY, "status": …}``, with ``error``, ``exit_code`` and ``passes`` where
it failed, or ``{"busy": KEY}`` where another process works on that stage. The libraries, the encoder's tokenizer and
what the plan needs stay loaded between stages.

At the end of stdin, as when whoever gave the work is killed, and on SIGTERM the stage under way stops after its step,
with a checkpoint.
"""

from __future__ import annotations

import json
import os
import platform
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapter_stilts.errors import AdapterStiltsError, UsageError
from adapter_stilts.runtime import Runtime
from adapter_stilts.stages.kept import settle
from adapter_stilts.stages.plans import read_plan
from adapter_stilts.stages.watch import Watch
from adapter_stilts.study import Study
from adapter_stilts.version import __version__

Send = Callable[[dict[str, Any]], None]


class Obeying(Watch):
    """Passes on what is said, and says when to stop."""

    def __init__(self, send: Send) -> None:
        self._send, self._stopped = send, threading.Event()

    @property
    def interrupted(self) -> bool:
        return self._stopped.is_set()

    def stop(self) -> None:
        """Stop the stage under way after its step."""
        self._stopped.set()

    def predicting(self, done: int, total: int) -> None:
        if self.interrupted:  # an evaluation has no checkpoint, and is made again
            raise KeyboardInterrupt

    def say(self, message: str) -> None:
        self._send({"say": message})


def serve(plan: Path, runtime: Runtime, keys: Callable[[], str | None], send: Send, watch: Obeying) -> None:
    """Run the stages whose keys come, until there are no more.

    Args:
        keys: the next key, or None when there are no more.
        send: takes each answer.
    """
    file = read_plan(plan)
    file.enter(watch.say)
    study = Study.load(file, runtime)
    from adapter_stilts.stages.executors.attempt import attempt

    contexts, _ = study.contexts(watch)
    settle()
    send({"ready": True})
    while (key := keys()) is not None and not watch.interrupted:
        try:
            stage = study.stage(key)
            state = attempt(stage, contexts(stage), wait=False, told=True)
            settle()
        except AdapterStiltsError as error:
            send({"done": key, "status": "failed", **_told(error)})
            continue
        except Exception as error:
            # One cell's mishap is not the others'; its traceback is for who can mend it.
            traceback.print_exc()
            send(
                {"done": key, "status": "failed", "error": f"{type(error).__name__}: {error}", "exit_code": 1}
            )
            continue
        if state is None:
            send({"busy": key})
        else:
            send({"done": key, "status": state.status, **({} if state.error is None else _told(state.error))})


def _told(error: AdapterStiltsError) -> dict[str, Any]:
    return {"error": str(error), "exit_code": error.exit_code, "passes": error.passes}


class Serving:
    """`serve` in a thread, for whoever calls methods instead of writing lines, from whichever machine.

    What it and its libraries write is an answer as well, ``{"wrote": LINE}``, and goes where it went before.

    Args:
        version: of whoever gives the work: stages of another version are others, whatever they are called.
    """

    def __init__(self, plan: str, runtime: str, version: str) -> None:
        self._keys, self._answers = queue.SimpleQueue[str | None](), queue.SimpleQueue[dict[str, Any]]()
        self._watch = Obeying(self._answers.put)
        self._error: Exception | None = None
        written = _taken_output()
        threading.Thread(target=_pass_on, args=(*written, self._answers.put), daemon=True).start()
        self._serving = threading.Thread(target=self._serve, args=(plan, runtime, version), daemon=True)
        self._serving.start()

    def give(self, key: str) -> None:
        """Let it run a stage, after those it was given before."""
        self._keys.put(key)

    def answers(self, seconds: float) -> list[dict[str, Any]]:
        """What it answered since it was last asked; waits for something, but not for longer.

        Raises:
            Exception: what it ended with.
        """
        try:
            found = [self._answers.get(timeout=seconds)]
        except queue.Empty:
            if self._error is not None:
                raise self._error from None
            return []
        while not self._answers.empty():
            found.append(self._answers.get())
        return found

    def stop(self) -> None:
        """No more work: the stage under way stops after its step, with a checkpoint."""
        self._watch.stop()
        self._keys.put(None)

    def ended(self, seconds: float) -> bool:
        """Whether it has ended; waits for that, but not for longer."""
        self._serving.join(seconds)
        return not self._serving.is_alive()

    def _serve(self, plan: str, runtime: str, version: str) -> None:
        host = platform.node()
        try:
            if version != __version__:
                raise UsageError(
                    f"adapter-stilts {__version__} is installed there, {version} here: install the same on every node"
                )
            if not Path(plan).is_file():
                raise UsageError(
                    f"there is no {plan} there: the store has to be a folder that every node has at this path"
                )
            serve(Path(plan), Runtime.from_json(runtime), self._keys.get, self._answers.put, self._watch)
        except KeyboardInterrupt:
            return
        except AdapterStiltsError as error:
            self._answers.put({"lost": f"a worker on {host}: {error}", "exit_code": error.exit_code})
        except Exception as error:
            traceback.print_exc()
            self._error = error


def _taken_output() -> tuple[int, int]:
    """Where this process wrote until now, and where what it writes from now on is read."""
    before, (read, write) = os.dup(2), os.pipe()
    os.dup2(write, 1)
    os.dup2(write, 2)
    os.close(write)
    return before, read


def _pass_on(before: int, read: int, send: Send) -> None:
    """Send each line that is read, and write it where it would have been written."""
    with os.fdopen(read, "rb") as lines:
        for line in lines:
            os.write(before, line)
            send({"wrote": line.decode(errors="replace").rstrip("\n")})


def main(plan: str, runtime: str) -> None:
    """Serve stdin and stdout."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    taken = threading.Lock()

    def send(answer: dict[str, Any]) -> None:
        with taken:
            try:
                answers.write(json.dumps(answer) + "\n")
                answers.flush()
            except BrokenPipeError:  # whoever gave the work is gone: the stage under way keeps its checkpoint
                watch.stop()

    watch, waiting = Obeying(send), queue.SimpleQueue[str | None]()

    def listen() -> None:
        for line in sys.stdin:
            waiting.put(line.strip())
        watch.stop()
        waiting.put(None)

    def stop(number: int, frame: Any) -> None:
        watch.stop()
        waiting.put(None)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever gives the work hears it, and says when to stop
    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=listen, daemon=True).start()
    try:
        serve(Path(plan), Runtime.from_json(runtime), waiting.get, send, watch)
    except KeyboardInterrupt:
        sys.exit(130)
    except AdapterStiltsError as error:
        send({"lost": str(error), "exit_code": error.exit_code})
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])
