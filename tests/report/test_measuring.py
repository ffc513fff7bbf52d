"""Intervals that are kept: the same report again, and computed anew where anything of theirs has changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.io import DIGESTS, seal
from adapter_stilts.report import measuring
from adapter_stilts.report.making import Report, make_report
from adapter_stilts.stages.store import NOT_LISTED

FEW = 300


def report(root: Path, cache: Path | None, **more: Any) -> Report:
    return make_report(root, resamples=FEW, cache=cache, **more)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each setting whose rows were read."""
    counted: list[int] = []
    real = measuring._computed

    def counting(*arguments: Any) -> Any:
        counted.append(1)
        return real(*arguments)

    monkeypatch.setattr(measuring, "_computed", counting)
    return counted


def test_the_same_report_again_reads_no_rows(whole: Path, tmp_path: Path, computed: list[int]) -> None:
    cache = tmp_path / "cache"
    first = report(whole, cache)
    assert len(computed) == len(list(cache.iterdir())) == 4  # two targets in two modes
    assert report(whole, cache) == first
    assert len(computed) == 4
    assert report(whole, None) == first
    report(whole, cache, by=["language"])
    report(whole, cache, baseline="mnli")
    assert len(computed) == 4 + 4 + 4 + 4


def test_other_rows_are_computed_anew(
    made: Any, right: Callable[[str], Any], tmp_path: Path, computed: list[int]
) -> None:
    made.cell("none", "xnli", {"de": right("1100")})
    mnli = made.cell("mnli", "xnli", {"de": right("1110")})
    made.plan()
    report(made.root, tmp_path / "cache")
    rows = mnli / "scores" / "de.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in right("1011")), encoding="utf-8")
    (mnli / DIGESTS).unlink()
    seal(mnli, NOT_LISTED)
    report(made.root, tmp_path / "cache")
    assert len(computed) == 2


def test_without_digests_or_with_damage_nothing_is_kept(
    made: Any, right: Callable[[str], Any], tmp_path: Path
) -> None:
    made.cell("none", "xnli", {"de": right("1100")})
    older = made.cell("mnli", "xnli", {"de": right("1110")})
    damaged = made.cell("none", "pawsx", {"de": right("1100")})
    made.plan()
    (older / DIGESTS).unlink()
    with (damaged / "scores" / "de.jsonl").open("a", encoding="utf-8") as file:
        file.write(" ")
    found = report(made.root, tmp_path / "cache")
    assert any("scores/de.jsonl is damaged; left out" in note for note in found.notes)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", '{"alike": true, "notes": [], "estimates": [[0, [], "examples", {}]]}']
)
def test_what_is_kept_and_cannot_be_read_is_computed(
    whole: Path, tmp_path: Path, computed: list[int], text: str
) -> None:
    first = report(whole, tmp_path)
    for path in tmp_path.iterdir():
        path.write_text(text, encoding="utf-8")
    assert report(whole, tmp_path) == first
    assert len(computed) == 8


def test_a_folder_that_cannot_be_written_keeps_nothing(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert report(whole, tmp_path / "file" / "cache").finished == 36


def test_the_oldest_go(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "KEPT", 3)
    report(whole, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_evaluations_without_rows_are_told_together(made: Any, right: Callable[[str], Any]) -> None:
    for inter in ("none", "mnli", "snli"):
        directory = made.cell(inter, "xnli", {"de": right("1100")})
        (directory / "scores" / "de.jsonl").unlink()
        (directory / DIGESTS).unlink()
    made.plan()
    (note,) = report(made.root, None).notes
    assert " and 2 more of its target and mode: no rows, as an older version or an export" in note
