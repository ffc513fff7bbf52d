"""Submissions: complete tasks of finished stages, read as the scorer reads them before anything is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.errors import DataError, StoreError, UsageError
from adapter_stilts.evaluation.membership import BENCHMARKS, OFFICIAL, XTREME, XTREME_R
from adapter_stilts.evaluation.xtreme import prediction_path, score_folders, write_predictions
from adapter_stilts.io import seal
from adapter_stilts.stages.cells import Cell, Limits
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.parts import FetchPart
from adapter_stilts.stages.planning.plan import Plan
from adapter_stilts.stages.plans import write_plan
from adapter_stilts.stages.submit import find_evaluations, write_submission
from adapter_stilts.tasks import get_task

PREDICTIONS: dict[str, Any] = {
    "xnli": ["neutral", "entailment"],
    "pawsx": [1, 0],
    "udpos": [["NOUN", "VERB"]],
    "panx": [["B-PER"], ["O"]],
    "xquad": {"q": "Riga"},
    "mlqa": {"q": "Riga"},
    "tydiqa": {"q": "Riga"},
    "bucc2018": [("x-1", "en-1")],
    "tatoeba": [1, 0],
    "xcopa": [1, 0],
    "mewslix": {"m": ["Q1"]},
    "lareqa": {"q": ["de-0-1"]},
}

MakeStage = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def stage(store: Path) -> MakeStage:
    """A finished evaluate stage as `train` leaves it, with made-up predictions in the given languages."""

    def call(
        task: str,
        *trained: str,
        number: int = 0,
        languages: Any = None,
        inter: str | None = None,
        **part: Any,
    ) -> Path:
        parents: list[str] = []
        for name in trained:
            parents = [record("train", name, parents, number).name]
        settings = {
            "limit": None,
            "options": {"words": "fused"} if task == "udpos" else {},
            "data": {},
            **part,
        }
        directory = record("evaluate", task, parents, number, settings)
        if inter is not None:
            planned = Stage(task, FetchPart(task))
            cell = Cell(inter, task, planned, "full", "fp32", "a/base", 0, Limits())
            write_plan(store, Plan((cell,), ()), (), None, {})
            (path,) = [p for p in (store / "plans").iterdir() if planned.name in p.read_text()]
            path.write_text(path.read_text().replace(planned.name, directory.name))
        for language in languages or XTREME_R.languages.get(task) or XTREME.languages[task]:
            write_predictions(directory / "predictions", task, language, PREDICTIONS[task])
        seal(directory)
        return directory

    def record(kind: str, task: str, parents: list[str], number: int, part: Any = None) -> Path:
        directory = store / f"{kind}-{task}-{number:012d}"
        directory.mkdir(parents=True, exist_ok=True)
        value = {"key": "0", "kind": kind, "task": task, "parents": parents, "part": part or {}}
        (directory / "stage.json").write_text(json.dumps(value))
        return directory

    return call


def test_a_whole_benchmark(stage: MakeStage, store: Path, tmp_path: Path) -> None:
    for task in PREDICTIONS:
        stage(task)
    for name, benchmark in ((each, BENCHMARKS[each]) for each in OFFICIAL):
        out = tmp_path / name
        written = write_submission(find_evaluations([store]), out, name)
        assert written.left_out == {}
        assert set(written.tasks) == set(benchmark.languages)
        files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
        assert files == {
            str(prediction_path(Path(), task, language))
            for task, languages in benchmark.languages.items()
            for language in languages
        }
        # Made up, and so of other sizes than the test sets; where a size is not published nothing is said.
        assert set(written.notes) == {task for task in benchmark.languages if get_task(task).test_sizes}
        assert not written.complete


def test_the_scorer_reads_what_was_written(stage: MakeStage, store: Path, tmp_path: Path) -> None:
    for task in ("xnli", "pawsx", "panx", "tatoeba", "bucc2018"):
        stage(task)
    write_submission(find_evaluations([store]), tmp_path / "out", "xtreme")
    scores = score_folders(tmp_path / "out", tmp_path / "out")
    assert {task: set(result["average"].values()) for task, result in scores["tasks"].items()} == {
        task: {100.0} for task in ("xnli", "pawsx", "panx", "tatoeba", "bucc2018")
    }


def test_what_is_missing_is_named(stage: MakeStage, store: Path, tmp_path: Path) -> None:
    stage("pawsx")
    stage("xnli", languages=("en", "de"))
    stage("panx", limit=20)
    stage("udpos", options={"words": "syntactic"})
    stage("mlqa", options={"question": "en"})
    stage("xcopa")
    written = write_submission(find_evaluations([store]), tmp_path / "out", "xtreme")
    assert list(written.tasks) == ["pawsx"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["pawsx"]
    assert written.left_out["xquad"] == "not evaluated"
    assert written.left_out["xnli"] == (
        "13 of 15 languages are missing: ar, bg, el, es, fr, hi, ru, sw, th, tr, ur, vi, zh"
    )
    assert "first 20 examples" in written.left_out["panx"]
    assert "words = 'syntactic', while the official files hold 'fused'" in written.left_out["udpos"]
    assert "--set options.mlqa.question=same" in written.left_out["mlqa"]
    assert written.notes["pawsx"].startswith(
        "other numbers of predictions than the test sets hold: de 2 of 2000"
    )
    assert "ko 2 of 1999" in written.notes["pawsx"]


def test_the_cell_of_an_intermediate_task(stage: MakeStage, store: Path, tmp_path: Path) -> None:
    first = stage("pawsx", "pawsx", number=1, inter="none")
    second = stage("pawsx", "hellaswag", "pawsx", number=2, inter="hellaswag")
    third = stage("tatoeba", "hellaswag", number=3, inter="hellaswag")
    found = find_evaluations([store])
    assert {(e.directory, e.inters) for e in found} == {
        (first, ("none",)),
        (second, ("hellaswag",)),
        (third, ("hellaswag",)),
    }
    with pytest.raises(
        UsageError, match=r"(?s)pawsx was evaluated 2 times; name the stages .*\(after none.*hella"
    ):
        write_submission(found, tmp_path / "out", "xtreme")
    written = write_submission(found, tmp_path / "out", "xtreme", inter="hellaswag")
    assert written.tasks == {"pawsx": second, "tatoeba": third}
    with pytest.raises(
        UsageError,
        match=r"--inter mnli: no finished evaluation was planned under that name; .* 'none', 'hellaswag'",
    ):
        write_submission(found, tmp_path / "more", "xtreme", inter="mnli")
    named = write_submission(find_evaluations([first, third]), tmp_path / "named", "xtreme")
    assert named.tasks == {"pawsx": first, "tatoeba": third}


def test_a_store_in_which_nothing_is_finished(store: Path, tmp_path: Path) -> None:
    store.mkdir(exist_ok=True)
    with pytest.raises(
        UsageError, match=r"none of a benchmark's task is finished in the store; `adapter-stilts st"
    ):
        write_submission(find_evaluations([store]), tmp_path / "out", "xtreme", inter="mnli")


def test_a_stack_of_a_task_is_not_the_task(stage: MakeStage, store: Path, tmp_path: Path) -> None:
    """The first parent of a stack of two is the first of them, and its train stage's task is the target's own."""
    stack = stage("pawsx", "qqp", "pawsx", number=1, inter="stack of qqp, hellaswag")
    with pytest.raises(
        UsageError,
        match=r"--inter qqp: no finished evaluation was planned under that name; there are some under 'stack of qqp, h",
    ):
        write_submission(find_evaluations([store]), tmp_path / "out", "xtreme", inter="qqp")
    alone = stage("pawsx", "qqp", "pawsx", number=2, inter="qqp")
    for name, directory in {"qqp": alone, "stack of qqp, hellaswag": stack}.items():
        written = write_submission(find_evaluations([store]), tmp_path / name, "xtreme", inter=name)
        assert written.tasks == {"pawsx": directory}


def test_names_are_not_guessed(stage: MakeStage, store: Path, tmp_path: Path) -> None:
    """A store of before names were kept: its stages can be named, not its cells."""
    directory = stage("pawsx", "hellaswag", "pawsx", number=1)
    with pytest.raises(
        UsageError, match=r"there are none with a name; of 1 the store keeps no name: run their"
    ):
        write_submission(find_evaluations([store]), tmp_path / "out", "xtreme", inter="hellaswag")
    assert write_submission(find_evaluations([store]), tmp_path / "out", "xtreme").tasks == {
        "pawsx": directory
    }


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cells": [3]}', '{"cells": {"evaluate": 1}}'])
def test_a_damaged_plan_is_told(stage: MakeStage, store: Path, text: str) -> None:
    stage("pawsx", number=1, inter="none")
    (path,) = (store / "plans").iterdir()
    path.write_text(text)
    with pytest.raises(
        StoreError, match=r"plans/.*\.json cannot be read .*: remove it, and run the same command"
    ):
        find_evaluations([store])


DAMAGE: dict[str, tuple[str, str, str]] = {
    "a word too many": ("panx", "B-PER Ann\n", "expected one tag alone"),
    "not json": ("xquad", "{", "not JSON"),
    "no pair": ("bucc2018", "x-1\n", "separated by a tab"),
    "an answer that is none": ("xquad", '{"q": 3}', "as answer to 'q'"),
    "empty": ("xnli", "", "holds no prediction"),
}


@pytest.mark.parametrize(("task", "text", "why"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_predictions_stop_it_before_anything_is_written(
    stage: MakeStage, store: Path, tmp_path: Path, task: str, text: str, why: str
) -> None:
    stage("pawsx")
    path = prediction_path(stage(task) / "predictions", task, "de")
    path.write_text(text)
    seal(path.parents[2])
    with pytest.raises(DataError, match=why) as caught:
        write_submission(find_evaluations([store]), tmp_path / "out", "xtreme")
    assert caught.value.path == str(path)
    assert sorted(tmp_path.iterdir()) == [store]


def test_places_that_hold_no_evaluation(stage: MakeStage, store: Path, tmp_path: Path) -> None:
    directory = stage("pawsx", "pawsx")
    with pytest.raises(UsageError, match="neither a store nor an evaluate stage"):
        find_evaluations([tmp_path / "nowhere"])
    with pytest.raises(UsageError, match="a train stage of pawsx, which no benchmark"):
        find_evaluations([store / f"train-pawsx-{0:012d}"])
    empty = tmp_path / "empty"
    empty.mkdir()
    assert find_evaluations([empty]) == []
    # Evaluations of other tasks lie beside those of the benchmarks.
    (store / "evaluate-other-0").mkdir()
    other = {"key": "0", "kind": "evaluate", "task": "other", "parents": [], "part": {}}
    (store / "evaluate-other-0" / "stage.json").write_text(json.dumps(other))
    seal(store / "evaluate-other-0")
    assert [evaluation.directory for evaluation in find_evaluations([store])] == [directory]
    with pytest.raises(UsageError, match=r"nothing to submit to xtreme\. xnli: not evaluated"):
        write_submission([], tmp_path / "out", "xtreme")
    with pytest.raises(UsageError, match="holds files already: name a new folder"):
        write_submission(find_evaluations([directory]), store, "xtreme")
    for text in ("{", "[]", '{"kind": "evaluate"}'):
        (directory / "stage.json").write_text(text)
        with pytest.raises(StoreError, match=r"stage\.json cannot be read"):
            find_evaluations([store])


def test_sizes_are_those_of_the_test_sets() -> None:
    def size_of(task: str, language: str) -> int | None:
        return get_task(task).test_sizes.get(language)

    assert [size_of("tatoeba", language) for language in ("de", "te", "uk")] == [1000, 234, None]
    assert [size_of("panx", language) for language in ("de", "yo", "lt")] == [10000, 100, None]
    assert [size_of("udpos", language) for language in ("de", "yo", "wo")] == [22458, 100, None]
    assert (size_of("tydiqa", "fi"), size_of("bucc2018", "de")) == (None, None)
    assert {name: len(sizes) for name in PREDICTIONS if (sizes := get_task(name).test_sizes)} == {
        "xnli": 15, "pawsx": 7, "xcopa": 11, "udpos": 33, "panx": 40, "xquad": 11, "mlqa": 7, "tatoeba": 36,
        "lareqa": 11,
    }  # fmt: skip
    for name in PREDICTIONS:
        assert set(get_task(name).test_sizes) in (set(), set(get_task(name).languages))
