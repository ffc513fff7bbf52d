"""A figure as a value: shapes by what they mean, drawn as SVG here and as PDF by `pdf.py`.

A shape has a kind, and a kind its colours, in a light and a dark theme. Gains are blue and losses orange, which people
who see no red or no green tell apart; how much is told by the shade, and in words beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal, TypeAlias

Anchor: TypeAlias = Literal["start", "middle", "end"]
Form: TypeAlias = Literal["circle", "square", "diamond", "triangle"]
FORMS: tuple[Form, ...] = ("circle", "square", "diamond", "triangle")

STEPS = 4
"""Shades of a gain, and of a loss."""

LIGHT: Mapping[str, str] = {
    "ink": "#1b1b1b",
    "faint": "#5c5c5c",
    "grid": "#d4d4d4",
    "paper": "#ffffff",
    "none": "#f0f0f0",
    "gain": "#1f5f9e",
    "loss": "#a8500a",
    "gain-1": "#dfebf6",
    "gain-2": "#b9d5ee",
    "gain-3": "#86b8e0",
    "gain-4": "#5799cf",
    "loss-1": "#fde8d3",
    "loss-2": "#fbcfa1",
    "loss-3": "#f3ad68",
    "loss-4": "#e28a35",
}
DARK: Mapping[str, str] = {
    "ink": "#ececec",
    "faint": "#a8a8a8",
    "grid": "#454545",
    "paper": "#16181a",
    "none": "#2a2d30",
    "gain": "#7db9ec",
    "loss": "#f3a55b",
    "gain-1": "#1c2d3e",
    "gain-2": "#1f3f5c",
    "gain-3": "#23527c",
    "gain-4": "#27669e",
    "loss-1": "#3d2c1c",
    "loss-2": "#583a1d",
    "loss-3": "#74491b",
    "loss-4": "#925817",
}


@dataclass(frozen=True)
class Label:
    """Text on one line.

    Args:
        y: of its baseline.
        link: id of what it leads to; nowhere where there is none.
    """

    x: float
    y: float
    text: str
    anchor: Anchor = "start"
    kind: str = "ink"
    bold: bool = False
    link: str = ""


@dataclass(frozen=True)
class Box:
    """A filled rectangle.

    Args:
        title: what is told where it is pointed at.
    """

    x: float
    y: float
    width: float
    height: float
    kind: str
    link: str = ""
    title: str = ""


@dataclass(frozen=True)
class Strokes:
    """Straight lines of one kind, (x, y, x, y) each.

    Args:
        thick: in pixels.
    """

    lines: tuple[tuple[float, float, float, float], ...]
    kind: str
    thick: float = 1.0


@dataclass(frozen=True)
class Marks:
    """Small forms of one kind about their points.

    Args:
        filled: else only their outline is drawn, on paper.
        link, title: as of a box.
    """

    points: tuple[tuple[float, float], ...]
    kind: str
    form: Form = "circle"
    filled: bool = True
    size: float = 3.5
    link: str = ""
    title: str = ""


Shape: TypeAlias = "Label | Box | Strokes | Marks"


@dataclass(frozen=True)
class Drawing:
    """A figure.

    Args:
        name: of its files.
        told: what it shows, for those who do not see it.
        width, height: in pixels.
    """

    name: str
    title: str
    told: str
    width: float
    height: float
    shapes: tuple[Shape, ...]


def shade(value: float, largest: float) -> str:
    """The kind of a gain or loss, in four shades up to the largest there is."""
    if not value or largest <= 0:
        return "none"
    step = min(STEPS, 1 + int(STEPS * abs(value) / largest * 0.999999))
    return f"{'gain' if value > 0 else 'loss'}-{step}"


def text_width(text: str) -> float:
    """About how wide a text is, in pixels."""
    return 7 * len(text)


def outline(form: Form, x: float, y: float, size: float) -> tuple[tuple[float, float], ...]:
    """The corners of a form; of a circle none."""
    if form == "square":
        near = size * 0.9
        return ((x - near, y - near), (x + near, y - near), (x + near, y + near), (x - near, y + near))
    if form == "diamond":
        far = size * 1.25
        return ((x, y - far), (x + far, y), (x, y + far), (x - far, y))
    if form == "triangle":
        far = size * 1.2
        return ((x, y - far), (x + far, y + far * 0.8), (x - far, y + far * 0.8))
    return ()


def svg(drawing: Drawing, inline: bool, colours: Mapping[str, str] = LIGHT) -> str:
    """The figure as SVG.

    Args:
        inline: within the page, whose styles it takes and whose sections it links to; a file of its own otherwise.
        colours: of a file of its own.
    """
    number = "{:g}".format
    size = f'viewBox="0 0 {number(drawing.width)} {number(drawing.height)}"'
    if inline:
        start = f'<svg class="figure" {size} style="width:{number(drawing.width)}px" role="img" '
    else:
        start = f'<svg xmlns="http://www.w3.org/2000/svg" {size} width="{number(drawing.width)}" role="img" '
    parts = [f'{start}aria-label="{escape(drawing.told)}">']
    if not inline:
        parts += [f"<title>{escape(drawing.title)}</title><style>{styles(colours)}</style>"]
        parts.append('<rect class="paper" width="100%" height="100%"/>')
    parts += [_shape(shape, inline) for shape in drawing.shapes]
    return "".join([*parts, "</svg>", "" if inline else "\n"])


def styles(colours: Mapping[str, str]) -> str:
    """Rules of a standalone file."""
    rules = [f".{kind}{{fill:{colour}}}.s-{kind}{{stroke:{colour}}}" for kind, colour in colours.items()]
    hollow = f".hollow{{fill:{colours['paper']}}}"
    return "text{font:12px sans-serif}.b{font-weight:bold}" + hollow + "".join(rules)


def _shape(shape: Shape, inline: bool) -> str:
    if isinstance(shape, Label):
        bold = " b" if shape.bold else ""
        anchor = "" if shape.anchor == "start" else f' text-anchor="{shape.anchor}"'
        drawn = (
            f'<text class="{shape.kind}{bold}" x="{shape.x:.5g}" y="{shape.y:.5g}"{anchor}>'
            f"{escape(shape.text)}</text>"
        )
        return _linked(drawn, shape.link, inline)
    if isinstance(shape, Box):
        told = f"<title>{escape(shape.title)}</title>" if shape.title else ""
        drawn = (
            f'<rect class="{shape.kind}" x="{shape.x:.5g}" y="{shape.y:.5g}" width="{shape.width:.5g}" '
            f'height="{shape.height:.5g}">{told}</rect>'
        )
        return _linked(drawn, shape.link, inline)
    if isinstance(shape, Strokes):
        return f'<path class="s-{shape.kind}" stroke-width="{shape.thick:g}" fill="none" d="{_lines(shape.lines)}"/>'
    return _marks(shape, inline)


def _lines(lines: Iterable[Sequence[float]]) -> str:
    """A path; a line that begins where the one before ends goes on from there."""
    parts, end = [], None
    for x, y, to, down in lines:
        start = "" if end == (x, y) else f"M{x:.5g} {y:.5g}"
        parts.append(start + (f"H{to:.5g}" if y == down else f"L{to:.5g} {down:.5g}"))
        end = (to, down)
    return "".join(parts)


def _marks(shape: Marks, inline: bool) -> str:
    path = "".join(_form(shape.form, x, y, shape.size) for x, y in shape.points)
    fill = shape.kind if shape.filled else "hollow"
    told = f"<title>{escape(shape.title)}</title>" if shape.title else ""
    drawn = f'<path class="{fill} s-{shape.kind}" d="{path}">{told}</path>'
    return _linked(drawn, shape.link, inline)


def _form(form: Form, x: float, y: float, size: float) -> str:
    corners = outline(form, x, y, size)
    if corners:
        return "M" + "L".join(f"{across:.5g} {down:.5g}" for across, down in corners) + "z"
    return f"M{x - size:.5g} {y:.5g}a{size:g} {size:g} 0 1 0 {2 * size:g} 0a{size:g} {size:g} 0 1 0 {-2 * size:g} 0z"


def _linked(drawn: str, link: str, inline: bool) -> str:
    return f'<a href="#{escape(link)}">{drawn}</a>' if link and inline else drawn
