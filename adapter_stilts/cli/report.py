"""`adapter-stilts report`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from adapter_stilts.cli.options import argument, option, plans_option, resamples_option

if TYPE_CHECKING:
    from adapter_stilts.report.making import Report

TOTAL = "total"
"""After --by: tables over all languages alone."""
SHOWN_NOTES = 20
"""A large store that is damaged may have thousands."""


@click.command()
@argument("store", default="runs")
@plans_option
@option("--baseline", default="none", show_default=True, metavar="ENTRY", help="What gains are over.")
@option(
    "--by",
    metavar="GROUPING[,...]",
    help="Tables of each target by `language`, language `family`, level of `resources`; `total` gives none of them.  "
    "[default: language; with --out all three]",
)
@resamples_option
@option(
    "--out",
    metavar="DIR",
    help="Write a page (index.html) there, the tables as CSV, Markdown and LaTeX, figures as SVG and PDF.",
)
@option(
    "--watch",
    "keep",
    is_flag=True,
    help="Stay, and write it anew whenever a cell is finished, until the plans after --plan are through; of all "
    "plans until Ctrl-C.",
)
def report(
    store: str,
    plans: tuple[str, ...],
    baseline: str,
    by: str | None,
    resamples: int,
    out: str | None,
    keep: bool,
) -> int:
    """Is a gain real, where, and for whom: tables of what a store holds, read from its records alone.

    STORE is the folder after --store of `matrix` or `train`, or an export of it, zipped or not. Gains have intervals:
    of means over languages over seeds and examples, where there are several seeds; else, and of single languages, over
    examples. Each caption says which. What cannot be compared is left out, and told. With --out the tables by language
    stand in the files alone.

    \b
    Examples:
      adapter-stilts report runs
      adapter-stilts report runs --out report
      adapter-stilts report runs --by family,resources --plan 0d7e5b22516c --baseline mnli
      adapter-stilts report runs --plan 0d7e5b22516c --out report --watch
    """
    from functools import partial

    from adapter_stilts.cli import report_tables
    from adapter_stilts.cli.report_watch import watch
    from adapter_stilts.cli.terminal import note
    from adapter_stilts.errors import UnknownNameError, UsageError
    from adapter_stilts.report.folders import check_folder
    from adapter_stilts.report.languages import BY
    from adapter_stilts.report.making import make_report
    from adapter_stilts.runtime import default_cache

    if keep and out is None:
        raise UsageError(
            "--watch renews a page: name its folder with --out DIR; `adapter-stilts status STORE --watch` shows in the "
            "terminal how far a plan is"
        )
    default = "language" if out is None else "language,family,resources"
    asked = default if by is None else by
    named = [part.strip() for part in asked.split(",") if part.strip()]
    if out is not None:
        check_folder(out)
    for name in named or [asked]:
        if name not in (*BY, TOTAL):
            raise UnknownNameError("grouping", name, (*BY, TOTAL))
    wanted = [name for name in named if name != TOTAL]
    kept = default_cache() / "reports"
    make = partial(
        make_report,
        store,
        plans=plans,
        baseline=baseline,
        by=wanted,
        resamples=resamples,
        cache=kept,
        curves=out is not None,
    )
    if keep and out is not None:
        found = watch(make, store, plans, out)
        if found is None:
            return 0
    else:
        found = make()
    report_tables.tables(found, grouped=out is None or by is not None)
    for one in found.notes[:SHOWN_NOTES]:
        note(one)
    if len(found.notes) > SHOWN_NOTES:
        note(f"and {len(found.notes) - SHOWN_NOTES} more, which --out DIR writes")
    if out is not None:
        _write(found, out)
    return 0


def _write(found: Report, out: str) -> None:
    """Write it, and say so."""
    from adapter_stilts.cli.terminal import note, say
    from adapter_stilts.report.libraries import is_there
    from adapter_stilts.report.writing import write_report

    pdfs = is_there("matplotlib")
    page, *others = write_report(found, out, pdfs)
    if not pdfs:
        note("no figures as PDF, for which matplotlib is needed: pip install 'adapter-stilts[report]'")
    say(f"written: {page} and {len(others)} files of tables and figures beside it", err=True)
