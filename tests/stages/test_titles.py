"""Titles: no two stages of a plan read alike, and what is told is what differs."""

from __future__ import annotations

from pathlib import Path

import pytest

import adapter_stilts as stilts
from adapter_stilts.stages.plans import read_plan
from adapter_stilts.stages.titles import titles_of
from adapter_stilts.study import Study


def matrix(store: Path, **flags: object) -> Study:
    return stilts.plan_matrix(recipe="miniature", store=store, **flags)


ALONE = ("intermediate.baseline=false",)


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        ({}, {"train hellaswag", "train tydiqa after hellaswag", "evaluate tydiqa after hellaswag"}),
        (
            {"seeds": 2},
            {
                f"{what} [seed {seed}]"
                for what in (
                    "train hellaswag",
                    "train tydiqa after hellaswag",
                    "evaluate tydiqa after hellaswag",
                )
                for seed in (0, 1)
            },
        ),
        (
            {"mode": "full,lora", "precision": "fp32,8bit"},
            {
                f"{what} [{how}]"
                for what in (
                    "train hellaswag",
                    "train tydiqa after hellaswag",
                    "evaluate tydiqa after hellaswag",
                )
                for how in ("full, fp32", "lora, fp32", "lora, 8bit")
            },
        ),
    ],
    ids=["one", "seeds", "modes and precisions"],
)
def test_of_equal_titles_what_differs_is_told(
    tmp_path: Path, flags: dict[str, object], wanted: set[str]
) -> None:
    study = matrix(tmp_path, inter="hellaswag", target="tydiqa", settings=ALONE, **flags)
    assert set(study.plan().titles.values()) == wanted
    assert len(study.plan().stages) == len(wanted)
    # Other processes and `status` read them in the plan's file.
    assert {stage.title for stage in read_plan(study.save()).stages} == wanted


def test_encoders_are_told_by_name(tmp_path: Path, tiny_base: Path) -> None:
    study = matrix(tmp_path, inter="none", target="tydiqa", base=f"miniature,{tiny_base}")
    titles = set(study.plan().titles.values())
    assert f"train tydiqa [{tiny_base.name}]" in titles
    assert "train tydiqa [miniature]" in titles


def test_what_differs_in_other_settings_ends_in_its_key(tmp_path: Path) -> None:
    study = matrix(tmp_path, inter="none,mnli", target="tydiqa", mode="lora", settings=["target.epochs=1"])
    others = matrix(tmp_path, inter="none,mnli", target="tydiqa", mode="lora", settings=["target.epochs=2"])
    stages = {stage.key: stage for stage in (*study.plan().stages, *others.plan().stages)}
    titles = titles_of(stages.values())
    for key, title in titles.items():
        alike = [other for other in stages.values() if other.title == stages[key].title]
        assert title == stages[key].title + (f" [{key[:8]}]" if len(alike) > 1 else "")
    assert len(set(titles.values())) == len(stages)
