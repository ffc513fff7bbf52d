"""What is not as it should be is shown for what it is, or left out under its stage's name; never averaged in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.errors import UsageError
from adapter_stilts.io import DIGESTS, seal
from adapter_stilts.report.making import Report, make_report
from adapter_stilts.stages.store import NOT_LISTED

FEW = 500


def report(made: Any, **more: Any) -> Report:
    made.plan()
    return make_report(made.root, resamples=FEW, **more)


def summary(found: Report) -> dict[str, dict[str, Any]]:
    """Rows by intermediate task."""
    (table,) = [each for each in found.tables if each.name == "summary"]
    return {str(row["inter"]): dict(row) for row in table.records}


def caption(found: Report, name: str = "summary") -> str:
    (table,) = [each for each in found.tables if each.name == name]
    return " ".join(table.captions)


def note(found: Report, about: str) -> str:
    (one,) = [each for each in found.notes if about in each]
    return one


def change(directory: Path, name: str, edit: Callable[[Any], None]) -> None:
    """Change a file of JSON as if its stage had written it so."""
    value = json.loads((directory / name).read_text(encoding="utf-8"))
    edit(value)
    (directory / name).write_text(json.dumps(value), encoding="utf-8")
    (directory / DIGESTS).unlink()
    seal(directory, NOT_LISTED)


def test_half_a_matrix(made: Any, right: Callable[[str], Any]) -> None:
    made.cell("none", "xnli", {"de": right("1100")})
    made.cell("mnli", "xnli", {"de": right("1110")})
    made.cell("mnli", "pawsx", {"de": right("1110")})
    made.cell("none", "pawsx", {"de": right("1100")}, finished=False)
    found = report(made)
    (table,) = [each for each in found.tables if each.name == "summary"]
    assert [[cell.lines[0] for cell in row] for row in table.rows] == [
        ["none", "50.00", "–"],
        ["mnli", "75.00", "75.00"],
    ]
    assert "3 of 4 planned cells stand here." in caption(found)
    assert (found.finished, found.cells) == (3, 4)
    (pawsx,) = [row for row in table.records if row["target"] == "pawsx"]
    assert pawsx["gain"] is None


def test_two_versions_of_a_cell_are_both_left_out(made: Any, right: Callable[[str], Any]) -> None:
    made.cell("none", "xnli", {"de": right("1100")})
    first = made.cell("mnli", "xnli", {"de": right("1110")}, epochs=1.0)
    old = made.plan("old")
    second = made.cell("mnli", "xnli", {"de": right("1111")}, epochs=2.0)
    new = made.plan("new")
    found = make_report(made.root, resamples=FEW)
    assert set(summary(found)) == {"none"}
    told = note(found, "2 versions")
    for part in (first.name, second.name, str(old), str(new), "training.epochs", "1.0", "2.0", "--plan"):
        assert part in told
    assert summary(make_report(made.root, plans=[old], resamples=FEW))["mnli"]["score"] == 75.0


def test_a_gain_over_a_baseline_of_other_settings_is_none(made: Any, right: Callable[[str], Any]) -> None:
    none = made.cell("none", "xnli", {"de": right("1100")}, epochs=1.0)
    mnli = made.cell("mnli", "xnli", {"de": right("1111")}, epochs=2.0)
    made.cell("snli", "xnli", {"de": right("1110")}, epochs=1.0)
    found = report(made)
    assert summary(found)["mnli"]["score"] == 100.0
    assert summary(found)["mnli"]["gain"] is None
    assert summary(found)["snli"]["gain"] == 25.0
    told = note(found, "unlike settings")
    assert told.startswith(
        f"{mnli.name} and its baseline {none.name} are of unlike settings (train: training.epochs"
    )


def test_seeds_of_other_settings_are_no_seeds_of_one_cell(made: Any, right: Callable[[str], Any]) -> None:
    made.cell("none", "xnli", {"de": right("1100")})
    one = made.cell("mnli", "xnli", {"de": right("1110")}, seed=0, epochs=1.0)
    other = made.cell("mnli", "xnli", {"de": right("1110")}, seed=1, epochs=2.0)
    found = report(made)
    assert set(summary(found)) == {"none"}
    told = note(found, "seeds 0 and 1")
    assert one.name in told
    assert other.name in told


def test_one_seed_in_one_cell_and_three_in_another(made: Any, right: Callable[[str], Any]) -> None:
    for seed in range(3):
        made.cell("none", "xnli", {"de": right("1100")}, seed=seed)
        made.cell("snli", "xnli", {"de": right("1010")}, seed=seed)
    made.cell("mnli", "xnli", {"de": right("1110")}, seed=2)
    found = report(made)
    rows = summary(found)
    assert (rows["mnli"]["seeds"], rows["mnli"]["gain_seeds"], rows["mnli"]["interval"]) == (1, 1, "examples")
    assert (rows["snli"]["seeds"], rows["snli"]["interval"]) == (3, "seeds and examples")
    told = caption(found)
    assert "Unlike seeds, by number of cells: 0, 1, 2 in 2; 2 in 1." in told
    assert "† One seed: the 95 % interval is over examples" in told
    (table,) = [each for each in found.tables if each.name == "summary"]
    marked = {row[0].text: row[1].text.endswith("†") for row in table.rows}
    assert marked == {"none": False, "snli": False, "mnli": True}


def test_unlike_seeds_have_no_gain(made: Any, right: Callable[[str], Any]) -> None:
    made.cell("none", "xnli", {"de": right("1100")}, seed=0)
    made.cell("mnli", "xnli", {"de": right("1110")}, seed=1)
    found = report(made)
    assert summary(found)["mnli"]["gain"] is None
    assert "No gain: no cell stands here beside one of none in the same setting and seed." in caption(found)


def test_results_without_rows_have_no_interval(made: Any, right: Callable[[str], Any]) -> None:
    """As a version before there were rows, and digests, left them."""
    made.cell("none", "xnli", {"de": right("1100")})
    directory = made.cell("mnli", "xnli", {"de": right("1110")})
    (directory / "scores" / "de.jsonl").unlink()
    (directory / DIGESTS).unlink()
    found = report(made)
    row = summary(found)["mnli"]
    assert (row["score"], row["gain"], row["low"], row["interval"]) == (75.0, 25.0, None, "")
    assert "for want of rows" in caption(found)
    assert note(found, "no rows, as an older version").startswith(directory.name)


def test_a_language_without_an_example_is_missing(made: Any, right: Callable[[str], Any]) -> None:
    for inter in ("none", "mnli"):
        made.cell(inter, "xnli", {"de": right("1100"), "es": []})
    found = report(made)
    assert summary(found)["mnli"]["score"] == 50.0
    assert "xnli: without es, which were not evaluated." in caption(found)


def test_an_evaluation_without_any_example_is_left_out(made: Any, right: Callable[[str], Any]) -> None:
    made.cell("none", "xnli", {"de": right("1100")})
    empty = made.cell("mnli", "xnli", {"de": []})
    found = report(made)
    assert set(summary(found)) == {"none"}
    assert note(found, empty.name).endswith("no language has an example; left out")


def test_a_language_that_one_cell_lacks_is_averaged_in_none(made: Any, right: Callable[[str], Any]) -> None:
    made.cell("none", "xnli", {"de": right("1100"), "es": right("0000")})
    lacking = made.cell("mnli", "xnli", {"de": right("1110")})
    found = report(made)
    assert {inter: row["score"] for inter, row in summary(found).items()} == {"none": 50.0, "mnli": 75.0}
    assert f"averaged over what all cells have, without es (not in {lacking.name})" in caption(found)


def test_equal_predictions_gain_nothing_for_sure(made: Any, right: Callable[[str], Any]) -> None:
    for inter in ("none", "mnli"):
        for seed in range(2):
            made.cell(inter, "xnli", {"de": right("1100")}, seed=seed)
    row = summary(report(made))["mnli"]
    assert (row["gain"], row["low"], row["high"], row["p_value"], row["holds"]) == (0.0, 0.0, 0.0, 1.0, False)


def test_one_answer_to_every_example_is_told(made: Any, right: Callable[[str], Any]) -> None:
    made.cell("none", "xnli", {"de": right("1100"), "es": right("1100")})
    same = made.cell("mnli", "xnli", {"de": right("1110"), "es": right("1110")})
    (file,) = (same / "predictions").rglob("test-de.tsv")
    file.write_text("neutral\n" * 4, encoding="utf-8")
    (same / DIGESTS).unlink()
    seal(same, NOT_LISTED)
    found = report(made)
    assert note(found, "one answer") == f"{same.name}: one answer to every example in de"
    assert summary(found)["mnli"]["score"] == 75.0  # which it is


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_what_is_no_number_is_left_out(made: Any, right: Callable[[str], Any], value: str) -> None:
    made.cell("none", "xnli", {"de": right("1100")})
    odd = made.cell("mnli", "xnli", {"de": right("1110")})
    change(odd, "metrics.json", lambda found: found["languages"]["de"].update(accuracy=float(value)))
    found = report(made)
    assert set(summary(found)) == {"none"}
    assert "accuracy in de is " in note(found, odd.name)
    assert "no finite number; left out" in note(found, odd.name)


def test_a_row_that_is_no_number_is_left_out(made: Any, right: Callable[[str], Any]) -> None:
    made.cell("none", "xnli", {"de": right("1100")})
    odd = made.cell("mnli", "xnli", {"de": right("1110")})
    path = odd / "scores" / "de.jsonl"
    path.write_text(path.read_text().replace("100.0", "NaN", 1), encoding="utf-8")
    (odd / DIGESTS).unlink()
    found = report(made)
    assert set(summary(found)) == {"none"}
    assert "accuracy of 'q0' is nan and no finite number" in note(found, odd.name)


@pytest.mark.parametrize(
    ("name", "changed", "told"),
    [
        ("metrics.json", {"languages": {"de": None}}, "languages of de is None"),
        ("metrics.json", {"counts": {"de": "4"}}, "counts of de is '4'"),
        ("metrics.json", {"outside": 5}, "outside is 5 and no languages"),
        ("metrics.json", {"missing": [None]}, "missing is [None] and no languages"),
        ("metrics.json", {"levels": "x"}, "levels is 'x'"),
        ("metrics.json", {"levels": {"de": []}}, "levels of de is []"),
        ("stage.json", {"parents": None}, "its parents are None and no names"),
        ("stage.json", {"seconds": "x"}, "'x', of its seconds or peak_memory, is no finite number"),
        ("stage.json", {"peak_memory": None}, "its peak_memory is None and no object"),
    ],
)
def test_what_is_of_another_kind_is_left_out(
    made: Any, right: Callable[[str], Any], name: str, changed: dict[str, Any], told: str
) -> None:
    made.cell("none", "xnli", {"de": right("1100")})
    odd = made.cell("mnli", "xnli", {"de": right("1110")})
    change(odd, name, lambda found: found.update(changed))
    found = report(made)
    assert set(summary(found)) == {"none"}
    assert told in note(found, odd.name)
    assert "left out: remove its directory and run its command again" in note(found, odd.name)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"mode": None}, "mode of a cell is None"),
        ({"seed": []}, "seed of a cell is []"),
        ({"combine": 5}, "combine of a cell is 5"),
        ({"train_languages": [1]}, "languages of a cell are [1, "),
        ({"limits": {"intermediate": "x", "target": None}}, "hold ['x', None]"),
    ],
)
def test_a_plan_of_other_kinds_is_told(
    made: Any, right: Callable[[str], Any], changed: dict[str, Any], told: str
) -> None:
    made.cell("none", "xnli", {"de": right("1100")})
    path = made.plan()
    value = json.loads(path.read_text())
    value["cells"][0].update(changed)
    path.write_text(json.dumps(value))
    with pytest.raises(
        UsageError, match=rf"made\.json: damaged \(.*{re.escape(told)}.*\): run its command again"
    ):
        make_report(made.root)


@pytest.mark.parametrize("text", ['"x"', "{}", "null"])
def test_a_row_of_another_kind_is_left_out(made: Any, text: str) -> None:
    rows = [{"id": f"q{place}", "exact_match": 100.0, "f1": 100.0} for place in range(4)]
    made.cell("none", "xquad", {"de": rows})
    odd = made.cell("mnli", "xquad", {"de": rows})
    path = odd / "scores" / "de.jsonl"
    path.write_text(path.read_text().replace('"f1": 100.0', f'"f1": {text}', 1), encoding="utf-8")
    (odd / DIGESTS).unlink()
    found = report(made)
    assert set(summary(found)) == {"none"}
    assert "rows do not hold exact_match, f1" in note(found, odd.name)


def test_rows_that_give_another_score_are_left_out(made: Any, right: Callable[[str], Any]) -> None:
    made.cell("none", "xnli", {"de": right("1100")})
    odd = made.cell("mnli", "xnli", {"de": right("1110")})
    change(odd, "metrics.json", lambda found: found["languages"]["de"].update(accuracy=80.0))
    found = report(made)
    assert set(summary(found)) == {"none"}
    assert "rows give 75.0000, metrics.json tells 80.0000" in note(found, odd.name)


@pytest.mark.parametrize("name", ["metrics.json", "stage.json", "scores/de.jsonl"])
def test_a_damaged_evaluation_is_left_out(made: Any, right: Callable[[str], Any], name: str) -> None:
    made.cell("none", "xnli", {"de": right("1100")})
    odd = made.cell("mnli", "xnli", {"de": right("1110")})
    with (odd / name).open("a", encoding="utf-8") as file:
        file.write(" ")
    found = report(made)
    assert set(summary(found)) == {"none"}
    assert f"{name} is damaged; left out" in note(found, odd.name)


def test_other_test_examples_have_no_gain(made: Any, right: Callable[[str], Any]) -> None:
    made.cell("none", "xnli", {"de": right("1100")})
    other = made.cell("mnli", "xnli", {"de": [{**row, "id": f"x{row['id']}"} for row in right("1110")]})
    found = report(made)
    assert summary(found)["mnli"]["gain"] is None
    assert other.name in " ".join(found.notes)


def test_a_plan_of_an_older_version_is_told(made: Any, right: Callable[[str], Any]) -> None:
    directory = made.cell("none", "xnli", {"de": right("1100")})
    path = made.plan()
    value = json.loads(path.read_text())
    del value["cells"][0]["limits"]
    path.write_text(json.dumps(value))
    with pytest.raises(
        UsageError, match="written by an older version, lacks 'limits': run its command again"
    ):
        make_report(made.root)
    assert directory.is_dir()
