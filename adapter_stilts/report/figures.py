"""A report's figures, each of a table of it: gains as a heat map, by language with intervals, against their cost.

Learning curves stand in `curve_figures.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from adapter_stilts.report.blocks import Gain
from adapter_stilts.report.costs import duration
from adapter_stilts.report.curve_figures import learning
from adapter_stilts.report.drawing import FORMS, Box, Drawing, Label, Marks, Shape, Strokes, shade, text_width
from adapter_stilts.report.scales import scale_of, short, times
from adapter_stilts.report.tables import STAR, UNKNOWN, Shown, Table

CELL = (84, 30)
ROW, PANEL, BESIDE = 17, 150, 4
"""Of dots: a language's row, an intermediate task's panel, and panels beside one another."""
NAMED = 3
"""Of costs: the largest gains, which are named in the figure."""


def figures(tables: Sequence[Table]) -> dict[str, Drawing]:
    """By the name of the table that they stand beside."""
    found: dict[str, Drawing | None] = {}
    for table in tables:
        if table.kind == "summary":
            found[table.name] = heat_map(table)
        elif table.kind == "groups" and table.columns[0] == "language":
            found[table.name] = dots(table)
        elif table.kind == "curves":
            found[table.name] = learning(table)
    gains = {
        cell.cell: (f"{row[0].text} before {target}", cell)
        for table in tables
        if table.kind == "summary"
        for row in table.rows
        for target, cell in zip(table.columns[1:], row[1:], strict=True)
        if cell.gain is not None
    }
    for table in tables:
        if table.kind == "costs":
            found[table.name] = against_cost(table, gains)
    return {name: drawing for name, drawing in found.items() if drawing is not None}


def heat_map(
    table: Table, note: str | None = None, deepest: float | None = None, star: str = STAR
) -> Drawing | None:
    """Gains of intermediate tasks (rows) on targets (columns).

    Args:
        note: the line below.
        deepest: points of the deepest shade; of more it is the same.
        star: the mark of gains that hold.
    """
    rows = [row for row in table.rows if any(cell.gain is not None for cell in row[1:])]
    if not rows:
        return None
    width, height = CELL
    left = 20 + max(text_width(row[0].text) for row in rows)
    # Names above their columns, slanted where they would run into one another.
    names = table.columns[1:]
    stairs = max(map(text_width, names)) > width - 6
    top = 24 + (14 if stairs else 0)
    largest = deepest or max(
        abs(cell.gain.value) for row in rows for cell in row[1:] if cell.gain is not None
    )
    shapes: list[Shape] = []
    for number, name in enumerate(names):
        low = 14 if stairs and number % 2 else 0
        middle = left + width * (number + 0.5)
        shapes.append(
            Label(middle, top - 8 - low, short(name, 2 * width if stairs else width), "middle", bold=True)
        )
    for place, row in enumerate(rows):
        y = top + height * place
        shapes.append(Label(left - 8, y + height / 2 + 4, row[0].text, "end"))
        for number, cell in enumerate(row[1:]):
            told = f"{row[0].text} before {names[number]}"
            shapes += _heat_cell(cell, left + width * number, y, largest, told, star)
    bottom = top + height * len(rows)
    below = note or f"points; {STAR} holds after Holm's adjustment; deepest shade {largest:.1f}"
    shapes.append(Label(left, bottom + 18, below, kind="faint"))
    wide = max(left + width * len(names) + 24, left + text_width(below) + 8)
    told = f"Heat map of gains, {len(rows)} intermediate tasks by {len(names)} targets; the table has the numbers."
    return Drawing(table.name, table.title, told, wide, bottom + 28, tuple(shapes))


def _heat_cell(cell: Shown, x: float, y: float, largest: float, told: str, star: str) -> list[Shape]:
    width, height = CELL
    gain = cell.gain
    box = (x + 1, y + 1, width - 2, height - 2)
    middle = (x + width / 2, y + height / 2 + 4)
    if gain is None:
        return [Box(*box, "none"), Label(*middle, UNKNOWN, "middle", "faint")]
    kind = shade(gain.value, largest)
    star = star if cell.sign else ""
    return [
        Box(*box, kind, cell.cell, f"{told}: {' '.join(cell.lines)}"),
        Label(
            *middle, f"{round(gain.value, 1) or 0:+.1f}{star}", "middle", bold=bool(cell.sign), link=cell.cell
        ),
    ]


def dots(table: Table) -> Drawing | None:
    """Gains by language with their intervals, a panel an intermediate task, all on one scale."""
    columns = [
        number
        for number in range(1, len(table.columns))
        if any(row[number].gain is not None for row in table.rows)
    ]
    if not columns:
        return None
    ends = [end for row in table.rows for number in columns for end in _ends(row[number].gain)]
    low, high, ticks = scale_of(min(*ends, 0.0), max(*ends, 0.0))
    left = 20 + max(text_width(row[0].text) for row in table.rows)
    tall = 22 + ROW * len(table.rows) + 26
    shapes: list[Shape] = []
    for place, number in enumerate(columns):
        x = left + (PANEL + 14) * (place % BESIDE)
        y = tall * (place // BESIDE)
        shapes += _panel(table, number, x, y, (low, high), ticks)
        if place % BESIDE == 0:
            shapes += [
                Label(left - 8, y + 22 + ROW * (line + 0.5) + 4, row[0].text, "end")
                for line, row in enumerate(table.rows)
            ]
    bottom = tall * math.ceil(len(columns) / BESIDE)
    note = f"gain in points, 95 % interval over examples; filled: holds after Holm's adjustment ({STAR})"
    shapes.append(Label(left, bottom + 12, note, kind="faint"))
    wide = max(left + (PANEL + 14) * min(BESIDE, len(columns)) + 8, left + text_width(note))
    told = f"Gains by language with intervals, {len(columns)} intermediate tasks. The table below has the numbers."
    return Drawing(table.name, table.title, told, wide, bottom + 20, tuple(shapes))


def _panel(
    table: Table, number: int, x: float, y: float, scale: tuple[float, float], ticks: Sequence[float]
) -> list[Shape]:
    """One intermediate task's dots: intervals and dots of a kind are one shape each, as there may be thousands."""
    low, high = scale

    def across(value: float) -> float:
        return round(x + PANEL * (value - low) / (high - low), 1)

    top, bottom = y + 22, y + 22 + ROW * len(table.rows)
    cell = next(row[number].cell for row in table.rows if row[number].cell)
    shapes: list[Shape] = [
        Label(x + PANEL / 2, y + 14, short(table.columns[number], PANEL), "middle", bold=True, link=cell),
        Strokes(tuple((across(tick), top, across(tick), bottom) for tick in ticks), "grid"),
        Strokes(((across(0), top, across(0), bottom),), "faint"),
    ]
    shapes += [
        Label(across(tick), bottom + 13, f"{tick:+g}" if tick else "0", "middle", "faint") for tick in ticks
    ]
    intervals: dict[str, list[tuple[float, float, float, float]]] = {}
    points: dict[tuple[str, bool], list[tuple[float, float]]] = {}
    for line, row in enumerate(table.rows):
        gain, middle = row[number].gain, top + ROW * (line + 0.5)
        if gain is None:
            continue
        kind = "gain" if gain.value > 0 else "loss" if gain.value < 0 else "faint"
        points.setdefault((kind, bool(row[number].sign)), []).append((across(gain.value), middle))
        if gain.estimate is not None:
            first, last = _ends(gain)
            intervals.setdefault(kind, []).append((across(first), middle, across(last), middle))
    shapes += [Strokes(tuple(lines), kind, 1.5) for kind, lines in intervals.items()]
    shapes += [Marks(tuple(places), kind, filled=filled) for (kind, filled), places in points.items()]
    return shapes


