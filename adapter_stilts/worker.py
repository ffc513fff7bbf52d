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
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapter_stilts.errors import AdapterStiltsError
from adapter_stilts.runtime import Runtime
from adapter_stilts.stages.kept import settle
from adapter_stilts.stages.plans import read_plan
from adapter_stilts.stages.watch import Watch
from adapter_stilts.study import Study

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
