"""How long stages will take: what a pass takes, as often as it is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapter_stilts.library import plan_train
from adapter_stilts.stages.estimating import Experience, Speed, Work, kind_of_stage, write_speeds
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.record import stage_record

STEPS = {"target.max_steps": 5, "target.eval_every_steps": 2}
WORK = {"train": Work(5, 1000, 300, looks=3), "evaluate": Work(0, 400)}


def stages(keeps: bool) -> tuple[Stage, Stage]:
    settings = {**STEPS, "target.keep_evaluations": keeps}
    trained, evaluated = plan_train("none", "tydiqa", recipe="miniature", settings=settings).plan().stages
    return trained, evaluated


def work_of(stage: Stage) -> Work:
    return WORK[stage.kind]


def finish(store: Path, stage: Stage, **told: object) -> None:
    (store / stage.name).mkdir(parents=True)
    record = stage_record(stage, {}, 0.0) | told
    (store / stage.name / "stage.json").write_text(json.dumps(record))


def test_an_evaluation_of_kept_evaluations_runs_once_more_for_each(tmp_path: Path) -> None:
    """100 tokens a second and 2 seconds beside: 400 tokens once, or once and three times more."""
    (trained, plain), (_, keeping) = stages(False), stages(True)
    kinds = [kind for kind in map(kind_of_stage, (trained, plain)) if kind is not None]
    write_speeds(tmp_path, [Speed(kind, 100.0, 2.0) for kind in kinds])
    experience = Experience(tmp_path, ())
    assert experience.seconds(plain, work_of) == pytest.approx(2 + 4)
    assert experience.seconds(keeping, work_of) == pytest.approx(2 + 4 * 4)


def test_what_one_took_tells_of_the_other(tmp_path: Path) -> None:
    """40 seconds with three kept evaluations are ten a pass."""
    (_, plain), (trained, keeping) = stages(False), stages(True)
    finish(tmp_path, trained, kept_evaluations=[2, 4, 5], seconds=9.0, steps=5)
    finish(tmp_path, keeping, seconds=40.0)
    experience = Experience(tmp_path, (keeping,))
    assert experience.seconds(plain, work_of) == pytest.approx(10.0)
    assert experience.seconds(keeping, work_of) == pytest.approx(40.0)
