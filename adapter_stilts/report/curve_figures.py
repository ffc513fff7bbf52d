"""Learning curves as small multiples: a panel an intermediate task, dev score above loss, a line a seed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

from adapter_stilts.report.drawing import FORMS, Drawing, Label, Marks, Shape, Strokes, text_width
from adapter_stilts.report.scales import scale_of, short
from adapter_stilts.report.tables import Table

PANEL, BESIDE = 150, 4
"""A panel's width, and panels beside one another."""
GAP = 26
HEIGHTS = {"dev": 84, "loss": 42}

Points: TypeAlias = "list[tuple[float, float]]"
Scale: TypeAlias = "tuple[float, float, tuple[float, ...]]"


@dataclass
class _Panel:
    """The curves of one row of the table.

    Args:
        lines: by what is drawn and seed.
        kept: by seed, the step and dev score whose weights were kept.
    """

    cell: str
    lines: dict[tuple[str, object], Points] = field(default_factory=lambda: defaultdict(list))
    kept: dict[object, tuple[float, float]] = field(default_factory=dict)


def learning(table: Table) -> Drawing | None:
    """All panels on the same scales; the baseline's dev scores stand faint behind each of the others."""
    panels, behind = _panels(table)
    kinds = [
        kind for kind in HEIGHTS if any(kind == one for panel in panels.values() for one, _ in panel.lines)
    ]
    if not kinds:
        return None
    points = {
        kind: [
            point
            for panel in panels.values()
            for (one, _), line in panel.lines.items()
            if one == kind
            for point in line
        ]
        for kind in kinds
    }
    most = max(step for line in points.values() for step, _ in line)
    scales = {kind: _scale(kind, [value for _, value in points[kind]]) for kind in kinds}
    seeds = list(dict.fromkeys(seed for panel in panels.values() for _, seed in panel.lines))
    tops = {kind: 22 + sum(HEIGHTS[one] + 12 for one in kinds[:place]) for place, kind in enumerate(kinds)}
    tall = 22 + sum(HEIGHTS[kind] + 12 for kind in kinds) + 28
    left = 20 + max(text_width(f"{tick:g}") for _, _, ticks in scales.values() for tick in ticks)
    shapes: list[Shape] = []
    for place, (name, panel) in enumerate(panels.items()):
        x, y = left + (PANEL + GAP) * (place % BESIDE), tall * (place // BESIDE)
        shapes.append(Label(x + PANEL / 2, y + 14, short(name, PANEL), "middle", bold=True, link=panel.cell))
        for kind in kinds:
            frame = _Frame(x, y + tops[kind], HEIGHTS[kind], most, scales[kind])
            shapes += frame.grid(named=place % BESIDE == 0, steps=kind == kinds[-1])
            if kind == "dev" and panel is not behind and behind is not None:
                lines = [line for (one, _), line in behind.lines.items() if one == kind]
                shapes += frame.lines(lines, "faint", 0.75)
            shapes += _lines(panel, kind, frame, seeds)
    bottom = tall * math.ceil(len(panels) / BESIDE)
    baseline = any(isinstance(shape, Strokes) and shape.kind == "faint" for shape in shapes)
    shapes += _legend(left, bottom + 12, kinds, seeds, baseline)
    wide = max(left + (PANEL + GAP) * min(BESIDE, len(panels)) + 8, _right(shapes))
    told = f"Learning curves, {len(panels)} panels. The table below has the first, kept and last values."
    return Drawing(table.name, table.title, told, wide, bottom + 40, tuple(shapes))


@dataclass(frozen=True)
class _Frame:
    """One plot of a panel: from its steps and values to places.

    Args:
        most: the last step of all.
    """

    x: float
    y: float
    height: float
    most: float
    scale: Scale

    def at(self, step: float, value: float) -> tuple[float, float]:
        low, high, _ = self.scale
        across = self.x + PANEL * step / self.most
        return round(across, 1), round(self.y + self.height * (high - value) / (high - low), 1)

    def lines(self, curves: Iterable[Points], kind: str, thick: float) -> list[Shape]:
        """All of one kind as one shape; none of curves that are points."""
        found = tuple(
            (*one, *other)
            for points in curves
            for one, other in pairwise(self.at(*point) for point in points)
        )
        return [Strokes(found, kind, thick)] if found else []

    def grid(self, named: bool, steps: bool) -> list[Shape]:
        """Ticks across and, where they are wanted, the names of values on the left and of steps below."""
        bottom = self.y + self.height
        low, _, ticks = self.scale
        heights = [self.at(0, tick)[1] for tick in ticks]
        _, _, across = scale_of(0.0, self.most)
        places = [self.at(tick, low)[0] for tick in across]
        rules = [(self.x, height, self.x + PANEL, height) for height in heights]
        rules += [(place, self.y, place, bottom) for place in places]
        shapes: list[Shape] = [Strokes(tuple(rules), "grid")]
        if named:
            shapes += [
                Label(self.x - 8, height + 4, f"{tick:g}", "end", "faint")
                for tick, height in zip(ticks, heights, strict=True)
            ]
        if steps:
            shapes += [
                Label(
                    place, bottom + 15, f"{tick:g}" if tick < 1e5 else f"{tick / 1000:g}k", "middle", "faint"
                )
                for tick, place in list(zip(across, places, strict=True))[:: 1 + len(across) // 4]
            ]
        return shapes


def _panels(table: Table) -> tuple[dict[str, _Panel], _Panel | None]:
    """By name, in the table's order; and the baseline's."""
    panels: dict[str, _Panel] = {}
    behind = None
    for row in table.records:
        panel = panels.setdefault(str(row["of"]), _Panel(str(row["cell"])))
        step, value = float(row["step"] or 0), float(row["value"] or 0)
        panel.lines[str(row["curve"]), row["seed"]].append((step, value))
        if row["kept"]:
            panel.kept[row["seed"]] = (step, value)
        if row["baseline"]:
            behind = panel
    return panels, behind


def _scale(kind: str, values: Sequence[float]) -> Scale:
    """Of losses from 0 on, which is where they should go; of scores between round ones, about what there is."""
    if kind == "loss":
        low, high, ticks = scale_of(0.0, max(values))
        return low, high, ticks[:: 2 if len(ticks) > 3 else 1]
    first = 5.0 * math.floor(min(values) / 5)
    return scale_of(first, max(first + 5, 5.0 * math.ceil(max(values) / 5)))


def _lines(panel: _Panel, kind: str, frame: _Frame, seeds: Sequence[object]) -> list[Shape]:
    own: Mapping[object, Points] = {seed: line for (one, seed), line in panel.lines.items() if one == kind}
    shapes = frame.lines(own.values(), "ink", 1.25)
    for seed, (step, score) in panel.kept.items() if kind == "dev" else ():
        form = FORMS[seeds.index(seed) % len(FORMS)]
        told = f"seed {seed}: {score:.2f} on dev at step {step:g}, the weights that were kept"
        shapes.append(Marks((frame.at(step, score),), "gain", form, link=panel.cell, title=told))
    return shapes


def _legend(x: float, y: float, kinds: Sequence[str], seeds: Sequence[object], behind: bool) -> list[Shape]:
    """What is drawn, in two lines."""
    words = {"dev": "dev score in percent", "loss": "loss, means over parts of the run"}
    places = ("above: ", "below: ") if len(kinds) > 1 else ("",)
    told = "; ".join(place + words[kind] for place, kind in zip(places, kinds, strict=True))
    if behind and "dev" in kinds:
        told += "; faint: the baseline"
    shapes: list[Shape] = [Label(x, y, told, kind="faint")]
    if "dev" in kinds:
        kept = "weights kept:" if len(seeds) > 1 else "weights kept"
        shapes.append(Label(x + (0 if len(seeds) > 1 else 14), y + 20, kept, kind="faint"))
        at = x + text_width(kept) + 12 if len(seeds) > 1 else x + 5
        for seed, form in zip(
            seeds, FORMS, strict=False
        ):  # more seeds than forms: the points tell their seed
            shapes.append(Marks(((at, y + 16),), "gain", form))
            if len(seeds) > 1:
                shapes.append(Label(at + 8, y + 20, f"seed {seed}", kind="faint"))
                at += 30 + text_width(f"seed {seed}")
    return shapes


def _right(shapes: Sequence[Shape]) -> float:
    return max(
        shape.x + text_width(shape.text)
        for shape in shapes
        if isinstance(shape, Label) and shape.anchor == "start"
    )
