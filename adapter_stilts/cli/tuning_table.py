"""The table of docs/tunings.md: what each mode can be combined by, under which precision, and exported to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapter_stilts.cli.task_table import markdown_table
from adapter_stilts.model.combinations import WAYS, Combination
from adapter_stilts.model.export import forms_of
from adapter_stilts.model.tuning import get_tuning

NOTHING = "–"


@dataclass(frozen=True)
class Row:
    """Combinations of one mode and architecture that exist under the same precisions."""

    mode: str
    architecture: str | None
    combine: tuple[str, ...]
    precisions: tuple[str, ...]

    @property
    def forms(self) -> tuple[str, ...]:
        """What `export --to` makes of its bundles."""
        return forms_of(get_tuning(self.mode))

    def ways(self) -> dict[str, str]:
        """Each way to combine: yes, no, or the methods that there are."""
        found = {way: "yes" if way in self.combine else NOTHING for way in WAYS[:-1]}
        methods = [how.partition(":")[2] for how in self.combine if ":" in how]
        return {**found, WAYS[-1]: ", ".join(methods) or NOTHING}


def rows(combinations: Sequence[Combination]) -> list[Row]:
    """One a mode and architecture; several where not every combination has the same precisions."""
    precisions: dict[tuple[str, str | None, str], list[str]] = {}
    for one in combinations:
        precisions.setdefault((one.mode, one.architecture, one.combine), []).append(one.precision)
    found: dict[tuple[str, str | None, tuple[str, ...]], list[str]] = {}
    for (mode, architecture, combine), held in precisions.items():
        found.setdefault((mode, architecture, tuple(held)), []).append(combine)
    return [Row(mode, shape, tuple(how), held) for (mode, shape, held), how in found.items()]


def header() -> list[str]:
    return ["mode", "architecture", *WAYS[:-1], f"{WAYS[-1]}:METHOD", "precision", "export"]


def cells(row: Row) -> list[str]:
    """A row's cells, as `header` names them."""
    return [
        row.mode,
        row.architecture or NOTHING,
        *row.ways().values(),
        ", ".join(row.precisions),
        ", ".join(row.forms),
    ]


def markdown(combinations: Sequence[Combination]) -> str:
    """The table; what stands after `--mode` is set as code."""
    names = [f"`--{name}`" if name == "mode" else name for name in header()]
    names[names.index("precision")] = "`--precision`"
    names[names.index("export")] = "`export --to`"
    names = [f"`{name}`" if name.partition(":")[0] in WAYS else name for name in names]
    return markdown_table(names, [[f"`{row.mode}`", *cells(row)[1:]] for row in rows(combinations)])
