"""What a run leaves, and the only place that writes and reads it.

<store>/<stage>/stage.json                  what was computed, from what, with what, in how long: the commit marker
<store>/<stage>/metrics.json                an evaluation: per language, averages, counts
<store>/<stage>/scores/<language>.jsonl     a row an example, from which the language's metrics are computed
<store>/<stage>/predictions/<task>/…        in the benchmarks' submission format, by split and language
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

from adapter_stilts.errors import StoreError
from adapter_stilts.evaluation.aggregation import Row
from adapter_stilts.evaluation.scoring import Scored
from adapter_stilts.evaluation.xtreme import write_predictions
from adapter_stilts.io import INSTEAD, write_json
from adapter_stilts.stages.graph import Stage
from adapter_stilts.tasks.base import Split, Task
from adapter_stilts.tasks.sources import Source

STAGE, METRICS, SCORES, PREDICTIONS = "stage.json", "metrics.json", "scores", "predictions"
KEPT_EVALUATIONS = "kept_evaluations"
"""In stage.json of a training: the steps whose evaluations are bundles, too."""


def stage_record(stage: Stage, machine: Mapping[str, Any], began: float) -> dict[str, Any]:
    """stage.json, but for what a kind of stage adds.

    Args:
        machine: versions, hardware, processes and peak memory.
        began: when the stage began, by `time.perf_counter`.
    """
    return {
        "key": stage.key,
        "kind": stage.kind,
        "task": stage.task,
        "part": dict(stage.part.to_json()),
        "parents": [parent.name for parent in stage.parents],
        **machine,
        "seconds": round(time.perf_counter() - began, 3),
    }


def write_stage(directory: Path, record: Mapping[str, Any]) -> None:
    """Write stage.json into a directory that holds all else."""
    write_json(directory / STAGE, record, INSTEAD)


def read_stage(directory: Path) -> dict[str, Any]:
    """stage.json of a finished stage.

    Raises:
        FileNotFoundError: there is none.
        StoreError: it cannot be read, or lacks what every stage says.
    """
    path = directory / STAGE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not {"key", "kind", "task", "part", "parents"} <= record.keys():
            raise ValueError("it lacks keys of a stage")
        _check(record)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise StoreError(f"{path} cannot be read ({error}): remove the directory") from error
    return dict(record)


def _check(record: Mapping[str, Any]) -> None:
    """Raises ValueError where what every stage says is not of its kind."""
    parents, seconds, memory = record["parents"], record.get("seconds", 0.0), record.get("peak_memory", {})
    if not isinstance(record["part"], dict):
        raise ValueError("its part is no object")
    if not isinstance(parents, list) or not all(isinstance(one, str) for one in parents):
        raise ValueError(f"its parents are {parents!r} and no names")
    if not isinstance(memory, dict):
        raise ValueError(f"its peak_memory is {memory!r} and no object")
    for value in (seconds, *memory.values()):
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{value!r}, of its seconds or peak_memory, is no finite number")


def write_evaluation(
    directory: Path,
    task: Task,
    results: Mapping[str, Scored],
    source: Source,
    split: Split,
    kept: Mapping[int, Mapping[str, Scored]] | None = None,
) -> None:
    """Write metrics, scores and predictions of an evaluate stage.

    Args:
        split: that was evaluated; predictions are named after it.
        kept: results of other steps of the run, of which their metrics alone are written.
    """
    summary = {**summarise(task, results, source), "split": split}
    if kept:
        summary["oracle"] = oracle(summary, kept)
    write_json(directory / METRICS, summary, INSTEAD)
    (directory / SCORES).mkdir()
    for language, scored in results.items():
        write_predictions(directory / PREDICTIONS, task.name, language, scored.submission, split)
        with (directory / SCORES / f"{language}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in scored.rows)


def read_metrics(directory: Path) -> dict[str, Any]:
    """metrics.json of an evaluate stage, whose digests were looked at."""
    found: dict[str, Any] = json.loads((directory / METRICS).read_text(encoding="utf-8"))
    return found


def read_scores(directory: Path, language: str) -> list[Row]:
    """The rows of one language of an evaluate stage.

    Raises:
        StoreError: there are none, as in results that were exported without rows.
    """
    path = directory / SCORES / f"{language}.jsonl"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StoreError(
            f"{path} is not there: {directory} holds averages alone; export the plan again with its rows, or read the "
            "store that it was exported from"
        ) from None
    lines = [line for line in text.split("\n") if line]
    found: list[Row] = json.loads(f"[{','.join(lines)}]")  # in one go: a report reads millions of lines
    if len(found) != len(lines):
        raise ValueError(f"{path}: {len(lines)} lines hold {len(found)} rows")
    return found


def oracle(summary: Mapping[str, Any], kept: Mapping[int, Mapping[str, Scored]]) -> dict[str, dict[str, Any]]:
    """The best step of a run in each language, by the very examples that it is scored on, as metrics.json tells it.

    Args:
        summary: of the weights that the run ended with.
        kept: step -> language -> result.
    """
    evaluations = {
        step: {language: scored.metrics for language, scored in results.items()}
        for step, results in kept.items()
    }
    found: dict[str, Any] = {}
    for language in summary["languages"]:
        scored = {step: told[language] for step, told in evaluations.items() if told[language]}
        if scored:
            step = max(scored, key=lambda step: sum(scored[step].values()) / len(scored[step]))
            found[language] = {"step": step, **scored[step]}
    averaged = _averaged(found, summary["outside"])
    average = {
        name: sum(found[language][name] for language in averaged) / len(averaged)
        for name in (summary["average"] if averaged else ())
    }
    return {"languages": found, "average": average, "evaluations": evaluations}


def _averaged(languages: Iterable[str], outside: Container[str]) -> list[str]:
    """Those that averages are over: of no benchmark only where there are no others."""
    every = list(languages)
    return [language for language in every if language not in outside] or every


def summarise(task: Task, results: Mapping[str, Scored], source: Source) -> dict[str, Any]:
    """metrics.json: per language, averages over languages (`_averaged`), counts."""
    languages = {language: scored.metrics for language, scored in results.items()}
    outside = [language for language in languages if language not in source.offered(task)]
    averaged = _averaged(languages, outside)
    scored = [languages[language] for language in averaged if languages[language]]
    names = list(scored[0]) if scored else []
    return {
        "task": task.name,
        "metric": list(task.metric),
        "languages": languages,
        "average": {name: sum(metrics[name] for metrics in scored) / len(scored) for name in names},
        "counts": {language: len(result.rows) for language, result in results.items()},
        "outside": outside,
        "missing": [language for language in source.wanted(task) if language not in results],
        "beside": {language: result.beside for language, result in results.items() if result.beside},
        "levels": {language: source.levels[language] for language in results if language in source.levels},
    }
