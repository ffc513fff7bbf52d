"""Scales of figures: where axes end, round ticks, and names that fit."""

from __future__ import annotations

import math

from adapter_stilts.report.drawing import text_width


def scale_of(low: float, high: float) -> tuple[float, float, tuple[float, ...]]:
    """Ends of an axis that holds all, and three to five round ticks."""
    span = high - low or 1.0
    rough = span / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    margin = 0.04 * span
    return low - margin, high + margin, tuple(step * number for number in range(first, last + 1))


def times(first: float, last: float) -> list[float]:
    """Round times between two, in hours: at most eight, and the ends where there are not two."""
    seconds = [
        unit * each for unit in (0.1, 1, 60) for each in (1, 2, 5, 10, 20, 30) if unit != 0.1 or each < 10
    ]
    hours = [each / 3600 for each in seconds] + [
        each * 10.0**power for power in range(4) for each in (1, 2, 5)
    ]
    inside = [each for each in hours if first <= each <= last]
    return inside[:: 1 + len(inside) // 8] if len(inside) > 1 else [first, last]


def short(text: str, room: float) -> str:
    """A name that fits; its table has the whole."""
    most = int(room / text_width("n"))
    return text if len(text) <= most else f"{text[: most - 1]}…"
