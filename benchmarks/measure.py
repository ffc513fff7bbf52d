"""What the benchmarks share: where data and encoder are found, how rounds alternate, what is reported of the device.

Every benchmark prints one JSON object to stdout and its progress to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[1]
Measured = TypeVar("Measured")


def parser(description: str | None, rounds: int, *, data: bool = True) -> argparse.ArgumentParser:
    """The options all benchmarks have; ``--data`` and ``--base`` only where real data are read."""
    options = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rounds", type=int, default=rounds, help=f"measured rounds (default {rounds})")
    options.add_argument("--threads", type=int, help="torch's CPU threads (default: torch's own choice)")
    options.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: processor time of the process, for a busy machine; only with --threads 1 (default wall)",
    )
    options.add_argument("--out", type=Path, help="also write the JSON to this file")
    if data:
        options.add_argument(
            "--data",
            type=Path,
            default=folder("ADAPTER_STILTS_DATA", "data"),
            help="folder of release files (default $ADAPTER_STILTS_DATA, else ../shared/data)",
        )
        options.add_argument(
            "--base",
            type=Path,
            default=folder("ADAPTER_STILTS_BASE", "models/nano-xlmr"),
            help="folder of a small encoder (default $ADAPTER_STILTS_BASE, else ../shared/models/nano-xlmr)",
        )
    return options


# Which clock `now` reads; set once by a benchmark's main.
_CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
_clock = time.perf_counter


def use_clock(name: str) -> None:
    """Wall time, or the processor time of this process: on a busy machine, with one thread, the steadier one."""
    global _clock
    _clock = _CLOCKS[name]


def now(device: str = "cpu") -> float:
    """Seconds of the chosen clock, once the device has done what it was given."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
    return _clock()


def folder(variable: str, beside: str) -> Path:
    """The folder an environment variable names, else one in ``shared`` beside the repository."""
    return Path(os.environ.get(variable) or ROOT.parent / "shared" / beside)


def environment(threads: int | None, device: str = "cpu") -> dict[str, Any]:
    """Device, processor, threads, memory and versions. Sets torch's threads where asked to."""
    import torch

    from adapter_stilts.runtime import hardware, versions

    if threads is not None:
        torch.set_num_threads(threads)
    return {
        **hardware(device),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        "versions": versions(),
    }


def command() -> str:
    """The line that makes the result."""
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])


def _processor() -> str:
    """The processor's model, which `platform.processor` does not tell on Linux."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def alternate(
    sides: Mapping[str, Callable[[int], Measured]], rounds: int, label: str
) -> dict[str, list[Measured]]:
    """Run the sides in turn, A B A B ..., so that a slow moment of the machine meets both.

    Args:
        sides: name -> a function from the round's number to what it measured; round 0 warms up (memory pools,
            file caches, lazy imports) and is thrown away.
    """
    measured: dict[str, list[Measured]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, run in sides.items():
            began = time.perf_counter()
            result = run(number)
            seconds = time.perf_counter() - began
            say(f"{label}: {'warm-up' if number == 0 else f'round {number}/{rounds}'} {name} {seconds:.1f} s")
            if number > 0:
                measured[name].append(result)
    return measured


def spread(values: Sequence[float], digits: int = 1) -> dict[str, float]:
    """Median, least and greatest."""
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
    }


def mean_spread(values: Sequence[float]) -> dict[str, float]:
    """Mean, least and greatest, of scores over seeds."""
    return {"mean": round(sum(values) / len(values), 2), "min": min(values), "max": max(values)}


def ratios(ours: Iterable[float], theirs: Iterable[float]) -> dict[str, Any]:
    """Ours over theirs, round by round, and the median of that."""
    rounds = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {"ratio_rounds": [round(r, 3) for r in rounds], "ratio": round(statistics.median(rounds), 3)}


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def emit(result: Mapping[str, Any], out: Path | None) -> None:
    """The one JSON object."""
    text = json.dumps(result, indent=2, ensure_ascii=False)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n", encoding="utf-8")
    print(text)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for caches and weights, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="adapter-stilts-benchmark-") as name:
        yield Path(name)
