"""A figure as PDF, for papers: the shapes of `drawing.py` by matplotlib."""

from __future__ import annotations

import importlib
from io import BytesIO
from typing import Any

from adapter_stilts.errors import UsageError
from adapter_stilts.report.drawing import LIGHT, Box, Drawing, Label, Marks, Shape, Strokes, outline

POINTS = 0.75
"""Of a pixel."""
SIZE = 12
"""Of text, in pixels, as in SVG."""


def pdf(drawing: Drawing) -> bytes:
    """The figure; the same bytes for the same figure.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        figures: Any = importlib.import_module("matplotlib.figure")
        backend: Any = importlib.import_module("matplotlib.backends.backend_pdf")
    except ImportError as error:
        raise UsageError(
            f"figures as PDF need matplotlib ({error}): pip install 'adapter-stilts[report]'"
        ) from error
    inches = (drawing.width * POINTS / 72, drawing.height * POINTS / 72)
    figure = figures.Figure(figsize=inches)
    backend.FigureCanvasPdf(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, drawing.width)
    axes.set_ylim(drawing.height, 0)
    for order, shape in enumerate(drawing.shapes):
        _draw(axes, shape, order)
    kept = BytesIO()
    # Without its date, which would be another each time.
    about = {"Title": drawing.title, "CreationDate": None, "Producer": None, "Creator": None}
    figure.savefig(kept, format="pdf", metadata=about)
    return kept.getvalue()


def _draw(axes: Any, shape: Shape, order: int) -> None:
    patches: Any = importlib.import_module("matplotlib.patches")
    if isinstance(shape, Label):
        side = {"start": "left", "middle": "center", "end": "right"}[shape.anchor]
        weight = "bold" if shape.bold else "normal"
        axes.text(
            shape.x,
            shape.y,
            shape.text.replace("$", r"\$"),
            ha=side,
            va="baseline",
            fontsize=SIZE * POINTS,
            weight=weight,
            color=LIGHT[shape.kind],
            zorder=order,
        )
    elif isinstance(shape, Box):
        place = (shape.x, shape.y)
        axes.add_patch(
            patches.Rectangle(place, shape.width, shape.height, color=LIGHT[shape.kind], zorder=order, lw=0)
        )
    elif isinstance(shape, Strokes):
        for x, y, to, down in shape.lines:
            axes.plot(
                (x, to),
                (y, down),
                color=LIGHT[shape.kind],
                lw=shape.thick * POINTS,
                zorder=order,
                clip_on=False,
            )
    else:
        for x, y in shape.points:
            axes.add_patch(_form(patches, shape, x, y, order))


def _form(patches: Any, shape: Marks, x: float, y: float, order: int) -> Any:
    look = {
        "facecolor": LIGHT[shape.kind if shape.filled else "paper"],
        "edgecolor": LIGHT[shape.kind],
        "lw": POINTS,
        "zorder": order,
    }
    corners = outline(shape.form, x, y, shape.size)
    return (
        patches.Polygon(corners, closed=True, **look)
        if corners
        else patches.Circle((x, y), shape.size, **look)
    )
