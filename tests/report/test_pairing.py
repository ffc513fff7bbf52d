"""Two cells by name, and their difference."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from adapter_stilts.errors import DataError, UnknownNameError, UsageError
from adapter_stilts.io import DIGESTS
from adapter_stilts.report.making import make_report
from adapter_stilts.report.pairing import compare


def test_a_difference_by_hand(made: Any, right: Callable[[str], Any]) -> None:
    made.cell("mnli", "xnli", {"de": right("1110"), "es": right("1111")})
    made.cell("none", "xnli", {"de": right("1100"), "es": right("1100")})
    made.plan()
    found = compare(made.root, "mnli", "none", "xnli", resamples=500)
    rows = {row["language"]: row for row in found.records}
    assert {name: (row["a"], row["b"], row["difference"]) for name, row in rows.items()} == {
        "de": (75.0, 50.0, 25.0), "es": (100.0, 50.0, 50.0), "all": (87.5, 50.0, 37.5),
    }  # fmt: skip
    # The four questions are the same in both languages: four are drawn, not eight.
    assert {name: row["examples"] for name, row in rows.items()} == {"de": 4, "es": 4, "all": 4}
    assert "Of one seed, it makes no claim about others" in " ".join(found.captions)
    back = compare(made.root, "none", "mnli", "xnli", resamples=500)
    assert [row["difference"] for row in back.records] == [-25.0, -50.0, -37.5]


@pytest.mark.parametrize("target", ["xnli", "xquad", "bucc2018"])
def test_a_comparison_has_the_interval_of_the_report(made: Any, making: ModuleType, target: str) -> None:
    """One question, one interval: whatever other cells, seeds and plans are in the store, and whichever is less."""
    for number, (inter, seeds) in enumerate((("none", 3), ("mnli", 2), ("qqp", 3))):
        for seed in range(seeds):
            generator = np.random.default_rng([number, seed])
            rows = {language: _rows(making, generator, target, number) for language in ("de", "fr")}
            made.cell(inter, target, rows, seed=seed)
    made.plan()
    found = make_report(made.root, by=["language"], resamples=300)
    told = {
        (row["inter"], row.get("group", "all" if row["interval"] == "examples" else "all, trained anew")): row
        for table in found.tables
        if table.kind in ("summary", "groups")
        for row in table.records
    }
    for inter in ("mnli", "qqp"):
        there = compare(made.root, inter, "none", target, resamples=300).records
        back = compare(made.root, "none", inter, target, resamples=300).records
        assert [row["language"] for row in there] == ["de", "fr", "all", "all, trained anew"]
        for one, other in zip(there, back, strict=True):
            assert one["low"] == pytest.approx(-other["high"], abs=1e-7)
            if one["language"] != "all":  # which the answer alone tells
                row = told[inter, one["language"]]
                for name in ("low", "high", "p_value"):
                    assert row[name] == pytest.approx(one[name], rel=1e-9)
                assert row["low"] < row["gain"] < row["high"]


def _rows(
    making: ModuleType, generator: np.random.Generator, target: str, number: int
) -> list[dict[str, Any]]:
    """Of mining each system has other pairs: all true ones that it found, and wrong ones of its own."""
    if target != "bucc2018":
        return making.drawn(generator, target, 60, 0.5 + 0.1 * number)  # type: ignore[no-any-return]
    found = generator.random(120) < 0.5 + 0.1 * number
    true = [
        {"id": f"d{n} e{n}", "gold": 1, "predicted": int(p), "correct": int(p)} for n, p in enumerate(found)
    ]
    wrong = generator.choice(range(100, 160), 20, replace=False)
    return [*true, *({"id": f"d{n} e0", "gold": 0, "predicted": 1, "correct": 0} for n in map(int, wrong))]


def test_modes_are_compared_and_what_differs_is_told(whole: Path) -> None:
    found = compare(whole, "mnli, full", "mnli, lora", "xquad", resamples=500)
    told = " ".join(found.captions)
    assert "a: mnli, full, fp32, made." in told
    assert "Seeds in common: 3." in told
    *languages, these, anew = found.records
    assert {row["interval"] for row in (*languages, these)} == {"examples"}
    assert (these["language"], anew["language"]) == ("all", "all, trained anew")
    assert anew["interval"] == "seeds and examples"
    assert anew["difference"] == these["difference"]
    assert "mode full and lora" in told


def test_a_seed_may_be_named(whole: Path) -> None:
    found = compare(whole, "mnli, full, seed 1", "MNLI,lora", "xquad", resamples=500)
    assert {row["seeds"] for row in found.records} == {1}
    with pytest.raises(
        UsageError,
        match="mnli, full, fp32, made has seeds 1, and mnli, lora, fp32, made has seeds 2: a difference",
    ):
        compare(whole, "mnli, full, seed 1", "mnli, lora, seed=2", "xquad", resamples=500)


def test_a_name_of_several_cells_is_answered_with_theirs(whole: Path) -> None:
    with pytest.raises(
        UsageError, match=r"'mnli' means 2 cells of xquad.*mnli, full, fp32, made; mnli, lora"
    ):
        compare(whole, "mnli", "none, lora", "xquad")


def test_a_name_of_no_cell_is_answered_with_all(whole: Path) -> None:
    with pytest.raises(
        UnknownNameError, match=r"part of 'mnly, lora' 'mnly'; did you mean 'mnli'.*Cells of xquad"
    ):
        compare(whole, "mnly, lora", "none, lora", "xquad")
    with pytest.raises(UsageError, match=r"no cell of xquad is 'mnli, none'\. Cells of xquad: none, full"):
        compare(whole, "mnli, none", "none, lora", "xquad")
    with pytest.raises(UsageError, match="is 'mnli, lora, seed 7': mnli, lora, fp32, made has seeds 0, 1, 2"):
        compare(whole, "mnli, lora, seed 7", "none, lora", "xquad")
    with pytest.raises(UnknownNameError, match="unknown target of the store 'xquda'; did you mean 'xquad'"):
        compare(whole, "mnli, lora", "none, lora", "xquda")


def test_a_cell_has_no_difference_to_itself(whole: Path) -> None:
    with pytest.raises(UsageError, match="'mnli, lora' and 'lora, mnli' are the same cell"):
        compare(whole, "mnli, lora", "lora, mnli", "xquad")
    with pytest.raises(UsageError, match="'mnli, lora, seed 0' and 'mnli, lora' are the same cell"):
        compare(whole, "mnli, lora, seed 0", "mnli, lora", "xquad")


@pytest.mark.parametrize(
    "about",
    [
        {"dev": ["de"]},
        {"dev": []},
        {"limits": {"intermediate": 7}},
        {"limits": {"target": 9}},
        {"combine": "fuse"},
        {"averaged_steps": 3},
        {"split": "dev"},
        {"label": "mnli, few-shot de=8", "few_shot": {"de": 8}},
    ],
)
def test_a_whole_name_means_its_cell_alone(
    made: Any, right: Callable[[str], Any], about: dict[str, Any]
) -> None:
    """What an error offers is taken: also the name of which the other cell's is more."""
    made.cell("none", "xnli", {"de": right("1000")})
    made.cell("mnli", "xnli", {"de": right("1100")})
    made.cell("mnli", "xnli", {"de": right("1111")}, epochs=2.0, **about)
    made.plan()
    if "label" in about:  # which parts of a label tell apart
        names = ["mnli", "mnli, few-shot de=8"]
    else:
        with pytest.raises(UsageError, match="'mnli' means 2 cells of xnli; say more of one: ") as refused:
            compare(made.root, "mnli", "none", "xnli")
        names = str(refused.value).partition("say more of one: ")[2].split("; ")
    if about.get("split") == "dev":
        names = names[:1]
    for name, value in zip(names, (25.0, 75.0)[: len(names)], strict=True):
        assert compare(made.root, name, "none", "xnli", resamples=100).records[0]["difference"] == value


