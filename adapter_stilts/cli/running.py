"""What `train` and `evaluate` do with their study: notices, progress, signals, tables."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from adapter_stilts.cli import show
from adapter_stilts.cli.progress import Progress
from adapter_stilts.cli.terminal import say, say_json
from adapter_stilts.errors import Interrupted
from adapter_stilts.evaluation.membership import BENCHMARKS
from adapter_stilts.runtime import is_first_process
from adapter_stilts.stages.executors import Executor
from adapter_stilts.study import Results, Study

SHOWN_PLACES = 3


def show_plan(study: Study, as_json: bool) -> int:
    """Print the stages, and which of them the store holds."""
    study.check(here=False)
    states = [state.to_json() for state in study.states()]
    tell_notices(study)
    if not is_first_process():
        return 0
    if as_json:
        say_json({"stages": states})
    else:
        show.stages(states)
    return 0


def run(study: Study, as_json: bool, executor: Executor | None = None) -> int:
    """Run what is missing, print the results; the exit code of what failed, or 0."""
    tell_notices(study)
    progress = Progress(quiet=not is_first_process())
    with progress, StoppingAtAStep(progress):
        results = study.run(progress, check=False, executor=executor)
    if is_first_process():
        _show(study, results, as_json)
    codes = [state.error.exit_code for state in results.failed if state.error is not None]
    return max(codes, default=0)


def _show(study: Study, results: Results, as_json: bool) -> None:
    if as_json:
        say_json(results.to_json())
    else:
        benchmark = None if study.source.constructed else BENCHMARKS[results.benchmark]
        show.results(results.by_inter(), benchmark)
        if results.trained:
            show.trained([one.to_json() for one in results.trained if one.dev is not None])
        for line in _next_steps(study, results):
            say(line, err=True)


def _next_steps(study: Study, results: Results) -> list[str]:
    """Where results lie, and what to type next."""
    finished = [result for result in results.cells if result.metrics is not None]
    if not finished:
        return _after_training(results)
    places = list(dict.fromkeys(str(result.directory) for result in finished))
    shown = [
        *places[:SHOWN_PLACES],
        *([f"and {len(places) - SHOWN_PLACES} more"] * (len(places) > SHOWN_PLACES)),
    ]
    lines = [f"results: {', '.join(shown)} (metrics.json, scores/, predictions/)"]
    bundle = next((result.bundle for result in reversed(finished) if result.bundle is not None), None)
    # What another machine trained is fetched from an address when a stage starts from it, and not before.
    if bundle is not None and bundle.is_dir() and study.bundle is None:
        lines += [
            f"bundle:  {bundle}",
            f"next:    adapter-stilts hub show {shlex.quote(str(bundle))}    # or: evaluate, compose, export, hub push",
        ]
    return [*lines, report_line(study.runtime.store)] if len(finished) > 1 else lines


def report_line(store: Path) -> str:
    """The command that tells what was gained."""
    return f"report:  adapter-stilts report {shlex.quote(str(store))}    # gains with intervals; --out DIR for a page"


def watch_line(store: Path, plan: Path) -> str:
    """The command that renews a page while a plan runs.

    Args:
        plan: its file in the store.
    """
    named = f"{shlex.quote(str(store))} --plan {shlex.quote(plan.stem)}"
    return f"page:    adapter-stilts report {named} --out report --watch    # renewed while this runs"


def _after_training(results: Results) -> list[str]:
    """What to type next where no target was trained."""
    done = [one for one in results.trained if one.dev is not None]
    if not done:
        return []
    bundle = shlex.quote(str(done[-1].bundle))
    return [
        f"bundle:  {bundle}",
        f"next:    adapter-stilts train --inter {bundle} --target TASK    # or: evaluate, compose, export, hub push",
    ]


def tell_notices(study: Study) -> None:
    """Tell what a user should know before it runs."""
    for notice in study.notices if is_first_process() else ():
        say(f"note: {notice}", err=True)


class StoppingAtAStep:
    """Ctrl-C once: stop at the next safe point, in training after the step, with a checkpoint. Twice: stop at once.

    SIGTERM counts as Ctrl-C, but not for a second one: a cluster's manager and a launcher may both send it. Whatever
    phase it comes in, no later stage begins.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._before: dict[int, Any] = {}
        self._number: int | None = None

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        again, self._number = self._number is not None and number == signal.SIGINT, number
        self._progress.interrupt()
        if again or not self._progress.training:
            raise Interrupted(number)
        print("stopping after this step (again to stop at once)", file=sys.stderr, flush=True)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        # The loop's or the executor's own, which know no signal.
        if kind is KeyboardInterrupt and self._number is not None:
            raise Interrupted(self._number)
