"""`--slurm KEY=VALUE,...`: what is taken, what is refused and with which words."""

from __future__ import annotations

import sys

import pytest

from adapter_stilts.errors import UnknownNameError, UsageError
from adapter_stilts.stages.executors.slurm_options import SlurmOptions, parse_options


def test_pairs_with_commas_between_and_flags_given_twice() -> None:
    options = parse_options(["partition=gpu,gres=gpu:1,time=12:00:00,array=8", "account=me,cpus_per_task=4"])
    assert options == SlurmOptions(
        time="12:00:00", array=8, partition="gpu", account="me", gres="gpu:1", cpus_per_task=4
    )
    assert options.passed_on() == {
        "partition": "gpu",
        "account": "me",
        "gres": "gpu:1",
        "time": "12:00:00",
    }


@pytest.mark.parametrize("text", ['time=60,constraint="a100,nvlink"', "time=60,'constraint=a100,nvlink'"])
def test_quotes_keep_the_commas_of_a_value(text: str) -> None:
    assert parse_options([text]).constraint == "a100,nvlink"


def test_the_command_is_this_python_or_what_is_told() -> None:
    assert SlurmOptions("60").command == (sys.executable, "-m", "adapter_stilts", "stage")
    prefix = "command_prefix=accelerate launch --num_processes 2 --module"
    assert parse_options(["time=60", prefix]).command == (
        "accelerate",
        "launch",
        "--num_processes",
        "2",
        "--module",
        "adapter_stilts",
        "stage",
    )


@pytest.mark.parametrize(
    "text",
    ['env "A=1, 2" run', """'env "A=1, 2" run'""", """"env 'A=1, 2' run\""""],
    ids=["words", "whole", "other"],
)
def test_words_of_the_command_keep_their_quotes(text: str) -> None:
    command = ("env", "A=1, 2", "run", "adapter_stilts", "stage")
    assert parse_options([f"command_prefix={text} , time=60"]).command == command


@pytest.mark.parametrize(
    ("time", "minutes"),
    [
        ("90", 90),
        ("90:01", 91),
        ("12:00:00", 720),
        ("0:05:30", 6),
        ("1-0", 1440),
        ("1-2:30", 1590),
        ("2-00:10:01", 2891),
    ],
)
def test_every_form_of_a_time_in_minutes(time: str, minutes: int) -> None:
    assert SlurmOptions(time).minutes == minutes


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["partition=gpu"], "--slurm needs time="),
        (["time=4:59"], None),
        (
            ["time=4"],
            "time=4: a stage is told to stop 120 seconds before its time is over; ask for at least 5 minutes",
        ),
        (["time=noon"], "time=noon: should be MINUTES, MINUTES:SECONDS, HOURS:MINUTES:SECONDS"),
        (["time=60,gpu"], "--slurm gpu: should be KEY=VALUE, such as --slurm partition=gpu"),
        (["time=60,qos=a", "qos=b"], "--slurm qos is given twice, a and b: leave one out"),
        (["time=60,array=0"], "array=0: should be at least 1"),
        (["time=60,array=many"], "array=many: should be a whole number"),
        (["time=60,mem=32 GB"], "mem=32 GB: should be a size such as 32G or 8000M"),
        (["time=60,account="], "account='': should be one line, and not empty"),
        (["time=60,account='a\nb'"], "should be one line"),
        (["time=60,constraint='a100"], "no closing quotation: quote a value as a whole"),
        (["time=60,command_prefix="], "command_prefix='': should be one line, and not empty"),
        (
            ["time=60", 'command_prefix="it\'s mine"'],
            "command_prefix=it's mine: no closing quotation: quote each word",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_next_step(texts: list[str], message: str | None) -> None:
    if message is None:  # a minute begun counts as one
        assert parse_options(texts).minutes == 5
        return
    with pytest.raises(UsageError) as caught:
        parse_options(texts)
    assert message in str(caught.value)


def test_an_unknown_key_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        parse_options(["time=60,partitoin=gpu"])
    assert "did you mean 'partition'?" in str(caught.value)
    assert "Choices: time, array, partition, account, qos" in str(caught.value)
