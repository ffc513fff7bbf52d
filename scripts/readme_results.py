#!/usr/bin/env python3
"""README's picture and table of what intermediate tasks give, and the tables of the miniature's page.

    scripts/readme_results.py                    README.md and docs/miniature.md between their marks,
                                                 docs/images/miniature_gains_*.svg
    scripts/readme_results.py --results STORE    of another exported store (adapter-stilts store export), zipped or not
    scripts/readme_results.py --readme FILE --page FILE --images FOLDER

Results are those that `benchmarks/miniature_matrix.py` reads. The same results give the same bytes.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from adapter_stilts.errors import AdapterStiltsError
from adapter_stilts.report.blocks import Gain
from adapter_stilts.report.drawing import DARK, LIGHT, svg
from adapter_stilts.report.figures import heat_map
from adapter_stilts.report.making import make_report
from adapter_stilts.report.scores import BASELINE
from adapter_stilts.report.tables import STAR, UNKNOWN, Shown, Table, text
from adapter_stilts.runtime import default_cache
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.groups import ALL, STUDY

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import miniature_matrix  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
PICTURES = {"miniature_gains_light.svg": LIGHT, "miniature_gains_dark.svg": DARK}
MODE = miniature_matrix.FULL
OTHERS = {"lora": "with LoRA", "adapter": "with bottlenecks"}
"""Modes beside it, with their words."""
RESAMPLES = 1000
"""Of a store's examples; means over languages have intervals over seeds, too, which need none."""
DEEPEST = 12.0
"""Points of the deepest shade: retrieval loses up to 50, beside which everything else would be pale."""
MARKS = re.compile(r"(?<=<!-- results -->\n).*?(?=<!-- /results -->)", re.DOTALL)
"""In README, and in the page of the miniature."""

Seeds = Mapping["int | None", float]


@dataclass(frozen=True)
class Results:
    """What is drawn and told.

    Args:
        scores: percent by mode, intermediate entry, target and seed.
        holding: of these, gains that hold at 5 % after Holm's adjustment; None where nothing has intervals.
        source: the files, from the repository's root.
    """

    scores: Mapping[tuple[str, str, str], Seeds]
    holding: frozenset[tuple[str, str, str]] | None
    source: tuple[str, ...]

    def gains(self, mode: str, inter: str, target: str) -> tuple[float, ...]:
        """Each seed's; of a target that trains nothing the base is the same for all seeds."""
        without = self.scores.get((mode, BASELINE, target), {})
        if get_task(target).train_task is None and len(without) == 1:
            without = dict.fromkeys(self.scores.get((mode, inter, target), {}), *without.values())
        return tuple(
            score - without[seed]
            for seed, score in sorted(self.scores.get((mode, inter, target), {}).items(), key=str)
            if seed in without
        )

    @property
    def inters(self) -> list[str]:
        """Intermediate entries with most of the targets, the most helpful first."""
        found = dict.fromkeys(inter for mode, inter, _ in self.scores if mode == MODE and inter != BASELINE)
        means = {inter: [fmean(gains) for gains in self.row(inter) if gains] for inter in found}
        whole = (inter for inter, gains in means.items() if 2 * len(gains) > len(self.targets))
        return sorted(whole, key=lambda inter: -median(means[inter]))

    def row(self, inter: str, mode: str = MODE) -> list[tuple[float, ...]]:
        """Gains on each target."""
        return [self.gains(mode, inter, target) for target in self.targets]

    @property
    def targets(self) -> list[str]:
        known = {target for mode, inter, target in self.scores if (mode, inter) == (MODE, BASELINE)}
        return [target for target in miniature_matrix.TARGETS if target in known]


