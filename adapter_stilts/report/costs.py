"""What cells cost: hours, memory, and the bytes of what they leave."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from adapter_stilts.report.blocks import Block
from adapter_stilts.report.chains import Chains, Cost
from adapter_stilts.report.collect import System
from adapter_stilts.report.tables import UNKNOWN, Table, Value, text
from adapter_stilts.report.ways import by_way, target_names, way_of


def costs(blocks: Sequence[Block], chains: Chains) -> Table:
    """A row a cell, over its seeds: mean time, the greatest memory, the bundle's bytes."""
    rows, records = [], []
    gone = False
    named = [
        (block, target)
        for members in by_way(blocks).values()
        for block, target in zip(members, target_names(members), strict=True)
    ]
    for block, target in named:
        setting = block.setting
        for system in block.systems:
            known = _known(block, system, chains)
            gone = gone or len(known) < len(block.runs[system])
            mode = f"{setting.mode}{way_of(setting).besides}"
            told = (block.name(system), target, mode, setting.precision, setting.base)
            cell = block.cell(system)
            rows.append((*map(text, told), *(text(value, cell) for value in _told(known))))
            records.append(_record(block, system, known))
    sentences = [
        "Time: all stages of the cell's own chain, one after another, mean over seeds; a stage that cells share "
        "counts in each of them.",
        "Memory: the peak of the stage that took most, of the GPU where there was one, else of the process.",
        "Bundle: all files of the bundle that was evaluated; with full fine-tuning the whole model. None where nothing "
        "was trained, and in exported results, which hold no bundles.",
    ]
    if gone:
        sentences.append(f"{UNKNOWN}: stages of the chain were removed from the store.")
    return Table(
        "costs",
        "costs",
        "What a cell cost",
        ("intermediate", "target", "mode", "precision", "base", "time", "memory, GiB", "bundle, MB"),
        tuple(rows),
        tuple(sentences),
        tuple(records),
    )


def _known(block: Block, system: System, chains: Chains) -> list[Cost]:
    found = [chains.cost(run.cell.stage) for run in block.runs[system].values()]
    return [cost for cost in found if cost is not None]


def _told(known: Sequence[Cost]) -> tuple[str, str, str]:
    if not known:
        return (UNKNOWN, UNKNOWN, UNKNOWN)
    bundles = [cost.bundle for cost in known if cost.bundle is not None]
    memory = max(cost.memory for cost in known)
    return (
        duration(fmean(cost.seconds for cost in known)),
        f"{memory / 2**30:.2f}" if memory else UNKNOWN,
        f"{max(bundles) / 1e6:.2f}" if bundles else "none",
    )


def duration(seconds: float) -> str:
    """In the unit that suits it."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _record(block: Block, system: System, known: Sequence[Cost]) -> dict[str, Value]:
    setting = block.setting
    bundles = [cost.bundle for cost in known if cost.bundle is not None]
    return {
        **block.names(system),
        "target_limit": setting.target_limit,
        "evaluation_limit": setting.evaluation_limit,
        "split": setting.split,
        "cell": block.cell(system),
        "trained": "+".join(setting.train_languages),
        "seeds": len(known),
        "hours": fmean(cost.seconds for cost in known) / 3600 if known else None,
        "memory_gib": max(cost.memory for cost in known) / 2**30 if known else None,
        "memory_of": known[0].device if known else "",
        "bundle_mb": max(bundles) / 1e6 if bundles else None,
    }
