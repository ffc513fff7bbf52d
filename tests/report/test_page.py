"""The page without a browser: whole, in one file, the same each time, and deaf to what labels say."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.errors import UsageError
from adapter_stilts.report import page as page_module
from adapter_stilts.report.figures import figures
from adapter_stilts.report.making import Report, make_report
from adapter_stilts.report.page import LARGEST, page

VOID = {"meta", "link", "input", "br", "hr", "img"}
HOSTILE = '<script>alert("1")</script>\'&$'


class Page(HTMLParser):
    """What a page holds; unclosed and crossing elements are told."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.crossed: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name == "href" and (value or "").startswith("#"):
                self.links.append((value or "")[1:])
            elif name in ("href", "src", "xlink:href", "action", "data"):
                self.addresses.append(value or "")
            assert not name.startswith("on"), f"{tag} {name}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.crossed.append(tag)

    def handle_data(self, data: str) -> None:
        if "script" not in self.open and "style" not in self.open:
            self.text += data


def made_page(report: Report) -> str:
    return page(report, figures(report.tables))


@pytest.fixture(scope="module")
def report(whole: Path) -> Report:
    return make_report(whole, resamples=500)


@pytest.fixture(scope="module")
def text(report: Report) -> str:
    return made_page(report)


def test_every_link_leads_somewhere_and_every_element_is_closed(text: str) -> None:
    found = Page(text)
    assert (found.open, found.crossed) == ([], [])
    assert len(found.ids) == len(set(found.ids))
    assert set(found.links) <= set(found.ids)
    assert len(found.links) > 100


def test_nothing_is_fetched_from_elsewhere(text: str) -> None:
    assert Page(text).addresses == ["data:,"]
    assert not re.findall(r"@import|url\(|https?:", text)
    assert "default-src 'none'" in text


def test_every_number_leads_to_the_stages_that_gave_it(report: Report, text: str) -> None:
    cells = {cell.cell for table in report.tables for row in table.rows for cell in row if cell.cell}
    assert cells == {origin.id for origin in report.origins}
    known = {one.id for one in report.settings}
    for origin in report.origins:
        assert len(origin.runs) == 3
        for run in origin.runs:
            assert run.steps[-1].stage.startswith("evaluate-")
            assert {step.settings for step in run.steps} <= known
            assert run.commands[-1].startswith("adapter-stilts stage ")
            assert run.commands[-1].endswith(run.steps[-1].stage)
    for table in report.tables:
        for row in table.rows:
            for cell in row[1:]:
                if cell.gain is not None:
                    assert f'<a href="#{cell.cell}">{"&#10;".join(cell.lines)}' in text.replace("\n", "&#10;")


def test_exported_results_tell_no_command_that_they_would_not_run(whole: Path, tmp_path: Path) -> None:
    exported = tmp_path / "exported"
    shutil.copytree(whole, exported)
    (exported / "store.json").write_text('{"schema": 1, "exported": true}', encoding="utf-8")
    found = make_report(exported, resamples=100)
    assert not any(run.commands for origin in found.origins for run in origin.runs)
    text = made_page(found)
    assert "adapter-stilts stage" not in text
    assert "exported results run nothing" in text


def test_the_answer_is_computed_from_the_summary(report: Report, text: str) -> None:
    rows = [row for table in report.tables if table.kind == "summary" for row in table.records]
    best = max((row for row in rows if row["holds"]), key=lambda row: float(row["gain"] or 0))
    first = report.answer[0].text
    assert first.startswith(f"{best['inter']} before {best['target']} ({best['mode']}, fp32, made): ")
    interval = f"{best['low']:+.1f} to {best['high']:+.1f}"
    assert f"{best['gain']:+.1f} points, 95 % interval {interval} (of these very models " in first
    assert "; 3 seeds; 4 of 4 languages up." in first
    assert first in Page(text).text
    holding = sum(bool(row["holds"]) for row in rows)
    assert f"Of 8 differences to none, {holding} gains and no losses hold" in report.answer[-1].text


def test_where_nothing_holds_the_answer_says_so(made: Any, right: Callable[[str], Any]) -> None:
    made.cell("none", "xnli", {"de": right("1100" * 5), "es": right("1100" * 5)})
    made.cell("mnli", "xnli", {"de": right("1010" * 5), "es": right("0110" * 4 + "1110")})
    made.plan()
    found = make_report(made.root, resamples=500)
    told = [sentence.text for sentence in found.answer]
    assert told[0] == "No gain over none holds."
    assert told[1].startswith(
        "The largest, which may be chance: mnli before xnli (lora, fp32, made): +2.5 points"
    )
    assert "over examples, with no claim about other seeds; 1 seed; 1 of 2 languages up." in told[1]


def test_without_a_baseline_nothing_is_said_of_gains(made: Any, right: Callable[[str], Any]) -> None:
    made.cell("mnli", "xnli", {"de": right("1110")})
    made.plan()
    found = make_report(made.root, resamples=500)
    assert found.answer[0].text.startswith(
        "Nothing is said of gains over none: there is none with an interval"
    )
    assert Page(made_page(found)).crossed == []


def test_labels_do_nothing_but_be_shown(made: Any, right: Callable[[str], Any]) -> None:
    for inter in ("none", HOSTILE):
        made.cell(inter, "xnli", {"de": right("1110"), "es": right("0011")}, base=HOSTILE, label=inter)
    made.plan()
    found = make_report(made.root, resamples=500)
    text = made_page(found)
    parsed = Page(text)
    assert parsed.tags.count("script") == 1
    assert HOSTILE in parsed.text
    assert "<script>alert" not in text
    assert set(parsed.links) <= set(parsed.ids)


def test_the_same_store_gives_the_same_bytes(whole: Path, report: Report, text: str) -> None:
    assert made_page(make_report(whole, resamples=500)) == text


def test_what_is_too_large_leaves_groups_then_languages_to_the_files(
    report: Report, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(text.encode())
    assert size < LARGEST / 10
    monkeypatch.setattr(page_module, "LARGEST", size - 1)
    smaller = made_page(report)
    assert "tables by language families and resource levels stand in the files" in smaller
    monkeypatch.setattr(page_module, "LARGEST", len(smaller.encode()) - 1)
    assert "tables by single languages and groups of them stand in the files" in made_page(report)
    monkeypatch.setattr(page_module, "LARGEST", 1000)
    with pytest.raises(UsageError, match="do not fit on a page"):
        made_page(report)
