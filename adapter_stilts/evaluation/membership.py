"""Which tasks, languages and groups make up XTREME and XTREME-R: what the tasks say of themselves, put together.

Source of what they say: the task and language tables of google-research/xtreme `evaluate.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from adapter_stilts.tasks import own_tasks


@dataclass(frozen=True)
class Benchmark:
    """A set of tasks whose scores are averaged.

    Args:
        name: as on the command line.
        languages: task -> its languages; a task's score is the plain mean over all of them, English included.
        groups: group -> its tasks; a task may be in several groups, or in none.
    """

    name: str
    languages: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, tuple[str, ...]]


def is_constructed(language: str) -> bool:
    """Whether a code is one that ISO 639-3 leaves to local use: no benchmark has it, constructed languages do."""
    return re.fullmatch("q[a-t][a-z]", language) is not None


def _benchmark(name: str, groups: tuple[str, ...]) -> Benchmark:
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
        {task: (*sorted(tasks[task].languages), *sorted(member.more)) for task, member in members.items()},
        {
            group: tuple(task for task, member in members.items() if group in member.groups)
            for group in groups
        },
    )


XTREME = _benchmark("xtreme", ("classification", "tagging", "qa", "retrieval"))
# As in the official scorer: XCOPA is in two groups, LAReQA in none.
XTREME_R = _benchmark("xtreme-r", ("classification", "tagging", "qa", "retrieval", "multi_choice"))

BENCHMARKS: Mapping[str, Benchmark] = {benchmark.name: benchmark for benchmark in (XTREME, XTREME_R)}


def in_a_benchmark(task: str) -> bool:
    """Whether either benchmark has the task."""
    return any(task in benchmark.languages for benchmark in BENCHMARKS.values())


def languages_of(task: str) -> tuple[str, ...]:
    """The task's languages in either benchmark (XTREME-R's lists contain XTREME's); empty for other tasks."""
    return XTREME_R.languages.get(task) or XTREME.languages.get(task, ())