def test_other_data_are_no_pairs(made: Any, right: Callable[[str], Any]) -> None:
    """Rows that are numbered alike may be of other examples: of dev, or of another release."""
    made.cell("none", "xnli", {"de": right("1100")})
    made.cell("mnli", "xnli", {"de": right("1110")}, split="dev")
    other = made.cell("qqp", "xnli", {"de": right("1110")})
    made.plan()
    record = json.loads((other / "stage.json").read_text(encoding="utf-8"))
    record["part"]["data"] = {"de": "d" * 64}
    (other / "stage.json").write_text(json.dumps(record), encoding="utf-8")
    (other / DIGESTS).unlink()
    for name in ("mnli", "qqp"):
        with pytest.raises(UsageError, match=r"were evaluated on other data in de \(evaluate-xnli-"):
            compare(made.root, name, "none", "xnli")


def test_a_whole_label_comes_before_a_part_of_one(made: Any, right: Callable[[str], Any]) -> None:
    made.cell("none", "xnli", {"de": right("1100")})
    swahili = {"label": "none, trained in sw", "train_languages": ["sw"]}
    made.cell("none", "xnli", {"de": right("1000")}, epochs=3.0, **swahili)
    made.plan()
    found = compare(made.root, "none, trained in sw", "none", "xnli", resamples=500)
    assert found.records[0]["difference"] == -25.0


