"""The page in a headless browser, where there is one: no errors, sorted, filtered, opened by links."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from adapter_stilts.report.making import make_report
from adapter_stilts.report.writing import write_report

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((path for name in NAMES if (path := shutil.which(name)) is not None), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"no browser is installed ({', '.join(NAMES)})")

TRIED = """
<script>
addEventListener("load", () => {
  const told = [];
  const table = document.querySelector("#costs table");
  const names = () => [...table.tBodies[0].rows].map((row) => row.cells[5].textContent);
  const button = table.tHead.rows[0].cells[5].querySelector("button");
  button.click();
  const falling = names();
  button.click();
  const rising = names();
  told.push(`sorted ${JSON.stringify([falling[0], rising[0], table.tHead.rows[0].cells[5].ariaSort])}`);
  const input = document.querySelector("#filter input");
  input.value = "hellaswag LORA";
  input.dispatchEvent(new Event("input"));
  const left = [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.textContent);
  told.push(`filtered ${left.length} ${left.every((text) => text.includes("hellaswag") && text.includes("lora"))}`);
  input.value = "";
  input.dispatchEvent(new Event("input"));
  const link = document.querySelector("#gains td a");
  link.click();
  setTimeout(() => {
    told.push(`opened ${document.querySelector(link.getAttribute("href")).open}`);
    const wide = document.documentElement.scrollWidth <= document.documentElement.clientWidth;
    document.title = told.concat(`narrow ${wide}`).join("; ");
  }, 200);
});
</script>
"""


def browse(path: Path, folder: Path, *more: str) -> tuple[str, list[str]]:
    """The page as it stands after its script ran, and what was told on the console."""
    command = [str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=4000", *more, "--dump-dom"]
    ran = subprocess.run([*command, path.as_uri()], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout, [line for line in ran.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def written(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browsed")
    return write_report(make_report(whole, resamples=500), folder, pdfs=False)[0]


def test_the_page_renders_without_errors(written: Path, tmp_path: Path) -> None:
    page, console = browse(written, tmp_path)
    assert console == []
    assert page.count("<button") >= 20
    assert '<p id="filter">' in page


def test_it_sorts_filters_and_opens(written: Path, tmp_path: Path) -> None:
    text = written.read_text(encoding="utf-8")
    allowed = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    copy = tmp_path / "tried.html"
    copy.write_text(allowed.replace("</body>", f"{TRIED}</body>"), encoding="utf-8")
    page, console = browse(copy, tmp_path, "--window-size=500,900")
    assert console == []
    (title,) = re.findall("<title>(sorted .*?)</title>", page)
    assert title == ('sorted ["20.5 min","10.5 min","ascending"]; filtered 2 true; opened true; narrow true')
