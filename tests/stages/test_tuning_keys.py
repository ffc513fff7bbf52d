"""What of a mode and its settings reaches which stage's key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from adapter_stilts.errors import UnknownNameError, UsageError
from adapter_stilts.stages.planning.plan import Plan

Planned = Callable[..., Plan]


def keys(plan: Plan) -> list[str]:
    return [stage.key for stage in plan.stages]


def test_a_mode_and_its_own_settings_count(planned: Planned) -> None:
    full, lora = keys(planned()), keys(planned(("mode", "lora")))
    assert not set(full) & set(lora)
    assert not set(lora) & set(keys(planned(("mode", "lora"), ("tuning.lora.r", 4))))
    assert keys(planned(("mode", "lora"), ("tuning.lora.r", 8))) == lora
    assert keys(planned(("mode", "lora"), ("tuning.adapter.dropout", 0.5))) == lora
    assert keys(planned(("tuning.full.freeze_embeddings", False))) == full
    assert not set(keys(planned(("tuning.full.freeze_embeddings", True)))) & set(full)
    assert "tuning" not in planned().stages[0].part.to_json()


def test_combinations_are_planned_once(planned: Planned) -> None:
    def stages(combine: str, *more: tuple[str, Any], mode: str = "lora") -> list[str]:
        plan = planned(("mode", mode), ("combine", combine), *more, inter="hellaswag,snli")
        return [f"{stage.kind} {stage.task} {len(stage.parents)}" for stage in plan.stages]

    trained = ["train hellaswag 0", "train snli 0"]
    assert stages("stack") == [*trained, "train squad_v1 2", "evaluate xquad 1"]
    assert stages("fuse", mode="adapter") == [*trained, "train squad_v1 2", "evaluate xquad 1"]
    merged = [*trained, "compose hellaswag+snli 2", "train squad_v1 1", "evaluate xquad 1"]
    assert stages("merge:ties") == merged
    base = planned(("mode", "lora"), ("combine", "merge:ties"), inter="hellaswag,snli")
    for change in (("merge.density", 0.3), ("merge.weights", [0.7, 0.3]), ("merge.rank", 4)):
        other = planned(("mode", "lora"), ("combine", "merge:ties"), change, inter="hellaswag,snli")
        assert [a == b for a, b in zip(keys(base), keys(other), strict=True)] == [
            True,
            True,
            False,
            False,
            False,
        ]
    beside = planned(("mode", "lora"), ("combine", "stack"), inter="none,hellaswag,snli")
    assert [cell.inter for cell in beside.cells] == ["none", "stack of hellaswag, snli"]


@pytest.mark.parametrize(
    ("mode", "combine", "message"),
    [
        ("full", "fuse", "full models have none: continue or merge"),
        ("dora", "merge:linear", "DoRA's updates depend on the weights"),
        ("adapter", "merge:svd", "which only have a mean: linear"),
        ("lora", "merge:svd2", "unknown merge method 'svd2'; did you mean 'svd'"),
        ("lora", "stack:x", "unknown way to combine 'stack:x'"),
    ],
)
def test_what_cannot_be_combined_is_told_before_anything_runs(
    planned: Planned, mode: str, combine: str, message: str
) -> None:
    with pytest.raises((UsageError, UnknownNameError), match=message):
        planned(("mode", mode), ("combine", combine), inter="hellaswag,snli")
