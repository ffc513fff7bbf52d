"""Tables of made-up stores: right values, counted by hand, and captions that say what they are."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.errors import UnknownNameError, UsageError
from adapter_stilts.report.comparison import resample
from adapter_stilts.report.counts import counts
from adapter_stilts.report.making import Report, make_report
from adapter_stilts.report.tables import Table
from adapter_stilts.stages.archives import pack

ABOUT = ("mode", "split", "target_limit", "evaluation_limit")
FEW = 500
"""Resamples."""


def report(made: Any, **more: Any) -> Report:
    made.plan()
    return make_report(made.root, resamples=FEW, **more)


def table(found: Report, name: str) -> Table:
    (one,) = [each for each in found.tables if each.name == name]
    return one


def records(found: Report, name: str, **about: Any) -> list[dict[str, Any]]:
    rows = [dict(row) for row in table(found, name).records]
    return [row for row in rows if all(row[key] == value for key, value in about.items())]


def record(found: Report, name: str, **about: Any) -> dict[str, Any]:
    (one,) = records(found, name, **about)
    return one


def caption(found: Report, name: str) -> str:
    return " ".join(table(found, name).captions)


def test_a_score_and_its_gain_by_hand(made: Any, right: Callable[[str], Any]) -> None:
    for seed, (none, mnli) in enumerate([("1100", "1110"), ("1000", "1111")]):
        made.cell("none", "xnli", {"de": right(none), "en": right("1111")}, seed=seed)
        made.cell("mnli", "xnli", {"de": right(mnli), "en": right("1110")}, seed=seed)
    found = report(made)
    baseline = record(found, "summary", inter="none")
    ours = record(found, "summary", inter="mnli")
    # Means over de and en: none (50 + 100) / 2 and (25 + 100) / 2; mnli (75 + 75) / 2 and (100 + 75) / 2.
    assert baseline["score"] == (75 + 62.5) / 2
    assert baseline["gain"] is None
    assert ours["score"] == (75 + 87.5) / 2
    assert ours["deviation"] == pytest.approx(statistics.stdev([75, 87.5]))
    assert ours["gain"] == (0 + 25) / 2
    assert (ours["seeds"], ours["gain_seeds"], ours["languages"], ours["examples"]) == (2, 2, 2, 8)
    assert ours["interval"] == "seeds and examples"
    de = record(found, "language-1-xnli", inter="mnli", group="de")
    assert (de["score"], de["gain"], de["examples"]) == (87.5, 50.0, 4)
    shown = [[cell.text for cell in row] for row in table(found, "summary").rows]
    assert shown[0] == ["none", "68.75 ± 8.84"]
    assert shown[1][1].startswith("81.25 ± 8.84 +12.50 [")


def test_intervals_are_those_of_the_statistics(made: Any, right: Callable[[str], Any]) -> None:
    rows = {"none": right("110010100110"), "mnli": right("111110100111")}
    for inter, found_rows in rows.items():
        made.cell(inter, "xnli", {"de": found_rows})
    found = record(report(made), "summary", inter="mnli")
    drawn = resample(
        {
            str(place): {0: {"de": counts(rows[inter], "accuracy", inter)}}
            for place, inter in enumerate(("none", "mnli"))
        },
        resamples=FEW,
    )
    expected = drawn["1"].over(drawn["0"]).by_examples()
    assert (found["low"], found["high"]) == (expected.interval.low, expected.interval.high)
    assert found["p_value"] == found["p_holm"] == expected.p_value


def test_a_caption_says_which_interval_and_why(made: Any, right: Callable[[str], Any]) -> None:
    for seed in range(2):
        made.cell("none", "xnli", {"de": right("1100")}, seed=seed)
        made.cell("mnli", "xnli", {"de": right("1110")}, seed=seed)
    told = caption(report(made), "summary")
    assert "interval is over seeds and examples: models trained anew, other examples" in told
    assert "Seeds 0, 1." in told
    assert "No claim" not in told
    assert "Checkpoint chosen on English dev." in told
    assert "xnli: 1 of the 15 languages of xtreme." in told


def test_of_one_seed_nothing_is_claimed_of_others(made: Any, right: Callable[[str], Any]) -> None:
    made.cell("none", "xnli", {"de": right("1100")}, limits={"evaluation": 4, "target": 9, "intermediate": 7})
    made.cell("mnli", "xnli", {"de": right("1110")}, limits={"evaluation": 4, "target": 9, "intermediate": 7})
    found = report(made)
    told = caption(found, "summary")
    assert "of one seed, the 95 % interval is over examples" in told
    assert "It makes no claim about training with other seeds." in told
    assert "Partial test sets: the first 4 examples of a language." in told
    assert "Targets trained on the first 9 examples." in told
    assert "Intermediate tasks trained on the first 7 examples." in told
    assert record(found, "summary", inter="mnli")["deviation"] is None
    assert "±" not in table(found, "summary").rows[1][1].text


def test_of_single_languages_it_is_told_what_these_models_gain(
    made: Any, right: Callable[[str], Any]
) -> None:
    """Three seeds' interval over seeds is too wide for one language; over examples it holds (coverage.json)."""
    for seed in range(3):
        made.cell("none", "xnli", {"de": right("1100"), "sw": right("1000")}, seed=seed)
        made.cell("mnli", "xnli", {"de": right("1110"), "sw": right("1111")}, seed=seed)
    found = report(made)
    for name in ("language", "family", "resources"):
        assert {row["interval"] for row in records(found, f"{name}-1-xnli", inter="mnli")} == {"examples"}
        told = caption(found, f"{name}-1-xnli")
        assert "over examples: these models, other examples" in told
        assert "no claim about training with other seeds. The means over languages tell that." in told
    assert record(found, "summary", inter="mnli")["interval"] == "seeds and examples"


