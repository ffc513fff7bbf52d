"""Published rows: the page of docs lists each as the data file has it, with what makes it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from adapter_stilts.report import published
from adapter_stilts.report.published import published_rows

ROOT = Path(__file__).parents[2]
SCRIPT, PAGE = ROOT / "scripts" / "published_page.py", ROOT / "docs" / "published.md"
FILE = Path(published.__file__).parent / published.FILE


def test_the_page_is_what_the_script_writes(tmp_path: Path) -> None:
    """After a change of `published.json`: run `scripts/published_page.py`."""
    subprocess.run([sys.executable, SCRIPT, tmp_path / "page.md"], check=True)
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")


def test_the_page_lists_every_published_row_and_what_makes_it() -> None:
    sections = re.split(r"^## .*$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    groups = [group for name, group in json.loads(FILE.read_text(encoding="utf-8")).items() if name[0] != "_"]
    for section, group in zip(sections, groups, strict=True):
        lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
        shown = {
            cells[0]: [float(cell) for cell in cells[1:]] for cells in lines if cells[0] in group["rows"]
        }
        assert shown == {
            name: values if isinstance(values, list) else [values] for name, values in group["rows"].items()
        }
        assert group["source"] in section.replace("\n", " ")
        told = re.split(r"^\*\*(.+?)\*\*", section, flags=re.MULTILINE)[1:]
        made = {
            name: one for names, one in zip(told[::2], told[1::2], strict=True) for name in names.split(", ")
        }
        assert list(made) == list(group["rows"])
        assert all("```sh\nadapter-stilts matrix " in one or one.strip() for one in made.values())


def test_a_row_that_nothing_is_said_of_stops_the_script(tmp_path: Path) -> None:
    copy = tmp_path / "scripts" / SCRIPT.name
    data = tmp_path / "adapter_stilts" / "report" / FILE.name
    for path, source in ((copy, SCRIPT), (data, FILE)):
        path.parent.mkdir(parents=True)
        path.write_text(
            source.read_text(encoding="utf-8").replace('"mBERT": [', '"newBERT": ['), encoding="utf-8"
        )
    ran = subprocess.run([sys.executable, copy, tmp_path / "page.md"], capture_output=True, text=True)
    assert ran.returncode != 0
    assert "KeyError: 'newBERT'" in ran.stderr


def test_rows_of_single_tasks_are_those_of_the_file() -> None:
    found = {(row.name, row.task): (row.metric, row.value) for row in published_rows()}
    assert len(found) == 54
    assert found["XLM-R Large", "tydiqa"] == ("f1", 65.1)
    assert found["X-STILTs", "xnli"] == ("accuracy", 80.4)
