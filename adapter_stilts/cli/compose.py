"""`adapter-stilts compose`."""

from __future__ import annotations

import click

from adapter_stilts.cli.options import argument, as_json_option, option
from adapter_stilts.cli.terminal import note, say, say_json


@click.command()
@argument("expression", metavar="EXPRESSION")
@option("--out", required=True, metavar="DIR", help="The new bundle; should not be there yet.")
@option("--base", metavar="ID|DIR", help="The encoder.  [default: where the bundles were trained]")
@option("--no-head", is_flag=True, help="Leave the heads out, also where they have a mean.")
@as_json_option
def compose(expression: str, out: str, base: str | None, no_head: bool, as_json: bool) -> int:
    """Merge bundles of one mode and base, without training.

    \b
    Examples:
      adapter-stilts compose "0.7*mnli.bundle + 0.3*squad.bundle" --out mixed.bundle
      adapter-stilts compose "stack(hellaswag.bundle, 0.7*mnli.bundle + 0.3*squad.bundle)" --out mixed.bundle
      adapter-stilts compose "soup(seed0.bundle, seed1.bundle, seed2.bundle)" --out soup.bundle
      adapter-stilts compose "ties(a.bundle, b.bundle, density=0.3, rank=16)" --out mixed.bundle

    Heads of one shape become their mean; where the weights sum to 0 they have none, and --no-head leaves them out.
    Bundles are folders or hub addresses (hf://ORG/NAME). A minus takes away, with a space on both sides; a name that
    holds a plus stands in quotes of its own. Functions: stack, linear, soup, svd, ties, dare_ties, dare_linear,
    magnitude_prune.
    """
    from adapter_stilts import bundles

    made = bundles.compose(expression, out, base=base, no_head=no_head, note=note)
    if as_json:
        say_json({"bundle": out, **made.model_dump(mode="json")})
    else:
        say(f"{out}: {made.tuning} of {made.task}")
    return 0
