"""`adapter-stilts tunings`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapter_stilts.cli.tuning_table import header, rows
from adapter_stilts.model.combinations import Combination, combinations
from adapter_stilts.model.tuning import get_tuning, tuning_names

Cli = Callable[..., Any]


def test_every_mode_and_architecture_has_a_row(cli: Cli) -> None:
    ran = cli("tunings")
    assert (ran.code, ran.err) == (0, "")
    shown = [[cell.strip() for cell in line.split("│")[1:-1]] for line in ran.out.splitlines() if "│" in line]
    assert {row[0] for row in shown if row[0]} == set(tuning_names())
    assert ["adapter", "prefix", "yes", "yes", "–", "linear, soup"] in [row[:6] for row in shown]


def test_markdown(cli: Cli) -> None:
    ran = cli("tunings", "dora", "--markdown")
    assert ran.code == 0
    first, _, row = ran.out.splitlines()
    assert first.count("|") == len(header()) + 1
    assert (
        row
        == "| `dora` | – | yes | – | – | – | fp32, bf16, 8bit, 4bit | transformers, peft, sentence-transformers |"
    )


def test_json(cli: Cli) -> None:
    (row,) = cli("tunings", "full", "--json").json
    assert row["precision"] == ["fp32", "bf16"]
    assert row["combine"][:2] == ["continue", "merge:linear"]
    assert (row["library"], row["export"]) == ("transformers", ["transformers", "sentence-transformers"])
    assert sum(len(r["combine"]) * len(r["precision"]) for r in cli("tunings", "--json").json) == len(
        combinations()
    )


def test_one_mode_with_its_settings(cli: Cli) -> None:
    shown = cli("tunings", "lora").out
    for name in get_tuning("lora").Settings.model_fields:
        assert f"--set tuning.lora.{name}=" in shown
    assert "Rank of the updates." in shown
    unknown = cli("tunings", "lorra")
    assert (unknown.code, unknown.out) == (2, "")
    assert "unknown mode 'lorra'; did you mean 'lora'?" in unknown.err


def test_combinations_under_fewer_precisions_get_a_row_of_their_own() -> None:
    made = [Combination("lora", None, "continue", precision) for precision in ("fp32", "8bit")]
    made += [Combination("lora", None, "merge:svd", "fp32"), Combination("lora", None, "stack", "fp32")]
    first, second = rows(made)
    assert (first.combine, first.precisions) == (("continue",), ("fp32", "8bit"))
    assert (second.combine, second.precisions) == (("merge:svd", "stack"), ("fp32",))
    assert second.ways() == {"continue": "–", "stack": "yes", "fuse": "–", "merge": "svd"}
