"""`adapter-stilts tasks`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.tasks import Task, all_tasks

Cli = Callable[..., Any]


def test_the_list_names_every_task(cli: Cli) -> None:
    ran = cli("tasks")
    assert (ran.code, ran.err) == (0, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in ran.out.splitlines() if "│" in line]
    assert [row[0] for row in rows if row[0]] == [*(task.name for task in all_tasks()), "anli_plus"]
    xquad = next(row for row in rows if row[0] == "xquad")
    assert xquad[1:5] == ["target", "span_qa", "11", "squad_v1"]


def test_one_task(cli: Cli) -> None:
    ran = cli("tasks", "udpos")
    assert ran.code == 0
    shown = dict(line.split(maxsplit=1) for line in ran.out.splitlines())
    assert shown["format"] == "tagging"
    assert shown["metric"] == "f1"
    assert shown["options"] == "words: syntactic fused"
    assert shown["languages"].startswith("af ar bg")
    assert shown["added_languages"] == "lt pl ro uk wo"
    assert ["train_task", "–"] in [line.split() for line in cli("tasks", "tatoeba").out.splitlines()]


def test_json(cli: Cli) -> None:
    rows = cli("tasks", "--json").json
    assert [row["name"] for row in rows] == [*(task.name for task in all_tasks()), "anli_plus"]
    assert rows[-1]["parts"] == ["anli", "mnli", "snli"]
    assert rows[-1]["dataset"] == "ANLI; MultiNLI 1.0; SNLI 1.0"
    assert cli("tasks", "anli_plus", "--json").json == rows[-1:]
    (row,) = cli("tasks", "hellaswag", "--json").json
    assert row["role"] == "intermediate"
    assert row["metric"] == ["accuracy"]
    assert row["train_task"] == "hellaswag"
    assert "at_hand" not in row


def test_what_a_folder_holds(cli: Cli, tiny_data: Path) -> None:
    (row,) = cli("tasks", "xquad", "--json", "--data", tiny_data).json
    assert row["at_hand"] == {"test": ["en", "de"]}
    shown = cli("tasks", "--data", tiny_data).out
    assert "train: 1, dev: 1, test: 2" in " ".join(shown.split())


def test_unknown(cli: Cli, tmp_path: Path) -> None:
    ran = cli("tasks", "helaswag")
    assert (ran.code, ran.out) == (2, "")
    assert "did you mean 'hellaswag'?" in ran.err
    ran = cli("tasks", "--data", tmp_path / "nowhere")
    assert ran.code in (1, 2)
    assert str(tmp_path / "nowhere") in ran.err


def test_a_damaged_file_hides_nothing_else(cli: Cli, own_data: Path) -> None:
    (own_data / "xnli" / "xnli.test.tsv").write_text("language\tgold_label\nde\n")
    ran = cli("tasks", "--json", "--data", own_data)
    assert ran.code == 0
    rows = {row["name"]: row for row in ran.json}
    assert rows["xquad"]["at_hand"]["test"] == ["en", "de"]
    assert "xnli.test.tsv:2: holds 1 columns, should hold 2" in rows["xnli"]["unreadable"]["test"]
    assert "test: unreadable" in " ".join(cli("tasks", "--data", own_data).out.split())


def test_markdown_is_two_tables(cli: Cli) -> None:
    ran = cli("tasks", "udpos", "--markdown")
    assert ran.code == 0
    sources, languages = ran.out.strip().split("\n\n")
    row = sources.splitlines()[2]
    assert row.startswith(
        "| `udpos` | target | tagging | itself | 33 + 5 | f1 | train, dev, test | `google/xtreme`: "
    )
    assert languages.splitlines()[2].endswith("| lt pl ro uk wo |")


def test_a_page_tells_where_the_data_are(cli: Cli) -> None:
    shown = cli("tasks", "ccg").out
    for told in (
        "CCGbank (LDC2005T13)",
        "https://catalog.ldc.upenn.edu/LDC2005T13",
        "ccg/ in the folder after --data",
        "files, train     data/AUTO/02/*.auto ... data/AUTO/21/*.auto (all 20)",
        "or train.tsv",
        "hub              no: the LDC licenses CCGbank to each user",
    ):
        assert told in shown
    (row,) = cli("tasks", "ccg", "--json").json
    assert row["files"]["dev"][0] == "data/AUTO/00/*.auto"
    assert row["files"]["train"][0].count(" + ") == 19
    shown = cli("tasks", "udpos").out
    assert "de: German" in shown
    assert "udpos/test-{language}.tsv, with words = fused" in shown
    assert "google/xtreme, config udpos.{code}, split test, with words = syntactic" in shown
    shown = cli("tasks", "anli_plus").out
    assert all(f"\n{part}\naddress          https://" in shown for part in ("anli", "mnli", "snli"))


@pytest.mark.parametrize("task", all_tasks(), ids=lambda task: task.name)
def test_every_page_has_an_address_and_names(cli: Cli, task: Task) -> None:
    (row,) = cli("tasks", task.name, "--json").json
    assert row["address"].startswith("https://")
    assert set(row["files"]) == set(task.files)
    assert all(names for names in row["files"].values())
    shown = cli("tasks", task.name)
    assert shown.code == 0
    assert row["address"] in shown.out


def test_names_stay_whole_in_80_columns(process: Cli) -> None:
    ran = process("tasks", env={"COLUMNS": "80", "FORCE_COLOR": "1", "TERM": "dumb"})
    assert ran.code == 0
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in ran.out.splitlines()]
    assert all(len(line) <= 80 for line in lines)
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    shown = {row[0]: row for row in rows if row[0]}
    assert list(shown) == [*(task.name for task in all_tasks()), "anli_plus"]
    assert all(task.format in shown[task.name] for task in all_tasks())
    assert "squad_v1" in shown["mlqa"]
    assert "licence, role: in a wider terminal, or by `adapter-stilts tasks NAME`" in ran.err
