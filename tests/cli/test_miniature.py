"""`--recipe miniature`: no network, no folder, languages of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.miniature import CODES, MiniatureSource, pretrained
from adapter_stilts.miniature.text import SHARE
from adapter_stilts.tasks import all_tasks, get_task

pytestmark = pytest.mark.slow

QUICK = ["--set", "intermediate.max_steps=2", "--set", "target.max_steps=2", "--limit-eval", "4"]


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    command = "train --inter commonsenseqa --target tydiqa --mode full --recipe miniature --device cpu"
    return [*command.split(), "--store", str(tmp_path / "store"), *QUICK]


def test_the_baseline_comes_with_it_and_levels_are_shown(cli: Any, arguments: list[str]) -> None:
    printed = json.loads(cli(*arguments, "--json").out)
    result, baseline = printed["results"]["tydiqa"], printed["baseline"]["tydiqa"]
    assert "cells" not in printed
    assert (result["inter"], baseline["inter"]) == ("commonsenseqa", "none")
    assert (result["mode"], result["precision"], result["seed"], result["base"]) == (
        "full",
        "fp32",
        0,
        "miniature",
    )
    assert result["limits"] == {"intermediate": None, "target": None, "evaluation": 4}
    stages = [stage for stage in printed["stages"] if stage["kind"] == "evaluate"]
    first, second = (json.loads((Path(s["dir"]) / "metrics.json").read_text())["average"] for s in stages)
    assert [baseline["average"], result["average"]] == [first, second]
    assert list(result["languages"]) == ["en", *CODES]
    assert result["levels"] == MiniatureSource.levels
    assert "missing" not in result

    shown = cli(*arguments).out
    assert (
        "tydiqa, zero-shot after commonsenseqa; checkpoint chosen on English dev; the first 4 a language\n"
        in shown
    )
    rows = [line.replace("│", " ").split() for line in shown.splitlines()]
    of_level = [code for code, level in result["levels"].items() if level == "low"]
    mean = sum(result["languages"][code]["f1"] for code in of_level) / len(of_level)
    assert [row[-1] for row in rows if row[:2] == ["low", "resources"]][-1] == f"{mean:.2f}"
    zero_shot = sum(result["languages"][code]["f1"] for code in CODES) / len(CODES)
    assert [row[-1] for row in rows if row[:2] == ["without", "en"]][-1] == f"{zero_shot:.2f}"
    assert "by intermediate task (gain)" in shown


def test_predictions_are_written_in_constructed_languages(
    cli: Any, arguments: list[str], tmp_path: Path
) -> None:
    cli(*arguments, "--languages", "qac")
    asked = MiniatureSource().examples(get_task("tydiqa"), "test", "qac", {})[:4]
    found = list(tmp_path.rglob("tydiqa/test-*.json"))
    assert [path.name for path in found] == ["test-qac.json"] * 2
    for path in found:
        assert list(json.loads(path.read_text(encoding="utf-8"))) == [example.id for example in asked]


def test_a_real_language_is_refused_by_the_constructed_ones(cli: Any, arguments: list[str]) -> None:
    ran = cli(*arguments, "--languages", "de")
    assert ran.code == 2
    assert f"unknown language of tydiqa 'de'. Choices: en, {', '.join(CODES)}." in ran.err
    assert "constructed" in ran.err


def test_data_it_lacks_are_named_as_its_own(cli: Any, arguments: list[str]) -> None:
    ran = cli(*arguments, "--inter-languages", "de")
    assert ran.code == 1
    assert "the miniature: holds no train split of 'commonsenseqa' in de; it holds: en, qaa" in ran.err


def test_a_folder_of_data_is_refused(cli: Any, arguments: list[str], tmp_path: Path) -> None:
    ran = cli(*arguments, "--data", tmp_path)
    assert ran.code == 2
    assert "read the folder with --set data=real, or leave out --data" in ran.err


def test_a_damaged_encoder_is_told(
    cli: Any, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "encoder"
    folder.mkdir()
    for path in pretrained.FOLDER.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "model.safetensors").write_bytes(b"no weights")
    monkeypatch.setattr(pretrained.encoder_folder, "__defaults__", (folder,))
    ran = cli(*arguments)
    assert ran.code == 1
    assert "model.safetensors: is damaged" in ran.err
    assert pretrained.REBUILD in ran.err


def test_the_card_states_the_shares() -> None:
    card = (pretrained.FOLDER / "README.md").read_text(encoding="utf-8")
    for level, share in SHARE.items():
        assert f"{level}: " in card
        assert f"({share:g} times the text of English)" in card


def test_every_target_is_evaluated_in_every_language(cli: Any, arguments: list[str]) -> None:
    targets = [task.name for task in all_tasks() if task.role == "target"]
    limits = ["--inter", "none", "--limit-train", "8", "--target", ",".join(targets), "--json"]
    ran = cli(*(a for a in arguments if a not in ("--inter", "commonsenseqa", "--target", "tydiqa")), *limits)
    assert ran.code == 0, ran.err
    results = json.loads(ran.out)["results"]
    assert list(results) == targets
    for name, result in results.items():
        assert set(result["languages"]) == set(MiniatureSource().wanted(get_task(name))), name