def against_cost(table: Table, gains: Mapping[str, tuple[str, Shown]]) -> Drawing | None:
    """Gains over the hours of their cells: a form a mode, hours on a logarithmic scale."""
    known = [
        (float(row["hours"] or 0), *gains[str(row["cell"])], str(row["mode"]))
        for row in table.records
        if row["hours"] and row["cell"] in gains
    ]
    if not known:
        return None
    modes = list(dict.fromkeys(mode for *_, mode in known))
    width, height, left, top = 560.0, 300.0, 60.0, 30.0
    ends = [end for _, _, shown, _ in known for end in _ends(shown.gain)]
    low, high, ticks = scale_of(min(*ends, 0.0), max(*ends, 0.0))
    least, most = min(hours for hours, *_ in known), max(hours for hours, *_ in known)
    first, last = least / 1.3, most * 1.3

    def across(hours: float) -> float:
        return round(left + width * math.log(hours / first) / math.log(last / first), 1)

    def down(value: float) -> float:
        return round(top + height * (high - value) / (high - low), 1)

    shapes: list[Shape] = [
        Strokes(tuple((left, down(tick), left + width, down(tick)) for tick in ticks), "grid"),
        Strokes(((left, down(0), left + width, down(0)),), "faint"),
        *(Label(left - 8, down(tick) + 4, f"{tick:+g}" if tick else "0", "end", "faint") for tick in ticks),
        Label(8, 16, "gain in points, with its interval", kind="faint"),
    ]
    for hours in times(least, most):
        shapes.append(Label(across(hours), top + height + 18, duration(3600 * hours), "middle", "faint"))
        shapes.append(Strokes(((across(hours), top, across(hours), top + height),), "grid"))
    for hours, told, shown, mode in known:
        assert shown.gain is not None
        kind = "gain" if shown.gain.value > 0 else "loss"
        from_, to = _ends(shown.gain)
        shapes.append(Strokes(((across(hours), down(to), across(hours), down(from_)),), kind, 0.75))
        form = FORMS[modes.index(mode) % len(FORMS)]
        point = ((across(hours), down(shown.gain.value)),)
        title = f"{told}, {mode}: {shown.lines[-1]}, {duration(3600 * hours)}"
        shapes.append(Marks(point, kind, form, bool(shown.sign), 4.5, shown.cell, title))
    best = sorted(known, key=lambda one: -(one[2].gain.value if one[2].gain else 0))[:NAMED]
    shapes += _names(
        [
            (across(hours), down(shown.gain.value), f"{told}, {mode}")
            for hours, told, shown, mode in best
            if shown.gain
        ],
        left + width,
    )
    x = left
    for mode in modes:
        form = FORMS[modes.index(mode) % len(FORMS)]
        shapes += [Marks(((x + 5, top + height + 40),), "ink", form), Label(x + 14, top + height + 44, mode)]
        x += 30 + text_width(mode)
    shapes.append(Label(x, top + height + 44, "filled: holds after Holm's adjustment", kind="faint"))
    told = f"Gains against the time of {len(known)} cells. The table below has the numbers."
    return Drawing(
        table.name, "Gains against what they cost", told, left + width + 24, top + height + 56, tuple(shapes)
    )


def _names(points: Sequence[tuple[float, float, str]], right: float) -> list[Shape]:
    """Names beside points, none upon another."""
    shapes: list[Shape] = []
    used: list[float] = []
    for x, y, name in points:
        at = y - 8
        while any(abs(at - other) < 14 for other in used):
            at += 14
        used.append(at)
        beyond = x + 10 + text_width(name) > right
        shapes.append(Label(x - 10 if beyond else x + 10, at, name, "end" if beyond else "start"))
    return shapes


def _ends(gain: Gain | None) -> tuple[float, float]:
    if gain is None:
        return (0.0, 0.0)
    if gain.estimate is None:
        return (gain.value, gain.value)
    return (gain.estimate.interval.low, gain.estimate.interval.high)
