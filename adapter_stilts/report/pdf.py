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
            f"figures as PDF need matplotlib ({error}): pip install 'adapter-stilts[report]', or leave them out "
            "(write_report(..., pdfs=False))"
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
    """A shape is one artist, however many lines or forms it has: matplotlib takes its time for each."""
    if isinstance(shape, Label):
        axes.text(
            shape.x,
            shape.y,
            shape.text.replace("$", r"\$"),
            ha={"start": "left", "middle": "center", "end": "right"}[shape.anchor],
            va="baseline",
            fontsize=SIZE * POINTS,
            weight="bold" if shape.bold else "normal",
            color=LIGHT[shape.kind],
            zorder=order,
        )
        return
    patches: Any = importlib.import_module("matplotlib.patches")
    look: dict[str, Any] = {"zorder": order, "clip_on": False}
    if isinstance(shape, Box):
        look |= {"facecolor": LIGHT[shape.kind], "linewidth": 0}
    elif isinstance(shape, Strokes):
        look |= {"fill": False, "edgecolor": LIGHT[shape.kind], "linewidth": shape.thick * POINTS}
    else:
        filled = LIGHT[shape.kind if shape.filled else "paper"]
        look |= {"facecolor": filled, "edgecolor": LIGHT[shape.kind], "linewidth": POINTS}
    axes.add_patch(patches.PathPatch(_path(shape), **look))


def _path(shape: Box | Strokes | Marks) -> Any:
    path: Any = importlib.import_module("matplotlib.path").Path
    if isinstance(shape, Box):
        right, low = shape.x + shape.width, shape.y + shape.height
        return path([(shape.x, shape.y), (right, shape.y), (right, low), (shape.x, low), (0, 0)], closed=True)
    if isinstance(shape, Strokes):
        ends = [end for x, y, to, down in shape.lines for end in ((x, y), (to, down))]
        return path(ends, [path.MOVETO, path.LINETO] * len(shape.lines))
    forms = []
    for x, y in shape.points:
        corners = outline(shape.form, x, y, shape.size)
        closed = path([*corners, (0, 0)], closed=True) if corners else path.circle((x, y), shape.size)
        forms.append(closed)
    return path.make_compound_path(*forms)
