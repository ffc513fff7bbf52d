"""Which tasks, languages and groups make up a benchmark: what the tasks say of themselves, put together.

Source of what they say of XTREME and XTREME-R: the task and language tables of google-research/xtreme `evaluate.py`.
`africa` is this package's own: African data sets under one name, each in its African languages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from adapter_stilts.errors import UnknownNameError, UsageError
from adapter_stilts.tasks import own_tasks


@dataclass(frozen=True)
class Benchmark:
    """A set of tasks whose scores are averaged.

    Args:
        name: as on the command line.
        languages: task -> its languages; a task's score is the plain mean over all of them, English included.
        groups: group -> its tasks; a task may be in several groups, or in none.
        official: whether there is a scorer, and a submission, by which others know its numbers.
    """

    name: str
    languages: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, tuple[str, ...]]
    official: bool = True


def is_constructed(language: str) -> bool:
    """Whether a code is one that ISO 639-3 leaves to local use: no benchmark has it, constructed languages do."""
    return re.fullmatch("q[a-t][a-z]", language) is not None


def _benchmark(name: str, groups: tuple[str, ...], official: bool = True) -> Benchmark:
    """A benchmark of its tasks' memberships, in the order of its own tables: languages by code, added ones last."""
    tasks = {task.name: task for task in own_tasks() if name in task.benchmarks}
    members = {
        task: tasks[task].benchmarks[name]
        for task in sorted(tasks, key=lambda t: tasks[t].benchmarks[name].row)
    }
    assert [member.row for member in members.values()] == list(range(1, len(members) + 1)), members
    assert {group for member in members.values() for group in member.groups} == set(groups), groups
    return Benchmark(
        name,
        {
            task: (*sorted(member.only or tasks[task].languages), *sorted(member.more))
            for task, member in members.items()
        },
        {
            group: tuple(task for task, member in members.items() if group in member.groups)
            for group in groups
        },
        official,
    )


XTREME = _benchmark("xtreme", ("classification", "tagging", "qa", "retrieval"))
# As in the official scorer: XCOPA is in two groups, LAReQA in none.
XTREME_R = _benchmark("xtreme-r", ("classification", "tagging", "qa", "retrieval", "multi_choice"))
AFRICA = _benchmark("africa", ("classification", "tagging", "multi_choice"), official=False)

BENCHMARKS: Mapping[str, Benchmark] = {benchmark.name: benchmark for benchmark in (XTREME, XTREME_R, AFRICA)}
OFFICIAL = tuple(name for name, benchmark in BENCHMARKS.items() if benchmark.official)


def official(name: str) -> Benchmark:
    """The benchmark of that name, which has a scorer.

    Raises:
        UnknownNameError: there is no such benchmark.
        UsageError: it has no scorer.
    """
    if name not in BENCHMARKS:
        raise UnknownNameError("benchmark", name, OFFICIAL)
    if not BENCHMARKS[name].official:
        raise UsageError(
            f"benchmark {name} has no official scorer, and so no submission: `train` and `evaluate` with --benchmark "
            f"{name} tell its scores, and metrics.json of each evaluate stage keeps them. "
            f"With a scorer: {', '.join(OFFICIAL)}"
        )
    return BENCHMARKS[name]


def in_a_benchmark(task: str) -> bool:
    """Whether XTREME or XTREME-R has the task, so that it can be scored and submitted."""
    return any(task in BENCHMARKS[name].languages for name in OFFICIAL)


def languages_of(task: str) -> tuple[str, ...]:
    """The task's languages in either of them (XTREME-R's lists contain XTREME's); empty for other tasks."""
    return XTREME_R.languages.get(task) or XTREME.languages.get(task, ())
