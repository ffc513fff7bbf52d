#!/usr/bin/env python3
"""docs/published.md: each row of adapter_stilts/report/published.json, and the command that would make it again.

    scripts/published_page.py [FILE]        docs/published.md unless told

A row that the data file has and COMMANDS has not stops it: say what makes it, or why nothing does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from textwrap import fill
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = ROOT / "adapter_stilts" / "report" / "published.json"
PAGE = ROOT / "docs" / "published.md"

TASKS = "xnli,pawsx,panx,xquad,mlqa,tydiqa"
ALONE = f"adapter-stilts matrix --inter none --target {TASKS} --mode full"
EACH = "adapter-stilts matrix --inter none,each,all --target"
MT5 = "mT5 was trained as text to text; this package trains its encoder alone, so that no command makes these rows."
GAIN = "adapter-stilts matrix --inter none,{} --target all --mode full --split dev"
SQUAD = "The paper has SQuAD v1.1 and v2.0, the file a row of SQuAD: both are tried."

GROUPS = {
    "zero_shot_from_english": (
        "Single tasks",
        "Percent on the whole test sets, means over XTREME's languages, after training in English; of questions F1. A "
        "report shows these rows beside ours where task, languages, split and metric are the same.",
    ),
    "xtreme_groups": (
        "XTREME's groups",
        "Percent: means of XNLI and PAWS-X, of UDPOS and PAN-X, of XQuAD, MLQA and TyDiQA ((EM + F1) / 2), and of the "
        "three. They are means over tasks, which `score` computes of predictions (`submit` writes them) and no single "
        "cell has.",
    ),
    "intermediate_gain": (
        "Gains of an intermediate task",
        "Points over none, of XLM-R Large: the mean over XTREME's targets on dev; `best_per_target` on test.",
    ),
}
"""Titles and what is said of each group of the file, in its order."""

COMMANDS: Mapping[str, Mapping[str, tuple[Sequence[str], str]]] = {
    "zero_shot_from_english": {
        "mBERT": ([f"{ALONE} --base google-bert/bert-base-multilingual-cased"], ""),
        "XLM-R Large": ([ALONE], ""),
        "X-STILTs": (
            [f"{EACH} {TASKS} --mode full"],
            "Of each column the intermediate task that its dev set prefers.",
        ),
        "RemBERT": ([f"{ALONE} --base google/rembert"], ""),
        **{f"mT5-{size}": ([], MT5) for size in ("Small", "Base", "Large", "XL", "XXL")},
    },
    "xtreme_groups": {
        "XLM-R Large": (["adapter-stilts matrix --inter none --target all --mode full"], ""),
        "X-STILTs": (
            [f"{EACH} all --mode full"],
            "Of each target the intermediate task that its dev set prefers.",
        ),
        "FILTER": (
            [],
            "Its layers that read a sentence and its translation together are not part of this package.",
        ),
    },
    "intermediate_gain": {
        "squad": ([GAIN.format("squad_v1,squad_v2")], SQUAD),
        "mnli": ([GAIN.format("mnli")], ""),
        "hellaswag": ([GAIN.format("hellaswag")], ""),
        "multitask_all_nine": ([GAIN.format("all")], ""),
        "best_per_target": ([f"{EACH} all --mode full"], "Of each target the best column of its dev set."),
    },
}
"""By group and row: commands, and what is to be said of them."""

HEAD = f"""\
What others published, and the command that would make it again with XLM-R Large (or the encoder named), on a GPU and
with the hub's data. None of these commands has been run here. Published rows have neither seeds nor examples, so that
a difference to them has no interval. `scripts/{Path(__file__).name}` writes this page of
[`published.json`](../adapter_stilts/report/published.json), which `adapter-stilts report` ([The answer](report.md))
reads."""


def main() -> None:
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    place.write_text(page(json.loads(PUBLISHED.read_text(encoding="utf-8"))), encoding="utf-8")


def page(published: Mapping[str, Any]) -> str:
    """The page's text.

    Raises:
        KeyError: a group or row of the file is not known here.
    """
    parts = ["# Published rows", _filled(HEAD)]
    for group, told in published.items():
        if group.startswith("_"):
            continue
        title, about = GROUPS[group]
        parts += [f"## {title}", _filled(f"{about} Read in: {told['source']}."), table(told)]
        made = {name: COMMANDS[group][name] for name in told["rows"]}
        for (commands, said), names in groupby(told["rows"], made.__getitem__):
            parts.append(section(", ".join(names), commands, said))
    return "\n\n".join(parts) + "\n"


def _filled(text: str) -> str:
    return fill(text, 120, break_long_words=False, break_on_hyphens=False)


def table(group: Mapping[str, Any]) -> str:
    """A row a published row."""
    columns = group.get("columns", ["points"])
    lines = [f"| | {' | '.join(columns)} |", f"| ---{' | ---:' * len(columns)} |"]
    for name, values in group["rows"].items():
        numbers = values if isinstance(values, list) else [values]
        sign = "" if "columns" in group else "+"
        lines.append(f"| {name} | {' | '.join(f'{number:{sign}.1f}' for number in numbers)} |")
    return "\n".join(lines)


def section(names: str, commands: Sequence[str], said: str) -> str:
    """What makes some rows."""
    shown = ["```sh", *commands, "```"] if commands else []
    return "\n\n".join(filter(None, (_filled(f"**{names}** {said}".strip()), "\n".join(shown))))


if __name__ == "__main__":
    main()
