"""What `--slurm KEY=VALUE,...` asks of a cluster."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass, fields

from adapter_stilts.errors import UnknownNameError, UsageError

SIGNAL, SIGNAL_SECONDS = "USR2", 120
"""Sent by Slurm before a job's time is over; it may come up to a minute earlier than asked for (sbatch's manual)."""
LEAST_MINUTES = 5
"""Of ``time``: less leaves a stage none before the signal."""

PREFIX = "command_prefix"

_FLAG = "--slurm"
_EXAMPLE = f"{_FLAG} partition=gpu,gres=gpu:1,time=12:00:00,array=8"
# Of sbatch's manual: minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes[:seconds].
_TIME = re.compile(r"(?:(\d+)-(\d+)(?::(\d+))?(?::(\d+))?|(\d+)(?::(\d+))?(?::(\d+))?)")
# Up to a comma outside quotes; and a value that is quoted as a whole.
_PAIR = re.compile(r"""(?:[^,"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+""", re.DOTALL)
_QUOTED = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'[^']*')\s*""", re.DOTALL)
_MEMORY = re.compile(r"\d+[KMGT]?")
_PASSED_ON = ("partition", "account", "qos", "constraint", "reservation", "exclude", "gres", "mem", "time")


@dataclass(frozen=True)
class SlurmOptions:
    """Where the tasks of a job array run, each with these resources.

    Args:
        time: the longest one run of a stage takes, as sbatch writes it. A stage that takes longer is stopped with a
            checkpoint, queued again and goes on from there.
        array: how many stages run at once at most; None leaves that to the cluster.
        partition, account, qos, constraint, reservation, exclude, gres, mem: sbatch's own, passed on as they are.
        cpus_per_task: processor cores of one stage.
        command_prefix: words before ``adapter_stilts stage PLAN KEY``, such as
            ``accelerate launch --num_processes 2 --module``; None is this Python and ``-m``.

    Raises:
        UsageError: a value that sbatch would refuse, or that leaves a stage no time.
    """

    time: str
    array: int | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    reservation: str | None = None
    exclude: str | None = None
    gres: str | None = None
    mem: str | None = None
    cpus_per_task: int | None = None
    command_prefix: str | None = None

    def __post_init__(self) -> None:
        if self.minutes < LEAST_MINUTES:
            raise UsageError(
                f"{_FLAG} time={self.time}: a stage is told to stop {SIGNAL_SECONDS} seconds before its time is over; "
                f"ask for at least {LEAST_MINUTES} minutes"
            )
        if self.mem is not None and not _MEMORY.fullmatch(self.mem):
            raise UsageError(f"{_FLAG} mem={self.mem}: should be a size such as 32G or 8000M")
        for name in ("array", "cpus_per_task"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise UsageError(f"{_FLAG} {name}={count}: should be at least 1")
        for name in (*_PASSED_ON, PREFIX):
            value = getattr(self, name)
            if value is not None and ("\n" in value or not value.strip()):
                raise UsageError(f"{_FLAG} {name}={value!r}: should be one line, and not empty")
        try:
            shlex.split(self.command_prefix or "")
        except ValueError as error:
            raise UsageError(
                f"{_FLAG} {PREFIX}={self.command_prefix}: {str(error).lower()}: quote each word as in a shell"
            ) from error

    @property
    def minutes(self) -> int:
        """``time``, rounded up. Raises UsageError where it is none of sbatch's forms."""
        found = _TIME.fullmatch(self.time)
        if found is None:
            raise UsageError(
                f"{_FLAG} time={self.time}: should be MINUTES, MINUTES:SECONDS, HOURS:MINUTES:SECONDS, DAYS-HOURS or "
                "DAYS-HOURS:MINUTES:SECONDS, such as 12:00:00"
            )
        if found[1] is not None:
            days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[:4])
            return (days * 24 + hours) * 60 + minutes + (seconds > 0)
        first, second, third = found.groups()[4:]
        if third is not None:
            return int(first) * 60 + int(second) + (int(third) > 0)
        return int(first) + (int(second or 0) > 0)

    @property
    def command(self) -> tuple[str, ...]:
        """What runs a stage, before the plan's path and the stage's key."""
        prefix = (sys.executable, "-m") if self.command_prefix is None else shlex.split(self.command_prefix)
        return (*prefix, "adapter_stilts", "stage")

    def passed_on(self) -> dict[str, str]:
        """sbatch's own options that were given, by their names without dashes."""
        given = {name: getattr(self, name) for name in _PASSED_ON}
        return {name: value for name, value in given.items() if value is not None}


def parse_options(texts: Iterable[str]) -> SlurmOptions:
    """The values after every `--slurm`: ``key=value`` pairs with commas between; quotes keep a value's own commas.

    Raises:
        UsageError: no pair, a key given twice, a value that cannot be, or no ``time``.
        UnknownNameError: no such key; offers the nearest.
    """
    given: dict[str, str] = {}
    for text in texts:
        for pair in _pairs(text):
            key, equals, value = pair.partition("=")
            key = key.strip()
            if not equals:
                raise UsageError(f"{_FLAG} {pair}: should be KEY=VALUE, such as {_EXAMPLE}")
            if key not in _KEYS:
                raise UnknownNameError(f"{_FLAG} key", key, _KEYS)
            if key in given:
                raise UsageError(f"{_FLAG} {key} is given twice, {given[key]} and {value}: leave one out")
            given[key] = value
    if "time" not in given:
        raise UsageError(
            f"{_FLAG} needs time=…, the longest one run of a stage may take; one that takes longer is stopped with a "
            f"checkpoint and queued again. Such as {_EXAMPLE}"
        )
    values = {key: _counted(key, value) if key in _COUNTS else value for key, value in given.items()}
    return SlurmOptions(**values)  # type: ignore[arg-type]


_KEYS = tuple(field.name for field in fields(SlurmOptions))
_COUNTS = ("array", "cpus_per_task")


def _pairs(text: str) -> list[str]:
    """What stands between commas, without quotes; those around single words of a command stay."""
    if _PAIR.sub("", text).strip(","):
        raise UsageError(f"{_FLAG} {text}: no closing quotation: quote a value as a whole")
    return [_unquoted(pair) for pair in _PAIR.findall(text) if pair.strip()]


def _unquoted(pair: str) -> str:
    key, _, value = pair.partition("=")
    if key.strip() == PREFIX and not _QUOTED.fullmatch(value):
        return pair
    cut = shlex.shlex(pair.strip(), posix=True, punctuation_chars=False)
    cut.whitespace, cut.whitespace_split, cut.commenters = "", True, ""
    return "".join(cut)


def _counted(key: str, value: str) -> int:
    if not value.strip().isdecimal():
        raise UsageError(f"{_FLAG} {key}={value}: should be a whole number")
    return int(value)
