"""Blocks side by side: the targets of one way of training, the ways of one target."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from adapter_stilts.report.blocks import Block
from adapter_stilts.report.collect import System
from adapter_stilts.report.scores import Setting


@dataclass(frozen=True)
class Way:
    """What the columns of one table share.

    Args:
        target_limit, evaluation_limit: first examples taken alone; None takes all.
        averaged_steps: at how many steps weights were taken whose mean is evaluated; None of a checkpoint.
    """

    base: str
    mode: str
    precision: str
    split: str
    target_limit: int | None
    evaluation_limit: int | None
    averaged_steps: int | None

    @property
    def told(self) -> str:
        return f"{self.mode}, {self.precision}, {self.base}{self.besides}"

    @property
    def besides(self) -> str:
        """What names say after mode, precision and base; nothing of a checkpoint on whole sets, evaluated on test."""
        split = "" if self.split == "test" else f", {self.split}"
        mean = "" if self.averaged_steps is None else f", mean of {self.averaged_steps} steps"
        limits = {"target": self.target_limit, "evaluation": self.evaluation_limit}
        told = "".join(f", {of} limit {limit}" for of, limit in limits.items() if limit is not None)
        return f"{split}{mean}{told}"


def way_of(setting: Setting) -> Way:
    """How a setting's target is trained and evaluated."""
    return Way(
        setting.base,
        setting.mode,
        setting.precision,
        setting.split,
        setting.target_limit,
        setting.evaluation_limit,
        setting.averaged_steps,
    )


def by_way(blocks: Sequence[Block]) -> dict[Way, list[Block]]:
    """The blocks of each way, in their order."""
    found: dict[Way, list[Block]] = defaultdict(list)
    for block in blocks:
        found[way_of(block.setting)].append(block)
    return dict(found)


def target_names(blocks: Sequence[Block]) -> list[str]:
    """Names of the blocks of one way: the target, what else than English it was taught in, and what tells it apart."""
    names = [_taught(block) for block in blocks]
    twice = {name for name, count in Counter(names).items() if count > 1}
    return [
        f"{name}, {_dev(block.setting)}" if name in twice else name
        for name, block in zip(names, blocks, strict=True)
    ]


def _taught(block: Block) -> str:
    run = next(iter(block.runs[block.systems[0]].values()))
    return ", ".join(filter(None, (block.setting.target, run.cell.taught)))


def _dev(setting: Setting) -> str:
    return f"dev {'+'.join(setting.dev or ()) or 'none'}"


def systems_of(blocks: Sequence[Block]) -> dict[System, str]:
    """The systems of several blocks with their names, baselines first, then in the order of the plans."""
    found: dict[System, str] = {}
    for block in blocks:
        if block.baseline is not None:
            found.setdefault(block.baseline, block.name(block.baseline))
    for block in blocks:
        for system in block.systems:
            found.setdefault(system, block.name(system))
    return found
