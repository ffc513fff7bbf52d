"""Score XTREME and XTREME-R folders as the official `evaluate.py` does, and write predictions for it.

Source: google-research/xtreme `evaluate.py` (with `--xtreme_version`, as of commit 838c13b6). What it does
where something is missing, and so what is done here:

- a task counts where both folders have a folder of its name; other folders and other files are ignored;
- within such a task every language must be there, or nothing is scored;
- QA and ranked retrieval forgive missing ids (they score 0) and ignore unknown ones, mined pairs are compared
  as sets, and all other tasks want as many predictions as labels;
- a group exists when all its tasks do, the total when all tasks of the benchmark do.

One difference: the official scorer names LAReQA but cannot read it, so XTREME-R never has a total there. Here
LAReQA is scored by mAP@20 (the paper's metric) from files in Mewsli-X's format, with all relevant ids in the
labels.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapter_stilts import io
from adapter_stilts.errors import DataError, UnknownNameError
from adapter_stilts.evaluation.forms import Note, Scores, form_of
from adapter_stilts.evaluation.membership import (
    BENCHMARKS,
    OFFICIAL,
    Benchmark,
    in_a_benchmark,
    is_constructed,
    languages_of,
    official,
)
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.base import LANGUAGE, Split, Task


def score_folders(
    predictions: Path,
    labels: Path,
    benchmark: str = "xtreme",
    note: Note | None = None,
) -> dict[str, Any]:
    """Scores of every task that is in both folders, in percent.

    Args:
        predictions: folder with `<task>/test-<language>.<suffix>`.
        labels: folder of the same layout.
        benchmark: whose tasks, languages and groups count.
        note: called with a sentence for each thing that was left out or scored 0 for want of a prediction.

    Returns:
        ``{"overall": x | None, "groups": {group: x}, "tasks": {task: {"languages": {language: {metric: x}},
        "average": {metric: x}}}}``; groups that lack a task are absent.

    Raises:
        DataError: a file is missing, malformed or of another length than its labels, or no task is in both.
        UnknownNameError: there is no such benchmark.
        UsageError: it has no official scorer.
    """
    chosen, tell = official(benchmark), note or _say_nothing
    tasks: dict[str, dict[str, Any]] = {}
    for task in _tasks_in_both(predictions, labels, chosen, tell):
        _check_languages(predictions / task, task, chosen, tell)
        _check_languages(labels / task, task, chosen, _say_nothing)
        languages = {
            language: form_of(get_task(task)).score(
                prediction_path(predictions, task, language),
                prediction_path(labels, task, language),
                language,
                tell,
            )
            for language in chosen.languages[task]
        }
        tasks[task] = {"languages": languages, "average": _average(languages)}
    scores = {task: task_score(task, result["average"]) for task, result in tasks.items()}
    return {
        "overall": _mean_if_all(scores, tuple(chosen.languages)),
        "groups": {
            group: mean
            for group, members in chosen.groups.items()
            if (mean := _mean_if_all(scores, members)) is not None
        },
        "tasks": tasks,
    }


def task_score(task: str, average: Mapping[str, float]) -> float:
    """The one number by which a task enters the benchmark's averages; for QA the mean of EM and F1."""
    metric = get_task(task).metric
    return sum(average[name] for name in metric) / len(metric)


def missing_tasks(scores: Mapping[str, Any], benchmark: str) -> list[str]:
    """The tasks for want of which the total of a `score_folders` result does not exist."""
    return [task for task in BENCHMARKS[benchmark].languages if task not in scores["tasks"]]


def prediction_path(directory: Path, task: str, language: str) -> Path:
    """Where a task's predictions (or labels) in a language belong.

    Raises:
        UnknownNameError: neither benchmark has the task, or the task in that language.
    """
    if not in_a_benchmark(task):
        known = dict.fromkeys(name for benchmark in OFFICIAL for name in BENCHMARKS[benchmark].languages)
        raise UnknownNameError("XTREME task", task, known)
    path = _path(directory, get_task(task), language)
    if language not in languages_of(task) and not is_constructed(language):
        raise UnknownNameError(f"{task} language", language, languages_of(task))
    return path


