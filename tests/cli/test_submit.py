"""`adapter-stilts submit`: what it says of a finished run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.evaluation.membership import XTREME
from adapter_stilts.evaluation.xtreme import write_predictions

Cli = Callable[..., Any]


@pytest.fixture
def complete(copy: Callable[[], Path]) -> Path:
    """A finished run's store in which XQuAD was evaluated in all languages."""
    store = copy()
    predictions = next(store.glob("evaluate-xquad-*")) / "predictions"
    for language in XTREME.languages["xquad"]:
        if not (predictions / "xquad" / f"test-{language}.json").is_file():
            write_predictions(predictions, "xquad", language, {"1807-when": "1807"})
    return store


def test_a_finished_run(cli: Cli, complete: Path, tmp_path: Path) -> None:
    ran = cli("submit", "--store", complete, "--out", tmp_path / "out", "--json")
    assert ran.code == 0
    assert list(ran.json["tasks"]) == ["xquad"]
    assert ran.json["complete"] is False
    assert ran.json["left_out"]["pawsx"] == "not evaluated"
    assert "words = 'syntactic'" in ran.json["left_out"]["udpos"]
    assert "note: udpos left out: evaluated with words" in ran.err
    assert "note: xquad written, but: other numbers" in ran.err
    files = sorted(path.name for path in (tmp_path / "out" / "xquad").iterdir())
    assert files == sorted(f"test-{language}.json" for language in XTREME.languages["xquad"])
    again = cli("submit", "--store", complete, "--out", tmp_path / "out")
    assert (again.code, again.out) == (2, "")
    assert "holds files already" in again.err


def test_the_name_it_was_planned_under(cli: Cli, complete: Path, tmp_path: Path) -> None:
    for name, code in {"hellaswag": 0, "squad_v1": 2, "none": 2}.items():
        ran = cli("submit", "--store", complete, "--inter", name, "--out", tmp_path / name)
        assert ran.code == code
    assert (
        "--inter none: no finished evaluation was planned under that name; there are some under 'hellaswag'"
        in ran.err
    )


def test_in_words(cli: Cli, complete: Path, tmp_path: Path) -> None:
    directory = next(complete.glob("evaluate-xquad-*"))
    ran = cli("submit", directory, "--out", tmp_path / "out")
    assert ran.out.splitlines() == [
        f"xquad      {directory}",
        f"{tmp_path / 'out'}: 1 of 9 tasks of xtreme",
    ]
    other = cli("submit", directory, "--out", tmp_path / "other", "--benchmark", "xtreme-r")
    assert other.code == 2
    assert "xquad: 1 of 12 languages are missing: ro" in other.err


def test_nothing_to_submit(cli: Cli, finished: Any, tmp_path: Path) -> None:
    ran = cli("submit", "--store", finished.store, "--out", tmp_path / "out")
    assert (ran.code, ran.out) == (2, "")
    assert "xquad: 9 of 11 languages are missing: ar, el" in ran.err
    assert not (tmp_path / "out").exists()
    assert cli("submit", "--store", finished.store).code == 2  # --out is missing