def test_too_few_resamples_for_a_star_are_told(made: Any, right: Callable[[str], Any]) -> None:
    languages = ("de", "en", "es", "fr", "el", "bg", "ru", "tr", "ar", "vi", "th", "zh", "hi")
    made.cell("none", "xnli", {one: right("10" * 30) for one in languages})
    made.cell("mnli", "xnli", {one: right("11" * 30) for one in languages})
    few = report(made)
    told = caption(few, "language-1-xnli")
    assert (
        "With 500 resamples of these examples no p-value is below 0.0059, so that few or none of 13 can have"
        in told
    )
    assert not any(row["holds"] for row in records(few, "language-1-xnli"))
    enough = make_report(made.root, resamples=10_000)
    assert all(row["holds"] for row in records(enough, "language-1-xnli", inter="mnli"))
    assert "star: raise" not in caption(enough, "language-1-xnli")


def test_groups_of_languages_weigh_each_language_alike(made: Any, right: Callable[[str], Any]) -> None:
    none = {"de": right("1000"), "en": right("1111"), "bg": right("1100"), "sw": right("0000")}
    mnli = {"de": right("1100"), "en": right("1111"), "bg": right("1100"), "sw": right("0001")}
    made.cell("none", "xnli", none)
    made.cell("mnli", "xnli", mnli)
    found = report(made)
    germanic = record(found, "family-1-xnli", inter="mnli", group="IE: Germanic")
    assert (germanic["members"], germanic["score"], germanic["gain"]) == ("de+en", 75.0, 12.5)
    levels = {row["group"]: row["members"] for row in records(found, "resources-1-xnli", inter="mnli")}
    assert levels == {"high": "de+en", "medium": "bg", "low": "sw"}


def test_levels_that_evaluations_tell_come_first(making: Any, made: Any, right: Callable[[str], Any]) -> None:
    levels = {"qaa": "high", "qab": "low"}
    for inter in ("none", "mnli"):
        source = making.MadeSource(("qaa", "qab", "qac"), levels)
        made.cell(inter, "xnli", {"qaa": right("1100"), "qab": right("1000")}, source=source)
    found = report(made)
    rows = records(found, "resources-1-xnli", inter="mnli")
    assert {row["group"]: row["members"] for row in rows} == {"high": "qaa", "low": "qab"}
    assert "xnli: without qac, which were not evaluated." in caption(found, "summary")
    assert not [each for each in found.tables if each.name.startswith("family")]  # all are in one group


def test_modes_stand_side_by_side_with_the_share_of_full(made: Any, right: Callable[[str], Any]) -> None:
    gains = {"full": "1" * 60 + "0" * 20, "lora": "1" * 50 + "0" * 30}
    for mode, answers in gains.items():
        made.cell("none", "xnli", {"de": right("1" * 40 + "0" * 40)}, mode=mode)
        made.cell("mnli", "xnli", {"de": right(answers)}, mode=mode)
    found = report(made)
    assert record(found, "modes", mode="full", inter="mnli")["gain"] == 25.0
    lora = record(found, "modes", mode="lora", inter="mnli")
    assert (lora["gain"], lora["share_of_full"]) == (12.5, 50.0)
    assert table(found, "modes").columns == ("intermediate and target", "full, fp32", "lora, fp32")
    (row,) = table(found, "modes").rows
    assert row[2].lines[1] == "50 %"


def test_baselines_alone_have_no_modes_to_stand_side_by_side(made: Any, right: Callable[[str], Any]) -> None:
    for mode in ("full", "lora"):
        made.cell("none", "xnli", {"de": right("1100")}, mode=mode)
    assert not [one for one in report(made).tables if one.kind == "modes"]


