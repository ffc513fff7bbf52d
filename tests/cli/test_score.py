"""`adapter-stilts score`: what it prints where, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from adapter_stilts.cli.score import score
from adapter_stilts.errors import DataError
from adapter_stilts.evaluation.membership import XTREME


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    """PAWS-X, half of it right (German all of it), and XNLI, all of it."""
    files = {"pawsx": ("1\n0\n", "1\n1\n"), "xnli": ("neutral\n", "neutral\n")}
    for task, texts in files.items():
        for folder, text in zip(("predictions", "labels"), texts, strict=True):
            (tmp_path / folder / task).mkdir(parents=True)
            for language in XTREME.languages[task]:
                (tmp_path / folder / task / f"test-{language}.tsv").write_text(text)
    (tmp_path / "predictions/pawsx/test-de.tsv").write_text("1\n1\n")
    return str(tmp_path / "predictions"), str(tmp_path / "labels")


def run(*arguments: str) -> None:
    score.main(list(arguments), standalone_mode=False)


def test_tables(folders: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    run(*folders)
    shown = capsys.readouterr()
    rows = [line.replace("│", " ").split() for line in shown.out.splitlines()]
    assert ["de", "100.00"] in rows
    assert ["en", "50.00"] in rows
    assert ["average", "57.14"] in rows
    assert ["classification", "78.57"] in rows
    assert ["tagging", "–", "udpos,", "panx"] in rows
    overall = next(row for row in rows if row[:1] == ["overall"])
    assert overall[1] == "–"
    assert "udpos," in overall
    assert shown.err == ""


def test_json_is_one_value_on_stdout(folders: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    predictions, labels = folders
    (Path(predictions) / "paws").mkdir()
    run(predictions, labels, "--json")
    shown = capsys.readouterr()
    scores = json.loads(shown.out)
    assert scores["overall"] is None
    assert scores["groups"] == {"classification": pytest.approx((400 / 7 + 100) / 2)}
    assert scores["tasks"]["pawsx"]["languages"]["ja"] == {"accuracy": 50.0}
    assert scores["tasks"]["pawsx"]["average"] == {"accuracy": pytest.approx(400 / 7)}
    assert "paws is ignored" in shown.err


def test_the_other_benchmark(folders: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    run(*folders, "--benchmark", "xtreme-r", "--json")
    shown = capsys.readouterr()
    assert list(json.loads(shown.out)["tasks"]) == ["xnli"]
    assert "xtreme-r has no such task" in shown.err


def test_a_bad_file_stops_the_scoring(folders: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(folders[0]) / "pawsx/test-ko.tsv"
    path.write_text("1\n")
    with pytest.raises(DataError, match="1 lines for 2 labels") as caught:
        run(*folders, "--json")
    assert (caught.value.path, caught.value.line, caught.value.exit_code) == (str(path), 2, 1)
    assert capsys.readouterr().out == ""


def test_wrong_usage(folders: tuple[str, str]) -> None:
    for arguments in (("nowhere", folders[1]), (*folders, "--benchmark", "glue"), (folders[0],)):
        with pytest.raises(click.UsageError) as caught:
            run(*arguments)
        assert caught.value.exit_code == 2


def test_the_command_imports_only_click() -> None:
    code = "import sys, adapter_stilts.cli.score as m; print(m.score.name, *sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    name, *modules = out.split()
    assert name == "score"
    assert not {"numpy", "rich", "seqeval", "torch", "adapter_stilts.evaluation"} & set(modules)
