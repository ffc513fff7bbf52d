"""The answer in sentences, computed from the numbers: what helped most, what harmed, how many gains hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapter_stilts.report.blocks import Block, Gain
from adapter_stilts.report.captions import least_of
from adapter_stilts.report.collect import System
from adapter_stilts.report.tables import ALPHA, Shown, Table
from adapter_stilts.report.ways import way_of


@dataclass(frozen=True)
class Sentence:
    """A sentence of the answer.

    Args:
        cell: id of the cell that it is about; empty of several.
    """

    text: str
    cell: str = ""


def answer(
    blocks: Sequence[Block], tables: Sequence[Table], baseline: str, resamples: int
) -> tuple[Sentence, ...]:
    """The largest gain that holds, or that none does; the largest loss that holds; how many of all hold.

    Args:
        tables: of them the summaries are read, whose stars are adjusted over their gains.
        resamples: of the intervals.
    """
    of_cell = {block.cell(system): (block, system) for block in blocks for system in block.systems}
    shown: dict[str, tuple[Shown, str]] = {}
    for table in tables:
        if table.kind == "summary":
            for row in table.rows:
                for target, cell in zip(table.columns[1:], row[1:], strict=True):
                    if cell.gain is not None and cell.gain.estimate is not None:
                        shown[cell.cell] = (cell, f"{row[0].text} before {target}")
    if not shown:
        return (
            Sentence(
                f"Nothing is said of gains over {baseline}: there is none with an interval; the tables tell why."
            ),
        )
    ranked = sorted(shown.values(), key=lambda one: -_value(one[0]))
    up = [one for one in ranked if one[0].sign > 0]
    down = [one for one in ranked if one[0].sign < 0]
    told = []
    if up:
        told.append(_sentence("", *up[0], of_cell))
    else:
        told.append(Sentence(f"No gain over {baseline} holds{_because(list(shown.values()), resamples)}."))
        told.append(_sentence("The largest, which may be chance: ", *ranked[0], of_cell))
    if down:
        told.append(_sentence("The largest loss that holds: ", *down[-1], of_cell))
    number = len(shown)
    if number > 1:
        counted = f"{_counted(len(up), 'gain', 'gains')} and {_counted(len(down), 'loss', 'losses')}"
        told.append(
            Sentence(
                f"Of {number} differences to {baseline}, {counted} hold at 5 % after Holm's adjustment in each table."
            )
        )
    return tuple(told)


def _because(shown: Sequence[tuple[Shown, str]], resamples: int) -> str:
    """Where none could hold: so few resamples of so few examples tell no gain of so many from chance."""
    estimates = [cell.gain.estimate for cell, _ in shown if cell.gain is not None and cell.gain.estimate]
    least = least_of(estimates, resamples)
    if least is None or least * len(estimates) < ALPHA:
        return ""
    return f", and with {resamples:,} resamples of so few examples hardly one could: raise --resamples"


def _counted(number: int, one: str, several: str) -> str:
    return f"{number or 'no'} {one if number == 1 else several}"


def _value(shown: Shown) -> float:
    assert shown.gain is not None
    return shown.gain.value


def _sentence(before: str, shown: Shown, name: str, of_cell: dict[str, tuple[Block, System]]) -> Sentence:
    block, system = of_cell[shown.cell]
    gain = shown.gain
    assert gain is not None
    assert gain.estimate is not None
    interval = gain.estimate.interval
    seeds = len(gain.seeds)
    over = " over examples, with no claim about other seeds"
    if seeds > 1:
        these = block.gain(system, None, "examples")
        assert these is not None
        assert these.estimate is not None
        only = these.estimate.interval
        over = f" (of these very models {only.low:+.1f} to {only.high:+.1f})"
    ups = sum(value > 0 for value in _by_language(block, system, gain))
    text = (
        f"{before}{name} ({way_of(block.setting).told}): {gain.value:+.1f} points, "
        f"{100 * interval.level:g} % interval {interval.low:+.1f} to {interval.high:+.1f}{over}; "
        f"{seeds} seed{'s' if seeds > 1 else ''}; {ups} of {len(block.languages)} languages up."
    )
    return Sentence(text, shown.cell)


def _by_language(block: Block, system: System, gain: Gain) -> list[float]:
    """The gain in each language, over the same seeds."""
    assert block.baseline is not None
    ours, theirs = block.runs[system], block.runs[block.baseline]
    return [
        sum(ours[seed].score(language) - theirs[seed].score(language) for seed in gain.seeds)
        for language in block.languages
    ]