def read(place: Path | None) -> Results:
    """The results of a store, or of benchmarks/results.

    There the store stands alone once it has every seed that single runs have of its entries; before, both together, and
    without intervals, as they would be of other seeds than the means.
    """
    if place is not None:
        return read_store(place)
    known = miniature_matrix.files(RESULTS)
    single = miniature_matrix.of_single_runs(RESULTS)
    store = RESULTS / miniature_matrix.STORE
    stored = miniature_matrix.of_store(store) if store in known else {}
    if stored and not any(miniature_matrix.lacking(stored, single)):
        return read_store(store)
    return Results(miniature_matrix.together(single, stored), None, _inside(known))


def read_store(store: Path) -> Results:
    """Full test sets, English, fp32: what the summaries of its report have."""
    found = make_report(store, by=(), resamples=RESAMPLES, cache=default_cache() / "reports")
    runs = {origin.id: {run.seed: run.score for run in origin.runs} for origin in found.origins}
    scores: dict[tuple[str, str, str], Seeds] = {}
    holding = set()
    measured = False
    plain = {"precision": "fp32", "combine": "continue", "few_shot": "", "split": "test"}
    whole = ("inter_limit", "target_limit", "evaluation_limit")
    for table in found.tables:
        for row in table.records if table.kind == "summary" else ():
            if any(row[name] != value for name, value in plain.items()) or any(row[name] for name in whole):
                continue
            key = (str(row["mode"]), str(row["inter"]), str(row["target"]))
            scores[key] = runs[str(row["cell"])]
            measured = measured or row["low"] is not None
            holding |= {key} if row["holds"] else set()
    return Results(scores, frozenset(holding) if measured else None, _inside([store]))


def _inside(paths: Iterable[Path]) -> tuple[str, ...]:
    """Of files, as README names them."""
    return tuple(
        path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
        for path in (one.resolve() for one in paths)
    )


def pictures(results: Results) -> dict[str, str]:
    """The heat map in a light and a dark theme, by file name."""
    rows = [
        (text(inter), *(_cell(results, inter, target) for target in results.targets))
        for inter in results.inters
    ]
    title = "Points that an intermediate task gives a target, in the miniature"
    table = Table("gains", "summary", title, ("intermediate", *results.targets), tuple(rows), (), ())
    mark = (
        f"bold{STAR}: holds at 5 % after Holm's adjustment"
        if results.holding is not None
        else "bold: mean of three seeds; else one seed"
    )
    note = f"points over none, full fine-tuning; {mark}; deepest shade {DEEPEST:g} and more"
    drawing = heat_map(table, note=note, deepest=DEEPEST, star="" if results.holding is None else STAR)
    assert drawing is not None
    return {name: svg(drawing, inline=False, colours=colours) for name, colours in PICTURES.items()}


def _cell(results: Results, inter: str, target: str) -> Shown:
    gains = results.gains(MODE, inter, target)
    if not gains:
        return text(UNKNOWN)
    value = fmean(gains)
    known = results.holding is not None and (MODE, inter, target) in results.holding
    bold = known or (results.holding is None and len(gains) > 1)
    sign = (1 if value > 0 else -1) if bold else 0
    return Shown((f"{value:+.1f}",), sign, "", Gain(value, tuple(range(len(gains))), None))


