"""From finished evaluate stages to a folder in XTREME's submission layout, checked by the scorer's own readers.

Every file is read back as `score` would read it before anything is written, and the folder appears whole or not at
all. The official scorer takes a task in all its languages or refuses everything, so a task that lacks one is left
out and named.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter_stilts.errors import DataError, StoreError, UsageError
from adapter_stilts.evaluation.forms import form_of
from adapter_stilts.evaluation.membership import Benchmark, in_a_benchmark, official
from adapter_stilts.evaluation.xtreme import prediction_path
from adapter_stilts.io import broken_seal, whole_directory
from adapter_stilts.stages.parts import EvaluatePart
from adapter_stilts.stages.plans import names_of
from adapter_stilts.stages.record import STAGE, read_stage
from adapter_stilts.stages.store import Store
from adapter_stilts.tasks import get_task


@dataclass(frozen=True)
class Evaluation:
    """A finished evaluate stage.

    Args:
        inters: the names it was planned under: the intermediate task, ``none``, or e.g. ``stack of mnli, qqp``; empty
            where the store holds no plan of it.
        part: its resolved settings (see `stages/graph.py`).
    """

    directory: Path
    task: str
    inters: tuple[str, ...]
    part: Mapping[str, Any]

    @property
    def predictions(self) -> Path:
        return self.directory / "predictions"


@dataclass(frozen=True)
class Submission:
    """What was written, and what a complete submission would need besides.

    Args:
        tasks: task -> the stage its files are from.
        left_out: task -> why it is not among them; tasks of the benchmark that were never evaluated included.
        notes: task -> what a user should know of files that were written: of another size than the test set.
    """

    directory: Path
    tasks: Mapping[str, Path]
    left_out: Mapping[str, str]
    notes: Mapping[str, str]

    @property
    def complete(self) -> bool:
        """Whether the benchmark's total can be computed from it."""
        return not self.left_out and not self.notes


def find_evaluations(places: Sequence[Path]) -> list[Evaluation]:
    """The finished evaluate stages of XTREME's and XTREME-R's tasks in the given places: stages, or stores of them.

    Raises:
        StoreError: a stage's record or a plan cannot be read.
        UsageError: a place is neither.
    """
    found = []
    for place in places:
        if (place / STAGE).is_file():
            directories = [place]
        elif place.is_dir():
            directories = sorted(path.parent for path in place.glob(f"{EvaluatePart.KIND}-*/{STAGE}"))
        else:
            Store(place)  # tells of a file, as an exported one
            raise UsageError(f"{place}: neither a store nor an evaluate stage in one")
        names = names_of(directories[0].absolute().parent) if directories else {}
        for directory in directories:
            record = read_stage(directory)
            damage = broken_seal(directory, (STAGE,))
            if record["kind"] == EvaluatePart.KIND and damage is not None:
                raise StoreError(
                    f"{directory}: {damage}: run the command that made it again, which evaluates it anew"
                )
            if record["kind"] == EvaluatePart.KIND and in_a_benchmark(record["task"]):
                inters = names.get(directory.absolute().name, ())
                found.append(Evaluation(directory, record["task"], inters, record["part"]))
            elif directory == place:
                raise UsageError(
                    f"{place}: a {record['kind']} stage of {record['task']}, which no benchmark's scorer asks for"
                )
    return found


def write_submission(
    evaluations: Iterable[Evaluation], out: Path, benchmark: str, inter: str | None = None
) -> Submission:
    """Check and copy the predictions of a benchmark's tasks.

    Args:
        out: a folder that does not exist or is empty.
        inter: take only the evaluations planned under this name.

    Raises:
        UsageError: the benchmark takes no submission, a task was evaluated more than once, `out` holds files, or
            there is nothing to submit.
        DataError: a predictions file is damaged, or the scorer would refuse it.
    """
    chosen = official(benchmark)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"--out {out} holds files already: name a new folder, or remove it")
    left_out: dict[str, str] = {}
    notes: dict[str, str] = {}
    files: dict[str, list[Path]] = {}
    stages: dict[str, Path] = {}
    by_task = _one_a_task(evaluations, chosen, inter)
    for task in chosen.languages:
        if task not in by_task:
            left_out[task] = "not evaluated"
            continue
        why = _unfit(by_task[task], chosen)
        if why is not None:
            left_out[task] = why
            continue
        stages[task] = by_task[task].directory
        files[task], note = _checked(by_task[task], chosen)
        if note is not None:
            notes[task] = note
    if not files:
        told = "; ".join(f"{task}: {why}" for task, why in left_out.items())
        raise UsageError(f"nothing to submit to {benchmark}. {told}")
    with whole_directory(out, "another --out") as aside:
        for task, paths in files.items():
            (aside / task).mkdir()
            for path in paths:
                shutil.copyfile(path, aside / task / path.name)
    return Submission(out, stages, left_out, notes)


