"""The group: light help, exit codes, one message an error."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

import adapter_stilts
from adapter_stilts.cli.main import VERBS, LazyGroup, group, run

Cli = Callable[..., Any]
HEAVY = {"torch", "transformers", "numpy", "pydantic", "rich", "datasets", "accelerate"}

MODULES = """
import json, sys
from adapter_stilts.cli.main import run
code = run(json.loads(sys.argv[1]))
print("\\n" + json.dumps([code, sorted({name.split(".")[0] for name in sys.modules})]))
"""


def imported(arguments: list[str]) -> tuple[int, set[str], str]:
    """Exit code, top-level modules imported, and what was printed."""
    ran = subprocess.run(
        [sys.executable, "-c", MODULES, json.dumps(arguments)], capture_output=True, text=True, check=True
    )
    printed, _, last = ran.stdout.rstrip().rpartition("\n")
    code, names = json.loads(last)
    return code, set(names), printed


@pytest.mark.parametrize(
    "arguments", [["--help"], ["-h"], ["--version"], *([verb, "--help"] for verb in VERBS)]
)
def test_help_is_light(arguments: list[str]) -> None:
    code, names, printed = imported(arguments)
    assert code == 0
    assert not HEAVY & names
    if arguments == ["--version"]:
        assert printed.strip() == f"adapter-stilts, version {adapter_stilts.__version__}"
    else:
        assert "Usage: adapter-stilts" in printed


def test_the_group_lists_every_verb(cli: Cli) -> None:
    shown = cli("--help").out
    assert all(f"  {verb} " in shown for verb in VERBS)
    folder = Path(adapter_stilts.__file__).parent / "cli"
    assert all((folder / f"{verb}.py").is_file() for verb in VERBS)


def test_a_finished_command_answers_without_torch(finished: Any) -> None:
    code, names, printed = imported(finished.arguments)
    assert code == 0
    assert not {"torch", "transformers", "datasets", "accelerate"} & names
    value = json.loads(printed)
    assert {stage["status"] for stage in value["stages"]} == {"cached"}
    assert value["results"] == finished.printed["results"]


USAGE: dict[str, tuple[list[str], str]] = {
    "unknown verb": (["trian"], "unknown command 'trian'; did you mean 'train'?"),
    "unknown flag": (["train", "--targt", "xquad"], "No such option"),
    "no value": (["train", "--target"], "requires an argument"),
    "bad number": (["train", "--seed", "x"], "not a valid integer"),
    "below the range": (["train", "--limit-train", "0"], "0 is not in the range x>=1"),
    "stray argument": (["train", "xquad"], "unexpected extra argument"),
    "missing argument": (["evaluate", "--target", "xquad"], "Missing argument"),
    "missing option": (["evaluate", "somewhere"], "Missing option '--target'"),
}


@pytest.mark.parametrize(("arguments", "message"), USAGE.values(), ids=USAGE)
def test_wrong_commands(cli: Cli, arguments: list[str], message: str) -> None:
    ran = cli(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert message in ran.err
    assert "Traceback" not in ran.err


COMMANDS: dict[tuple[str, ...], click.Command] = {
    (verb, *inner): command
    for verb in VERBS
    for found in [group.get_command(click.Context(group), verb)]
    for inner, command in (
        {(name,): each for name, each in found.commands.items()}
        if isinstance(found, click.Group)
        else {(): found}
    ).items()
    if command is not None
}
OPTIONS = [
    (path, parameter)
    for path, command in COMMANDS.items()
    for parameter in command.params
    if isinstance(parameter, click.Option) and not parameter.is_flag
]
SINGLE = [(path, parameter) for path, parameter in OPTIONS if not parameter.multiple]
ARGUMENTS = [
    (path, parameter)
    for path, command in COMMANDS.items()
    for parameter in command.params
    if isinstance(parameter, click.Argument)
]


@pytest.mark.parametrize(
    ("path", "parameter"), SINGLE, ids=[f"{' '.join(path)} {p.opts[0]}" for path, p in SINGLE]
)
def test_given_twice_an_option_of_one_value_names_both(
    path: tuple[str, ...], parameter: click.Option, capsys: pytest.CaptureFixture[str]
) -> None:
    option = parameter.opts[0]
    assert run([*path, option, "1", option, "2"]) == 2
    told = f"error: {option} is given 2 times, 1 and 2: it takes one value; "
    assert capsys.readouterr() == ("", f"{told}leave one out, or run the command once for each\n")


def test_options_of_one_value_are_many() -> None:
    assert len(SINGLE) > 40
    assert {"--mode", "--seed", "--base", "--precision", "--message"} <= {p.opts[0] for _, p in SINGLE}


@pytest.mark.parametrize(
    ("path", "parameter"), OPTIONS, ids=[f"{' '.join(path)} {p.opts[0]}" for path, p in OPTIONS]
)
def test_an_empty_option_is_none(
    path: tuple[str, ...], parameter: click.Option, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a path it would be the current folder, as a name the default: a variable of a script that is not set."""
    option = parameter.opts[0]
    assert run([*path, option, ""]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {option} '' is empty, as where a variable is not set: give ")
    assert printed.err.endswith(", or leave it out\n") is not parameter.required


@pytest.mark.parametrize(
    ("path", "parameter"), ARGUMENTS, ids=[f"{' '.join(path)} {p.name}" for path, p in ARGUMENTS]
)
def test_an_empty_argument_is_none(
    path: tuple[str, ...], parameter: click.Argument, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [each for each in COMMANDS[path].params if isinstance(each, click.Argument)]
    assert run([*path, *("" if each is parameter else "." for each in arguments)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert " '' is empty, as where a variable is not set: give one" in printed.err
    assert printed.err.endswith(", or leave it out\n") is not parameter.required


@pytest.mark.parametrize(
    "arguments",
    [("--set", "seed=1", "--set", "seed=2"), ("--seed", "1", "--set", "seed=2")],
    ids=["set twice", "a flag and set"],
)
def test_given_twice_a_key_names_both_values(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", "--target", "xquad", *arguments]) == 2
    assert capsys.readouterr() == ("", "error: seed is given twice, 1 and 2: leave one of them out\n")


def test_no_arguments_show_the_help(cli: Cli) -> None:
    ran = cli()
    assert ran.code in (0, 2)
    assert "Commands:" in ran.out + ran.err


def test_debug_shows_the_traceback(process: Cli, tmp_path: Path) -> None:
    plain = process("train", "--target", "xqad", "--data", tmp_path)
    assert (plain.code, plain.out, plain.err.count("\n")) == (2, "", 1)
    assert plain.err.startswith("error: unknown target task 'xqad'; did you mean 'xquad'?")
    shown = process("train", "--debug", "--target", "xqad", "--data", tmp_path)
    assert shown.code != 0
    assert "Traceback (most recent call last)" in shown.err
    assert "UnknownNameError: unknown target task 'xqad'" in shown.err


def test_errors_of_the_system_are_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*arguments: Any, **more: Any) -> None:
        raise PermissionError(13, "Permission denied", "/a/file")

    monkeypatch.setattr("adapter_stilts.tasks.all_tasks", refused)
    assert run(["tasks"]) == 1
    assert capsys.readouterr().err == "error: Permission denied: /a/file\n"


@pytest.mark.parametrize("verb", VERBS)
def test_an_interrupted_verb_promises_no_more_than_it_keeps(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    command = click.Command(verb, callback=stopped)
    monkeypatch.setattr(LazyGroup, "get_command", lambda *_: command)
    assert run([verb]) == 130
    if verb in ("train", "matrix", "stage"):
        told = "the same command resumes from the last checkpoint"
    elif verb == "suggest":
        told = "measured train sets and short trainings are kept, and the same command goes on"
    else:
        told = "the same command begins anew"
    assert capsys.readouterr().err.strip() == f"interrupted; {told}"


def test_a_closed_pipe_is_no_traceback() -> None:
    ran = subprocess.run(
        f"{sys.executable} -m adapter_stilts tasks --json | head -c 10",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in ran.stderr
