"""mkdocs: what a page links to outside docs/ is part of the site.

On the page's file such a link is a plain path (``../benchmarks/results/startup.json``), which holds in a checkout and
where the code is hosted. In the site, pages of the root (`PAGES`) become pages, and any other file a copy under
``repository/``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "SECURITY.md": "reporting.md"}
"""Pages of the repository's root -> their names in the site."""

_LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)(?=[)#])")


def site_path(path: str) -> str:
    """A repository's file as the site's pages, which lie side by side, name it.

    Raises:
        ValueError: there is no such file; a folder has no page.
    """
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if not (ROOT / path).is_file():
        raise ValueError(f"no file {path!r}: pages link to files of the repository")
    # Another README would be rendered as a page of the site.
    return f"repository/{path}.txt" if path.endswith(".md") else f"repository/{path}"


def site_links(markdown: str, folder: str) -> tuple[str, list[str]]:
    """The text with its links as the site has them, and the repository's files that it links to.

    Args:
        folder: the page's own, from the repository's root: ``docs``, or nothing.
    """
    linked: list[str] = []

    def renamed(found: re.Match[str]) -> str:
        path = (ROOT / folder / found[1]).resolve().relative_to(ROOT).as_posix()
        if path not in PAGES and not path.startswith("docs/"):
            linked.append(path)
        return site_path(path)

    return _LINK.sub(renamed, markdown), linked


def on_files(files: Any, config: Any) -> Any:
    """Add the root's pages, and every file that a page links to."""
    from mkdocs.structure.files import File

    linked: set[str] = set()
    for name, page in PAGES.items():
        text, outside = site_links((ROOT / name).read_text(encoding="utf-8"), "")
        files.append(File.generated(config, page, content=text))
        linked.update(outside)
    for path in sorted((ROOT / "docs").glob("*.md")):
        linked.update(site_links(path.read_text(encoding="utf-8"), "docs")[1])
    for path in sorted(linked):
        files.append(File.generated(config, site_path(path), abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Lead a page's links to what `on_files` added. The root's pages have theirs already."""
    return markdown if page.file.src_uri in PAGES.values() else site_links(markdown, "docs")[0]
