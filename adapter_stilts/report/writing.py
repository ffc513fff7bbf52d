"""A report as files: the page, CSV for pandas, Markdown, LaTeX with booktabs, figures as SVG and PDF."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from adapter_stilts.io import disk_errors, write_bytes
from adapter_stilts.report.drawing import svg
from adapter_stilts.report.figures import figures
from adapter_stilts.report.folders import (
    FIRST_LINE,
    INSTEAD,
    LATEX,
    MARKDOWN,
    PAGE,
    check_folder,
    left_over,
)
from adapter_stilts.report.making import Report
from adapter_stilts.report.page import page
from adapter_stilts.report.pdf import pdf
from adapter_stilts.report.tables import Shown, Table

CHARACTERS = 96
"""That a LaTeX table holds in a line, in its small type on a landscape page."""

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    "†": r"$^\dagger$",
    "*": r"$^{*}$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"\textquotedbl{}",
    "…": r"\ldots{}",
    "’": "'",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "Δ": r"$\Delta$",
}
_HEAD = rf"""{FIRST_LINE}
\usepackage[T1]{{fontenc}}
\usepackage[utf8]{{inputenc}}
\usepackage{{booktabs}}
\usepackage{{longtable}}
\usepackage[margin=15mm]{{geometry}}
\setlength{{\parindent}}{{0pt}}
\begin{{document}}
"""


def write_report(
    report: Report, folder: str | Path, pdfs: bool = True, renewed: bool = False
) -> tuple[Path, ...]:
    """Write the page, each table as CSV and LaTeX, all as Markdown, and the figures; returns the files, the page first.

    Each file is replaced in one step, the page last, so that what others read meanwhile is whole; files of an earlier
    report that this one has no more are removed.

    ``index.html``; ``<table>.csv``; ``<table>.tex``, to be input into a paper that uses booktabs and longtable, and
    ``report.tex`` of all; ``report.md``; ``<table>.svg`` and ``<table>.pdf`` of those that have a figure.

    Args:
        pdfs: whether figures are written as PDF, too, which matplotlib is needed for.
        renewed: whether the page is to be written again soon, and loads itself anew until then.

    Raises:
        UsageError: the folder is none to write to (`check_folder`), or a library of the extra ``report`` is not
            installed.
        StoreError: it cannot be written.
    """
    drawn = figures(report.tables)
    inputs = "\n".join(rf"\input{{{table.name}}}" for table in report.tables)
    texts = {LATEX: f"{_HEAD}{inputs}\n{_latex_notes(report.notes)}\\end{{document}}\n"}
    texts |= {f"{table.name}.csv": _csv(table) for table in report.tables}
    texts |= {f"{table.name}.tex": latex(table) for table in report.tables}
    texts |= {f"{name}.svg": svg(drawing, inline=False) for name, drawing in drawn.items()}
    texts[MARKDOWN] = markdown_page(report)
    contents = {name: text.encode("utf-8") for name, text in texts.items()}
    contents |= {f"{name}.pdf": pdf(drawing) for name, drawing in drawn.items()} if pdfs else {}
    contents[PAGE] = page(report, drawn, renewed).encode("utf-8")
    root = check_folder(folder, contents)
    with disk_errors(root, INSTEAD):
        root.mkdir(parents=True, exist_ok=True)
        for path in list(left_over(root, contents)):  # first, as the list of them is replaced
            path.unlink(missing_ok=True)
    for name, content in contents.items():
        write_bytes(root / name, content, INSTEAD, flush=False)
    return tuple(root / name for name in (PAGE, *(name for name in contents if name != PAGE)))


def _csv(table: Table) -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(table.records[0]) if table.records else [])
    writer.writeheader()
    writer.writerows(table.records)
    return file.getvalue()


def in_parts(table: Table, width: Callable[[Sequence[Shown]], int], room: int) -> Iterator[Table]:
    """The table in parts whose columns have room beside one another; each repeats the first column.

    Args:
        width: of the cells of a column, its name among them.
    """
    widths = [
        width([Shown((name,)), *(row[number] for row in table.rows)])
        for number, name in enumerate(table.columns)
    ]
    start = 1
    while start < len(widths):
        end, used = start + 1, widths[0] + widths[start]
        while end < len(widths) and used + widths[end] <= room:
            used += widths[end]
            end += 1
        yield replace(
            table,
            columns=(table.columns[0], *table.columns[start:end]),
            rows=tuple((row[0], *row[start:end]) for row in table.rows),
        )
        start = end


def markdown_page(report: Report) -> str:
    """All tables, and what is told beside them."""
    parts = [f"# Report\n\n{report.finished} of {report.cells} planned cells.\n"]
    parts.append("".join(f"- {_markdown(sentence.text)}\n" for sentence in report.answer))
    parts += [markdown(table) for table in report.tables]
    if report.notes:
        parts.append("## Notes\n\n" + "".join(f"- {_markdown(note)}\n" for note in report.notes))
    return "\n".join(parts)


def markdown(table: Table) -> str:
    """A heading, the table, and its caption."""
    lines = [f"## {_markdown(table.title)}", "", _row(table.columns)]
    lines.append("| --- |" + " ---: |" * (len(table.columns) - 1))
    lines += [_row([cell.text for cell in row]) for row in table.rows]
    return "\n".join([*lines, "", " ".join(map(_markdown, table.captions)), ""])


def _row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(map(_markdown, texts))} |"


def _markdown(text: str) -> str:
    """Text whose marks are shown and do nothing."""
    return re.sub(r"([\\`*_|<>\[\]#])", r"\\\1", text).replace("\n", " ")


def latex(table: Table) -> str:
    """The table in parts that fit a line, and its caption below."""
    parts = in_parts(
        table, lambda cells: max(len(line) for cell in cells for line in cell.lines) + 2, CHARACTERS
    )
    lines = [rf"\subsection*{{{_latex(table.title)}}}", r"{\footnotesize"]
    for part in parts:
        lines += [rf"\begin{{longtable}}[l]{{l{'r' * (len(part.columns) - 1)}}}", r"\toprule"]
        lines += [_latex_row(part.columns), r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot"]
        lines += [line for row in part.rows for line in _latex_rows(row)]
        lines += [r"\end{longtable}"]
    lines += [" ".join(map(_latex, table.captions)), r"\par}", ""]
    return "\n".join(lines)


def _latex_rows(row: Sequence[Shown]) -> list[str]:
    """One line of the table for each line of its cells."""
    number = max(len(cell.lines) for cell in row)
    return [
        _latex_row([cell.lines[line] if line < len(cell.lines) else "" for cell in row])
        for line in range(number)
    ]


def _latex_row(texts: Sequence[str]) -> str:
    return " & ".join(map(_latex, texts)) + r" \\"


def _latex(text: str) -> str:
    """Text as LaTeX shows it; a first bracket is shielded, which ``\\\\`` of the line before would take as its own.

    What Latin type does not have is told by its number.
    """
    found = "".join(_LATEX.get(letter, letter) for letter in text.replace("\n", " "))
    found = re.sub(r"[^\x20-\x7e\u00a0-\u00ff]", lambda letter: f"U+{ord(letter[0]):04X}", found)
    return f"{{}}{found}" if found.startswith("[") else found


def _latex_notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    items = "\n".join(rf"\item {_latex(note)}" for note in notes)
    return f"\\subsection*{{Notes}}\n\\begin{{itemize}}\n{items}\n\\end{{itemize}}\n"
