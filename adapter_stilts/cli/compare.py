"""`adapter-stilts compare`."""

from __future__ import annotations

import click

from adapter_stilts.cli.options import argument, as_json_option, option, plans_option, resamples_option


@click.command()
@argument("store", default="runs")
@option(
    "--a",
    "one",
    required=True,
    metavar="NAME",
    help="A cell: its intermediate entry, and what tells it apart.",
)
@option("--b", "other", required=True, metavar="NAME", help="The cell that it is compared with.")
@option("--target", required=True, metavar="TASK", help="The target of both.")
@plans_option
@resamples_option
@as_json_option
def compare(
    store: str,
    one: str,
    other: str,
    target: str,
    plans: tuple[str, ...],
    resamples: int,
    as_json: bool,
) -> int:
    """Two cells on the same examples: the difference by language and in all, with intervals.

    A NAME has parts with commas between: the intermediate entry, then mode, precision, encoder or `seed 0`, as much
    as tells it from the others. A name that means several cells is answered with their whole names.

    \b
    Examples:
      adapter-stilts compare runs --a "mnli, lora" --b "none, lora" --target xquad
      adapter-stilts compare runs --a "hellaswag, full" --b "hellaswag, lora" --target tydiqa
    """
    from adapter_stilts.cli.terminal import say_json
    from adapter_stilts.report.pairing import compare as compared

    found = compared(store, one, other, target, plans=plans, resamples=resamples)
    if as_json:
        say_json({"captions": list(found.captions), "rows": [dict(row) for row in found.records]})
        return 0
    from adapter_stilts.cli.report_tables import print_table

    print_table(found)
    return 0
