"""Which stages become which tasks, and what each waits for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from adapter_stilts.errors import StoreError
from adapter_stilts.stages.executors import slurm_arrays
from adapter_stilts.stages.executors.slurm_arrays import MissingStages, missing_stages

# Two intermediate stages; a target's training after each, after both (a merge) and after none; evaluations.
GRAPH = {
    "none": [],
    "mnli": [],
    "qqp": [],
    "mnli-xquad": ["mnli"],
    "qqp-xquad": ["qqp"],
    "merge": ["mnli", "qqp"],
    "none-e": ["none"],
    "mnli-e": ["mnli-xquad"],
    "qqp-e": ["qqp-xquad"],
    "merge-e": ["merge"],
}


def waits(missing: MissingStages, throttled: bool = False) -> dict[str, set[str]]:
    """What each stage waits for, by the stages' names, as the jobs' numbers say it."""
    arrays = [f"10{number}" for number, _ in enumerate(missing.arrays())]
    names = {missing.job(task.place, arrays): task.stage for task in missing.tasks}
    found = {}
    for task in missing.tasks:
        kind, _, jobs = (missing.dependency(task, arrays, throttled) or "").partition(":")
        assert kind in ("", "afterok")
        found[task.stage] = {names[job] for job in jobs.split(":") if job}
    return found


def test_every_missing_stage_is_one_task_that_waits_for_exactly_its_parents(
    make_plan: Callable[..., Path],
) -> None:
    missing = missing_stages(make_plan(GRAPH))
    assert waits(missing) == {name: set(parents) for name, parents in GRAPH.items()}
    assert [task.place for task in missing.tasks] == [(0, number) for number in range(len(GRAPH))]


def test_the_longest_chains_stand_first(make_plan: Callable[..., Path]) -> None:
    missing = missing_stages(make_plan(GRAPH))
    assert [task.stage for task in missing.tasks] == [
        *("mnli", "qqp"),
        *("none", "mnli-xquad", "qqp-xquad", "merge"),
        *("none-e", "mnli-e", "qqp-e", "merge-e"),
    ]


def test_finished_stages_are_left_out_and_waited_for_by_none(
    make_plan: Callable[..., Path], finish: Callable[..., None]
) -> None:
    plan = make_plan(GRAPH)
    finish("mnli", "mnli-xquad", "none")
    assert waits(missing_stages(plan)) == {
        "qqp": set(),
        "qqp-xquad": {"qqp"},
        "merge": {"qqp"},
        "none-e": set(),
        "mnli-e": set(),
        "qqp-e": {"qqp-xquad"},
        "merge-e": {"merge"},
    }


def test_a_finished_plan_has_none(make_plan: Callable[..., Path], finish: Callable[..., None]) -> None:
    plan = make_plan({"mnli": []})
    finish("mnli")
    missing = missing_stages(plan)
    assert missing.tasks == ()
    assert list(missing.arrays()) == []


def test_the_matrix_of_the_study_is_one_array(make_plan: Callable[..., Path]) -> None:
    tasks = [f"task{number}" for number in range(9)]
    graph: dict[str, list[str]] = {f"inter-{inter}": [] for inter in tasks}
    graph |= {f"{inter}-{target}": [f"inter-{inter}"] for inter in tasks for target in tasks}
    graph |= {f"evaluate-{inter}-{target}": [f"{inter}-{target}"] for inter in tasks for target in tasks}
    missing = missing_stages(make_plan(graph))
    assert [len(array) for array in missing.arrays()] == [171]
    assert waits(missing) == {name: set(parents) for name, parents in graph.items()}


def test_more_than_an_array_holds_go_on_in_another_behind_it(
    make_plan: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_arrays, "ARRAY_TASKS", 4)
    missing = missing_stages(make_plan({name: GRAPH[name] for name in list(GRAPH)[:9]}))
    assert [len(array) for array in missing.arrays()] == [4, 4, 1]
    assert waits(missing) == {name: set(parents) for name, parents in list(GRAPH.items())[:9]}
    arrays = ["100", "101", "102"]
    last = missing.tasks[-1]
    # One task alone is a job without a number in its array.
    assert missing.job(last.place, arrays) == "102"
    after = missing.dependency(last, arrays, throttled=False)
    # A throttle counts within an array, so that only one array of a plan runs at a time.
    assert missing.dependency(last, arrays, throttled=True) == f"{after},afterany:101"
    assert missing.dependency(missing.tasks[0], arrays, throttled=True) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            json.dumps({"schema": 3, "stages": []}),
            "has schema 3, this version reads up to 2: upgrade adapter-stilts",
        ),
        ("{", "cannot be read (JSONDecodeError"),
        (json.dumps({"schema": 2}), "cannot be read (KeyError('stages'))"),
        (
            json.dumps(
                {"schema": 2, "stages": [{"name": "a", "parents": ["b"]}, {"name": "b", "parents": []}]}
            ),
            "a starts from b, which does not stand before it",
        ),
    ],
)
def test_a_plan_that_cannot_be_read_is_told(tmp_path: Path, text: str, message: str) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(text, encoding="utf-8")
    with pytest.raises(StoreError) as caught:
        missing_stages(plan)
    assert message in str(caught.value)


def test_a_plan_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        missing_stages(tmp_path / "plan.json")
