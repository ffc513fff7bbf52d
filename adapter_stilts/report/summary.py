"""Intermediate tasks by targets: scores over seeds, and gains with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adapter_stilts.report import captions
from adapter_stilts.report.blocks import Block, Gain
from adapter_stilts.report.tables import (
    UNKNOWN,
    Key,
    Shown,
    Table,
    adjusted,
    holding,
    is_mixed,
    record,
    score_and_gain,
    text,
)
from adapter_stilts.report.ways import by_way, systems_of, target_names

ALL = "all"
"""What a target's averaged languages are called together."""


def summaries(blocks: Sequence[Block], baseline: str, resamples: int) -> list[Table]:
    """A table for each way of training: a row an intermediate task, a column a target."""
    ways = by_way(blocks)
    return [
        _summary(members, f"summary-{number}" if len(ways) > 1 else "summary", way.told, baseline, resamples)
        for number, (way, members) in enumerate(ways.items(), start=1)
    ]


def _summary(blocks: Sequence[Block], name: str, told: str, baseline: str, resamples: int) -> Table:
    systems = systems_of(blocks)
    gains: dict[Key, Gain | None] = {
        (place, system, ALL): block.gain(system)
        for place, block in enumerate(blocks)
        for system in block.systems
    }
    p_values = adjusted(gains)
    mixed = is_mixed(list(gains.values()))
    rows = []
    for system, shown in systems.items():
        cells = [
            score_and_gain(
                block.spread(system),
                gains[place, system, ALL],
                p_values.get((place, system, ALL)),
                mixed,
                block.cell(system),
            )
            if system in block.runs
            else text(UNKNOWN)
            for place, block in enumerate(blocks)
        ]
        rows.append((text(shown), *cells))
    records = [
        record(block, system, block.languages, gains[place, system, ALL], p_values.get((place, system, ALL)))
        for place, block in enumerate(blocks)
        for system in block.systems
    ]
    told_below = (
        *captions.interval(list(gains.values()), baseline, resamples, holding(p_values)),
        *captions.whole(blocks),
    )
    return Table(
        name,
        "summary",
        f"Intermediate tasks by targets ({told}): means over languages",
        ("intermediate", *target_names(blocks)),
        tuple(rows),
        told_below,
        tuple(records),
    )


def in_groups(
    block: Block,
    name: str,
    title: str,
    groups: Mapping[str, Sequence[str]],
    kind: str,
    baseline: str,
    resamples: int,
    more: Sequence[str] = (),
) -> Table:
    """One target by groups of languages: a row a group, a column an intermediate task.

    Intervals are over examples: where these models gain. Whether training does is a question for the means: of three
    seeds an interval over seeds is too wide for a single language to say anything.

    Many parameters: what the table is called, what its rows are, and what its caption has to say.

    Args:
        groups: name -> languages; a language alone is a group, too.
        kind: what a group is: ``language``, ``family``, ``resources``.
        more: sentences of the caption.
    """
    gains: dict[Key, Gain | None] = {
        (0, system, group): block.gain(system, languages, "examples")
        for system in block.systems
        for group, languages in groups.items()
    }
    # Over the groups of one comparison, as Dror et al. 2017 do over data sets.
    p_values: dict[Key, float] = {}
    for system in block.systems:
        p_values |= adjusted({key: gain for key, gain in gains.items() if key[1] == system})
    mixed = is_mixed(list(gains.values()))
    rows = []
    for group, languages in groups.items():
        cells: list[Shown] = [
            score_and_gain(
                block.spread(system, languages),
                gains[0, system, group],
                p_values.get((0, system, group)),
                mixed,
                block.cell(system),
            )
            for system in block.systems
        ]
        shown = group if kind == "language" else f"{group} ({', '.join(languages)})"
        rows.append((text(shown), *cells))
    records = [
        record(
            block,
            system,
            languages,
            gains[0, system, group],
            p_values.get((0, system, group)),
            **{"grouped_by": kind, "group": group, "members": "+".join(languages)},
        )
        for system in block.systems
        for group, languages in groups.items()
    ]
    told = captions.interval(list(gains.values()), baseline, resamples, holding(p_values), len(groups))
    return Table(
        name,
        "groups",
        title,
        (kind, *(block.name(system) for system in block.systems)),
        tuple(rows),
        (*told, *more, *captions.whole([block])),
        tuple(records),
    )
