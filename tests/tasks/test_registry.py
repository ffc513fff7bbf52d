"""Tasks are found by their files, and each is complete."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from adapter_stilts import tasks
from adapter_stilts.errors import UnknownNameError
from adapter_stilts.evaluation.membership import BENCHMARKS
from adapter_stilts.formats.examples import Example
from adapter_stilts.tasks import Task, all_tasks, get_task
from adapter_stilts.tasks.base import Files
from adapter_stilts.tasks.nli import LABELS as NLI_LABELS
from adapter_stilts.tasks.readers import READERS
from adapter_stilts.tasks.rows import alternatives

# fmt: off
INTERMEDIATE = [
    "anli", "ccg", "commonsenseqa", "copa", "cosmosqa", "hellaswag", "mnli", "qqp", "siqa", "snli", "squad_v1",
    "squad_v2",
]
TARGETS = [
    "afrixnli", "belebele", "bucc2018", "lareqa", "masakhaner2", "masakhapos", "mewslix", "mlqa", "panx", "pawsx",
    "sib200", "tatoeba", "tydiqa", "udpos", "uner", "xcopa", "xnli", "xquad",
]
# fmt: on


def test_every_task_file_is_found_and_sorted_by_role() -> None:
    assert [task.name for task in all_tasks() if task.role == "intermediate"] == INTERMEDIATE
    assert [task.name for task in all_tasks() if task.role == "target"] == TARGETS
    assert len(all_tasks()) == len(INTERMEDIATE) + len(TARGETS)


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
    assert len(set(task.all_languages)) == len(task.all_languages)
    assert set(task.codes) <= set(task.all_languages)
    assert bool(task.no_hub) != bool(task.hub)
    if task.train_task:
        trained_on = get_task(task.train_task)
        assert trained_on.format == task.format
        assert trained_on.labels == task.labels
        assert {"train", "dev"} <= set(trained_on.files)
        assert {"train", "dev"} <= set(trained_on.hub) or trained_on.no_hub
    for specs in (*task.files.values(), *task.hub.values()):
        for spec in alternatives(specs):
            assert not isinstance(spec, Files) or spec.reader in READERS
            for option, values in spec.only.items():
                assert set(values) <= set(task.options[option])


# The tables of google-research/xtreme evaluate.py; of LAReQA that of the XTREME-R paper; of Africa the cards
# of its data sets.
XNLI = "ar bg de el en es fr hi ru sw th tr ur vi zh"
UDPOS = "af ar bg de el en es et eu fa fi fr he hi hu id it ja kk ko mr nl pt ru ta te th tl tr ur vi yo zh"
PANX = (
    "af ar bg bn de el en es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw ta te th tl tr ur vi "
    "yo zh"
)
TATOEBA = "af ar bg bn de el es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr nl pt ru sw ta te th tl tr ur vi zh"
XQUAD = "ar de el en es hi ru th tr vi zh"
MLQA, TYDIQA = "ar de en es hi vi zh", "ar bn en fi id ko ru sw te"
MASAKHA = "bbj bm ee fon ha ig lg luo mos ny pcm rw sn sw tn tw wo xh yo zu"
TABLES = {
    "xtreme": {
        "xnli": XNLI,
        "pawsx": "de en es fr ja ko zh",
        "udpos": UDPOS,
        "panx": PANX,
        "xquad": XQUAD,
        "mlqa": MLQA,
        "tydiqa": TYDIQA,
        "bucc2018": "de fr ru zh",
        "tatoeba": TATOEBA,
    },
    "xtreme-r": {
        "xnli": XNLI,
        "xcopa": "et ht id it qu sw ta th tr vi zh",
        "udpos": f"{UDPOS} lt pl ro uk wo",
        "panx": f"{PANX} az gu lt pa pl qu ro uk",
        "xquad": f"{XQUAD} ro",
        "mlqa": MLQA,
        "tydiqa": TYDIQA,
        "tatoeba": f"{TATOEBA} az lt pl ro uk",
        "mewslix": "ar de en es fa ja pl ro ta tr uk",
        "lareqa": XQUAD,
    },
    "africa": {
        "masakhaner2": MASAKHA,
        "masakhapos": MASAKHA,
        "afrixnli": "am ee ha ig lg ln om rw sn st sw tw wo xh yo zu",
        "belebele": (
            "af am ary arz bm ff ha ig kea lg ln luo mg nso ny om rw sn so ss st sw ti tn ts wo xh yo zu"
        ),
        "sib200": "af am bm ee ff ha ig kg ki lg ln mg ny om rn rw sn so ss st sw ti tn ts tw wo xh yo zu",
    },
}


@pytest.mark.parametrize("name", TABLES)
def test_languages_are_those_of_the_benchmarks(name: str) -> None:
    found = {task: " ".join(languages) for task, languages in BENCHMARKS[name].languages.items()}
    assert found == TABLES[name]
    assert list(found) == list(TABLES[name])
    assert set(BENCHMARKS) == set(TABLES)


XTREMES = ("xtreme", "xtreme-r")


@pytest.mark.parametrize("name", dict.fromkeys(name for table in XTREMES for name in TABLES[table]))
def test_a_target_of_either_benchmark_is_in_its_languages(name: str) -> None:
    task = get_task(name)
    line_ups = [set(TABLES[table][name].split()) for table in XTREMES if name in TABLES[table]]
    assert set(task.languages) == line_ups[0]
    assert set(task.all_languages) == line_ups[-1]


LABELS = {
    "anli": NLI_LABELS,
    "xnli": NLI_LABELS,
    "qqp": ("not_duplicate", "duplicate"),
    "pawsx": ("0", "1"),
    "sib200": ("science/technology", "travel", "politics", "sports", "health", "entertainment", "geography"),
    "panx": ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"),
    "ccg": (),
}


@pytest.mark.parametrize("name", LABELS)
def test_label_sets(name: str) -> None:
    assert get_task(name).labels == LABELS[name]


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
