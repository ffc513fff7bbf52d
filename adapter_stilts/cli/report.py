"""`adapter-stilts report`."""

from __future__ import annotations

import click

from adapter_stilts.cli.options import option


@click.command()
@click.argument("store", default="runs")
@option(
    "--plan",
    "plans",
    multiple=True,
    metavar="FILE",
    help="A plan of the store's folder plans; may be repeated.  [default: all of them]",
)
@option("--baseline", default="none", show_default=True, metavar="ENTRY", help="What gains are over.")
@option(
    "--by",
    default="language,family,resources",
    show_default=True,
    metavar="GROUPING[,...]",
    help="Tables of each target by language, by language family, by resource level; `total` gives none of them.",
)
@option(
    "--resamples",
    type=click.IntRange(min=100),
    default=10_000,
    show_default=True,
    metavar="N",
    help="Of the bootstrap; fewer are quicker, and their p-values coarser.",
)
@option("--out", metavar="DIR", help="Write the tables there as CSV, Markdown and LaTeX.")
def report(
    store: str, plans: tuple[str, ...], baseline: str, by: str, resamples: int, out: str | None
) -> int:
    """Is a gain real, where, and for whom: tables of what a store holds, read from its records alone.

    STORE is the folder after --store of `matrix` or `train`. Gains have intervals over seeds and examples, or over
    examples where there is one seed; the caption says which. What cannot be compared is left out, and told.

    \b
    Examples:
      adapter-stilts report runs
      adapter-stilts report runs --by family,resources --out report
      adapter-stilts report runs --plan runs/plans/0d7e5b22516c.json --baseline none
    """
    from adapter_stilts.cli import report_tables
    from adapter_stilts.cli.terminal import note, say
    from adapter_stilts.report.making import make_report
    from adapter_stilts.report.writing import write_report

    wanted = [part.strip() for part in by.split(",") if part.strip() not in ("", "total")]
    found = make_report(store, plans=plans, baseline=baseline, by=wanted, resamples=resamples)
    report_tables.tables(found)
    for one in found.notes:
        note(one)
    if out is not None:
        for path in write_report(found, out):
            say(f"written: {path}", err=True)
    return 0
