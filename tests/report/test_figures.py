"""Figures: what they show, as SVG and PDF."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from adapter_stilts.report.drawing import Box, Drawing, Label, Marks, Strokes, shade, svg
from adapter_stilts.report.figures import figures
from adapter_stilts.report.making import make_report
from adapter_stilts.report.pdf import pdf
from adapter_stilts.report.scales import scale_of, times

SPACE = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def drawn(whole: Path) -> dict[str, Drawing]:
    return figures(make_report(whole, resamples=500).tables)


def test_a_heat_map_has_a_box_for_each_gain(drawn: dict[str, Drawing], whole: Path) -> None:
    (table,) = [one for one in make_report(whole, resamples=500).tables if one.name == "summary-1"]
    shapes = drawn["summary-1"].shapes
    boxes = [shape for shape in shapes if isinstance(shape, Box)]
    gains = [row["gain"] for row in table.records if row["gain"] is not None]
    assert len(boxes) == len(gains) == 4
    texts = [shape.text.rstrip("*") for shape in shapes if isinstance(shape, Label)]
    assert all(f"{gain:+.1f}" in texts for gain in gains)


def test_dots_stand_in_their_intervals(drawn: dict[str, Drawing]) -> None:
    shapes = drawn["language-1-xquad"].shapes
    dots = [point for shape in shapes if isinstance(shape, Marks) for point in shape.points]
    intervals = [
        line for shape in shapes if isinstance(shape, Strokes) for line in shape.lines if line[1] == line[3]
    ]
    assert len(dots) == len(intervals) == 8  # four languages, two intermediate tasks
    for x, y in dots:
        assert any(left <= x <= right and height == y for left, height, right, _ in intervals)


@pytest.mark.parametrize("name", ["summary-1", "language-1-xnli", "costs"])
def test_svg_is_whole_and_inside_its_frame(drawn: dict[str, Drawing], name: str) -> None:
    drawing = drawn[name]
    root = ElementTree.fromstring(svg(drawing, inline=False))
    assert root.tag == f"{SPACE}svg"
    assert not root.findall(f".//{SPACE}a")
    for text in root.iter(f"{SPACE}text"):
        assert 0 <= float(text.attrib["x"]) <= drawing.width
        assert 0 <= float(text.attrib["y"]) <= drawing.height


def test_pdf_is_the_same_each_time(drawn: dict[str, Drawing]) -> None:
    pytest.importorskip("matplotlib")
    first = pdf(drawn["costs"])
    assert first.startswith(b"%PDF-")
    assert first == pdf(drawn["costs"])


def test_shades_are_of_both_signs_and_of_four_steps() -> None:
    assert [shade(value, 8.0) for value in (8.0, 6.1, 6.0, 2.0, 0.1, 0.0, -0.1, -8.0)] == [
        "gain-4", "gain-4", "gain-3", "gain-1", "gain-1", "none", "loss-1", "loss-4",
    ]  # fmt: skip


def test_axes_have_round_ticks() -> None:
    assert scale_of(-3.0, 17.0)[2] == (0.0, 5.0, 10.0, 15.0)
    assert scale_of(0.0, 0.0)[2] == (0.0,)
    assert times(0.5, 3.0) == [0.5, 1.0, 2.0]
    assert times(0.11, 0.12) == [0.11, 0.12]
