"""How far a stage is, in its lock file, and what a whole plan looks like from outside."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from adapter_stilts.errors import StageError, UsageError
from adapter_stilts.stages.locking import read_held, take
from adapter_stilts.stages.overview import Onlooker, latest_plan
from adapter_stilts.stages.planning.plan import Plan
from adapter_stilts.stages.plans import read_plan, write_plan
from adapter_stilts.stages.reporting import Reporting, read_report
from adapter_stilts.stages.store import Store
from adapter_stilts.stages.watch import Watch
from adapter_stilts.training.watch import Step

Planned = Callable[..., Plan]


def step(number: int) -> Step:
    return Step(number, 10, 0.5, 1e-3, 100, 120, 0.5)


def test_a_report_says_how_far_it_is_and_how_quick() -> None:
    written: list[str] = []
    watch = Reporting(Watch(), written.append)
    assert json.loads(written[-1])["doing"] == "preparing"
    watch._written = 0.0  # as if half a second had passed
    watch.step(step(1))
    first = read_report(written[-1])
    assert first is not None
    assert (first.doing, first.done, first.total, first.tokens_per_second) == ("training", 1, 10, 200.0)
    assert first.seconds_left is None  # one step tells nothing yet
    watch._written = 0.0
    watch.step(step(2))
    second = read_report(written[-1])
    assert second is not None
    assert second.seconds_left is not None
    watch.step(step(3))
    assert len(written) == 3  # not twice in half a second


@pytest.mark.parametrize("text", ["", "{", "[]", '{"doing": "training"}'])
def test_half_a_report_is_none(text: str) -> None:
    assert read_report(text) is None


def test_a_lock_tells_who_holds_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "work" / "a.lock"
    assert read_held(path) is None
    held = take(path)
    assert held is not None
    assert read_held(path) == ""
    held.write("a longer text")
    held.write("short")
    assert read_held(path) == "short"
    assert take(path) is None  # to look is not to take
    held.release()
    assert read_held(path) is None
    path.parent.mkdir(exist_ok=True)
    path.write_text("left by a process that was killed")
    assert read_held(path) is None


def test_an_overview_from_outside(planned: Planned, tmp_path: Path) -> None:
    plan = planned(inter="none,hellaswag", target="xquad,udpos")
    store = Store(tmp_path)
    store.open()
    onlooker = Onlooker(read_plan(write_plan(tmp_path, plan, [], None, {})))
    seen = onlooker.look()
    assert (seen.cells, seen.cells_done, seen.done, seen.waiting, len(plan.stages)) == (4, 0, 0, 9, 9)
    assert seen.seconds_left is None
    named = {stage.title: stage for stage in plan.stages}

    def finish(title: str, seconds: float) -> None:
        directory = tmp_path / named[title].name
        directory.mkdir()
        (directory / "stage.json").write_text(json.dumps({"seconds": seconds}))

    finish("train squad_v1", 10.0)
    finish("evaluate xquad after squad_v1", 2.0)
    store.keep_failure(named["train hellaswag"], StageError("the loss is no number"))
    held = store.take(named["train udpos"])
    assert held is not None
    seen = onlooker.look()
    assert (seen.cells_done, seen.done, len(seen.running)) == (1, 2, 1)
    (failed,) = seen.failed
    assert (failed.stage.title, failed.error) == ("train hellaswag", "the loss is no number")
    assert failed.descendants == 4
    # One evaluation is left that may run: of udpos. The rest waits for what failed.
    assert seen.waiting == 1
    assert seen.seconds_left == pytest.approx(10.0 + 2.0)
    told = seen.to_json()
    assert told["stages"] == {"all": 9, "done": 2, "waiting": 1}
    assert [one["title"] for one in told["running"]] == ["train udpos"]
    held.release()
    store.forget_failure(named["train hellaswag"])
    assert not (tmp_path / "failed").exists()
    assert onlooker.look().waiting == 7


def test_a_store_without_a_plan(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no plan in its folder plans/"):
        latest_plan(tmp_path)
