"""The page: one HTML file that needs nothing else, by a Jinja template, with the figures in it."""

from __future__ import annotations

import base64
import hashlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter_stilts.errors import UsageError
from adapter_stilts.report.costs import duration
from adapter_stilts.report.drawing import DARK, LIGHT, Drawing, svg
from adapter_stilts.report.making import Report
from adapter_stilts.report.tables import Kind, Table

LARGEST = 2_000_000
"""Bytes of the page."""
RENEWAL = 60
"""Seconds after which a page that is being renewed loads itself anew."""

FILES = Path(__file__).parent / "page_files"
SECTIONS: Mapping[Kind, tuple[str, str]] = {
    "summary": ("gains", "Gains by target"),
    "groups": ("languages", "Gains by language"),
    "modes": ("modes", "Modes side by side"),
    "oracle": ("selection", "Honest selection"),
    "costs": ("costs", "Costs"),
    "curves": ("curves", "Learning curves"),
    "published": ("published", "Published rows"),
}


_CURVES: Mapping[str, Callable[[Table], bool]] = {"learning curves": lambda table: table.kind == "curves"}
_LEFT_OUT: Sequence[Mapping[str, Callable[[Table], bool]]] = (
    {},
    _CURVES,
    {
        **_CURVES,
        "the tables by language families and resource levels": lambda table: (
            table.kind == "groups" and table.columns[0] != "language"
        ),
    },
    {
        **_CURVES,
        "the tables by single languages and groups of them": lambda table: table.kind == "groups",
    },
)
"""What is left to the files where a page is too large, more each time."""


@dataclass(frozen=True)
class Part:
    """A table of the page.

    Args:
        figure: as SVG, with marks that are not to be escaped; None where it has none.
        folded: told by its title until it is opened.
    """

    table: Table
    figure: Any
    folded: bool


@dataclass(frozen=True)
class Section:
    """Tables of a kind."""

    id: str
    title: str
    parts: tuple[Part, ...]


def page(report: Report, figures: Mapping[str, Drawing], renewed: bool = False) -> str:
    """The page as text; the same for the same report.

    Of a very large store learning curves, then groups of languages, then languages are left to the files, which the
    page tells.

    Args:
        figures: by the name of their tables.
        renewed: whether it is to load itself anew, as it will be another soon.

    Raises:
        UsageError: Jinja2 is not installed, or even so the page is too large.
    """
    drawn = {name: svg(drawing, inline=True) for name, drawing in figures.items()}
    for left_out in _LEFT_OUT:
        tables = [table for table in report.tables if not any(among(table) for among in left_out.values())]
        told = " and ".join(left_out)
        said = f"For want of room {told} stand in the files beside this page alone." if told else ""
        found = _rendered(report, tables, drawn, said, RENEWAL if renewed else 0)
        if len(found.encode()) <= LARGEST:
            return found
    raise UsageError(
        f"{report.store}: {report.finished} cells do not fit on a page of {LARGEST / 1e6:g} MB: choose with --plan"
    )


def _rendered(
    report: Report, tables: Sequence[Table], drawn: Mapping[str, str], left_out: str, renewal: int
) -> str:
    try:
        jinja2: Any = importlib.import_module("jinja2")
        markup: Any = importlib.import_module("markupsafe").Markup
    except ImportError as error:
        raise UsageError(f"the page needs Jinja2 ({error}): pip install 'adapter-stilts[report]'") from error
    script = (FILES / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    template = environment.from_string((FILES / "page.html.jinja").read_text(encoding="utf-8"))
    sections = []
    for kind, (name, title) in SECTIONS.items():
        parts = tuple(
            Part(
                table,
                markup(drawn[table.name]) if table.name in drawn else None,
                kind == "groups" and table.columns[0] != "language",
            )
            for table in tables
            if table.kind == kind
        )
        if parts:
            sections.append(Section(name, title, parts))
    rendered: str = template.render(
        report=report,
        sections=sections,
        left_out=left_out,
        renewal=renewal,
        style=markup(style()),
        script=markup(script),
        script_digest=digest,
        duration=duration,
    )
    return rendered


def style() -> str:
    """The page's styles: colours by theme, and each kind of shape by its colour."""

    def variables(colours: Mapping[str, str]) -> str:
        return "".join(f"--{name}:{colour};" for name, colour in colours.items())

    kinds = "".join(
        f".figure .{name}{{fill:var(--{name})}}.figure .s-{name}{{stroke:var(--{name})}}" for name in LIGHT
    )
    themes = (
        f":root{{color-scheme:light dark;{variables(LIGHT)}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{variables(DARK)}}}}}"
    )
    return themes + kinds + (FILES / "page.css").read_text(encoding="utf-8")
