"""`adapter-stilts tasks`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from adapter_stilts.tasks import all_tasks

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
