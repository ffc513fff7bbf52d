"""Tasks are found by their files, and each is complete."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from adapter_stilts import tasks
from adapter_stilts.errors import UnknownNameError
from adapter_stilts.formats.examples import Example
from adapter_stilts.tasks import Task, all_tasks, get_task
from adapter_stilts.tasks.base import Files
from adapter_stilts.tasks.readers import READERS

NAMES = [
    "commonsenseqa",
    "hellaswag",
    "mnli",
    "snli",
    "squad_v1",
    "tatoeba",
    "tydiqa",
    "udpos",
    "xnli",
    "xquad",
]


def test_every_task_file_is_found_and_sorted_by_role() -> None:
    found = all_tasks()
    assert set(NAMES) <= {task.name for task in found}
    assert [task.role for task in found] == sorted(task.role for task in found)
    targets = [task.name for task in found if task.role == "target"]
    assert targets == sorted(targets)


def test_a_task_is_its_file() -> None:
    folder = Path(tasks.__path__[0])
    for task in all_tasks():
        assert (folder / f"{task.name}.py").is_file()


def test_an_unknown_task_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'hellaswag'"):
        get_task("hellaswga")


@pytest.mark.parametrize("task", all_tasks(), ids=lambda task: task.name)
def test_a_task_is_complete(task: Task) -> None:
    assert task.dataset
    assert task.licence
    assert task.paper.startswith("https://")
    assert task.metric
    assert len(set(task.languages)) == len(task.languages)
    assert set(task.codes) <= set(task.languages)
    if task.train_task:
        trained_on = get_task(task.train_task)
        assert trained_on.format == task.format
        assert trained_on.labels == task.labels
        assert {"train", "dev"} <= set(trained_on.files)
        assert {"train", "dev"} <= set(trained_on.hub)
    for specs in task.files.values():
        for spec in (specs,) if isinstance(specs, Files) else specs:
            assert spec.reader in READERS


@pytest.mark.parametrize(
    ("name", "count"), [("xnli", 15), ("xquad", 11), ("tydiqa", 9), ("udpos", 33), ("tatoeba", 36)]
)
def test_languages_of_xtreme(name: str, count: int) -> None:
    assert len(get_task(name).languages) == count


LOOK_UP = """
import sys
from adapter_stilts.tasks import all_tasks, sources
all_tasks()
print({"torch", "datasets", "numpy", "transformers", "huggingface_hub"} & set(sys.modules))
"""


def test_looking_tasks_up_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK_UP], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_examples_are_one_of_the_formats(releases: Path) -> None:
    from adapter_stilts.tasks.files import FileSource

    source = FileSource(releases)
    for task in all_tasks():
        for split in task.files:
            for language in source.languages(task, split):
                examples = source.examples(task, split, language, {})
                assert all(isinstance(example, Example) for example in examples)
