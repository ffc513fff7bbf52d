"""What a store says of what it holds, and how stages and plans are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.errors import StoreError, UnknownNameError, UsageError
from adapter_stilts.stages.keeping import cell_name, describe, find_plan, find_stage, kept_stages

BEFORE = {"evaluate-xquad-b": ("train-squad_v1-a",)}


def test_stages_with_their_cells_sizes_and_plans(shelf: Any) -> None:
    shelf.stage("train-squad_v1-a", weight=1000)
    shelf.stage("evaluate-xquad-b", ("train-squad_v1-a",))
    shelf.stage("train-snli-c")
    shelf.plan("0" * 12, "evaluate-xquad-b", before=BEFORE)
    shelf.plan("1" * 12, "evaluate-xquad-b", before=BEFORE)
    (shelf.root / "trackers").mkdir()
    (shelf.root / f"train-mnli-{'d' * 12}").mkdir()  # no commit marker: nothing finished
    found = {stage.name[:-11]: stage for stage in kept_stages(shelf.root)}
    assert list(found) == ["evaluate-xquad-b", "train-snli-c", "train-squad_v1-a"]
    evaluated, loose, trained = found.values()
    assert (evaluated.cells, evaluated.plans) == (
        ("xquad after hellaswag (lora, 8bit, base, seed 0)",),
        ("0" * 12, "1" * 12),
    )
    assert (trained.kind, trained.task, trained.told) == ("train", "squad_v1", "train squad_v1")
    assert (loose.told, loose.plans, loose.to_json()["title"]) == ("of no plan", (), None)
    files = [path for path in trained.path.rglob("*") if path.is_file()]
    assert trained.bytes == sum(path.stat().st_size for path in files) > 1000
    assert trained.finished == (trained.path / "stage.json").stat().st_mtime


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ({"inter": "mnli", "target": "xnli"}, "xnli after mnli"),
        (
            {"inter": "mnli", "label": "mnli, trained in de", "target": "xnli", "mode": "full", "seed": 3},
            "xnli after mnli, trained in de (full, seed 3)",
        ),
        (
            {
                "inter": "stack of a, b",
                "target": "xnli",
                "combine": "stack",
                "base": "x/y-large",
                "split": "dev",
            },
            "xnli after stack of a, b (stack, y-large, dev)",
        ),
    ],
)
def test_names_of_cells(cell: dict[str, Any], name: str) -> None:
    assert cell_name(cell) == name


def test_a_stage_by_path_name_key_and_digits(shelf: Any) -> None:
    directory = shelf.stage("train-squad_v1-a")
    shelf.stage("train-snli-b")
    for asked in (str(directory), directory.name, "aaaa", "a" * 12, "a" * 20, "a" * 64):
        assert find_stage(asked, shelf.root) == directory
    for asked in ("aaa", "c" * 12, "train-squad_v1", "", "zzzz"):
        with pytest.raises(
            UnknownNameError, match=r"unknown stage .* Choices: train-snli-bbbbbbbbbbbb, train-sq"
        ):
            find_stage(asked, shelf.root)


def test_more_digits_than_a_name_has_are_those_of_the_key(shelf: Any) -> None:
    shelf.stage("train-squad_v1-a")
    with pytest.raises(UnknownNameError, match="did you mean 'train-squad_v1-aaaaaaaaaaaa'"):
        find_stage("a" * 12 + "b", shelf.root)


def test_digits_of_several_stages_name_those_alone(shelf: Any) -> None:
    shelf.stage("train-squad_v1-a")
    shelf.stage("train-snli-a")
    shelf.stage("train-mnli-b")
    with pytest.raises(UnknownNameError, match="Give more digits: several begin so") as caught:
        find_stage("aaaaaa", shelf.root)
    assert caught.value.choices == ("train-snli-aaaaaaaaaaaa", "train-squad_v1-aaaaaaaaaaaa")


def test_of_many_stages_an_error_names_the_nearest(shelf: Any) -> None:
    for task in range(21):
        shelf.stage(f"train-task{task}-a")
    with pytest.raises(UnknownNameError, match="shelf has 21: `adapter-stilts store ls") as caught:
        find_stage("train-task20-aaaaaaaaaaab", shelf.root)
    assert len(caught.value.choices) <= 5
    assert caught.value.choices[0] == "train-task20-aaaaaaaaaaaa"


def test_what_is_no_store(tmp_path: Path, shelf: Any) -> None:
    for folder, why in (
        (tmp_path / "nowhere", "there is no such folder"),
        (tmp_path, "it has no store.json"),
    ):
        with pytest.raises(UsageError, match=why):
            kept_stages(folder)
    (shelf.root / "store.json").write_text('{"schema": 99}')
    with pytest.raises(StoreError, match="schema 99"):
        kept_stages(shelf.root)
    (shelf.root / "store.json").write_text("[]")
    with pytest.raises(StoreError, match="not a store's marker"):
        kept_stages(shelf.root)


def test_a_plan_by_path_and_digits(shelf: Any) -> None:
    path = shelf.plan("0d7e5b22516c", "evaluate-xquad-b")
    shelf.plan("0d7e00000000", "evaluate-xquad-b")
    for asked in (str(path), "0d7e5b22516c", "0d7e5", "0d7e5b22516c.json"):
        assert find_plan(asked, shelf.root) == path
    for asked in ("0d7", "0d7e", "ffff"):
        with pytest.raises(UnknownNameError, match=r"unknown plan .*0d7e00000000, 0d7e5b22516c") as caught:
            find_plan(asked, shelf.root)
        hints = {"0d7": "It takes 4 digits at least.", "0d7e": "Give more digits: several begin so."}
        store = f"That is what the store {shelf.root} has"
        told = f"{hints.get(asked, '')} {store}{' that begins so' if asked == '0d7e' else ''}.".lstrip()
        assert str(caught.value).endswith(f"0d7e5b22516c. {told}")


def test_a_plan_that_cannot_be_read_is_told(shelf: Any) -> None:
    shelf.plan("0" * 12, "evaluate-xquad-b").write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        kept_stages(shelf.root)


def test_a_description(shelf: Any) -> None:
    shelf.stage("fetch-squad_v1-a")
    shelf.stage("evaluate-xquad-b", ("fetch-squad_v1-a",))
    plan = shelf.plan("0" * 12, "evaluate-xquad-b", before={"evaluate-xquad-b": ("fetch-squad_v1-a",)})
    shelf.plan("1" * 12, "evaluate-xquad-b", schema=1, recipes=[], stages=[])  # kept no recipes
    found = describe("bbbb", shelf.root)
    name = f"evaluate-xquad-{'b' * 12}"
    assert found.commands == (f"adapter-stilts stage {plan} {name}",)
    assert found.metrics == {"average": {"f1": 50.0}, "languages": {"de": {"f1": 50.0}}}
    told = json.loads(json.dumps(found.to_json()))
    assert (told["name"], told["key"], told["parents"]) == (name, "b" * 64, [f"fetch-squad_v1-{'a' * 12}"])
    assert told["part"] == {"seed": 0}
    (shelf.root / name / "metrics.json").write_text("{")
    with pytest.raises(StoreError, match=r"metrics\.json cannot be read"):
        describe("bbbb", shelf.root)


def test_a_folder_that_no_stage_is_called(shelf: Any) -> None:
    directory = shelf.stage("train-squad_v1-a")
    directory.rename(shelf.root / "mine")
    with pytest.raises(UsageError, match="no stage's name"):
        describe(str(shelf.root / "mine"), shelf.root)
