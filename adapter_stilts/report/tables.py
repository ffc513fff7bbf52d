"""A table as a value: what is shown, what is told below, and the same as typed records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from adapter_stilts.report.blocks import Block, Gain
from adapter_stilts.report.collect import System
from adapter_stilts.report.multiplicity import holm
from adapter_stilts.report.scores import Spread

Value: TypeAlias = "str | int | float | bool | None"
Key: TypeAlias = tuple[int, System, str]
"""A gain's place in a table: the block's number, the system, the name of the languages."""

Kind: TypeAlias = Literal["summary", "groups", "modes", "oracle", "costs", "curves", "published", "compare"]

UNKNOWN = "–"
STAR, FEW = "*", "†"
"""Marks of a gain that holds after adjustment, and of one of a single seed beside others of several."""

ALPHA = 0.05


@dataclass(frozen=True)
class Shown:
    """A cell of a table.

    Args:
        lines: of text, the first the score.
        sign: 1 or -1 of a gain or a loss that holds after adjustment, else 0.
        cell: id of what its numbers are of (`Block.cell`); empty of text alone.
        gain: that it tells.
    """

    lines: tuple[str, ...]
    sign: int = 0
    cell: str = ""
    gain: Gain | None = None

    @property
    def text(self) -> str:
        return " ".join(self.lines)


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        name: of its files, and unlike any other's of the report.
        kind: what its rows and columns are.
        columns: the first names the rows.
        captions: sentences, in the order in which they are told.
        records: the same numbers unrounded, a mapping a row of the file; all have the same keys.
    """

    name: str
    kind: Kind
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Shown, ...], ...]
    captions: tuple[str, ...]
    records: tuple[Mapping[str, Value], ...]


def text(value: str, cell: str = "") -> Shown:
    """A cell of text alone, or of a number that is told as it is."""
    return Shown((value,), cell=cell)


def adjusted(gains: Mapping[Key, Gain | None]) -> dict[Key, float]:
    """P-values of the gains that are looked at together, adjusted by Holm; those without an interval have none."""
    numbered = {
        str(number): (key, gain.estimate.p_value)
        for number, (key, gain) in enumerate(gains.items())
        if gain is not None and gain.estimate is not None
    }
    found = holm({number: p_value for number, (_, p_value) in numbered.items()})
    return {numbered[number][0]: p_value for number, p_value in found.items()}


def holding(p_values: Mapping[Key, float]) -> int:
    """How many gains hold, by adjusted p-values."""
    return sum(p_value < ALPHA for p_value in p_values.values())


def score_and_gain(spread: Spread, gain: Gain | None, p_value: float | None, mixed: bool, cell: str) -> Shown:
    """``61.20 ± 0.41`` over ``+2.10 [+1.02, +3.18]*``.

    Args:
        p_value: adjusted.
        mixed: whether the table has gains of one seed beside others of several.
        cell: the id of what is told of.
    """
    shown = f"{spread.mean:.2f}" + ("" if spread.deviation is None else f" ± {spread.deviation:.2f}")
    if gain is None:
        return Shown((shown,), cell=cell)
    told, sign = gain_text(gain, p_value, mixed)
    return Shown((shown, told), sign, cell, gain)


def gain_text(gain: Gain, p_value: float | None, mixed: bool = False) -> tuple[str, int]:
    """A gain with its interval and marks; and its sign, where it holds."""
    estimate = gain.estimate
    if estimate is None:
        return f"{gain.value:+.2f}", 0
    interval = estimate.interval
    holds = p_value is not None and p_value < ALPHA
    marks = (STAR if holds else "") + (FEW if mixed and len(gain.seeds) == 1 else "")
    shown = f"{gain.value:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]{marks}"
    return shown, (1 if gain.value > 0 else -1) if holds else 0


def is_mixed(gains: Sequence[Gain | None]) -> bool:
    """Whether some intervals are over seeds, and others, of one seed, are not."""
    bases = {gain.estimate.interval.basis for gain in gains if gain is not None and gain.estimate is not None}
    return len(bases) > 1


def record(
    block: Block,
    system: System,
    languages: Sequence[str],
    gain: Gain | None,
    p_value: float | None,
    **about: Value,
) -> dict[str, Value]:
    """The numbers of a system on some languages, typed; values that are not known are None.

    Args:
        p_value: adjusted.
        about: what names the languages: ``language``, ``group`` …
    """
    setting, spread = block.setting, block.spread(system, languages)
    estimate = gain.estimate if gain is not None else None
    interval = estimate.interval if estimate is not None else None
    shots = "+".join(f"{language}={count}" for language, count in setting.few_shot)
    return {
        **block.names(system),
        "target_limit": setting.target_limit,
        "trained": "+".join(setting.train_languages),
        "few_shot": shots,
        "dev": "" if setting.dev is None else "+".join(setting.dev),
        "averaged_steps": setting.averaged_steps,
        "split": setting.split,
        "evaluation_limit": setting.evaluation_limit,
        "cell": block.cell(system),
        **about,
        "languages": len(languages),
        "examples": block.examples(languages),
        "metric": "+".join(block.metrics),
        "seeds": len(spread.seeds),
        "score": spread.mean,
        "deviation": spread.deviation,
        "gain": None if gain is None else gain.value,
        "gain_seeds": 0 if gain is None else len(gain.seeds),
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
        "level": None if interval is None else interval.level,
        "interval": "" if interval is None else interval.basis,
        "p_value": None if estimate is None else estimate.p_value,
        "p_holm": p_value,
        "holds": p_value is not None and p_value < ALPHA,
    }
