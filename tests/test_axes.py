"""The axes of a matrix: which recipes they make."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.axes import axes_of, combinations, refuse_matrix
from adapter_stilts.errors import UnknownNameError, UsageError
from adapter_stilts.recipe import load_recipe

MATRIX = """
mode = "lora"

[matrix]
inter = ["none", "each", "all"]
target = ["xnli"]
mode = ["full", "lora"]
seed = [3, 5]
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "study.toml"
    path.write_text(MATRIX)
    return str(path)


def made(recipe: str | None = None, **given: Any) -> list[dict[str, Any]]:
    return list(combinations(axes_of(recipe, given)))


def test_nothing_varied_is_one_recipe_as_it_stands() -> None:
    assert made() == [{}]
    assert made(inter=["none"], target=["xnli"]) == [{"inter": ["none"], "target": ["xnli"]}]


def test_a_file_says_what_flags_leave_open(recipe: str) -> None:
    found = made(recipe)
    assert [(each["mode"], each["seed"]) for each in found] == [
        ("full", 3),
        ("full", 5),
        ("lora", 3),
        ("lora", 5),
    ]
    assert all(each["inter"] == ["none", "each", "all"] and each["target"] == ["xnli"] for each in found)
    assert [(each["mode"], each["seed"]) for each in made(recipe, mode=["ia3"], seeds=2)] == [
        ("ia3", 0),
        ("ia3", 1),
    ]


@pytest.mark.parametrize("entry", ["mnli+", "+mnli", "mnli++qqp", "+"])
def test_a_joined_entry_names_every_task(entry: str) -> None:
    with pytest.raises(UsageError, match=rf"^--inter {re.escape(entry)}: \+ joins the tasks of one stage"):
        made(inter=["none", entry])


def test_tasks_of_one_stage_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and files of tasks; an address keeps its own plus, and so does a file that is there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good+bad.toml").touch()
    joined = {
        "mnli+squad_v1": "mnli,squad_v1",
        "own/three.toml+mnli": "own/three.toml,mnli",
        "mnli+./three.toml+own/four.toml": "mnli,./three.toml,own/four.toml",
    }
    kept = [
        "qqp",
        "hf://a/b+c",
        "runs/a+b/bundle",
        "./x+y.toml",
        "good+bad.toml",
        "own/three.toml+runs/b/bundle",
    ]
    (found,) = made(inter=[*joined, *kept])
    assert found["inter"] == [*joined.values(), *kept]


def test_what_stands_alone_is_asked_for_once() -> None:
    alone, together = made(inter=["none", "mnli", "qqp", "all"], combine=["continue", "merge:ties"])
    assert alone["inter"] == ["none", "mnli", "qqp", "all"]
    assert together["inter"] == ["mnli", "qqp"]
    # Without a continue there is no other baseline.
    (only,) = made(inter=["none", "mnli", "all"], combine=["stack"])
    assert only["inter"] == ["none", "mnli"]


def test_values_that_are_none_are_told() -> None:
    with pytest.raises(UnknownNameError, match="unknown precision '9bit'"):
        made(precision=["9bit"])
    with pytest.raises(UnknownNameError, match="unknown mode 'loro'; did you mean 'lora'"):
        made(mode=["loro"])
    with pytest.raises(
        UsageError, match=r"seed = \[1\] and seeds = 2: seeds counts from 0; leave one of them out"
    ):
        made(seed=[1], seeds=2)


def test_an_axis_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text("[matrix]\nmodes = ['lora']\n")
    with pytest.raises(UnknownNameError, match="unknown matrix key 'modes'; did you mean 'mode'"):
        made(str(path))


def test_a_recipe_with_axes_is_one_recipe_without_them(recipe: str) -> None:
    assert load_recipe(recipe).mode == "lora"
    with pytest.raises(UsageError, match=r"has a section \[matrix\], .* adapter-stilts matrix --recipe "):
        refuse_matrix(recipe)
    refuse_matrix("miniature")
    refuse_matrix(None)