def block(results: Results) -> str:
    """What stands between README's marks."""
    light, dark = (f"docs/images/{name}" for name in PICTURES)
    inters, targets = results.inters, results.targets
    told = f"Heat map: points that {len(inters)} intermediate entries (rows) give {len(targets)} targets (columns)"
    gains = {
        (inter, target): fmean(found)
        for inter in inters
        for target, found in zip(targets, results.row(inter), strict=True)
        if found
    }
    up = sum(gain > 0 for gain in gains.values())
    others = {
        mode: words
        for mode, words in OTHERS.items()
        if all(any(results.gains(mode, inter, target) for inter in inters) for target in targets)
    }
    head = (
        "target",
        "score without",
        "gains from",
        "most from",
        "points",
        *others.values(),
        "least from",
        "points",
    )
    lines = [
        "<picture>",
        f'  <source media="(prefers-color-scheme: dark)" srcset="{dark}">',
        f'  <img alt="{told}, in the miniature; the table below has the largest of each column" src="{light}">',
        "</picture>",
        "",
        f"{up} of {len(gains)} pairs gain. Means over languages, full fine-tuning; in brackets the least and the "
        "greatest of several seeds:",
        "",
        f"| {' | '.join(head)} |",
        "| --- | ---: | ---: | --- | ---: " + "| ---: " * len(others) + "| --- | ---: |",
    ]
    for target in targets:
        found = {inter: gains[inter, target] for inter in inters if (inter, target) in gains}
        most, least = max(found, key=found.__getitem__), min(found, key=found.__getitem__)
        without = results.scores[MODE, BASELINE, target]
        cells = [
            target,
            f"{fmean(without.values()):.1f}",
            f"{sum(gain > 0 for gain in found.values())} of {len(found)}",
            most,
            _told(results.gains(MODE, most, target)),
            *(_told(results.gains(mode, most, target), short=True) for mode in others),
            least,
            _told(results.gains(MODE, least, target), short=True),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Of {_links(results.source)}, by `scripts/readme_results.py`.", ""])


def page(results: Results) -> str:
    """What stands between the marks of docs/miniature.md: a table of scores and gains a mode."""
    lines = []
    for mode in (MODE, *OTHERS):
        rows = [
            [inter, *(_score(results, mode, inter, target) for target in results.targets)]
            for inter in dict.fromkeys(inter for known, inter, _ in results.scores if known == mode)
        ]
        # Entries that a few targets alone were trained after have tables of their own.
        whole = [row for row in rows if UNKNOWN not in row]
        if len(whole) > 1:
            head = ["" if mode == MODE else OTHERS[mode], *results.targets]
            lines += [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
            lines += [f"| {' | '.join(row)} |" for row in sorted(whole, key=_place)] + [""]
    links = _links([f"../{path}" for path in results.source])
    return "\n".join([*lines, f"Of {links}, by `scripts/readme_results.py`.", ""])


def _score(results: Results, mode: str, inter: str, target: str) -> str:
    known = results.scores.get((mode, inter, target), {})
    gains = results.gains(mode, inter, target)
    if not known or not (gains or inter == BASELINE):
        return UNKNOWN
    told = f"{fmean(known.values()):.1f}" + (f" ({fmean(gains):+.1f})" if inter != BASELINE else "")
    return f"**{told}**" if len(known) > 1 else told


def _place(row: Sequence[str]) -> int:
    order = (BASELINE, *STUDY, ALL)
    return order.index(row[0]) if row[0] in order else len(order)


def _told(gains: Sequence[float], short: bool = False) -> str:
    if not gains:
        return UNKNOWN
    several = f" ({min(gains):+.1f}, {max(gains):+.1f})" if len(gains) > 1 and not short else ""
    return f"{fmean(gains):+.1f}{several}"


def _links(source: Sequence[str]) -> str:
    links = [f"[{Path(path).name}]({path})" for path in source]
    return links[0] if len(links) == 1 else f"{', '.join(links[:-1])} and {links[-1]}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, metavar="STORE")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md", metavar="FILE")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "miniature.md", metavar="FILE")
    parser.add_argument("--images", type=Path, default=ROOT / "docs" / "images", metavar="FOLDER")
    given = parser.parse_args()
    try:
        results = read(given.results)
    except AdapterStiltsError as error:
        parser.error(str(error))
    if not results.inters:
        parser.error(f"{', '.join(results.source)}: no gain of mode {MODE}, fp32, on the whole test sets")
    for place, told in ((given.readme, block(results)), (given.page, page(results))):
        before = place.read_text(encoding="utf-8")
        if not MARKS.search(before):
            parser.error(
                f"{place} has no lines <!-- results --> and <!-- /results -->, between which results stand"
            )
        place.write_text(MARKS.sub(lambda _, told=told: told, before), encoding="utf-8")
    given.images.mkdir(parents=True, exist_ok=True)
    for name, drawn in pictures(results).items():
        (given.images / name).write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