def test_a_baseline_that_was_left_out_of_a_mode_is_no_row(made: Any, right: Callable[[str], Any]) -> None:
    for mode in ("full", "lora"):
        made.cell("mnli", "xnli", {"de": right("1110")}, mode=mode)
        made.cell("none", "xnli", {"de": right("1100")}, mode=mode)
    made.plan("old")
    made.cell("none", "xnli", {"de": right("1000")}, mode="lora", epochs=2.0)
    made.plan("new")
    found = make_report(made.root, resamples=FEW)
    assert "2 versions" in " ".join(found.notes)
    assert [row["inter"] for row in records(found, "modes")] == ["mnli", "mnli"]


def test_no_share_of_a_gain_that_may_be_none(made: Any, right: Callable[[str], Any]) -> None:
    for mode in ("full", "lora"):
        made.cell("none", "xnli", {"de": right("10" * 20)}, mode=mode)
        made.cell("mnli", "xnli", {"de": right("01" * 19 + "11")}, mode=mode)
    assert [row["share_of_full"] for row in records(report(made), "modes")] == [None, None]


def test_costs_are_of_the_whole_chain(made: Any, right: Callable[[str], Any]) -> None:
    """A training takes 600 seconds, an evaluation 30, a bundle has 1,000 bytes, as the store is made."""
    made.cell("none", "xquad", {"de": [{"id": "1", "exact_match": 0.0, "f1": 50.0}]})
    made.cell("mnli", "xquad", {"de": [{"id": "1", "exact_match": 0.0, "f1": 60.0}]})
    found = report(made)
    hours = {row["inter"]: row["hours"] for row in records(found, "costs")}
    assert hours == {"none": pytest.approx(630 / 3600), "mnli": pytest.approx(1230 / 3600)}
    one = record(found, "costs", inter="mnli")
    assert (one["memory_gib"], one["memory_of"], one["bundle_mb"]) == (1.0, "resident", 0.001)


def test_the_base_itself_has_no_bundle_and_its_target_a_gain(made: Any, right: Callable[[str], Any]) -> None:
    """Retrieval trains no target: the baseline is the encoder as it is, for which no dev split chose anything."""
    made.cell("none", "tatoeba", {"de": right("1100")})
    made.cell("mnli", "tatoeba", {"de": right("1110")}, dev=["en"])
    found = report(made)
    assert record(found, "summary", inter="mnli")["gain"] == 25.0
    assert record(found, "costs", inter="none")["bundle_mb"] is None
    assert "No checkpoint chosen on the target." in caption(found, "summary")


def test_another_baseline(made: Any, right: Callable[[str], Any]) -> None:
    for inter, answers in {"none": "1000", "mnli": "1100", "snli": "1110"}.items():
        made.cell(inter, "xnli", {"de": right(answers)})
    found = report(made, baseline="mnli")
    assert {row["inter"]: row["gain"] for row in records(found, "summary")} == {
        "mnli": None, "none": -25.0, "snli": 25.0,
    }  # fmt: skip
    assert "Gains over mnli of the same seed" in caption(found, "summary")
    with pytest.raises(UnknownNameError, match="unknown intermediate entry 'mnl'; did you mean 'mnli'"):
        make_report(made.root, baseline="mnl")


def test_published_rows_stand_beside_the_same_test_alone(made: Any, right: Callable[[str], Any]) -> None:
    languages = ("de", "en", "es", "fr", "ja", "ko", "zh")
    made.cell("none", "pawsx", {one: right("1100") for one in languages})
    made.cell("none", "xnli", {one: right("1100") for one in languages})
    made.cell("none", "pawsx", {one: right("1100") for one in languages}, limits={"evaluation": 4})
    found = report(made)
    rows = records(found, "published")
    assert {row["target"] for row in rows} == {"pawsx"}  # of XNLI eight languages are missing
    (ours,) = [row for row in rows if row["ours"]]  # not the first four examples
    assert ours["score"] == 50.0
    theirs = {row["of"]: row["score"] for row in rows if not row["ours"]}
    assert theirs["XLM-R Large"] == 86.4
    assert theirs["X-STILTs"] == 87.7
    assert "Read in: README of google-research/multilingual-t5" in caption(found, "published")


def test_of_questions_f1_alone_is_published(made: Any) -> None:
    languages = ("ar", "de", "en", "es", "hi", "vi", "zh")
    rows = [{"id": "1", "exact_match": 0.0, "f1": 40.0}, {"id": "2", "exact_match": 100.0, "f1": 100.0}]
    made.cell("none", "mlqa", dict.fromkeys(languages, rows))
    found = report(made)
    assert record(found, "summary")["score"] == 60.0  # (50 + 70) / 2
    (ours,) = records(found, "published", ours=True)
    assert (ours["metric"], ours["score"]) == ("f1", 70.0)


