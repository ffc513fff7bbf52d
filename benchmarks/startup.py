"""Start-up: how long help takes to answer, and what the tokenising cache saves.

    python benchmarks/startup.py

`help`: wall and processor time of a fresh process for ``--help`` of the group and of every verb, and which of the slow
libraries it imported (from a run of its own with ``-X importtime``). On a busy machine only processor time tells.

`tokenising_cache`: time until the encoded train split of a task is there and read once, in an empty cache and in one
that a run with another seed has filled. Both go the way of a stage: a recipe with its seed is planned, the split is
asked for by the planned stage. Data and tokenizer are fingerprinted each time. The second run must leave the cache as
it found it and must not call the tokenizer.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure

SLOW = ("torch", "transformers", "adapters", "peft", "datasets", "accelerate", "numpy", "pydantic")


def time_help(verb: str | None, rounds: int) -> dict[str, Any]:
    """Median over fresh processes; the first run, which may compile bytecode, is thrown away."""
    arguments = ["-m", "adapter_stilts", *([verb] if verb else []), "--help"]
    seconds, processor = [], []
    for _ in range(rounds + 1):
        began, used = time.perf_counter(), _processor_seconds()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
        processor.append(_processor_seconds() - used)
    traced = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], check=True, capture_output=True, text=True
    )
    lines = (line for line in traced.stderr.splitlines() if line.startswith("import time:"))
    modules = {line.rsplit("|", 1)[1].strip() for line in lines}
    assert "click" in modules, "-X importtime told nothing"
    return {
        "seconds": measure.spread(seconds[1:], 4),
        "processor_seconds": measure.spread(processor[1:], 4),
        "imports_torch": "torch" in modules,
        "slow_imports": [name for name in SLOW if name in modules],
    }


def _processor_seconds() -> float:
    """Of all processes this one has started and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class CountingTokenizer:
    """A tokenizer that counts how often text is given to it."""

    def __init__(self, tokenizer: Any, calls: list[str]) -> None:
        self._tokenizer, self._calls = tokenizer, calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._tokenizer, name)
        if name == "backend_tokenizer":
            return CountingTokenizer(found, self._calls)
        if name.startswith("encode"):
            return self._counted(name, found)
        return found

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self._calls.append("__call__")
        return self._tokenizer(*arguments, **options)

    def _counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def count(*arguments: Any, **options: Any) -> Any:
            self._calls.append(name)
            return function(*arguments, **options)

        return count


def load_once(
    task_name: str, seed: int, options: Any, tokenizer: Any, cache: Path
) -> tuple[float, int, list[str]]:
    """Seconds until a train stage's features are read, their tokens, and the calls of the tokenizer."""
    from adapter_stilts.model.backbone import resolve_base
    from adapter_stilts.recipe import load_recipe
    from adapter_stilts.runtime import Runtime
    from adapter_stilts.stages.context import Context, Inputs, Machine
    from adapter_stilts.stages.data import CachedTokenizer
    from adapter_stilts.stages.planning.plan import plan
    from adapter_stilts.stages.store import Store
    from adapter_stilts.stages.watch import Watch
    from adapter_stilts.tasks.sources import open_source

    target = "xquad"
    recipe = load_recipe(
        None,
        [
            ("base.id", str(options.base)),
            ("intermediate.tasks", (task_name,)),
            ("target.tasks", (target,)),
            ("seed", seed),
        ],
    )
    base, source = resolve_base(recipe.base), open_source(str(options.data))
    planned = plan(recipe, lambda: base, source).stages
    stage = next(s for s in planned if s.kind == "train" and s.task == task_name)
    assert stage.part.seed == seed
    calls: list[str] = []
    encoder = CachedTokenizer(CountingTokenizer(tokenizer, calls), cache)
    runtime = Runtime(store=cache / "store", cache=cache)
    machine = Machine(None, runtime, Store(runtime.store), Watch())
    context = Context(Inputs(base, source), machine, encoder)
    began = time.perf_counter()
    # Its two probes tell how special tokens are laid out: once for a base, whatever is read with it.
    assert encoder.fingerprint
    calls.clear()
    features = context.split(stage.part.members[0].tasks[0].reading, "train", "en", options.limit).features
    assert int(features.input_ids.values.sum(dtype="int64")) > 0  # a memory map is read only when used
    seconds = time.perf_counter() - began
    return seconds, len(features.input_ids.values), calls


def time_cache(task_name: str, options: Any) -> dict[str, Any]:
    """First and second load of a split's features, each round in a cache of its own."""
    from adapter_stilts.model.backbone import load_tokenizer, resolve_base
    from adapter_stilts.recipe import Base

    tokenizer = load_tokenizer(resolve_base(Base(id=str(options.base))))
    first: list[float] = []
    second: list[float] = []
    tokens = 0
    counts: tuple[int, int] = (0, 0)
    for number in range(options.rounds):
        with measure.scratch() as cache:
            seconds, tokens, calls = load_once(task_name, 0, options, tokenizer, cache)
            first.append(seconds)
            kept = keys(cache)
            seconds, again, repeated = load_once(task_name, 1, options, tokenizer, cache)
            second.append(seconds)
            assert tokens == again
            assert len(kept) == 1, "one split is kept under one key"
            assert keys(cache) == kept, "the second load wrote features of its own"
            assert calls, "the first load must tokenise"
            assert not repeated, f"the second load called the tokenizer: {repeated}"
            counts = (len(calls), len(repeated))
        measure.say(
            f"cache {task_name}: round {number + 1}/{options.rounds} {first[-1]:.2f} s, then {second[-1]:.3f} s"
        )
    return {
        "tokens": tokens,
        "rounds": options.rounds,
        "first_seconds": measure.spread(first, 4),
        "second_seconds": measure.spread(second, 4),
        "ratio": round(statistics.median(a / b for a, b in zip(first, second, strict=True)), 1),
        "tokenizer_calls": {"first": counts[0], "second": counts[1]},
    }


def keys(cache: Path) -> set[str]:
    """Kept features, by key."""
    return {manifest.parent.name for manifest in cache.glob("features/*/*/manifest.json")}


def main() -> None:
    from adapter_stilts.cli.main import VERBS

    parser = measure.parser(__doc__, rounds=5)
    parser.add_argument("--task", default="squad_v1", help="intermediate task whose train split is encoded")
    parser.add_argument("--limit", type=int, help="only the first so many examples of it")
    options = parser.parse_args()
    helped = {}
    for verb in (None, *VERBS):
        name = verb or "(group)"
        helped[name] = time_help(verb, options.rounds)
        measure.say(f"help {name}: {helped[name]['seconds']['median']:.3f} s")
    cache = time_cache(options.task, options)
    result = {
        "benchmark": "startup",
        **measure.environment(options.threads),
        "rounds": options.rounds,
        "help": helped,
        "slowest_help_seconds": max(timing["seconds"]["median"] for timing in helped.values()),
        "help_imports_torch": any(timing["imports_torch"] for timing in helped.values()),
        "tokenising_cache": {options.task: cache},
    }
    measure.emit(result, options.out)


if __name__ == "__main__":
    main()
