"""Plans of several recipes as one: equal stages once, what cannot be counted and left out."""

from __future__ import annotations

from pathlib import Path

import pytest

import adapter_stilts as stilts
from adapter_stilts.errors import UnknownNameError, UsageError
from adapter_stilts.study import Study


def matrix(store: Path, **flags: object) -> Study:
    return stilts.plan_matrix(recipe="miniature", store=store, **flags)


def test_equal_stages_stand_once_over_recipes(tmp_path: Path) -> None:
    alone = [
        matrix(tmp_path, inter="none,hellaswag", target="tatoeba,xnli", seed=seed).plan() for seed in (0, 1)
    ]
    plan = matrix(tmp_path, inter="none,hellaswag", target="tatoeba,xnli", seeds=2).plan()
    keys = {stage.key for each in alone for stage in each.stages}
    assert {stage.key for stage in plan.stages} == keys
    assert len(plan.stages) == len(keys)
    # Of the base itself, which no seed made, tatoeba is evaluated once, and is a cell of each seed.
    assert len(keys) == sum(len(each.stages) for each in alone) - 1
    assert len(plan.cells) == 8
    assert len({cell.evaluate.key for cell in plan.cells}) == 7


def test_what_cannot_be_is_left_out_and_counted(tmp_path: Path) -> None:
    study = matrix(
        tmp_path, inter="hellaswag", target="xnli", mode="full,lora", precision="fp32,8bit", seeds=3
    )
    assert {(cell.mode, cell.precision) for cell in study.plan().cells} == {
        ("full", "fp32"),
        ("lora", "fp32"),
        ("lora", "8bit"),
    }
    (told,) = [notice for notice in study.notices if "left out" in notice]
    assert told.startswith("left out full 8bit and 2 more: --mode full cannot train 8bit weights")


def test_a_cell_that_cannot_be_leaves_the_others(tmp_path: Path) -> None:
    study = matrix(
        tmp_path, inter="none,mnli,qqp", target="xnli,tatoeba", mode="lora", combine="continue,stack"
    )
    cells = {(cell.label, cell.target) for cell in study.plan().cells}
    assert ("stack of mnli, qqp", "xnli") in cells
    assert not any(label.startswith("stack") and target == "tatoeba" for label, target in cells)
    assert {combine for combine in (cell.combine for cell in study.plan().cells)} == {"continue", "stack"}
    (told,) = [notice for notice in study.notices if "left out" in notice]
    assert told.startswith(
        "left out stack of mnli, qqp, tatoeba, lora fp32 of miniature, stack, seed 0: --combine"
    )


def test_a_slip_is_no_combination(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown target task 'xnil'; did you mean 'xnli'"):
        matrix(tmp_path, inter="none", target="xnil", seeds=2).plan()
    with pytest.raises(UnknownNameError, match=r"did you mean 'target\.learning_rate'"):
        matrix(tmp_path, inter="none", target="xnli", settings=["target.lerning_rate=1"])


def test_where_nothing_can_be_the_reason_is_raised(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--mode full cannot train 8bit weights"):
        matrix(tmp_path, inter="none", target="xnli", mode="full", precision="8bit", seeds=2)
    alone = {"intermediate.baseline": False}
    with pytest.raises(UsageError, match="trains nothing"):
        matrix(tmp_path, inter="mnli", target="tatoeba", mode="lora", combine="stack", settings=alone).plan()


def test_each_is_every_task_of_the_study_on_its_own(tmp_path: Path) -> None:
    study = matrix(tmp_path, inter="none,each,all", target="xnli", mode="lora")
    labels = [cell.inter for cell in study.plan().cells]
    assert labels[0] == "none"
    assert labels[-1] == "all"
    assert labels[1:-1] == [
        *("anli_plus", "mnli", "qqp", "squad_v2", "squad_v1", "hellaswag", "ccg", "cosmosqa", "commonsenseqa")
    ]
