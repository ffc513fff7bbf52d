"""How long a plan will take: the tokens of its stages, and the speed of stages like them.

A stage like one that the store holds (of the same task, encoder, mode and precision) takes as long, by its steps. Of
others the tokens are counted, in encoded data or in a sample of the examples, and divided by a speed that was measured:
by `calibrating.py` on a few steps of each kind of stage. What neither tells of is said to be unknown, not guessed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from adapter_stilts.errors import StoreError
from adapter_stilts.io import INSTEAD, write_json
from adapter_stilts.stages.context import Context
from adapter_stilts.stages.data import Size
from adapter_stilts.stages.graph import Stage
from adapter_stilts.stages.parts import EvaluatePart, TrainPart
from adapter_stilts.stages.record import KEPT_EVALUATIONS, STAGE, read_stage
from adapter_stilts.tasks import get_task

SPEEDS = "speeds.json"
"""In a store: what `calibrating.py` measured."""


@dataclass(frozen=True)
class Kind:
    """What decides how quick a stage is, beside its tokens.

    Args:
        mode: of training; of an evaluation that of its bundle, empty of the base itself.
        base: fingerprint of the encoder.
    """

    kind: str
    base: str
    mode: str
    precision: str
    format: str


@dataclass(frozen=True)
class Speed:
    """What was measured of a kind of stage.

    Args:
        tokens_per_second: of its passes.
        beside: seconds of a stage beside them: loading, encoding what is new, writing.
    """

    kind: Kind
    tokens_per_second: float
    beside: float


@dataclass(frozen=True)
class Work:
    """What a stage has to do.

    Args:
        steps: of training; 0 of an evaluation.
        tokens: of all steps, or of the evaluation.
        dev_tokens: of all evaluations on dev together; `looks` how many these are.
    """

    steps: int
    tokens: int
    dev_tokens: int = 0
    looks: int = 0


@dataclass(frozen=True)
class Estimate:
    """Of the stages that are to run.

    Args:
        seconds: of those whose time is known, one after another.
        unknown: the stages whose time is not.
        by_stage: seconds by the stage's key.
    """

    seconds: float
    unknown: tuple[Stage, ...]
    by_stage: Mapping[str, float]


def kind_of_stage(stage: Stage) -> Kind | None:
    """None of a stage that takes no time worth counting."""
    part = stage.part
    if isinstance(part, TrainPart):
        name = part.members[0].tasks[0].task if part.members else None
        format = "masked_lm" if name is None else get_task(name).format
        return Kind("train", part.base, part.mode, part.precision, format)
    if isinstance(part, EvaluatePart):
        return Kind("evaluate", part.base, _mode(stage), part.precision, get_task(stage.task).format)
    return None


def _mode(stage: Stage) -> str:
    """The mode of what an evaluate stage evaluates."""
    found = (getattr(parent.part, "mode", None) for parent in stage.parents)
    return next((mode for mode in found if mode is not None), "")


def work_of(stage: Stage, context: Context) -> Work | None:
    """The tokens of a stage; None of one that trains on text, whose tokens depend on what is drawn.

    Raises:
        DataError, UsageError: the data cannot be read or encoded.
    """
    part = stage.part
    if isinstance(part, EvaluatePart):
        splits = [(part.split, language) for language in part.data] + list(part.beside)
        sizes = [context.split(part.reading, split, lang, part.limit).size for split, lang in splits]  # type: ignore[arg-type]
        return Work(0, sum(size.tokens for size in sizes))
    if not isinstance(part, TrainPart) or part.texts:
        return None
    training = part.training
    tasks = [task for member in part.members for task in member.tasks]
    size = _sum(
        context.split(task.reading, "train", language, task.drawn.get(language, training.limit_train)).size
        for task in tasks
        for language in task.train
    )
    steps = training.max_steps or max(
        1, math.ceil(training.epochs * math.ceil(size.items / training.batch_size))
    )
    tokens = steps * training.batch_size * size.tokens / max(1, size.items)
    dev = [context.split(s.reading, "dev", s.language, None).size for task in tasks for s in task.dev]
    looks = steps // training.eval_every_steps + (steps % training.eval_every_steps > 0)
    share = (
        1.0 if training.dev_examples is None else min(1.0, training.dev_examples / max(1, _sum(dev).items))
    )
    return Work(steps, round(tokens), round(looks * share * _sum(dev).tokens), looks)


def _sum(sizes: Iterable[Size]) -> Size:
    listed = list(sizes)
    return Size(sum(size.items for size in listed), sum(size.tokens for size in listed))


class Experience:
    """What a store knows of how long stages take.

    Args:
        store: its folder.
        finished: stages that are in it.
    """

    def __init__(self, store: Path, finished: Iterable[Stage]) -> None:
        self._speeds = read_speeds(store)
        self._took: dict[tuple[Kind, str], list[tuple[int, float]]] = {}
        for stage in finished:
            kind = kind_of_stage(stage)
            if kind is not None:
                record = read_stage(store / stage.name)
                seconds = float(record.get("seconds", 0.0)) / _passes_of(stage, store)
                self._took.setdefault((kind, stage.task), []).append((int(record.get("steps", 0)), seconds))

    def seconds(self, stage: Stage, work_of: Callable[[Stage], Work | None]) -> float | None:
        """How long a stage takes; None where nothing tells.

        Args:
            work_of: asked only where that takes the stage's work: counting reads the data.
        """
        kind = kind_of_stage(stage)
        if kind is None:
            return 0.0
        took = self._took.get((kind, stage.task))
        speed = self._speeds.get(kind) or self._like(kind)
        asked = kind.kind == "train" if took else speed is not None
        work = work_of(stage) if asked else None
        passes = _passes(stage, work_of)
        if passes is None:
            return None
        if took and (kind.kind == "evaluate" or work is not None):
            return passes * fmean(
                seconds * (work.steps / steps if work is not None and steps else 1.0)
                for steps, seconds in took
            )
        if speed is None or work is None:
            return None
        seconds = speed.beside + passes * work.tokens / speed.tokens_per_second
        if work.dev_tokens:
            looking = Kind("evaluate", kind.base, kind.mode, kind.precision, kind.format)
            forward = self._speeds.get(looking) or self._like(looking)
            # A pass forward and back takes about three times as long as one forward alone.
            quick = 3 * speed.tokens_per_second if forward is None else forward.tokens_per_second
            seconds += work.dev_tokens / quick
        return seconds

    def _like(self, kind: Kind) -> Speed | None:
        """A speed of another format, or of another mode where an evaluation is asked for."""
        for same in (("kind", "base", "mode", "precision"), ("kind", "base", "precision")):
            if "mode" not in same and kind.kind == "train":
                continue
            found = [
                s for k, s in self._speeds.items() if all(getattr(k, n) == getattr(kind, n) for n in same)
            ]
            if found:
                mean = fmean(speed.tokens_per_second for speed in found)
                return Speed(kind, mean, fmean(speed.beside for speed in found))
        return None


def _passes(stage: Stage, work_of: Callable[[Stage], Work | None]) -> int | None:
    """How often a stage does its work: an evaluation once, and once for each one on dev that its training keeps."""
    trained = _keeping(stage)
    if trained is None:
        return 1
    work = work_of(trained)
    return None if work is None else 1 + work.looks


def _passes_of(stage: Stage, store: Path) -> int:
    """The same of a finished stage."""
    trained = _keeping(stage)
    if trained is None or not (store / trained.name / STAGE).is_file():
        return 1
    return 1 + len(read_stage(store / trained.name).get(KEPT_EVALUATIONS, ()))


def _keeping(stage: Stage) -> Stage | None:
    """The training that an evaluation evaluates, where it keeps its evaluations."""
    parent = stage.parents[0] if isinstance(stage.part, EvaluatePart) and stage.parents else None
    if parent is None or not isinstance(parent.part, TrainPart) or not parent.part.training.keep_evaluations:
        return None
    return parent


def estimate(
    stages: Sequence[Stage], work_of: Callable[[Stage], Work | None], experience: Experience
) -> Estimate:
    """How long stages take, one after another; `work_of` as in `Experience.seconds`."""
    known = {stage.key: experience.seconds(stage, work_of) for stage in stages}
    by_stage = {key: seconds for key, seconds in known.items() if seconds is not None}
    return Estimate(
        sum(by_stage.values()), tuple(stage for stage in stages if known[stage.key] is None), by_stage
    )


def read_speeds(store: Path) -> dict[Kind, Speed]:
    """What was measured in a store before. Raises StoreError where it cannot be read."""
    path = store / SPEEDS
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["speeds"]
        speeds = [Speed(Kind(**row.pop("kind")), **row) for row in rows]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} cannot be read ({error!r}): remove it, and measure again") from error
    return {speed.kind: speed for speed in speeds}


def write_speeds(store: Path, speeds: Iterable[Speed]) -> None:
    """Keep what was measured beside what was before. Raises StoreError."""
    known = {**read_speeds(store), **{speed.kind: speed for speed in speeds}}
    rows: list[dict[str, Any]] = [asdict(speed) for speed in known.values()]
    write_json(store / SPEEDS, {"speeds": rows}, INSTEAD)
