"""A matrix as tables: of each encoder, mode and precision one, targets by intermediate tasks, means over seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import mean, stdev

from rich.table import Table

from adapter_stilts.cli import show
from adapter_stilts.cli.terminal import plain, say
from adapter_stilts.results import CellResult, Results

UNKNOWN = "–"


def tables(results: Results) -> None:
    """Print them."""
    groups: dict[tuple[str, str, str], list[CellResult]] = defaultdict(list)
    for result in results.cells:
        cell = result.cell
        groups[cell.base, cell.mode, cell.precision].append(result)
    bases = {base for base, _, _ in groups}
    for (base, mode, precision), members in groups.items():
        of = f" of {base}" if len(bases) > 1 else ""
        title = f"{mode}, {precision}{of}: scores in percent, means over languages{_seeds(members)}"
        rows = [member.to_json() for member in members if member.metrics is not None]
        say(f"{title}{show.chosen(rows)}{show.limits_of(rows)}")
        show.print_table(_table(members, results), 120)


def _table(members: Sequence[CellResult], results: Results) -> Table:
    """A row a target, a column an intermediate task: the mean and the deviation over seeds, and the mean gain."""
    found: dict[tuple[str, str], list[CellResult]] = defaultdict(list)
    for member in members:
        found[member.cell.target, member.cell.label].append(member)
    columns = list(dict.fromkeys(column for _, column in found))
    table = show.empty_table("")
    table.title = None
    table.add_column("target", overflow="fold")
    for column in columns:
        table.add_column(plain(column), justify="right", overflow="fold")
    gained = any(results.baseline(member) not in (None, member) for member in members)
    if gained:
        table.caption = "± deviation over seeds; in brackets the gain over none of the same seed"
    means: dict[str, list[float]] = defaultdict(list)
    targets = list(dict.fromkeys(target for target, _ in found))
    for target in targets:
        row = []
        for column in columns:
            scores = _scores(found.get((target, column), ()))
            if scores:
                means[column].append(mean(scores.values()))
            row.append(_shown(scores, _gains(found.get((target, column), ()), results)))
        table.add_row(*map(plain, [target, *row]))
    if len(targets) > 1:
        table.add_section()
        whole = [f"{mean(means[c]):.2f}" if len(means[c]) == len(targets) else UNKNOWN for c in columns]
        table.add_row(*map(plain, [f"mean of these {len(targets)}", *whole]))
    return table


def _scores(members: Sequence[CellResult]) -> Mapping[int | None, float]:
    """The score of each seed that is finished."""
    known = {
        member.cell.seed: show.task_score(member.to_json())
        for member in members
        if member.metrics is not None
    }
    return {seed: score for seed, score in known.items() if score is not None}


def _gains(members: Sequence[CellResult], results: Results) -> list[float]:
    gains = []
    for member in members:
        baseline = results.baseline(member)
        if baseline is None or baseline is member or baseline.metrics is None or member.metrics is None:
            continue
        over, under = show.task_score(member.to_json()), show.task_score(baseline.to_json())
        if over is not None and under is not None:
            gains.append(over - under)
    return gains


def _shown(scores: Mapping[int | None, float], gains: Sequence[float]) -> str:
    if not scores:
        return UNKNOWN
    values = list(scores.values())
    spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
    gain = f" ({mean(gains):+.2f})" if gains else ""
    return f"{mean(values):.2f}{spread}{gain}"


def _seeds(members: Sequence[CellResult]) -> str:
    """The seeds; where cells have not the same ones, so is told."""
    by_cell: dict[tuple[str, str], set[str]] = defaultdict(set)
    for member in members:
        if member.metrics is not None:
            by_cell[member.cell.target, member.cell.label].add(str(member.cell.seed))
    if not by_cell:
        return ""
    every = sorted(set().union(*by_cell.values()), key=lambda seed: (len(seed), seed))
    if all(len(seeds) == len(every) for seeds in by_cell.values()):
        return f"; seed{'s' if len(every) > 1 else ''} {', '.join(every)}"
    return f"; seeds {', '.join(every)}, of which some cells lack some"
