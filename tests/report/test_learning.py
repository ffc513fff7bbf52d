"""Curves of train stages: dev evaluations of their records, and the loss of their logs in a few points."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.io import seal
from adapter_stilts.report import learning
from adapter_stilts.report.learning import POINTS, read_curve

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A stage's log; returns the store."""

    def call(*lines: Any, text: str = "") -> Path:
        (tmp_path / "train-a").mkdir(exist_ok=True)
        rows = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / "train-a" / "log.jsonl").write_text(rows + text, encoding="utf-8")
        return tmp_path

    return call


def losses(*values: float) -> list[dict[str, float]]:
    return [{"step": step, "loss": value, "tokens": 9} for step, value in enumerate(values, start=1)]


def test_dev_scores_are_means_of_the_metrics_that_chose_the_checkpoint(write: Write) -> None:
    evaluations = [{"step": 2, "dev": {"exact_match": 40.0, "f1": 60.0}}, {"step": 4, "dev": {"f1": 10.0}}]
    found = read_curve(write(), "train-a", {"steps": 4, "best_step": 2, "evaluations": evaluations}, None)
    assert (found.steps, found.kept, found.dev, found.loss) == (4, 2, ((2, 50.0), (4, 10.0)), ())


def test_few_steps_are_points_of_their_own(write: Write) -> None:
    found = read_curve(write(*losses(3.0, 1.0, 2.0)), "train-a", {}, None)
    assert found.loss == ((1, 3.0), (2, 1.0), (3, 2.0))
    assert (found.steps, found.kept, found.dev) == (0, None, ())


def test_many_steps_are_means_of_parts_in_the_order_of_their_steps(write: Write) -> None:
    rows = losses(*(float(step) for step in range(1, 2 * POINTS + 1)))
    found = read_curve(write(*rows[::-1]), "train-a", {}, None)
    assert found.loss == tuple((2 * number, 2 * number - 0.5) for number in range(1, POINTS + 1))


def test_parts_differ_by_a_step_where_steps_do_not_divide(write: Write) -> None:
    found = read_curve(write(*losses(*([1.0] * (POINTS + 1)))), "train-a", {}, None)
    assert len(found.loss) == POINTS
    assert (found.loss[-1], {value for _, value in found.loss}) == ((POINTS + 1, 1.0), {1.0})


def test_of_many_evaluations_the_last_and_the_kept_are_among_those_left(write: Write) -> None:
    evaluations = [{"step": step, "dev": {"f1": float(step)}} for step in range(1, 10 * POINTS + 1)]
    found = read_curve(write(), "train-a", {"best_step": 33, "evaluations": evaluations}, None)
    steps = [step for step, _ in found.dev]
    assert steps == sorted([33, *range(10, 10 * POINTS + 1, 10)])
    assert dict(found.dev)[33] == 33.0


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"step": 3}',
        '{"step": "x", "loss": 1}',
        '{"step": 3, "loss": null}',
        "\x00",
        '{"step": 3, "loss": NaN}',
    ],
)
def test_a_line_that_cannot_be_read_is_left_out(write: Write, line: str) -> None:
    store = write(*losses(3.0, 1.0), text=f"{line}\n")
    assert read_curve(store, "train-a", {}, None).loss == ((1, 3.0), (2, 1.0))


@pytest.mark.parametrize(
    "told",
    [
        None,
        3,
        {},
        [3],
        [{"step": 1}],
        [{"step": 1, "dev": {}}],
        [{"step": 1, "dev": 2}],
        [{"step": 1, "dev": {"f1": float("nan")}}],
    ],
)
def test_evaluations_that_cannot_be_read_are_none(write: Write, told: Any) -> None:
    assert read_curve(write(), "train-a", {"evaluations": told}, None).dev == ()


def test_points_of_large_logs_are_kept_by_their_digest(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    store = write(*losses(3.0, 1.0))
    seal(store / "train-a")
    read_curve(store, "train-a", {}, kept)
    assert not kept.exists(), "a small one is read as soon"
    monkeypatch.setattr(learning, "LARGE", 1)
    first = read_curve(store, "train-a", {}, kept)
    monkeypatch.setattr(learning, "_steps", lambda log: pytest.fail("read again"))
    assert read_curve(store, "train-a", {}, kept) == first
    monkeypatch.undo()
    monkeypatch.setattr(learning, "LARGE", 1)
    seal(write(*losses(9.0)) / "train-a")
    assert read_curve(store, "train-a", {}, kept).loss == ((1, 9.0),)
    for path in kept.iterdir():
        path.write_text("damaged", encoding="utf-8")
    assert read_curve(store, "train-a", {}, kept).loss == ((1, 9.0),)