def _path(directory: Path, task: Task, language: str, split: Split = "test") -> Path:
    if not LANGUAGE.fullmatch(language):
        raise UnknownNameError(f"{task.name} language", language, task.all_languages)
    return directory / task.name / f"{split}-{language}.{form_of(task).suffix}"


def write_predictions(
    directory: Path, task: str, language: str, predictions: Any, split: Split = "test"
) -> Path:
    """Write one language's predictions in the format the official scorer reads; returns the file.

    Args:
        directory: the predictions folder; the task's folder is made in it.
        task: also one of no benchmark, in the form that it or its format says.
        language: also one that no benchmark has the task in.
        predictions: in the order of the test set, labels (xnli, pawsx), indices of foreign sentences
            (tatoeba), choices (xcopa) or lists of tags (udpos, panx); pairs of ids (bucc2018); a mapping from
            id to answer text (xquad, mlqa, tydiqa) or to ranked ids (mewslix, lareqa).
        split: of the predictions; the scorer reads test alone.

    Raises:
        UnknownNameError: there is no such task, or the language is no code.
        ValueError: a label, tag or id would break the file's lines.
    """
    path = _path(directory, get_task(task), language, split)
    text = form_of(get_task(task)).render(predictions)
    path.parent.mkdir(parents=True, exist_ok=True)
    io.write_text(path, text)
    return path


def _tasks_in_both(predictions: Path, labels: Path, benchmark: Benchmark, note: Note) -> list[str]:
    submitted, labelled = _folders(predictions), _folders(labels)
    for name in sorted(submitted - set(benchmark.languages)):
        note(f"{predictions / name} is ignored: {benchmark.name} has no such task")
    # What the official scorer reads no file of may have an empty folder, which must not stop the others.
    for task in submitted & set(benchmark.languages):
        if not get_task(task).benchmarks[benchmark.name].read and not _names(predictions / task):
            submitted.remove(task)
    for task in sorted(submitted & set(benchmark.languages) - labelled):
        note(f"{task} is not scored: {labels} has no folder of that name")
    tasks = [task for task in benchmark.languages if task in submitted & labelled]
    if not tasks:
        known = ", ".join(benchmark.languages)
        raise DataError(
            predictions,
            None,
            f"nothing to score: no task of {benchmark.name} ({known}) has a folder here and in {labels}",
        )
    return tasks


def _check_languages(folder: Path, task: str, benchmark: Benchmark, note: Note) -> None:
    wanted = [prediction_path(folder.parent, task, language).name for language in benchmark.languages[task]]
    found = _names(folder)
    missing = [name for name in wanted if name not in found]
    if missing:
        raise DataError(
            folder / missing[0],
            None,
            f"missing ({', '.join(missing)}): {task} is scored over all its {len(wanted)} languages or not "
            f"at all; add the files, or take the {task} folder away",
        )
    for name in sorted(found - set(wanted)):
        note(f"{folder / name} is ignored: not a file of {task} in a language of {benchmark.name}")


def _folders(directory: Path) -> set[str]:
    return {name for name in _names(directory) if os.path.isdir(directory / name)}


def _names(directory: Path) -> set[str]:
    try:
        return set(os.listdir(directory))
    except OSError as error:
        raise DataError(
            directory, None, f"not a folder that can be read: {error.strerror or error}"
        ) from None


def _average(languages: Mapping[str, Scores]) -> Scores:
    metric_names = next(iter(languages.values()))
    return {
        name: sum(scores[name] for scores in languages.values()) / len(languages) for name in metric_names
    }


def _mean_if_all(scores: Mapping[str, float], tasks: tuple[str, ...]) -> float | None:
    if any(task not in scores for task in tasks):
        return None
    return sum(scores[task] for task in tasks) / len(tasks)


def _say_nothing(message: str) -> None:
    pass
