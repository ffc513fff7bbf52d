"""Where numbers come from: a cell's stages, their settings, and the commands that make them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter_stilts.io import digest_of
from adapter_stilts.report.blocks import Block
from adapter_stilts.report.chains import Chains, flat
from adapter_stilts.report.collect import Evaluated
from adapter_stilts.report.ways import by_way, target_names
from adapter_stilts.stages.plans import PLANS

DIGITS = 12
"""Of a digest among settings."""
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Settings:
    """What a stage was told, but for its seed.

    Args:
        id: the same for equal settings.
        rows: name and value.
    """

    id: str
    title: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Step:
    """A stage of a cell's chain.

    Args:
        settings: id of its settings.
    """

    stage: str
    seconds: float
    settings: str


@dataclass(frozen=True)
class Run:
    """A cell with one seed.

    Args:
        steps: the first that was run first; what it evaluates was removed where it is alone.
        commands: the one in the evaluated bundle's account, then the one that makes the evaluation from its plan; none
            of exported results.
    """

    seed: int | None
    score: float
    steps: tuple[Step, ...]
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Origin:
    """Where a cell's numbers come from.

    Args:
        id: that numbers of it lead to (`Block.cell`).
    """

    id: str
    title: str
    runs: tuple[Run, ...]


def origins(
    blocks: Sequence[Block], chains: Chains, store: str | None
) -> tuple[tuple[Origin, ...], tuple[Settings, ...]]:
    """Of every cell, and all settings that they name.

    Args:
        store: as commands name it; None of one that runs nothing.
    """
    known: dict[str, Settings] = {}  # by stage, of which cells share many
    found = []
    for way, members in by_way(blocks).items():
        for block, target in zip(members, target_names(members), strict=True):
            for system in block.systems:
                runs = tuple(
                    _run(block, seed, run, chains, store, known) for seed, run in block.runs[system].items()
                )
                title = f"{block.name(system)} before {target} ({way.told})"
                found.append(Origin(block.cell(system), title, runs))
    return tuple(found), tuple({one.id: one for one in known.values()}.values())


def _run(
    block: Block,
    seed: int | None,
    run: Evaluated,
    chains: Chains,
    store: str | None,
    known: dict[str, Settings],
) -> Run:
    steps = []
    for name, record in chains.history(run.cell.stage):
        if name not in known:
            known[name] = _settings(f"{record['kind']} {record['task']}", record["part"])
        steps.append(Step(name, float(record.get("seconds", 0.0)), known[name].id))
    score = sum(run.score(language) for language in block.languages) / len(block.languages)
    if store is None:
        return Run(seed, score, tuple(steps), ())
    plan = str(Path(store) / PLANS / run.cell.plan.name)
    commands = [shlex.join(["adapter-stilts", "stage", plan, run.cell.stage])]
    if len(steps) > 1 and (told := chains.command(steps[-2].stage)) is not None:
        commands.insert(0, told)
    return Run(seed, score, tuple(steps), tuple(commands))


def _settings(title: str, part: Any) -> Settings:
    rows = tuple((name, _value(value)) for name, value in flat(part).items() if value is not None)
    return Settings(f"settings-{digest_of([title, rows])[:8]}", title, rows)


def _value(value: Any) -> str:
    told = str(value)
    return told[:DIGITS] if _DIGEST.fullmatch(told) else told