def test_groupings_are_chosen_by_name(made: Any, right: Callable[[str], Any]) -> None:
    made.cell("none", "xnli", {"de": right("1100"), "bg": right("1000")})
    assert {each.name for each in report(made, by=["family"]).tables} == {"summary", "family-1-xnli", "costs"}
    with pytest.raises(UnknownNameError, match="unknown grouping 'families'; did you mean 'family'"):
        make_report(made.root, by=["families"])


def test_what_is_no_store_or_holds_nothing(made: Any, right: Callable[[str], Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such store; name the folder after --store"):
        make_report(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no plan in its folder plans/"):
        make_report(made.root)
    made.cell("none", "xnli", {"de": right("1100")}, finished=False)
    with pytest.raises(UsageError, match="nothing to report: none of 1 planned cells is finished"):
        report(made)


def test_a_report_loads_no_torch(whole: Path) -> None:
    code = (
        "import sys; from adapter_stilts.report.making import make_report; "
        f"make_report({str(whole)!r}, resamples=100); "
        "assert not {'torch', 'transformers', 'pandas'} & sys.modules.keys(), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_archive_is_reported_like_its_folder(
    made: Any, right: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADAPTER_STILTS_CACHE", str(tmp_path / "cache"))
    for seed in (0, 1):
        made.cell("none", "xnli", {"de": right("1100")}, seed=seed)
        made.cell("mnli", "xnli", {"de": right("1110")}, seed=seed)
    of_folder = report(made)
    pack(made.root, tmp_path / "results.zip")
    of_archive = make_report(tmp_path / "results.zip", resamples=FEW)
    for one, other in zip(of_folder.tables, of_archive.tables, strict=True):
        assert (one.name, one.records) == (other.name, other.records)


def test_of_several_plans_the_order_is_not_that_of_their_times(
    made: Any, right: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy of a store, or an archive, has other times: the same results give the same tables, the modes in order."""
    monkeypatch.setenv("ADAPTER_STILTS_CACHE", str(tmp_path / "cache"))
    for inter, rows in (("none", "11001010"), ("mnli", "11101011"), ("qqp", "10110010")):
        made.cell(inter, "xnli", {"de": right(rows)}, mode="full")
    plans = [made.plan("b")]
    made.cell("qqp", "xnli", {"de": right("10110010")}, mode="full")
    made.cell("none", "xnli", {"de": right("11001010")}, mode="full")
    plans.append(made.plan("c"))
    for inter, rows in (("none", "01001010"), ("mnli", "11101010"), ("qqp", "10110110")):
        made.cell(inter, "xnli", {"de": right(rows)}, mode="lora")
    plans.append(made.plan("a"))
    found = []
    for times in ((1, 2, 3), (3, 2, 1), (2, 3, 1)):
        for path, when in zip(plans, times, strict=True):
            os.utime(path, (when, when))
        found.append(make_report(made.root, resamples=FEW))
    assert [one.tables for one in found[1:]] == [found[0].tables] * 2
    summaries = [table for table in found[0].tables if table.kind == "summary"]
    assert ["full" in table.title for table in summaries] == [True, False]
    assert [row[0].text for row in summaries[0].rows] == ["none", "mnli", "qqp"]


def test_titles_tell_tables_of_unlike_limits_apart(made: Any, right: Callable[[str], Any]) -> None:
    """No two tables, cells of the page or rows of costs have one name."""
    for limits in ({}, {"target": 64}, {"evaluation": 4}):
        for split in ("test", "dev"):
            for mode in ("full", "lora"):
                for base in ("a", "b"):
                    for inter, rows in (("none", "1100"), ("mnli", "1110")):
                        about = {"limits": limits, "split": split, "mode": mode, "base": base}
                        made.cell(inter, "xnli", {"de": right(rows), "es": right(rows)}, **about)
    found = report(made)
    titles = [one.title for one in found.tables]
    assert len(set(titles)) == len(titles) > 40
    assert "Modes side by side (b, dev, target limit 64): gains over the baseline of the same mode" in titles
    origins = [one.title for one in found.origins]
    assert len(set(origins)) == len(origins) == 48
    rows = [tuple(cell.text for cell in row[:5]) for row in table(found, "costs").rows]
    assert len(set(rows)) == len(rows) == 48
    told = {tuple(row[name] for name in (*ABOUT, "base", "inter")) for row in records(found, "costs")}
    assert len(told) == 48
