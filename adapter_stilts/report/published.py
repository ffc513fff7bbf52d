"""Published rows beside ours, where task, languages, split and metric are the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from adapter_stilts.evaluation.membership import XTREME
from adapter_stilts.report.blocks import Block
from adapter_stilts.report.collect import Evaluated, System
from adapter_stilts.report.scores import spread
from adapter_stilts.report.tables import Table, Value, text

FILE = "published.json"
GROUP = "zero_shot_from_english"
"""Of the file's groups the one of single tasks; the others are averages over tasks that one cell says nothing of."""

_OURS = {
    "xnli": ("xnli", "accuracy"),
    "pawsx": ("pawsx", "accuracy"),
    "panx": ("panx", "f1"),
    "xquad_f1": ("xquad", "f1"),
    "mlqa_f1": ("mlqa", "f1"),
    "tydiqa_f1": ("tydiqa", "f1"),
}
"""Column -> our task and metric."""


@dataclass(frozen=True)
class PublishedRow:
    """A published score.

    Args:
        value: percent, the mean over XTREME's languages of the task, on test.
    """

    name: str
    task: str
    metric: str
    value: float
    source: str


@cache
def published_rows() -> tuple[PublishedRow, ...]:
    """The rows of the data file that single cells can be compared with."""
    found = json.loads((Path(__file__).parent / FILE).read_text(encoding="utf-8"))[GROUP]
    return tuple(
        PublishedRow(name, *_OURS[column], value, found["source"])
        for column, values in zip(found["columns"], zip(*found["rows"].values(), strict=True), strict=True)
        for name, value in zip(found["rows"], values, strict=True)
    )


def beside_published(blocks: Sequence[Block]) -> list[Table]:
    """One table of all that can be compared; none where nothing can."""
    rows: list[tuple[str, ...]] = []
    records: list[dict[str, Value]] = []
    sources: dict[str, None] = {}
    for block in blocks:
        target = block.setting.target
        theirs = [row for row in published_rows() if row.task == block.setting.target]
        if not theirs or not _same_test(block):
            continue
        metric = theirs[0].metric
        for system, runs in block.runs.items():
            ours = spread({seed: _mean(run, block.languages, metric) for seed, run in runs.items()})
            shown = f"{ours.mean:.1f}" + ("" if ours.deviation is None else f" ± {ours.deviation:.1f}")
            setting = block.setting
            about = f"ours: {block.name(system)}, {setting.mode}, {setting.precision}, {setting.base}"
            rows.append((target, metric, about, shown, _differs(block, system)))
            records.append(_record(block, metric, about, ours.mean, True, ""))
        for row in theirs:
            rows.append((target, metric, row.name, f"{row.value:.1f}", "encoder and settings of its own"))
            records.append(_record(block, metric, row.name, row.value, False, row.source))
            sources[row.source] = None
    if not rows:
        return []
    return [
        Table(
            "published",
            "published",
            "Published rows of the same task, languages, split and metric",
            ("target", "metric", "of", "score", "what differs"),
            tuple(tuple(text(value) for value in row) for row in dict.fromkeys(rows)),
            (
                "Means over XTREME's languages of the task, trained in English, on test.",
                "Published rows have neither seeds nor examples: no interval, and no claim about the difference.",
                *(f"Read in: {source}." for source in sources),
            ),
            tuple(records),
        )
    ]


def _same_test(block: Block) -> bool:
    """Whether a block has the whole test sets in all of XTREME's languages, after training in English alone."""
    setting = block.setting
    wanted = set(XTREME.languages.get(setting.target, ()))
    return (
        set(block.languages) == wanted
        and setting.split == "test"
        and setting.evaluation_limit is None
        and setting.train_languages == ("en",)
        and not setting.few_shot
    )


def _mean(run: Evaluated, languages: Sequence[str], metric: str) -> float:
    scores: Mapping[str, Mapping[str, float]] = run.metrics["languages"]
    return sum(scores[language][metric] for language in languages) / len(languages)


def _differs(block: Block, system: System) -> str:
    """What a reader has to know of ours beside its name."""
    parts = [f"seeds {len(block.runs[system])}"]
    if block.setting.target_limit is not None:
        parts.append(f"trained on the first {block.setting.target_limit} examples")
    if system.limit is not None:
        parts.append(f"intermediate task on the first {system.limit}")
    if block.setting.averaged_steps is not None:
        parts.append(f"mean of the weights at {block.setting.averaged_steps} steps")
    elif block.setting.dev != ("en",):
        parts.append("checkpoint not chosen on English dev")
    return ", ".join(parts)


def _record(block: Block, metric: str, name: str, value: float, ours: bool, source: str) -> dict[str, Value]:
    told: dict[str, Any] = {"target": block.setting.target, "metric": metric, "of": name, "score": value}
    return {**told, "ours": ours, "source": source}