def test_a_cell_that_was_left_out_is_told_as_such(made: Any, right: Callable[[str], Any]) -> None:
    made.cell("none", "xnli", {"de": right("1100")})
    for epochs in (1.0, 2.0):
        made.cell("mnli", "xnli", {"de": right("1110")}, epochs=epochs)
        made.plan(f"of{epochs:g}")
    with pytest.raises(UsageError, match=r"'mnli'.*Left out: .*2 versions"):
        compare(made.root, "mnli, lora", "none, lora", "xnli")


def test_limits_are_told_by_what_they_are_of(made: Any, right: Callable[[str], Any]) -> None:
    """`limit 4` means any of them; the section's name tells which."""
    for target in (4, 9):
        limits = {"intermediate": 7, "target": target, "evaluation": 4}
        for inter, scores in (("none", "1100"), ("mnli", "1110")):
            made.cell(inter, "xnli", {"de": right(scores)}, limits=limits)
    made.plan()
    found = compare(made.root, "mnli, target limit 9", "none, target limit 9", "xnli", resamples=200)
    assert "mnli, lora, fp32, made, intermediate limit 7, target limit 9, evaluation limit 4." in " ".join(
        found.captions
    )
    with pytest.raises(
        UsageError, match=r"target limit 4, evaluation limit 4.*target limit 9, evaluation limit 4"
    ):
        compare(made.root, "mnli, limit 4", "none, target limit 9", "xnli", resamples=200)


def test_unlike_ways_of_teaching_are_told(made: Any, right: Callable[[str], Any]) -> None:
    """A part of a name may mean the only cell that has it: what else differs then stands below."""
    few = {"label": "mnli, few-shot de=8", "few_shot": {"de": 8}}
    made.cell("none", "xnli", {"de": right("1100")})
    made.cell("mnli", "xnli", {"de": right("1110")}, **few)
    made.plan()
    told = " ".join(compare(made.root, "mnli", "none", "xnli", resamples=200).captions)
    assert (
        "taught in unlike ways, which the difference holds as well: a few-shot de=8; b in English alone."
        in told
    )


def test_rows_that_are_missing_are_told_with_the_stage(made: Any, right: Callable[[str], Any]) -> None:
    made.cell("none", "xnli", {"de": right("1100")})
    directory = made.cell("mnli", "xnli", {"de": right("1110")})
    (directory / "scores" / "de.jsonl").unlink()
    (directory / "SHA256SUMS").unlink()
    made.plan()
    with pytest.raises(DataError, match=f"{directory.name}: no rows"):
        compare(made.root, "mnli", "none", "xnli")


def test_damaged_rows_are_refused(made: Any, right: Callable[[str], Any]) -> None:
    made.cell("none", "xnli", {"de": right("1100")})
    directory = made.cell("mnli", "xnli", {"de": right("1110")})
    with (directory / "scores" / "de.jsonl").open("a", encoding="utf-8") as file:
        file.write(" ")
    made.plan()
    with pytest.raises(DataError, match=f"{directory.name}: scores/de.jsonl is damaged"):
        compare(made.root, "mnli", "none", "xnli")
