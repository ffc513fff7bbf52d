"""Tables on stdout; plain text where stdout is no terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from adapter_stilts.cli.terminal import plain, say
from adapter_stilts.evaluation.membership import Benchmark
from adapter_stilts.tasks.base import language_names

BASELINE = "none"

NEWER = "_seqeval1"
"""Ends the names of tagging scores by seqeval 1.x's reading, which are told below a table."""


def stages(rows: Sequence[Mapping[str, Any]]) -> None:
    """A dry run's stages."""
    table = empty_table("Stages")
    for name in ("kind", "task", "status", "directory"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(plain(row[name]) for name in ("kind", "task", "status", "dir")))
    _print(table)


def bundles(where: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """What a folder or an organisation shares."""
    table = empty_table(where)
    for name in ("address", "mode", "task", "base", "dev", "MB"):
        table.add_column(name, overflow="fold", justify="right" if name == "MB" else "left")
    for row in rows:
        if "error" in row:
            table.add_row(plain(row["address"]), "cannot be read", plain(row["error"]))
            continue
        scores = ", ".join(f"{name} {value:.1f}" for name, value in row["metrics"].items())
        scores = f"{language_names(row['dev'])}: {scores}" if scores else ""
        size = f"{row['bytes'] / 1e6:.2f}" if row["bytes"] else ""
        told = (row["address"], row["tuning"], row["task"], row["base"], scores, size)
        table.add_row(*(plain(text) for text in told))
    _print(table, width=None)  # a folded address could not be copied


def results(cells: Sequence[Mapping[str, Any]], benchmark: Benchmark | None) -> None:
    """Per cell and target: a row a language, the metrics, the average. Several: their averages compared.

    Titles say in which languages the target was taught and chosen, and whether these are scores on dev.

    Args:
        benchmark: whose languages these are, named in titles; None where they are of no benchmark.
    """
    for cell in cells:
        for target, result in cell["results"].items():
            title = f"{target}, {_taught(cell)} after {cell['inter']}{_coverage(target, result, benchmark)}"
            _print(_languages(f"{title}{chosen([result])}{_limits(result)}", result))
    if len(cells) > 1 or any(len(cell["results"]) > 1 for cell in cells):
        _print(_compared(cells, benchmark))


def trained(rows: Sequence[Mapping[str, Any]]) -> None:
    """What was trained where no target is: its dev scores, and where it lies."""
    table = empty_table("Trained, with scores on the dev split that chose the checkpoint")
    for name in ("intermediate", "dev", "scores", "bundle"):
        table.add_column(name, overflow="fold")
    for row in rows:
        scores = ", ".join(f"{name} {value:.2f}" for name, value in row["metrics"].items())
        told = (row["inter"], language_names(row["dev"]) or "none", scores or "–", row["bundle"])
        table.add_row(*(plain(text) for text in told))
    _print(table, width=None)  # a folded path could not be copied


def _taught(cell: Mapping[str, Any]) -> str:
    return cell.get("taught") or "zero-shot"


def chosen(results: Sequence[Mapping[str, Any]]) -> str:
    """Which dev split chose the checkpoints, and which split the scores are on where it is not test."""
    told = dict.fromkeys(_chosen_by(result) for result in results if "dev" in result)
    split = dict.fromkeys(result.get("split", "test") for result in results)
    scores = [] if list(split) in (["test"], []) else [f"scores on {' and '.join(split)}"]
    return "".join(f"; {part}" for part in [*([" or ".join(told)] if told else []), *scores])


def _chosen_by(result: Mapping[str, Any]) -> str:
    dev, averaged = result["dev"], result.get("averaged_steps")
    if averaged is not None:
        return f"mean of the weights at {averaged} steps of the run, none chosen"
    if dev is None:
        return "no checkpoint chosen"
    return (
        f"checkpoint chosen on {language_names(dev)} dev"
        if dev
        else "last checkpoint, for want of a dev split"
    )


def _all_chosen(cells: Sequence[Mapping[str, Any]]) -> str:
    return chosen([result for cell in cells for result in cell["results"].values()])


def _all_limits(cells: Sequence[Mapping[str, Any]]) -> str:
    return limits_of([result for cell in cells for result in cell["results"].values()])


def limits_of(results: Sequence[Mapping[str, Any]]) -> str:
    """The limits in force in any of several results."""
    found: dict[str, int] = {}
    for result in results:
        found |= {name: count for name, count in result.get("limits", {}).items() if count is not None}
    return _limits({"limits": found})


def _coverage(target: str, result: Mapping[str, Any], benchmark: Benchmark | None) -> str:
    """How many of the benchmark's languages of a target a result holds."""
    wanted = benchmark.languages.get(target, ()) if benchmark else ()
    if not benchmark or not wanted:
        return ""
    held = len(set(wanted) & set(result["languages"]))
    if held == len(wanted):
        return f" ({benchmark.name}, all {held} languages)"
    return f" ({benchmark.name}, {held} of {len(wanted)} languages)"


def _limits(result: Mapping[str, Any]) -> str:
    """The limits in force, so that no part of a test set passes for the whole."""
    limits = result.get("limits", {})
    trained = {name: limits[name] for name in ("intermediate", "target") if limits.get(name) is not None}
    told = [f"{name} trained on the first {count} examples" for name, count in trained.items()]
    if len(set(trained.values())) == 1:
        told = [f"trained on the first {next(iter(trained.values()))} examples"]
    if limits.get("evaluation") is not None:
        told.append(f"the first {limits['evaluation']} a language")
    return f"; {', '.join(told)}" if told else ""


def _languages(title: str, result: Mapping[str, Any]) -> Table:
    names = list(result["average"])
    beside = result.get("beside", {})
    levels = result.get("levels", {})
    extra = sorted({name for values in beside.values() for name in values if not name.endswith(NEWER)})
    table = empty_table(title)
    table.caption = "; ".join(filter(None, (reading(list(beside.values())), _oracle(result)))) or None
    table.add_column("language")
    if levels:
        table.add_column("resources")
    for name in [*names, *extra]:
        table.add_column(plain(name), justify="right")
    for language, metrics in result["languages"].items():
        values = [metrics.get(name) for name in names] + [
            beside.get(language, {}).get(name) for name in extra
        ]
        shown = f"{language} (in no benchmark)" if language in result.get("outside", ()) else language
        row = [shown, levels.get(language, "")] if levels else [shown]
        table.add_row(*map(plain, row), *(_number(value) for value in values))
    table.add_section()
    outside = result.get("outside", [])
    averaged = [language for language in result["languages"] if language not in outside] or outside
    for title, members in _groups(averaged, levels):
        means = [_mean([result["languages"][language].get(name) for language in members]) for name in names]
        means += [_mean([beside.get(language, {}).get(name) for language in members]) for name in extra]
        row = [title, ""] if levels else [title]
        table.add_row(*row, *(_number(value) for value in means))
    return table


def reading(beside: Sequence[Mapping[str, float]]) -> str | None:
    """Of tagging scores, by which reading of the tags they are, and what the other makes of the same predictions."""
    newer = [scores[f"f1{NEWER}"] for scores in beside if f"f1{NEWER}" in scores]
    if not newer:
        return None
    mean = sum(newer) / len(newer)
    return (
        f"f1 as seqeval 0.0.12 reads tags, as published rows do; as seqeval 1.x does, {mean:.2f} on average"
    )


def _oracle(result: Mapping[str, Any]) -> str | None:
    """What the best checkpoint in each language would have scored, where the run's evaluations were kept."""
    oracle = result.get("oracle")
    if not oracle:
        return None
    scores = ", ".join(f"{name} {value:.2f}" for name, value in oracle["average"].items())
    return (
        f"oracle, the best of {len(oracle['evaluations'])} checkpoints in each language by its own test set: {scores} "
        "on average; never used"
    )


def _groups(languages: Sequence[str], levels: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """The rows below a table: languages whose scores are averaged. The last is the benchmark's own average."""
    levelled = {
        level: [language for language in languages if levels.get(language) == level]
        for level in dict.fromkeys(levels.values())
    }
    groups = [(f"{level} resources", members) for level, members in levelled.items()]
    others = [language for language in languages if language != "en"]
    if 0 < len(others) < len(languages):
        groups.append(("without en", others))
    return [*groups, ("average", list(languages))]


def _compared(cells: Sequence[Mapping[str, Any]], benchmark: Benchmark | None) -> Table:
    targets = list(dict.fromkeys(target for cell in cells for target in cell["results"]))
    scores = {
        cell.get("label", cell["inter"]): {
            target: task_score(result) for target, result in cell["results"].items()
        }
        for cell in cells
    }
    # Gains are over what was taught alike.
    alike = {
        cell.get("taught", ""): scores[cell.get("label", BASELINE)]
        for cell in cells
        if cell["inter"] == BASELINE
    }
    over = {
        cell.get("label", cell["inter"]): alike.get(cell.get("taught", ""), {})
        for cell in cells
        if cell["inter"] != BASELINE
    }
    if len(targets) > 1:
        name = _overall(cells, targets, benchmark)
        for row in scores.values():
            values = [row.get(target) for target in targets]
            row[name] = None if None in values else _mean(values)
        targets.append(name)
    gain = " (gain)" if alike else ""
    title = f"Average over languages, by intermediate task{gain}"
    table = empty_table(f"{title}{_all_chosen(cells)}{_all_limits(cells)}")
    grid: list[list[str]] = [["intermediate", *targets]]
    for inter, row in scores.items():
        shown: list[str] = []
        for target in targets:
            value, base = row.get(target), over.get(inter, {}).get(target)
            gain = f" ({value - base:+.2f})" if None not in (value, base) else ""  # type: ignore[operator]
            shown.append(_number(value) + gain)
        grid.append([inter, *shown])
    if len(targets) > len(cells):  # a benchmark's targets fit beneath one another, not side by side
        grid = [list(column) for column in zip(*grid, strict=True)]
        grid[0][0] = "target"
    for number, name in enumerate(grid[0]):
        table.add_column(plain(name), justify="right" if number else "left", overflow="fold")
    for line in grid[1:]:
        table.add_row(*map(plain, line))
    return table


def _overall(cells: Sequence[Mapping[str, Any]], targets: Sequence[str], benchmark: Benchmark | None) -> str:
    """What the mean over the targets may be called: the benchmark's own only where nothing of it is missing."""
    complete = benchmark is not None and all(
        set(cell["results"].get(task, {}).get("languages", ())) == set(languages)
        for cell in cells
        for task, languages in benchmark.languages.items()
    )
    if benchmark is not None and complete and set(targets) == set(benchmark.languages):
        return f"{benchmark.name} average"
    return f"mean of these {len(targets)}"


def task_score(result: Mapping[str, Any]) -> float | None:
    """A task's score: the mean of its metrics' averages ((EM + F1) / 2 for questions, as XTREME has it)."""
    return _mean(list(result["average"].values()))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def empty_table(title: str) -> Table:
    """A table in the manner of all."""
    return Table(title=title, title_justify="left", caption_justify="left")


def _print(table: Table, width: int | None = 120) -> None:
    # rich would fold a title to the width of a narrow table.
    title, table.title = table.title, None
    say(str(title))
    print_table(table, width)


def print_table(table: Table, width: int | None) -> None:
    """A table on stdout, as wide as the terminal; ``width`` characters where it goes elsewhere, or what it needs."""
    console = Console()
    if not console.is_terminal:
        width = width or Measurement.get(console, console.options.update(max_width=10_000), table).maximum
        console = Console(width=width)
    with console.capture() as capture:
        console.print(table)
    click.echo(capture.get().rstrip())
