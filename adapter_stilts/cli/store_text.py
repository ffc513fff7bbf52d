"""What `store` prints: a line a stage, since a store may hold thousands."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapter_stilts.stages.collecting import Unneeded
    from adapter_stilts.stages.keeping import Description, Kept

_PLURALS = {"plan": "plans", "stage": "stages", "work": "work folders", "failure": "records of failure"}
_SINGULARS = {"work": "work folder", "failure": "record of failure"}
_AGES = (("d", 86400), ("h", 3600), ("min", 60))


def size(count: int) -> str:
    """Bytes in words: ``12.3 MB``, in powers of ten, as bundles are told."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def age(finished: float, now: float) -> str:
    """How long ago: ``3 d``, in the largest unit; a clock that was set back counts as now."""
    seconds = max(0.0, now - finished)
    for unit, length in _AGES:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"


def listing(store: str, stages: Sequence[Kept]) -> Iterator[str]:
    """A line a stage, and the total."""
    now = time.time()
    rows = [(size(stage.bytes), age(stage.finished, now), stage.name, stage.told) for stage in stages]
    widths = [max((len(row[place]) for row in rows), default=0) for place in range(3)]
    for weight, old, name, told in rows:
        # What a plan says of itself stays on its line.
        line = f"{weight:>{widths[0]}}  {old:>{widths[1]}}  {name:<{widths[2]}}  {told}"
        yield line.replace("\n", " ")
    yield f"{store}: {len(stages)} finished stages, {size(sum(stage.bytes for stage in stages))}"
    loose = [stage for stage in stages if not stage.plans]
    if loose:
        weight = size(sum(stage.bytes for stage in loose))
        command = f"adapter-stilts store gc {shlex.quote(store)}"
        yield f"of no plan: {len(loose)}, {weight}; `{command}` removes what no plan needs"


def description(found: Description) -> Iterator[str]:
    """All that is known of a stage."""
    kept, record = found.kept, found.record
    yield f"{kept.path}"
    yield f"{kept.title or 'of no plan'}; {size(kept.bytes)}, finished {kept.to_json()['finished']}"
    yield f"key: {record['key']}"
    for name in kept.cells:
        yield f"cell: {name}"
    for name in kept.plans:
        yield f"plan: {name}"
    for name in record["parents"]:
        yield f"starts from: {name}"
    yield from _section("settings", record["part"])
    yield from _section("dev scores", record.get("dev", {}), ".2f")
    if found.metrics is not None:
        yield from _section("average", found.metrics.get("average", {}), ".2f")
        yield from _section("languages", found.metrics.get("languages", {}), ".2f")
    told = ("seconds", "processes", "peak_memory", "hardware", "versions")
    yield from _section("ran", {name: record[name] for name in told if name in record})
    if found.commands:
        yield "made again by:"
    elif found.exported:
        yield "exported results run nothing: the store that they came from tells the command that makes it again"
    else:
        yield "no plan and no bundle tells the command that makes it again"
    for command in found.commands:
        yield f"  {command}"


def unneeded_lines(items: Sequence[Unneeded]) -> Iterator[str]:
    """A line for each thing that would go."""
    rows = [(item.kind, size(item.bytes), item.name) for item in items]
    widths = [max(len(row[place]) for row in rows) for place in range(2)]
    for kind, weight, name in rows:
        yield f"{kind:<{widths[0]}}  {weight:>{widths[1]}}  {name}"


def counted(items: Sequence[Unneeded]) -> str:
    """``2 stages and 1 plan (12.3 MB)``."""
    counts = Counter(item.kind for item in items)
    parts = [
        f"{counts[kind]} {_PLURALS[kind] if counts[kind] != 1 else _SINGULARS.get(kind, kind)}"
        for kind in _PLURALS
        if counts[kind]
    ]
    *first, last = parts or ["nothing"]
    told = f"{', '.join(first)} and {last}" if first else last
    return f"{told} ({size(sum(item.bytes for item in items))})"


def _section(title: str, values: Mapping[str, Any], numbers: str = "") -> Iterator[str]:
    """A line a value; floats in a format."""
    if values:
        yield f"{title}:"
        for name, value in _flat(values):
            yield f"  {name} = {value:{numbers}}" if isinstance(value, float) else f"  {name} = {value}"


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
