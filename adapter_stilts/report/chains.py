"""What a cell's stages say of how it came about: the same settings but for the seed, and what it cost."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter_stilts.errors import StoreError
from adapter_stilts.stages.record import read_stage

BUNDLE, INFO = "bundle", "bundle.json"
SHOWN = 4
"""Settings that a message names."""

_OF_A_SEED = frozenset({"seed"})
_OF_WHAT_CAME_BEFORE = frozenset({"seed", "bundle", "combine", "nested"})
"""Of a target's own stages, what an intermediate task alone may change."""


@dataclass(frozen=True)
class Cost:
    """What a cell's own chain of stages took, each stage once.

    Args:
        seconds: of all stages of the chain; stages that cells share count in each of them.
        memory: peak bytes of the stage that took most: of the GPU where there was one, else resident.
        device: ``cuda`` or ``resident``: what `memory` was measured of.
        bundle: bytes of the bundle that was evaluated; None of the base itself, or where it was removed.
    """

    seconds: float
    memory: int
    device: str
    bundle: int | None


class Chains:
    """The records of a store's stages, each read once.

    Args:
        store: its folder.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._known: dict[str, Mapping[str, Any] | None] = {}

    def record(self, stage: str) -> Mapping[str, Any] | None:
        """stage.json of a finished stage; None where there is none, or none that can be read."""
        if stage not in self._known:
            found = None
            with contextlib.suppress(FileNotFoundError, StoreError):
                found = read_stage(self._store / stage)
            self._known[stage] = found
        return self._known[stage]

    def whole(self, stage: str) -> bool:
        """Whether all stages that one started from are still there."""
        record = self.record(stage)
        return record is not None and all(self.whole(parent) for parent in record["parents"])

    def settings(self, stage: str) -> dict[str, Any]:
        """All that the stages of a chain were told, but for seeds, flat: what two seeds of one cell share."""
        found: dict[str, Any] = {}
        for place, (_, record) in enumerate(self._before(stage)):
            found |= _flat(record["part"], f"{record['kind']} {record['task']} {place}: ", _OF_A_SEED)
        return found

    def target_settings(self, stage: str) -> dict[str, Any]:
        """What a target's own stages were told, flat: what a cell and its baseline share.

        The evaluation, and the training that it evaluates.
        """
        found: dict[str, Any] = {}
        record = self.record(stage)
        for one in [record, *(self.record(parent) for parent in (record or {"parents": ()})["parents"][:1])]:
            if one is not None and one["kind"] in ("train", "evaluate"):
                left_out = _OF_WHAT_CAME_BEFORE | ({"tuning"} if one["part"].get("combine") else set())
                found |= _flat(one["part"], f"{one['kind']}: ", left_out)
        return found

    def cost(self, stage: str) -> Cost | None:
        """What a cell took; None where a stage of its chain is gone."""
        if not self.whole(stage):
            return None
        records = [record for _, record in self._before(stage)]
        devices = {"cuda" if "cuda" in one.get("peak_memory", {}) else "resident" for one in records}
        device = "cuda" if "cuda" in devices else "resident"
        return Cost(
            sum(float(one.get("seconds", 0.0)) for one in records),
            max(int(one.get("peak_memory", {}).get(device, 0)) for one in records),
            device,
            self._bundle(records[0]["parents"]),
        )

    def history(self, stage: str) -> list[tuple[str, Mapping[str, Any]]]:
        """Names and records of the stages of a chain, as far as they are there, the first that was run first."""
        return list(self._before(stage))[::-1]

    def command(self, stage: str) -> str | None:
        """What a train or compose stage's bundle says that it was made by; None where nothing does."""
        path = self._store / stage / BUNDLE / INFO
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        found = told.get("command") if isinstance(told, dict) else None
        return found if isinstance(found, str) else None

    def _before(self, stage: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The stage and all that it started from, each once, as far as they are there."""
        seen, waiting = set(), [stage]
        while waiting:
            name = waiting.pop(0)
            record = self.record(name)
            if name in seen or record is None:
                continue
            seen.add(name)
            waiting += record["parents"]
            yield name, record

    def _bundle(self, parents: list[str]) -> int | None:
        folder = self._store / parents[0] / BUNDLE if parents else None
        if folder is None or not folder.is_dir():
            return None
        return sum(os.stat(path).st_size for path in folder.rglob("*") if path.is_file())


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The settings in which two differ, with both values; those that one of them does not have count for nothing.

    A stage that is gone, and a language that was not evaluated, say nothing.
    """
    return {name: (one[name], other[name]) for name in one if name in other and one[name] != other[name]}


def flat(part: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's settings but for its seed, a name each."""
    return _flat(part, "", _OF_A_SEED)


def told(found: Mapping[str, tuple[Any, Any]]) -> str:
    """Differences for a message."""
    parts = [f"{name} {one} and {other}" for name, (one, other) in found.items()]
    more = f" and {len(parts) - SHOWN} more" if len(parts) > SHOWN else ""
    return f"{'; '.join(parts[:SHOWN])}{more}"


def _flat(value: Mapping[str, Any], before: str, left_out: frozenset[str] | set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, one in value.items():
        if name in left_out:
            continue
        if isinstance(one, Mapping):
            found |= _flat(one, f"{before}{name}.", _OF_A_SEED)
        else:
            found[f"{before}{name}"] = one
    return found
