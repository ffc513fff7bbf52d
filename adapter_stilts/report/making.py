"""A report as a value: the tables of a store, and what is told beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from adapter_stilts.errors import NothingToReportError, UnknownNameError
from adapter_stilts.report.answer import Sentence, answer
from adapter_stilts.report.blocks import Block, blocks
from adapter_stilts.report.collect import Collection, collect
from adapter_stilts.report.costs import costs
from adapter_stilts.report.curves import curves as learning_curves
from adapter_stilts.report.languages import BY, By, groups_of
from adapter_stilts.report.modes import modes
from adapter_stilts.report.oracles import oracles
from adapter_stilts.report.origins import Origin, Settings, origins
from adapter_stilts.report.published import beside_published
from adapter_stilts.report.resampling import RESAMPLES
from adapter_stilts.report.scores import BASELINE
from adapter_stilts.report.summary import in_groups, summaries
from adapter_stilts.report.tables import Table
from adapter_stilts.report.ways import by_way, target_names

_FAMILIES = "Families as XTREME's paper has them; equal weight to each language of a family."
_LEVELS = (
    "Levels by the size of the Wikipedia when XTREME was made (1 and 0.1 million articles; the cut is ours)."
)
_OWN_LEVELS = "Levels as the evaluation tells them: of what the encoder was pretrained on."


@dataclass(frozen=True)
class Report:
    """A report.

    Args:
        answer: what the tables come to.
        notes: what was left out or looks wrong, with the stage's name.
        cells, finished: that the plans name, and those that stand in the tables.
        origins, settings: where the numbers of each cell come from.
        exported: whether the store holds results without weights, in which no command makes them again.
    """

    store: Path
    answer: tuple[Sentence, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    cells: int
    finished: int
    origins: tuple[Origin, ...]
    settings: tuple[Settings, ...]
    exported: bool = False


def make_report(
    store: str | Path,
    *,
    plans: Sequence[str | Path] = (),
    baseline: str = BASELINE,
    by: Iterable[str] = BY,
    resamples: int = RESAMPLES,
    seed: int = 0,
    cache: Path | None = None,
    curves: bool = False,
) -> Report:
    """The tables of a store.

    Args:
        plans: files in its folder ``plans``, or the first digits of their names; all where none is named.
        baseline: the intermediate entry that gains are over.
        by: what languages are grouped by in tables of their own.
        resamples, seed: of the intervals.
        cache: folder where intervals are kept, and taken from where nothing of theirs has changed; None keeps none.
        curves: whether train stages' logs are read, for learning curves.

    Raises:
        UsageError: there is no such store or plan; `by` names something else.
        NothingToReportError: nothing is finished in it.
        StoreError: a plan cannot be read.
    """
    wanted = list(dict.fromkeys(by))
    for name in wanted:
        if name not in BY:
            raise UnknownNameError("grouping", name, BY)
    found = collect(store, plans)
    kinds = [cast("By", name) for name in wanted]
    built, told = blocks(found, baseline=baseline, by=kinds, resamples=resamples, seed=seed, cache=cache)
    notes = dict.fromkeys((*found.notes, *told))
    if not built:
        raise NothingToReportError(f"{store}: nothing to report: {'; '.join(notes)}")
    tables = tuple(_tables(found, built, baseline, kinds, resamples))
    if curves:
        learnt, lacking = learning_curves(built, found.chains, found.store, cache and cache / "curves")
        tables, notes = (*tables, *learnt), notes | dict.fromkeys(lacking)
    return Report(
        Path(store),
        answer(built, tables, baseline, resamples),
        tables,
        tuple(notes),
        len(found.planned),
        sum(block.finished for block in built),
        *origins(built, found.chains, None if found.exported else str(store)),
        found.exported,
    )


def _tables(
    found: Collection, built: Sequence[Block], baseline: str, by: Sequence[By], resamples: int
) -> list[Table]:
    tables = summaries(built, baseline, resamples)
    for number, (way, members) in enumerate(by_way(built).items(), start=1):
        for block, target in zip(members, target_names(members), strict=True):
            for kind in by:
                groups = groups_of(kind, block.languages, block.levels)
                if not groups:
                    continue
                name = f"{kind}-{number}-{target.replace(', ', '_').replace(' ', '-')}"
                title = f"{target} by {kind} ({way.told})"
                more = _told_of(block, kind)
                tables.append(in_groups(block, name, title, groups, kind, baseline, resamples, more))
    return [
        *tables,
        *modes(built, baseline, resamples),
        *oracles(built),
        costs(built, found.chains),
        *beside_published(built),
    ]


def _told_of(block: Block, kind: str) -> tuple[str, ...]:
    """What a caption says of the grouping."""
    if kind == "language":
        return ()
    if kind == "family":
        return (_FAMILIES,)
    return (_OWN_LEVELS if block.levels else _LEVELS,)
