"""`adapter-stilts`: a lazy group. Help of any verb imports nothing but click."""

from __future__ import annotations

import importlib
import logging
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import click

from adapter_stilts.cli.terminal import say

# Verb -> its line in the group's help; the module of the same name holds the command.
VERBS = {
    "train": "Train intermediate and target tasks, evaluate zero-shot, print the scores.",
    "matrix": "Train and evaluate every combination of several tasks, modes, encoders and seeds.",
    "suggest": "Rank intermediate tasks for a target, before any of them is trained.",
    "stage": "Run one stage of a plan, as a cluster's job does.",
    "status": "Tell how far a plan is, from the store alone.",
    "report": "Tell what was gained, where and for whom: tables with intervals, of what a store holds.",
    "compare": "Compare two cells on the same examples, language by language.",
    "evaluate": "Evaluate a trained bundle on a target task.",
    "compose": "Merge bundles into one by an expression, without training.",
    "export": "Write a bundle as a plain checkpoint, or in a library's own layout.",
    "hub": "Share bundles: list, show, verify, pull and push them.",
    "fit": "Compute how much memory training takes, and with which micro-batch it fits.",
    "tasks": "List the tasks, or show one.",
    "tunings": "List what can be trained, and how it combines.",
    "store": "List, show, clean up and export what a store holds.",
    "submit": "Gather finished evaluations in XTREME's submission layout.",
    "score": "Score a predictions folder against a labels folder, as XTREME's own scorer does.",
}

# What is told of a verb that is interrupted and keeps what it has done; any other keeps nothing.
GOES_ON = {
    **dict.fromkeys(("train", "matrix", "stage"), "the same command resumes from the last checkpoint"),
    "suggest": "measured train sets and short trainings are kept, and the same command goes on",
}


class LazyGroup(click.Group):
    """Imports a verb's module only when that verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command: click.Command = getattr(importlib.import_module(f"adapter_stilts.cli.{name}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            from adapter_stilts.errors import UnknownNameError

            raise UnknownNameError("command", args[0], VERBS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="adapter-stilts", prog_name="adapter-stilts")
def group() -> None:
    """Cross-lingual intermediate-task training: train on one task in English, gain on another in 40 languages.

    `adapter-stilts COMMAND --help` tells all of a command. `--debug`, anywhere in the line, shows the traceback
    of an error.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run and leave with 0, 1 (a run failed), 2 (the command was wrong), 130 (Ctrl-C) or 143 (SIGTERM)."""
    signal.signal(signal.SIGTERM, _terminated)  # an exception, so that nothing half-written stays
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    sys.exit(run([argument for argument in given if argument != "--debug"], debug))


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    from adapter_stilts.errors import Interrupted

    raise Interrupted(number)


def run(arguments: list[str], debug: bool = False) -> int:
    """The exit code of a command; every error becomes one message on stderr unless `debug` asks for more."""
    from adapter_stilts.errors import AdapterStiltsError

    if debug:  # a stage that fails keeps its error to itself, but logs the traceback
        logging.basicConfig()
        logging.getLogger("adapter_stilts").setLevel(logging.DEBUG)
    try:
        result = group.main(arguments, prog_name="adapter-stilts", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except AdapterStiltsError as error:
        if debug:
            raise
        say(f"error: {error}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort) as interrupted:
        if debug:
            raise
        verb = next((argument for argument in arguments if not argument.startswith("-")), "")
        click.echo(f"interrupted; {GOES_ON.get(verb, 'the same command begins anew')}", err=True)
        # click raises its Abort from what interrupted.
        return int(getattr(interrupted.__cause__, "exit_code", 130))
    except OSError as error:
        if debug:
            raise
        say(f"error: {error.strerror or error}: {error.filename or ''}".rstrip(": "), err=True)
        return 1
