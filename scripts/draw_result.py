#!/usr/bin/env python3
"""Draw README's picture of a result from the numbers in benchmarks/results: docs/images/*.svg.

    scripts/draw_result.py [FOLDER]        docs/images unless told

The picture is text written here, so that it needs no library, and the same numbers give the same file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "miniature_modes.json"
PICTURE = "miniature_tydiqa.svg"

MODES = (
    ("full", "full fine-tuning", "#0072b2"),
    ("lora", "LoRA, rank 8", "#e69f00"),
    ("adapter", "bottleneck adapters", "#009e73"),
)
"""Modes drawn, with their words and colours (told apart by colour-blind eyes)."""

BAR, GAP, TOP = 11, 12, 92
"""Heights, in pixels: of a bar, between two tasks, and above the first."""
LEFT, WIDTH = 150, 760
"""Where the plot begins, and the picture's width."""

Gains = Mapping[str, Mapping[str, Sequence[float]]]
"""By task and mode, each seed's gain in points."""


def gains(results: Sequence[Mapping[str, Any]], target: str = "tydiqa") -> Gains:
    """Each seed's score after an intermediate task less its score without one, in the same mode."""
    scores: dict[tuple[str, str], dict[int, float]] = {}
    for cell in results:
        if cell["precision"] == "fp32" and target in cell["average"]:
            key = (cell["intermediate"], cell["mode"])
            scores.setdefault(key, {})[cell["seed"]] = fmean(cell["average"][target].values())
    found: dict[str, dict[str, list[float]]] = {}
    for (task, mode), by_seed in scores.items():
        if task != "none" and mode in {name for name, _, _ in MODES}:
            without = scores["none", mode]
            found.setdefault(task, {})[mode] = [by_seed[seed] - without[seed] for seed in sorted(by_seed)]
    return found


def draw(found: Gains) -> str:
    """The picture: a group of bars a task, largest gain of full fine-tuning first, a dot a seed."""
    tasks = sorted(found, key=lambda task: -fmean(found[task][MODES[0][0]]))
    values = [value for task in tasks for mode in found[task].values() for value in mode]
    low, high = min(0.0, *values), max(values)
    scale = (WIDTH - LEFT - 60) / (high - low)
    height = TOP + len(tasks) * (len(MODES) * BAR + GAP) + 34

    def x(value: float) -> str:
        return f"{LEFT + 20 + (value - low) * scale:.1f}"

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="12" fill="#222222">',
        "<title>What nine English intermediate tasks give TyDiQA in the miniature</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text x="16" y="24" font-size="16" font-weight="bold">'
        "TyDiQA after an English intermediate task: points gained over none</text>",
        '<text x="16" y="43" fill="#555555">The miniature (a constructed world, not XLM-R): mean of exact match and F1 '
        "over English and seven</text>",
        '<text x="16" y="58" fill="#555555">'
        "constructed languages; bars are means of three seeds, dots the seeds.</text>",
    ]
    for number, (_, words, colour) in enumerate(MODES):
        place = 16 + 160 * number
        lines += [
            f'<rect x="{place}" y="70" width="11" height="11" fill="{colour}"/>',
            f'<text x="{place + 17}" y="80">{words}</text>',
        ]
    step = 5
    for tick in range(int(low // step) * step, int(high) + 1, step):
        if tick < low:
            continue
        points = f"{tick:+d}" if tick else "0"
        lines += [
            f'<line x1="{x(tick)}" y1="{TOP}" x2="{x(tick)}" y2="{height - 28}" stroke="#dddddd"/>',
            f'<text x="{x(tick)}" y="{height - 12}" text-anchor="middle" fill="#555555">{points}</text>',
        ]
    for row, task in enumerate(tasks):
        top = TOP + GAP // 2 + row * (len(MODES) * BAR + GAP)
        middle = top + len(MODES) * BAR / 2 + 4
        lines.append(f'<text x="{LEFT}" y="{middle:.1f}" text-anchor="end">{task}</text>')
        for number, (mode, _, colour) in enumerate(MODES):
            lines += bar(x, top + number * BAR, found[task][mode], colour)
    lines.append(f'<line x1="{x(0)}" y1="{TOP}" x2="{x(0)}" y2="{height - 28}" stroke="#222222"/>')
    return "\n".join([*lines, "</svg>", ""])


def bar(x: Callable[[float], str], top: int, seeds: Sequence[float], colour: str) -> list[str]:
    """A bar to the seeds' mean, their dots, and the mean as a number beside the outermost of them."""
    mean = fmean(seeds)
    left, right = sorted((0.0, mean))
    width = float(x(right)) - float(x(left))
    end = float(x(max(0.0, mean, *seeds))) + 7
    return [
        f'<rect x="{x(left)}" y="{top + 1}" width="{width:.1f}" height="{BAR - 2}" fill="{colour}" '
        'fill-opacity="0.75"/>',
        *(
            f'<circle cx="{x(seed)}" cy="{top + BAR / 2:.1f}" r="2" fill="#ffffff" stroke="{colour}"/>'
            for seed in seeds
        ),
        f'<text x="{end:.1f}" y="{top + BAR - 2}" font-size="9" fill="#555555">{mean:+.1f}</text>',
    ]


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    results = json.loads(RESULTS.read_text(encoding="utf-8"))["results"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PICTURE).write_text(draw(gains(results)), encoding="utf-8")


if __name__ == "__main__":
    main()
