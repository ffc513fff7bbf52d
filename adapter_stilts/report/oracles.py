"""Honest selection: what the chosen checkpoint scores, beside the best of its run on each target language's test set.

English dev says little of the target languages (Keung et al. 2020, arXiv 2004.15001). What choosing on it leaves is
known where a run kept its evaluations (`keep_evaluations`): in every language the best of them, by the very examples
that it is scored on. That is the oracle: an upper bound, used for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from adapter_stilts.report import captions
from adapter_stilts.report.blocks import Block
from adapter_stilts.report.collect import Evaluated, System
from adapter_stilts.report.tables import Table, Value, text
from adapter_stilts.report.ways import by_way, target_names, way_of

ALL = "all"
_TITLE = "Honest selection: what was chosen, beside the oracle (best checkpoint on the target, never used)"
_COLUMNS = (
    *("intermediate", "target", "mode", "base"),
    *("checkpoints", "chosen", "oracle", "difference", "largest in a language"),
)
_CAPTIONS = (
    "Oracle: in each language the checkpoint of the run that is best on that language's own test set, then the mean "
    "over languages. It is chosen by the examples that it is scored on, so that it is too good, by chance alone where "
    "these are few; no number elsewhere uses it.",
    "The difference, in points, is the most that choosing otherwise among these checkpoints could gain.",
)


@dataclass(frozen=True)
class Oracle:
    """One run beside its best checkpoints.

    Args:
        chosen, best: by language, in percent.
        steps: of the best, by language.
        checkpoints: how many were evaluated.
    """

    chosen: Mapping[str, float]
    best: Mapping[str, float]
    steps: Mapping[str, int]
    checkpoints: int


def oracles(blocks: Sequence[Block]) -> list[Table]:
    """A row a cell, over its seeds; no table where no run kept its evaluations."""
    rows, records = [], []
    shown: dict[Block, None] = {}
    for members in by_way(blocks).values():
        for block, target in zip(members, target_names(members), strict=True):
            for system, runs in block.runs.items():
                found = [one for run in runs.values() if (one := oracle_of(run, block.languages)) is not None]
                if not found:
                    continue
                shown[block] = None
                own = [_record(block, system, found, language) for language in (ALL, *block.languages)]
                records += own
                told = (*_about(block, system, target), *_told(own, found))
                rows.append(tuple(text(value, block.cell(system)) for value in told))
    if not rows:
        return []
    captions_below = (*_CAPTIONS, *captions.whole(list(shown)))
    return [Table("oracle", "oracle", _TITLE, _COLUMNS, tuple(rows), captions_below, tuple(records))]


def oracle_of(run: Evaluated, languages: Sequence[str]) -> Oracle | None:
    """A run's oracle in some languages; None where its evaluations were not kept, or not in all of these."""
    told = run.metrics.get("oracle")
    try:
        found: Mapping[str, Mapping[str, Any]] = told["languages"]  # type: ignore[index]
        steps = {language: int(found[language]["step"]) for language in languages}
        best = {
            language: fmean(float(value) for name, value in found[language].items() if name != "step")
            for language in languages
        }
        checkpoints = len(told["evaluations"])  # type: ignore[index]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    if not all(math.isfinite(value) for value in best.values()):
        return None
    return Oracle({language: run.score(language) for language in languages}, best, steps, checkpoints)


def _about(block: Block, system: System, target: str) -> tuple[str, ...]:
    setting = block.setting
    mode = f"{setting.mode}{way_of(setting).besides}"
    return (block.name(system), target, f"{mode}, {setting.precision}", setting.base)


def _told(own: Sequence[Mapping[str, Any]], found: Sequence[Oracle]) -> tuple[str, ...]:
    whole, *languages = own
    largest = max(languages, key=lambda row: float(row["difference"]))
    counts = sorted({one.checkpoints for one in found})
    return (
        " or ".join(map(str, counts)),
        f"{whole['chosen']:.2f}",
        f"{whole['oracle']:.2f}",
        f"{whole['difference']:+.2f}",
        f"{largest['language']} {largest['difference']:+.2f}",
    )


def _record(block: Block, system: System, found: Sequence[Oracle], language: str) -> dict[str, Value]:
    languages = block.languages if language == ALL else (language,)
    chosen = fmean(one.chosen[each] for one in found for each in languages)
    best = fmean(one.best[each] for one in found for each in languages)
    steps = "" if language == ALL else "+".join(str(one.steps[language]) for one in found)
    return {
        **block.names(system),
        "averaged_steps": block.setting.averaged_steps,
        "cell": block.cell(system),
        "language": language,
        "seeds": len(found),
        "checkpoints": max(one.checkpoints for one in found),
        "steps": steps,
        "chosen": chosen,
        "oracle": best,
        "difference": best - chosen,
    }
