"""Languages that no benchmark has a task in: evaluated where the folder holds their files, and marked."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

Cli = Callable[..., Any]


@pytest.fixture
def swedish(own_data: Path) -> Path:
    """ud-swedish: a treebank in Swedish beside English and German, and PAN-X in it."""
    beside = own_data / "ud/UD_Swedish-Talbanken"
    beside.mkdir()
    shutil.copy(own_data / "ud/UD_German-GSD/de_gsd-ud-test.conllu", beside / "sv_talbanken-ud-test.conllu")
    return own_data


def test_a_language_whose_files_are_there_may_be_named(
    cli: Cli, tiny_base: Path, swedish: Path, tmp_path: Path
) -> None:
    command = [
        "train",
        "--base",
        tiny_base,
        "--data",
        swedish,
        "--store",
        tmp_path / "store",
        "--device",
        "cpu",
    ]
    command += ["--inter", "none", "--target", "udpos", "--set", "target.max_steps=2"]
    ran = cli(*command, "--languages", "en,sv", "--json")
    assert ran.code == 0, ran.err
    result = ran.json["results"]["udpos"]
    assert list(result["languages"]) == ["en", "sv"]
    assert result["outside"] == ["sv"]
    assert result["average"] == result["languages"]["en"], "the benchmark's average has no Swedish"
    assert "udpos: sv in no benchmark: evaluated, and no part of the average" in ran.err
    table = cli(*command, "--languages", "en,sv").out
    assert "sv (in no benchmark)" in table

    alone = cli(*command, "--languages", "sv", "--json").json["results"]["udpos"]
    assert alone["average"] == alone["languages"]["sv"] == result["languages"]["sv"]
    everything = cli(*command, "--json").json["results"]["udpos"]
    assert "outside" not in everything
    assert "sv" not in everything["languages"], "unasked, the benchmark's languages alone"


@pytest.mark.parametrize("language", ["da", "*", "../sv", "sv_talbanken-ud-test"])
def test_a_language_without_files_is_refused(cli: Cli, tiny_base: Path, swedish: Path, language: str) -> None:
    ran = cli("train", "--base", tiny_base, "--data", swedish, "--inter", "none", "--target", "udpos",
              "--languages", language, "--device", "cpu")  # fmt: skip
    assert ran.code == 2
    assert f"unknown language of udpos {language!r}" in ran.err
