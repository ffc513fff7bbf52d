"""How a train stage went: its dev evaluations from ``stage.json``, its loss from ``log.jsonl``, in a few points.

A log has a line a step, of large train sets tens of thousands. What is left of a large one is kept by its digest, so
that it is read once.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any, TypeAlias

from adapter_stilts.errors import AdapterStiltsError
from adapter_stilts.io import DIGESTS, digest_of, sha256_file, write_json

LOG = "log.jsonl"
POINTS = 30
"""Of a curve, beside the kept one: what a small panel shows, and 1,000 cells have room for."""

SCHEMA = 1
"""Of what is kept; another where other points come of the same log."""
LARGE = 100_000
"""Bytes of a log whose points are kept: smaller ones are read as soon."""
KEPT = 2000
"""Files in the folder; the oldest go."""

Points: TypeAlias = "tuple[tuple[int, float], ...]"
"""Steps, which rise, and what was seen there."""


@dataclass(frozen=True)
class Curve:
    """How one train stage went.

    Args:
        steps: that were made; 0 where it is not known.
        kept: the step whose weights were kept; None where it is not known.
        dev: the score of dev evaluations in percent: the mean of their metrics, which chose the checkpoint.
        loss: the mean over the steps since the point before.
    """

    stage: str
    steps: int
    kept: int | None
    dev: Points
    loss: Points


def read_curve(store: Path, stage: str, record: Mapping[str, Any], cache: Path | None) -> Curve:
    """The curve of a train stage, as far as it left one; a line of the log that cannot be read is left out.

    Args:
        record: its stage.json.
        cache: folder of points of large logs; None keeps none.
    """
    kept = record.get("best_step")
    kept = kept if isinstance(kept, int) else None
    dev = sorted(_evaluations(record.get("evaluations", ())))
    steps = record.get("steps")
    return Curve(
        stage, steps if isinstance(steps, int) else 0, kept, _some(dev, kept), _losses(store / stage, cache)
    )


def _evaluations(told: Any) -> Iterable[tuple[int, float]]:
    for one in told if isinstance(told, list) else ():
        with contextlib.suppress(KeyError, TypeError, AttributeError, ValueError):
            yield int(one["step"]), _finite(fmean(one["dev"].values()))


def _some(points: Sequence[tuple[int, float]], kept: int | None) -> tuple[tuple[int, float], ...]:
    """Every so many of them, counted from the last, and the kept one."""
    every = -(-len(points) // POINTS)
    return tuple(
        point
        for place, point in enumerate(points)
        if (len(points) - 1 - place) % every == 0 or point[0] == kept
    )


def _losses(directory: Path, cache: Path | None) -> Points:
    log, seal = directory / LOG, directory / DIGESTS
    try:
        small = log.stat().st_size < LARGE
    except OSError:  # an exported store has none
        return ()
    if cache is None or small or not seal.is_file():
        return _means(_steps(log))
    path = cache / f"{digest_of([SCHEMA, sha256_file(seal)])}.json"
    try:
        return tuple((int(step), float(loss)) for step, loss in json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        found = _means(_steps(log))
        _keep(path, found)
        return found


def _steps(log: Path) -> list[tuple[int, float]]:
    """Steps and losses, in the order of steps."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    try:
        rows = json.loads(f"[{','.join(lines)}]")  # in one go: there may be hundreds of logs
        return sorted((int(row["step"]), _finite(row["loss"])) for row in rows)
    except (ValueError, KeyError, TypeError, RecursionError):  # a line is damaged
        return sorted(found for line in lines if (found := _step(line)) is not None)


def _step(line: str) -> tuple[int, float] | None:
    try:
        row = json.loads(line)
        return int(row["step"]), _finite(row["loss"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _finite(value: Any) -> float:
    """A number that can be drawn. Raises ValueError, TypeError."""
    found = float(value)
    if not math.isfinite(found):
        raise ValueError(f"{found} is no finite number")
    return found


def _means(steps: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """Parts of nearly as many steps each: the last step of each, and its mean."""
    parts = min(POINTS, len(steps))
    cuts = [len(steps) * number // parts for number in range(parts + 1)] if parts else []
    return tuple(
        (steps[to - 1][0], fmean(loss for _, loss in steps[since:to])) for since, to in pairwise(cuts)
    )


def _keep(path: Path, found: Points) -> None:
    """Write it for the next time; where that cannot be, the log is read again."""
    with contextlib.suppress(OSError, AdapterStiltsError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, found)
        for old in sorted(path.parent.glob("*.json"), key=lambda one: -one.stat().st_mtime)[KEPT:]:
            old.unlink(missing_ok=True)
