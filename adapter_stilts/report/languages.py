"""Groups of languages: by family, and by how much text there is of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

By: TypeAlias = Literal["language", "family", "resources"]
BY: tuple[By, ...] = ("language", "family", "resources")

TABLE = "languages.toml"
UNLISTED = "not listed"
"""The group of languages that nothing is known of."""


@cache
def _table() -> dict[str, Any]:
    """The data file, whose head names its sources."""
    found: dict[str, Any] = tomllib.loads((Path(__file__).parent / TABLE).read_text(encoding="utf-8"))
    return found


def family(language: str) -> str:
    """The language's family, of Indo-European its branch."""
    return str(_table()["languages"].get(language, {}).get("family", UNLISTED))


def resources(language: str) -> str:
    """The language's level by the size of its Wikipedia."""
    articles = _table()["languages"].get(language, {}).get("articles")
    if articles is None:
        return UNLISTED
    levels: dict[str, float] = _table()["levels"]
    return next(level for level, least in levels.items() if articles >= least)


def by_family(languages: Sequence[str], levels: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Languages by family. Constructed languages have none, and are told as not listed."""
    return _grouped(languages, family)


def by_resources(languages: Sequence[str], levels: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Languages by resource level.

    Args:
        levels: that evaluations tell of languages themselves (the miniature's); they come before the table's.
    """
    order = (*dict.fromkeys(levels.values()), *_table()["levels"])
    found = _grouped(languages, lambda language: levels.get(language) or resources(language))
    return {level: found[level] for level in dict.fromkeys((*order, *found)) if level in found}


def groups_of(kind: By, languages: Sequence[str], levels: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The rows of a table; none where all languages are in one group, which the mean over all tells.

    Args:
        levels: as of `by_resources`.
    """
    if kind == "language":
        return {language: (language,) for language in languages}
    if kind == "family" and levels:  # constructed languages, whose English is of no family either
        return {}
    groups = (by_family if kind == "family" else by_resources)(languages, levels)
    return groups if len(groups) > 1 else {}


def _grouped(languages: Sequence[str], group: Callable[[str], str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for language in languages:
        found.setdefault(group(language), []).append(language)
    listed = {name: tuple(found[name]) for name in sorted(found) if name != UNLISTED}
    return listed | ({UNLISTED: tuple(found[UNLISTED])} if UNLISTED in found else {})
