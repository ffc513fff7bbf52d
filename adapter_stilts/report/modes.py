"""Modes side by side: what each gains on a target, and the share that it keeps of full fine-tuning's gain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from adapter_stilts.report import captions
from adapter_stilts.report.blocks import Block, Gain
from adapter_stilts.report.collect import System
from adapter_stilts.report.scores import FULL
from adapter_stilts.report.tables import (
    UNKNOWN,
    Key,
    Shown,
    Table,
    adjusted,
    gain_text,
    holding,
    is_mixed,
    record,
    text,
)
from adapter_stilts.report.ways import Way, systems_of, target_names, way_of

ALL = "all"
_SHARES = (
    f"In per cent: the share of {FULL}'s gain that is kept, over the same languages and seeds, where {FULL} gains "
    "and its interval leaves 0 out; a share has no interval here."
)


def modes(blocks: Sequence[Block], baseline: str, resamples: int) -> list[Table]:
    """A table for each encoder and limit that there are several modes, and other entries than the baseline, of."""
    by_rest: dict[Way, list[Block]] = defaultdict(list)
    for block in blocks:
        by_rest[replace(way_of(block.setting), mode="", precision="")].append(block)
    several = {
        rest: members
        for rest, members in by_rest.items()
        if len(_columns(members)) > 1
        and any(system.inter != baseline for block in members for system in block.systems)
    }
    if len(several) == 1:
        return [_modes(members, "modes", "", baseline, resamples) for members in several.values()]
    return [
        _modes(members, f"modes-{number}", f" ({rest.base}{rest.besides})", baseline, resamples)
        for number, (rest, members) in enumerate(several.items(), start=1)
    ]


def _columns(blocks: Sequence[Block]) -> dict[tuple[str, str], list[Block]]:
    """Blocks by mode and precision, full fine-tuning first."""
    found: dict[tuple[str, str], list[Block]] = defaultdict(list)
    for block in blocks:
        found[block.setting.mode, block.setting.precision].append(block)
    return {key: found[key] for key in sorted(found, key=lambda key: key[0] != FULL)}


def _modes(blocks: Sequence[Block], name: str, apart: str, baseline: str, resamples: int) -> Table:
    """Args: `apart`: what tells it from the other tables, after its title."""
    columns = _columns(blocks)
    named: dict[tuple[tuple[str, str], str], tuple[int, Block]] = {}
    for key, members in columns.items():
        for target, block in zip(target_names(members), members, strict=True):
            named[key, target] = (blocks.index(block), block)
    gains: dict[Key, Gain | None] = {
        (place, system, ALL): block.gain(system)
        for place, block in named.values()
        for system in block.systems
    }
    p_values, mixed = adjusted(gains), is_mixed(list(gains.values()))
    rows, records = [], []
    for target in dict.fromkeys(target for _, target in named):
        found = [named[key, target][1] for key in columns if (key, target) in named]
        for system, shown in systems_of(found).items():
            if system.inter == baseline:  # also one that was left out of some block, as no baseline of it
                continue
            line: list[Shown] = []
            full = _full(columns, named, target, gains, system)
            for key in columns:
                place, column = named.get((key, target), (-1, None))
                if column is None or system not in column.runs:
                    line.append(text(UNKNOWN))
                    continue
                gain, p_value = gains[place, system, ALL], p_values.get((place, system, ALL))
                share = _share(gain, column, full)
                line.append(_shown(gain, p_value, mixed, share, column.cell(system)))
                records.append(record(column, system, column.languages, gain, p_value, share_of_full=share))
            rows.append((text(f"{shown} before {target}"), *line))
    heads = [f"{mode}, {precision}" for mode, precision in columns]
    told_below = (
        *captions.interval(list(gains.values()), baseline, resamples, holding(p_values)),
        *([_SHARES] if any(row["share_of_full"] is not None for row in records) else []),
        *captions.whole(blocks),
    )
    return Table(
        name,
        "modes",
        f"Modes side by side{apart}: gains over the baseline of the same mode",
        ("intermediate and target", *heads),
        tuple(rows),
        told_below,
        tuple(records),
    )


def _full(
    columns: dict[tuple[str, str], list[Block]],
    named: dict[tuple[tuple[str, str], str], tuple[int, Block]],
    target: str,
    gains: dict[Key, Gain | None],
    system: System,
) -> tuple[Block, Gain] | None:
    """The block and the gain of full fine-tuning, in the first precision that it has."""
    for key in columns:
        if key[0] == FULL and (key, target) in named:
            place, block = named[key, target]
            gain = gains.get((place, system, ALL))
            return None if gain is None else (block, gain)
    return None


def _share(gain: Gain | None, block: Block, full: tuple[Block, Gain] | None) -> float | None:
    """The share of full's gain, in percent; None where either says nothing, or they are of unlike things."""
    if gain is None or full is None or full[0] is block:
        return None
    whole = full[1]
    sure = whole.estimate is not None and whole.estimate.interval.low > 0
    alike = set(full[0].languages) == set(block.languages) and set(whole.seeds) == set(gain.seeds)
    return 100 * gain.value / whole.value if sure and alike else None


def _shown(gain: Gain | None, p_value: float | None, mixed: bool, share: float | None, cell: str) -> Shown:
    if gain is None:
        return text(UNKNOWN, cell)
    told, sign = gain_text(gain, p_value, mixed)
    return Shown((told,) if share is None else (told, f"{share:.0f} %"), sign, cell, gain)
