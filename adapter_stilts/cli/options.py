"""Options and arguments of every verb: what takes a single value is refused where it is given twice, or is empty.

Click's own keeps the last value and forgets the others without a word. An empty one is a variable of a script that was
not set: as a path it would be the current folder, as a name the default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import click

from adapter_stilts.cli.terminal import say
from adapter_stilts.errors import UsageError
from adapter_stilts.registry import TUNINGS

Function = TypeVar("Function", bound=Callable[..., Any])


class Option(click.Option):
    """An option that sees every value it was given. Raises UsageError where one is all it takes, or one is empty."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        if self.multiple or self.is_flag or self.count:
            super().add_to_parser(parser, ctx)
        else:
            parser.add_option(obj=self, opts=self.opts, dest=self.name, action="append", nargs=self.nargs)

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        name = str(self.name)
        given = opts.get(name)
        if isinstance(given, list) and not self.multiple:
            if len(given) > 1:
                raise UsageError(
                    f"{self.opts[0]} is given {len(given)} times, {' and '.join(map(str, given))}: it takes one value; "
                    "leave one out, or run the command once for each"
                )
            opts = {**opts, name: given[0]}
        if isinstance(given, list):
            _refuse_empty(given, self.opts[0], self.metavar, not self.required)
        return super().handle_parse_result(ctx, opts, args)


class Argument(click.Argument):
    """An argument that is not empty where it is given. Raises UsageError."""

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        given = opts.get(str(self.name))
        values = given if isinstance(given, (tuple, list)) else (given,)
        _refuse_empty(values, self.human_readable_name.strip("[]."), None, not self.required)
        return super().handle_parse_result(ctx, opts, args)


def _refuse_empty(given: Sequence[Any], name: str, metavar: str | None, optional: bool) -> None:
    """Raises UsageError where a value is an empty text.

    Args:
        metavar: what it takes, as help has it; None where that is `name`.
    """
    if any(isinstance(value, str) and not value.strip() for value in given):
        steps = [f"give {metavar}" if metavar else "give one", *(["leave it out"] * optional)]
        raise UsageError(f"{name} '' is empty, as where a variable is not set: {', or '.join(steps)}")


def option(*names: str, **more: Any) -> Callable[[Function], Function]:
    """`click.option`, of that class."""
    return partial(click.option, cls=Option)(*names, **more)


def argument(*names: str, **more: Any) -> Callable[[Function], Function]:
    """`click.argument`, of that class."""
    return partial(click.argument, cls=Argument)(*names, **more)


BENCHMARK = click.Choice(["xtreme", "xtreme-r", "africa"])
"""Those of `evaluation/membership.py`, named here so that help imports nothing of it."""

_MODES = ", ".join(TUNINGS.modules())
"""Ours, by the names of their files: help imports none of them, and asks no other package."""


def add_tasks(folder: str | None) -> None:
    """Make the tasks after `--tasks` known, and tell, once a launch, which of its files hold none."""
    if folder is None:
        return
    from adapter_stilts.runtime import is_first_process
    from adapter_stilts.tasks import add_folder

    add_folder(folder, lambda message: say(f"note: {message}", err=True) if is_first_process() else None)


# Of several verbs, with one meaning.
mode_option = option(
    "--mode", metavar="MODE", help=f"What is trained: {_MODES}; `adapter-stilts tunings` tells of each."
)
as_json_option = option(
    "--json", "as_json", is_flag=True, help="One JSON value on stdout; everything else on stderr."
)
data_option = option("--data", metavar="DIR", help="Folder of release files.  [default: the hub's data sets]")
fill_option = option(
    "--fill-from-hub", is_flag=True, help="Read from the hub what the folder after --data lacks."
)
tasks_option = option(
    "--tasks",
    "task_folder",
    metavar="DIR",
    help="Folder of task files of your own: *.py, each with a TASK, and *.toml.",
)
store_option = option(
    "--store", metavar="DIR", default="runs", show_default=True, help="Where finished stages live."
)
languages_option = option("--languages", metavar="L[,L...]", help="Evaluate only these.")
split_option = option(
    "--split",
    type=click.Choice(["test", "dev"]),
    help="Evaluate on this split; what is told on dev cannot be submitted.  [default: test]",
)
plans_option = option(
    "--plan",
    "plans",
    multiple=True,
    metavar="PLAN",
    help="A plan's file, or the first digits of its name in the store; may be repeated.  [default: all of them]",
)
"""Of `report` and `compare`."""
resamples_option = option(
    "--resamples",
    type=click.IntRange(min=100),
    default=10_000,
    show_default=True,
    metavar="N",
    help="Of the bootstrap; fewer are quicker, and their p-values coarser.",
)
device_option = option("--device", metavar="D", help="cpu or cuda.  [default: the best at hand]")
bundles_base_option = option(
    "--base", metavar="ID|DIR", help="An adapter's or LoRA's encoder.  [default: where it was trained]"
)

Shared = Callable[[Function], Function]


def _together(*options: Shared[Any]) -> Shared[Any]:
    """Several options as one decorator, in this order in help."""

    def decorate(function: Any) -> Any:
        for one in reversed(options):
            function = one(function)
        return function

    return decorate


training_options = _together(
    option(
        "--inter-task",
        multiple=True,
        metavar="NAME",
        help="What a plain adapter of PEFT or AdapterHub after --inter was trained on; repeat for several, in order.  "
        "[default: the folder's or repository's name]",
    ),
    option(
        "--inter-languages",
        metavar="L[,L...]",
        help="Train the intermediate task in these, where the data hold translated train sets.  [default: en]",
    ),
    option(
        "--train-languages",
        metavar="L[,L...]|each",
        help="Train the target in these, where the data hold train splits in them; `each`: a model for each language "
        "evaluated.  [default: en, or what a declared task says]",
    ),
    option(
        "--few-shot",
        multiple=True,
        metavar="LANG=N",
        help="N examples of that language, after the other training; each=N: a model for each language. Repeatable.",
    ),
    option(
        "--dev-language",
        metavar="L[,L...]|same",
        help="Choose the target's checkpoint on these dev splits; `same`: in the languages it trains in.  "
        "[default: en, or the first that a declared task says]",
    ),
    option(
        "--benchmark",
        type=BENCHMARK,
        help="Whose languages, and whose targets `all` means.  [default: the recipe's, xtreme]",
    ),
)
"""Of `train` and `matrix`: what is trained on, beside the tasks."""

computing_options = _together(
    data_option,
    fill_option,
    tasks_option,
    store_option,
    languages_option,
    split_option,
    option("--limit-train", type=click.IntRange(min=1), metavar="N", help="Train on the first N examples."),
    option("--limit-eval", type=click.IntRange(min=1), metavar="N", help="Evaluate the first N a language."),
    option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override any recipe key, e.g. target.epochs=2.",
    ),
    option("--dry-run", is_flag=True, help="Show the stages and what is done already; run nothing."),
    as_json_option,
    device_option,
    option("--micro-batch-tokens", type=click.IntRange(min=1), metavar="N", help="Tokens of one pass."),
    option(
        "--checkpoint-seconds",
        type=float,
        default=60.0,
        show_default=True,
        metavar="S",
        help="Between checkpoints.",
    ),
    option("--track", multiple=True, metavar="NAME", help="A tracker of accelerate's, e.g. tensorboard."),
)
"""Of `train` and `matrix`: data, places, limits, and how it is computed."""
