"""Stages that end with a mean: what their records say, and what goes on from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.errors import UsageError
from adapter_stilts.recipe import load_recipe

Cli = Callable[..., Any]
Tiny = Callable[..., list[str]]
BOTH = ("--set", "intermediate.average=2", "--set", "target.average=4", "--set", "target.eval_every_steps=2")


def record(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(row["dir"]) / "stage.json").read_text())
    return found


def test_a_mean_is_gone_on_from_averaged_again_and_evaluated(tiny: Tiny, cli: Cli) -> None:
    ran = cli(*tiny("--inter", "hellaswag", "--target", "xquad", "--mode", "lora", *BOTH))
    before, target, evaluated = ran.json["stages"]
    assert (record(before)["averaged_steps"], record(before)["best_step"]) == ([2, 4], None)
    assert record(target)["averaged_steps"] == [1, 2, 3, 4]
    assert record(target)["dev"].keys() == {"exact_match", "f1"}
    # Of rank 8 each: the target trains on at the rank of the mean that it starts from.
    ranks = [
        json.loads((Path(row["dir"]) / "bundle" / "adapter_config.json").read_text())["r"]
        for row in (before, target)
    ]
    assert ranks == [16, 64]
    card = (Path(target["dir"]) / "bundle" / "README.md").read_text()
    assert "The mean of the weights at 4 equidistant steps of the run" in card
    assert "which chose the checkpoint" not in card
    assert "target.average=4" in card
    assert (ran.json["results"]["xquad"]["dev"], ran.json["results"]["xquad"]["averaged_steps"]) == (None, 4)
    assert record(evaluated)["kind"] == "evaluate"
    alone = cli("evaluate", Path(target["dir"]) / "bundle", "--target", "xquad", *_data(tiny), "--json").json
    assert alone["results"]["xquad"]["languages"] == ran.json["results"]["xquad"]["languages"]
    assert alone["results"]["xquad"]["averaged_steps"] == 4


def _data(tiny: Tiny) -> list[str]:
    words = tiny()
    return [str(words[words.index("--data") + n]) for n in (0, 1)]


@pytest.mark.parametrize("mode", ["full", "adapter"])
def test_other_modes_go_on_from_a_mean(tiny: Tiny, cli: Cli, mode: str) -> None:
    ran = cli(*tiny("--inter", "hellaswag", "--target", "xquad", "--mode", mode, *BOTH))
    stages = [record(row) for row in ran.json["stages"]]
    assert [stage.get("averaged_steps") for stage in stages] == [[2, 4], [1, 2, 3, 4], None]


def test_the_table_says_that_none_was_chosen(tiny: Tiny, cli: Cli) -> None:
    words = [word for word in tiny("--inter", "none", "--target", "xquad", *BOTH) if word != "--json"]
    ran = cli(*words)
    assert "the weights are the mean of those at steps 1, 2, 3, 4" in ran.err
    assert "mean of the weights at 4 steps of the run, none chosen" in ran.out.replace("\n", " ")


def test_bad_numbers_are_told_once() -> None:
    with pytest.raises(UsageError, match=r"target\.average = 0: .*greater than or equal to 1"):
        load_recipe(None, [("target.average", 0)])
    with pytest.raises(UsageError, match=r"average = 9 .* max_steps = 8 has fewer: at most 8, or more steps"):
        load_recipe(None, [("target.average", 9), ("target.max_steps", 8)])
    assert load_recipe(None, [("target.average", 8), ("target.max_steps", 8)]).target.average == 8
    assert load_recipe(None, [("target.average", "none")]).target.average is None


def test_more_than_there_are_steps_is_told_before_the_first(tiny: Tiny, cli: Cli) -> None:
    words = ("--set", "target.max_steps=none", "--set", "target.epochs=1", "--set", "target.average=1000")
    ran = cli(*tiny("--inter", "none", "--target", "xquad", *words))
    assert ran.code == 1
    assert "average = 1000 takes the mean of the weights at as many steps, and this stage has" in ran.err
