"""Files of a report: CSV with its types, Markdown that renders, LaTeX that compiles."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from adapter_stilts.errors import UsageError
from adapter_stilts.report.folders import check_folder
from adapter_stilts.report.making import Report, make_report
from adapter_stilts.report.tables import Shown, Table, text
from adapter_stilts.report.writing import in_parts, latex, markdown, write_report

ODD = Table(
    "odd",
    "groups",
    r"100 % of_a & b # {c} ~ ^ \d $ <e> | `f` * † ✓ ö",
    ("row", "[first]", "second"),
    ((text("[x]"), Shown(("1.00 ± 0.10", "+1.00 [+0.10, +1.90]*"), 1), text("–")),),
    ("A caption with 95 % and _marks_.", "[bracket]"),
    ({"row": "x", "value": 1.0},),
)


@pytest.fixture(scope="module")
def report(whole: Path) -> Report:
    return make_report(whole, resamples=500)


@pytest.fixture(scope="module")
def written(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "deep" / "report"
    paths = write_report(report, folder, pdfs=False)
    assert sorted(paths) == sorted(folder.iterdir())
    return folder


def test_csv_opens_in_pandas_with_its_types(report: Report, written: Path) -> None:
    pandas = pytest.importorskip("pandas")
    for table in report.tables:
        frame = pandas.read_csv(written / f"{table.name}.csv")
        assert len(frame) == len(table.records)
    frame = pandas.read_csv(written / "summary-1.csv")
    kinds = {name: kind.kind for name, kind in frame.dtypes.items()}
    assert {kinds[name] for name in ("languages", "examples", "seeds", "gain_seeds")} == {"i"}
    assert {kinds[name] for name in ("score", "deviation", "gain", "low", "high", "p_value", "p_holm")} == {
        "f"
    }
    assert kinds["holds"] == "b"
    assert frame["inter"].tolist()[:3] == ["none", "mnli", "hellaswag"]
    expected = [row["score"] for row in report.tables[0].records]
    assert frame["score"].tolist() == expected
    assert frame["gain"].isna().tolist()[:3] == [True, False, False]


def test_markdown_tables_are_whole(report: Report, written: Path) -> None:
    page = (written / "report.md").read_text(encoding="utf-8")
    for table in report.tables:
        shown = markdown(table)
        assert shown in page
        rows = [line for line in shown.splitlines() if line.startswith("|")]
        assert len(rows) == len(table.rows) + 2
        bars = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
        assert bars == {len(table.columns) + 1}
        assert all(sentence.split()[0] in shown for sentence in table.captions)


def test_markdown_begins_with_the_answer(report: Report, written: Path) -> None:
    page = (written / "report.md").read_text(encoding="utf-8")
    assert page.startswith("# Report\n\n36 of 36 planned cells.\n\n- hellaswag before ")


def test_figures_are_written_in_both_forms(report: Report, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    names = {path.name for path in write_report(report, tmp_path)}
    for stem in ("summary-1", "language-1-xnli", "costs"):
        assert {f"{stem}.svg", f"{stem}.pdf"} <= names
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())


def test_marks_of_markdown_do_nothing() -> None:
    shown = markdown(ODD)
    assert r"of\_a & b \# {c} ~ ^ \\d $ \<e\> \| \`f\` \* †" in shown
    assert r"| \[x\] | 1.00 ± 0.10 +1.00 \[+0.10, +1.90\]\* | – |" in shown


def test_marks_of_latex_do_nothing() -> None:
    shown = latex(ODD)
    assert r"100 \% of\_a \& b \# \{c\} \textasciitilde{} \textasciicircum{} \textbackslash{}d \$" in shown
    assert r"$^\dagger$ U+2713 ö" in shown
    lines = shown.splitlines()
    # A bracket that follows \\ would be taken for its length.
    assert r"{}[x] & 1.00 $\pm$ 0.10 & -- \\" in lines
    assert r" & +1.00 [+0.10, +1.90]$^{*}$ &  \\" in lines
    assert [line for line in lines if "rule" in line] == [r"\toprule", r"\midrule", r"\bottomrule"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(report: Report, written: Path, tmp_path: Path) -> None:
    shutil.copytree(written, tmp_path / "copy")
    odd = replace(report, tables=(*report.tables, ODD), notes=("a note_ with [marks] & 5 %",))
    for folder, one in ((tmp_path / "copy", report), (tmp_path / "odd", odd)):
        write_report(one, folder, pdfs=False)
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
        finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        assert finished.returncode == 0, finished.stdout[-2000:]
        assert (folder / "report.pdf").stat().st_size > 10_000
        assert "Overfull" not in finished.stdout, re.findall("Overfull.*", finished.stdout)


def test_wide_tables_stand_in_parts_that_repeat_the_first_column() -> None:
    columns = ("row", "a", "b", "c", "d")
    table = Table(
        "wide", "groups", "t", columns, ((text("r"), *(text(name * 10) for name in "abcd")),), (), ()
    )
    parts = list(in_parts(table, lambda cells: max(len(cell.text) for cell in cells), 30))
    assert [part.columns for part in parts] == [("row", "a", "b"), ("row", "c", "d")]
    assert [part.rows[0][1].text for part in parts] == ["a" * 10, "c" * 10]
    # A column that has no room goes alone.
    alone = [part.columns for part in in_parts(table, lambda cells: 99, 30)]
    assert alone == [("row", name) for name in "abcd"]


def test_a_file_is_no_folder(report: Report, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match="is a file: name a folder after --out"):
        write_report(report, tmp_path / "out")


def test_nothing_of_an_earlier_report_stays(whole: Path, report: Report, tmp_path: Path) -> None:
    """A table that another report has no more would pass for one of it."""
    write_report(report, tmp_path, pdfs=False)
    (tmp_path / "own.csv").write_text("mine")
    (tmp_path / "summary-1.pdf").write_bytes(b"of a report with figures as PDF")
    fewer = make_report(whole, resamples=500, by=["family"])
    assert {path.name for path in write_report(fewer, tmp_path, pdfs=False)} | {"own.csv"} == {
        path.name for path in tmp_path.iterdir()
    }
    assert not list(tmp_path.glob("language-*"))


@pytest.mark.parametrize("name", ["index.html", "report.md", "costs.csv"])
def test_what_no_report_wrote_is_left_alone(report: Report, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(
        UsageError, match=rf"holds {name}, which no report wrote: choose another folder with --out"
    ):
        write_report(report, tmp_path, pdfs=False)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


def test_a_folder_is_looked_at_before_anything_is_computed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UsageError, match=r"file/deep/er cannot be a folder, as .*file is a file: name a folder"
    ):
        check_folder(tmp_path / "file" / "deep" / "er")
    with pytest.raises(UsageError, match="name a folder after --out"):
        check_folder("")
    assert check_folder(tmp_path / "new" / "deep") == tmp_path / "new" / "deep"
    assert not (tmp_path / "new").exists()
