"""`--benchmark africa`, from a folder to a table; what is said of its tasks, and of what it has not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

Cli = Callable[..., Any]

SWAHILI = "Ada B-PER\nalifika O\nJumatatu B-DATE\n. O\n\nRiga B-LOC\n"


@pytest.fixture
def news(tmp_path: Path) -> Path:
    """UNER in English, MasakhaNER in Swahili, and in Venda, which it lacks."""
    data = tmp_path / "news"
    rows = "1\tAda\tB-PER\t-\tada\n2\tsails\tO\t-\t-\n\n1\tRiga\tB-LOC\t-\tada\n"
    for split in ("train", "dev"):
        path = data / "uner" / "UNER_English-EWT" / f"en_ewt-ud-{split}.iob2"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rows)
    for code in ("swa", "ven"):
        path = data / "masakhane-ner" / "MasakhaNER2.0" / "data" / code / "test.txt"
        path.parent.mkdir(parents=True)
        path.write_text(SWAHILI)
    return data


def test_a_run(cli: Cli, tiny_base: Path, news: Path, tmp_path: Path) -> None:
    command = ["train", "--base", tiny_base, "--data", news, "--store", tmp_path / "store", "--device", "cpu"]
    command += ["--inter", "none", "--target", "all", "--benchmark", "africa", "--set", "target.max_steps=2"]
    ran = cli(*command)
    assert ran.code == 0, ran.err
    assert "1 of the 5 targets of africa: left out masakhapos (no test split at hand)" in ran.err
    assert "note: masakhaner2: DATE is left out: English UNER" in ran.err
    assert "masakhaner2: 1 of 20 languages are at hand and averaged; missing: bm, bbj" in ran.err
    assert "masakhaner2, zero-shot after none (africa, 1 of 20 languages)" in ran.out
    found = cli(*command, "--languages", "sw,ven", "--json")
    assert found.code == 0, found.err
    result = found.json["results"]["masakhaner2"]
    assert found.json["benchmark"] == "africa"
    assert result["outside"] == ["ven"]
    assert result["languages"]["ven"] == result["languages"]["sw"] == result["average"]


def test_no_other_task_is_in_it(cli: Cli, tiny_base: Path, news: Path) -> None:
    ran = cli(
        "train", "--dry-run", "--base", tiny_base, "--data", news, "--target", "uner", "--benchmark", "africa"
    )
    assert ran.code == 2
    assert (
        "'uner' is no task of africa, whose tasks are: masakhaner2, masakhapos, afrixnli, belebele" in ran.err
    )


def test_there_is_no_scorer_and_no_submission(cli: Cli, tmp_path: Path) -> None:
    for command in (
        ("score", tmp_path, tmp_path, "--benchmark", "africa"),
        ("submit", "--store", tmp_path, "--out", tmp_path / "out", "--benchmark", "africa"),
    ):
        ran = cli(*command)
        assert ran.code == 2
        assert "africa has no official scorer, and so no submission" in ran.err
        assert "With a scorer: xtreme, xtreme-r" in ran.err
    assert not (tmp_path / "out").exists()


def test_what_is_left_out_stands_on_the_tasks_page(cli: Cli) -> None:
    assert "DATE is left out" in cli("tasks", "masakhaner2").out
    assert "DATE is left out" in cli("tasks", "masakhaner2", "--json").json[0]["remark"]
    assert "remark" not in cli("tasks", "uner", "--json").json[0]
