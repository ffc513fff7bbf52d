"""Gains, averages and spreads by hand; unlike things are refused or stand apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from adapter_stilts.errors import UsageError
from adapter_stilts.report.scores import Score, Setting, Spread, gains, grouped, over_seeds, spread
from adapter_stilts.stages.cells import Cell, Limits, Taught
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.planning.plan import Plan
from adapter_stilts.stages.plans import write_plan

LORA = Setting("xquad", "lora", "fp32", "base")


def score(inter: str, seed: int | None, language: str, value: float, setting: Setting = LORA) -> Score:
    return Score(inter, setting, seed, language, "f1", value)


STUDY = [
    score("none", 0, "de", 50.0),
    score("none", 1, "de", 52.0),
    score("mnli", 0, "de", 53.0),
    score("mnli", 1, "de", 51.0),
    score("none", 0, "en", 60.0),
    score("none", 1, "en", 61.0),
    score("mnli", 0, "en", 64.0),
    score("mnli", 1, "en", 69.0),
]


def test_gains_are_taken_within_the_seed() -> None:
    found = gains(STUDY)
    assert {(each.seed, each.language): each.value for each in found.found} == {
        (0, "de"): 3.0, (1, "de"): -1.0, (0, "en"): 4.0, (1, "en"): 8.0,
    }  # fmt: skip
    assert found.without == ()
    assert gains(STUDY[::-1]).found == found.found[::-1]


@pytest.mark.parametrize(
    "setting",
    [
        replace(LORA, mode="full"), replace(LORA, precision="8bit"), replace(LORA, base="other"),
        replace(LORA, train_languages=("de",)), replace(LORA, few_shot=(("de", 32),)), replace(LORA, dev=None),
        replace(LORA, split="dev"), replace(LORA, evaluation_limit=100), replace(LORA, target="mlqa"),
    ],
)  # fmt: skip
def test_no_gain_over_another_setting(setting: Setting) -> None:
    odd = score("mnli", 0, "de", 70.0, setting)
    assert gains([*STUDY, odd]).without == (odd,)
    alone = score("mnli", 9, "de", 70.0)
    assert gains([*STUDY, alone]).without == (alone,)


def test_means_over_languages_then_over_seeds() -> None:
    found = gains(STUDY).found
    total = over_seeds(grouped(found, {"all": ["de", "en", "sw"], "africa": ["sw"]}))
    ((row, summary),) = total.items()
    assert (row.inter, row.language, row.metric) == ("mnli", "all", "f1")
    # 3.5 with either seed.
    assert summary == Spread(3.5, 0.0, (0, 1))
    by_language = {row.language: summary for row, summary in over_seeds(found).items()}
    assert by_language["de"] == Spread(1.0, pytest.approx(8**0.5), (0, 1))
    assert by_language["en"] == Spread(6.0, pytest.approx(8**0.5), (0, 1))


def test_one_seed_has_no_deviation() -> None:
    assert spread({3: 1.5}) == Spread(1.5, None, (3,))
    assert spread({None: 1.0, 2: 3.0, 0: 2.0}).seeds == (0, 2, None)


def test_an_average_needs_the_languages_that_others_have() -> None:
    told = r"mnli before xquad \(lora, fp32, seed 1\), f1 in de: all cannot be averaged without en"
    with pytest.raises(UsageError, match=told):
        grouped(STUDY[:-1], {"all": ["de", "en"]})
    # Nobody asked for the language that is missing.
    assert {each.language for each in grouped(STUDY[:-1], {"german": ["de"]})} == {"german"}


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        (score("none", 0, "de", 50.0), r"none before xquad .*, f1 in de, stands twice"),
        (score("none", 7, "de", float("nan")), "is nan and no finite number"),
    ],
)
def test_refused(odd: Score, told: str) -> None:
    for use in (gains, over_seeds, lambda scores: grouped(scores, {"all": ["de"]})):
        with pytest.raises(UsageError, match=told):
            use([*STUDY, odd])


@dataclass(frozen=True)
class AnyPart:
    KIND: ClassVar[str] = "evaluate"
    SCHEMA: ClassVar[int] = 1
    MADE_AGAIN: ClassVar[bool] = False
    READ_AGAIN: ClassVar[tuple[str, ...]] = ()
    told: str = ""

    def to_json(self) -> Mapping[str, Any]:
        return {}


def test_a_setting_of_what_a_plan_says(tmp_path: Path) -> None:
    stage = Stage("xquad", AnyPart())
    taught = Taught(("en", "sw"), {"yo": 8, "de": 32}, "mixed")
    cell = Cell("mnli", "xquad", stage, "lora", "8bit", "base", 3, Limits(5, 6, 7), taught=taught, dev=None)
    path = write_plan(tmp_path, Plan((cell,), ()), [], None, {})
    (row,) = json.loads(path.read_text(encoding="utf-8"))["cells"]
    found = Setting.of(row, row["target"])
    assert found == Setting(
        "xquad", "lora", "8bit", "base", ("en", "sw"), (("de", 32), ("yo", 8)), "mixed", None, "test", 6, 7
    )
    assert found == Setting.of(cell.about(), cell.target)
