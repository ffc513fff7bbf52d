"""What was chosen beside the best checkpoint in each language, by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from adapter_stilts.io import seal
from adapter_stilts.report.making import Report, make_report
from adapter_stilts.stages.store import NOT_LISTED

Right = Callable[[str], Any]


def report(made: Any) -> Report:
    made.plan()
    return make_report(made.root, resamples=200)


def runs(made: Any, right: Right) -> Any:
    """Two seeds of a cell; dev chose step 30 of the first and 10 of the second."""
    made.cell(
        "none", "xnli", {"de": right("1000"), "es": right("1110")}, seed=0,
        kept={
            10: {"de": right("1100"), "es": right("1000")},
            20: {"de": right("1110"), "es": right("1100")},
            30: {"de": right("1000"), "es": right("1110")},
        },
    )  # fmt: skip
    return made.cell(
        "none", "xnli", {"de": right("1100"), "es": right("1000")}, seed=1,
        kept={10: {"de": right("1100"), "es": right("1000")}, 20: {"de": right("1000"), "es": right("1111")}},
    )  # fmt: skip


def test_the_best_of_each_language_and_seed_by_hand(made: Any, right: Right) -> None:
    runs(made, right)
    (table,) = [one for one in report(made).tables if one.kind == "oracle"]
    rows = {row["language"]: row for row in table.records}
    # de: seed 0 chose 25 of at most 75 (step 20), seed 1 50 of 50 (10); es: 75 of 75 (30), and 25 of 100 (20).
    assert {name: (row["chosen"], row["oracle"], row["difference"], row["steps"]) for name, row in rows.items()} == {
        "all": (43.75, 75.0, 31.25, ""), "de": (37.5, 62.5, 25.0, "20+10"), "es": (50.0, 87.5, 37.5, "30+20"),
    }  # fmt: skip
    assert {row["seeds"] for row in table.records} == {2}
    assert [cell.text for cell in table.rows[0]] == [
        "none", "xnli", "lora, fp32", "made", "2 or 3", "43.75", "75.00", "+31.25", "es +37.50",
    ]  # fmt: skip
    told = " ".join(table.captions)
    assert (
        "Oracle: in each language the checkpoint of the run that is best on that language's own test set"
        in told
    )
    assert "no number elsewhere uses it" in told
    assert "Checkpoint chosen on English dev." in told


def test_other_tables_do_not_change(made: Any, right: Right, tmp_path: Any, making: Any) -> None:
    runs(made, right)
    with_oracle = [table for table in report(made).tables if table.kind not in ("oracle", "costs")]
    plain = making.MadeStore(tmp_path / "plain")
    plain.cell("none", "xnli", {"de": right("1000"), "es": right("1110")}, seed=0)
    plain.cell("none", "xnli", {"de": right("1100"), "es": right("1000")}, seed=1)
    found = report(plain).tables
    assert not [table for table in found if table.kind == "oracle"]
    assert [table for table in found if table.kind != "costs"] == with_oracle


def test_a_cell_with_and_without_is_one_result(made: Any, right: Right) -> None:
    """Keeping evaluations changes no result: whoever asks for it later has the cell once, with its oracle."""
    plain = made.cell("none", "xnli", {"de": right("1000"), "es": right("1110")}, seed=0)
    made.cell("none", "xnli", {"de": right("1100"), "es": right("1000")}, seed=1)
    made.plan("before")
    kept = runs(made, right)
    assert plain != kept
    found = report(made)
    assert not [note for note in found.notes if "versions" in note]
    assert (found.finished, found.cells) == (2, 2)
    (table,) = [one for one in found.tables if one.kind == "oracle"]
    assert {row["seeds"] for row in table.records} == {2}
    (score,) = [row["score"] for one in found.tables if one.name == "summary" for row in one.records]
    assert score == 43.75


def test_a_run_whose_oracle_cannot_be_read_has_none(made: Any, right: Right) -> None:
    directory = runs(made, right)
    metrics = json.loads((directory / "metrics.json").read_text())
    metrics["oracle"]["languages"]["es"]["accuracy"] = "much"
    (directory / "metrics.json").write_text(json.dumps(metrics))
    seal(directory, NOT_LISTED)
    (table,) = [one for one in report(made).tables if one.kind == "oracle"]
    assert {row["seeds"] for row in table.records} == {1}
    assert table.records[0]["chosen"] == 50.0