def _one_a_task(
    evaluations: Iterable[Evaluation], benchmark: Benchmark, inter: str | None
) -> dict[str, Evaluation]:
    by_task: dict[str, list[Evaluation]] = {}
    found = list(evaluations)
    if inter is not None and not any(inter in evaluation.inters for evaluation in found):
        raise UsageError(
            f"--inter {inter}: no finished evaluation was planned under that name; {_names(found)}"
        )
    for evaluation in found:
        if evaluation.task in benchmark.languages and (inter is None or inter in evaluation.inters):
            by_task.setdefault(evaluation.task, []).append(evaluation)
    for task, every in by_task.items():
        # Those of dev beside one of test are no second choice.
        by_task[task] = [each for each in every if each.part.get("split", "test") == "test"] or every
    for task, several in by_task.items():
        if len(several) > 1:
            listed = "\n".join(f"  {e.directory} ({_after(e)}, {_told(e)})" for e in several)
            raise UsageError(
                f"{task} was evaluated {len(several)} times; name the stages to take instead of their store, or "
                f"choose by --inter:\n{listed}"
            )
    return {task: several[0] for task, several in by_task.items()}


def _names(evaluations: Iterable[Evaluation]) -> str:
    """The names there are, and what to do about evaluations that have none."""
    every = list(evaluations)
    names = dict.fromkeys(repr(name) for evaluation in every for name in evaluation.inters)
    unnamed = sum(not evaluation.inters for evaluation in every)
    if not every:
        return "none of a benchmark's task is finished in the store; `adapter-stilts status STORE` tells how far it is"
    told = f"there are some under {', '.join(names)}" if names else "there are none with a name"
    if unnamed:
        told += (
            f"; of {unnamed} the store keeps no name: run their command again, which answers from the store, or name "
            "their stages"
        )
    return told


def _after(evaluation: Evaluation) -> str:
    return f"after {', or '.join(evaluation.inters)}" if evaluation.inters else "its name is not known"


def _told(evaluation: Evaluation) -> str:
    languages = evaluation.part.get("data", {})
    split = evaluation.part.get("split", "test")
    return f"{split}, {len(languages)} languages, limit {evaluation.part.get('limit')}"


def _unfit(evaluation: Evaluation, benchmark: Benchmark) -> str | None:
    """Why a stage's predictions are no submission, told by its settings alone."""
    task, part = evaluation.task, evaluation.part
    if part.get("split", "test") != "test":
        return f"evaluated on {part['split']}, and a submission is of test: evaluate it without --split"
    if part.get("limit") is not None:
        return f"evaluated on the first {part['limit']} examples a language only (--limit-eval)"
    for option, value in get_task(task).submitted_with.items():
        taken = part.get("options", {}).get(option, value)
        if taken != value:
            return (
                f"evaluated with {option} = {taken!r}, while the official files hold {value!r}: evaluate it with "
                f"--set options.{task}.{option}={value}"
            )
    wanted = benchmark.languages[task]
    missing = [lang for lang in wanted if not prediction_path(evaluation.predictions, task, lang).is_file()]
    if missing:
        return f"{len(missing)} of {len(wanted)} languages are missing: {', '.join(missing)}"
    return None


def _checked(evaluation: Evaluation, benchmark: Benchmark) -> tuple[list[Path], str | None]:
    """A task's files, each read as the scorer reads it, and what their sizes lack."""
    task, paths, odd = evaluation.task, [], []
    form = form_of(get_task(task))
    for language in benchmark.languages[task]:
        path = prediction_path(evaluation.predictions, task, language)
        count, wanted = form.count(path), get_task(task).test_sizes.get(language)
        if wanted is not None and count != wanted:
            odd.append(f"{language} {count} of {wanted}")
        if not count and not form.may_be_empty:
            raise DataError(path, None, "holds no prediction: evaluate the task again")
        paths.append(path)
    if not odd:
        return paths, None
    return paths, f"other numbers of predictions than the test sets hold: {', '.join(odd)}"
