"""A task, a tuning and a format of other packages, one file each, and a folder of task files: used as ours are."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

Process = Callable[..., Any]

TASK = """
from adapter_stilts.formats.examples import PairClassificationExample
from adapter_stilts.tasks.base import INDEX, Files, Row, Task
from adapter_stilts.tasks.columns import label, text

LABELS = ("fits", "does not")


def row(row: Row) -> PairClassificationExample:
    return PairClassificationExample(str(row[INDEX]), text(row, "head"), text(row, "body"), label(row, "fit", LABELS))


TASK = Task(
    name="headlines", role="target", format="pair_classification", metric=("accuracy",), languages=("en", "de"),
    train_task="headlines", dataset="Headlines", address="https://example.org/headlines", paper="", licence="",
    labels=LABELS,
    files={
        "train": Files(("train.jsonl",), "jsonl", row),
        "dev": Files(("dev.jsonl",), "jsonl", row),
        "test": Files(("test-{language}.jsonl",), "jsonl", row),
    },
)
"""

TUNING = '''
"""LoRA of rank 2 on the values alone."""

from adapter_stilts.model.tuning.base import TuningSettings
from adapter_stilts.model.tuning.libraries.with_peft import PeftTuning


class Settings(TuningSettings):
    target_modules: tuple[str, ...] = ("value",)


def arguments(settings):
    return {"r": 2, "lora_alpha": 4}


UNDERSTOOD = frozenset({"r", "lora_alpha", "target_modules"})
TUNING = PeftTuning(Settings, "LORA", arguments, UNDERSTOOD, {"use_dora": False, "use_rslora": False})
'''

FORMAT = '''
"""A text and how many stars it gives: judged by the share that is off by one at most."""

from dataclasses import dataclass

import numpy as np

from adapter_stilts.evaluation.scoring import Scored
from adapter_stilts.formats.base import FormatSettings, HeadShape, Judged
from adapter_stilts.formats.features import Features
from adapter_stilts.formats.tokens import assemble, template_of
from adapter_stilts.formats.wordwise import token_ids
from adapter_stilts.tasks.base import INDEX, Files, Task


@dataclass(frozen=True)
class RatingExample:
    id: str
    text: str
    label: str | None


class Settings(FormatSettings):
    max_length: int = 32


def score(task, examples, predictions, language):
    stars = task.labels.index
    rows = [
        {"id": example.id, "within_one": 100.0 * (abs(stars(example.label) - stars(predicted)) <= 1)}
        for example, predicted in zip(examples, predictions, strict=True)
    ]
    return Scored(rows, list(predictions))


SCHEMA = 1
ITEMS = "examples"
JUDGED = {"within_one": Judged(score, "labels")}
TASK_CLASS = "AutoModelForSequenceClassification"
PEFT_TASK = "SEQ_CLS"
PIPELINE = "text-classification"


def head_shape(labels):
    return HeadShape("first_token", dense=True, outputs=len(labels))


def encode(examples, tokenizer, settings, labels):
    (texts,) = token_ids(tokenizer, [example.text for example in examples])
    template = template_of(tokenizer, pair=False)
    kept = np.minimum(texts.lengths, settings.max_length - template.num_special)
    layout = assemble(template, texts, (texts.offsets[:-1], kept))
    gold = np.asarray([-1 if e.label is None else labels.index(e.label) for e in examples], dtype=np.int64)
    return Features(layout.input_ids, np.arange(len(examples) + 1), layout.token_types, per_example={"label": gold})


def units(features, items):
    return float(len(items))


def loss_sum(outputs, parts, features, items):
    import torch

    labels = torch.as_tensor(features.per_example["label"][np.concatenate(parts)])
    return torch.nn.functional.cross_entropy(torch.cat(list(outputs)).float(), labels, reduction="sum")


def reduce(outputs, features, rows, settings):
    return {"logits": outputs.float().cpu().numpy()}


def decode(examples, features, reduced, settings, labels):
    return [labels[row] for row in reduced["logits"].argmax(axis=1)]


def row(row):
    return RatingExample(str(row[INDEX]), row["text"], row["stars"])


TASK = Task(
    name="reviews", role="target", format="rating", metric=("within_one",), languages=("en",), train_task="reviews",
    dataset="Reviews", paper="", licence="", labels=("1", "2", "3", "4", "5"),
    files={split: Files((f"{split}.jsonl",), "jsonl", row) for split in ("train", "dev", "test")},
)
'''


def package(site: Path, name: str, code: str, *entries: str) -> None:
    """An installed distribution of one module, which declares entry points, each ``group: name = value``."""
    site.mkdir(exist_ok=True)
    (site / f"{name}.py").write_text(code, encoding="utf-8")
    info = site / f"{name}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n", encoding="utf-8")
    sections = "".join(
        f"[adapter_stilts.{group}]\n{entry}\n" for group, entry in (each.split(": ", 1) for each in entries)
    )
    (info / "entry_points.txt").write_text(sections, encoding="utf-8")


def rows(path: Path, found: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    places = ("Riga", "Perth", "Lagos", "Quito", "Turku", "Bern")
    pairs = [
        {"head": f"A tower in {place}", "body": f"The tower of {other} is old.", "fit": fit}
        for place, next_one in itertools.pairwise(places)
        for other, fit in ((place, "fits"), (next_one, "does not"))
    ]
    stars = [{"text": f"The tower of {place}", "stars": str(1 + row % 5)} for row, place in enumerate(places)]
    for split in ("train", "dev", "test-en", "test-de"):
        rows(folder / "headlines" / f"{split}.jsonl", pairs)
    for split in ("train", "dev", "test"):
        rows(folder / "reviews" / f"{split}.jsonl", stars)
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "site"


@pytest.fixture
def installed(process: Process, site: Path) -> Process:
    """Run a command where the packages in `site` are installed."""

    def call(*arguments: object) -> Any:
        path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
        return process(*arguments, env={"PYTHONPATH": path})

    return call


def stage_of(ran: Any, kind: str, task: str) -> Path:
    return next(Path(s["dir"]) for s in ran.json["stages"] if (s["kind"], s["task"]) == (kind, task))


def test_a_task_and_a_tuning(
    installed: Process, tiny: Callable[..., list[str]], tiny_base: Path, data: Path, site: Path
) -> None:
    package(site, "more_tasks", TASK, "tasks: headlines = more_tasks:TASK")
    package(site, "more_tunings", TUNING, "tunings: narrow = more_tunings")
    (row,) = installed("tasks", "headlines", "--json", "--data", data).json
    assert row["at_hand"] == {"train": ["en"], "dev": ["en"], "test": ["en", "de"]}
    assert {row["mode"] for row in installed("tunings", "narrow", "--json").json} == {"narrow"}

    ran = installed(*tiny("--data", data, "--target", "headlines", "--mode", "narrow"))
    assert ran.code == 0, ran.err
    assert set(ran.json["results"]["headlines"]["languages"]) == {"en", "de"}
    bundle = stage_of(ran, "train", "headlines") / "bundle"
    info = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    assert (info["tuning"], info["task"], info["labels"]) == ("narrow", "headlines", ["fits", "does not"])
    config = json.loads((bundle / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["r"], config["target_modules"], config["task_type"]) == (2, ["value"], "SEQ_CLS")
    predicted = stage_of(ran, "evaluate", "headlines") / "predictions" / "headlines" / "test-de.tsv"
    assert set(predicted.read_text(encoding="utf-8").splitlines()) <= {"fits", "does not"}

    asked = ("--data", data, "--base", tiny_base, "--store", bundle.parents[2] / "again", "--device", "cpu")
    again = installed("evaluate", bundle, "--target", "headlines", *asked, "--json")
    assert again.code == 0, again.err
    assert again.scores()["headlines"]["languages"] == ran.scores()["headlines"]["languages"]


def test_a_format(installed: Process, tiny: Callable[..., list[str]], data: Path, site: Path) -> None:
    package(site, "ratings", FORMAT, "formats: rating = ratings", "tasks: reviews = ratings")
    ran = installed(*tiny("--data", data, "--target", "reviews", "--set", "formats.rating.max_length=16"))
    assert ran.code == 0, ran.err
    bundle = stage_of(ran, "train", "reviews") / "bundle"
    config = json.loads((bundle / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["XLMRobertaForSequenceClassification"]
    assert "pipeline_tag: text-classification" in (bundle / "README.md").read_text(encoding="utf-8")
    stage = stage_of(ran, "evaluate", "reviews")
    predicted = (stage / "predictions" / "reviews" / "test-en.tsv").read_text(encoding="utf-8").splitlines()
    gold = [json.loads(line)["stars"] for line in (data / "reviews" / "test.jsonl").read_text().splitlines()]
    near = [100.0 * (abs(int(one) - int(other)) <= 1) for one, other in zip(gold, predicted, strict=True)]
    assert ran.json["results"]["reviews"]["average"] == {"within_one": pytest.approx(sum(near) / 6)}
    scores = [json.loads(line) for line in (stage / "scores" / "en.jsonl").read_text().splitlines()]
    assert [row["within_one"] for row in scores] == near
    info = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    assert (info["format"], info["metrics"]) == ("rating", {"within_one": pytest.approx(sum(near) / 6)}), (
        "dev is test"
    )

    wrong = installed(*tiny("--data", data, "--target", "reviews", "--set", "formats.ratin.max_length=16"))
    assert wrong.code == 2
    assert "did you mean 'rating'?" in wrong.err


BROKEN: dict[str, tuple[str, str, list[str], tuple[str, ...]]] = {
    "does not load": (
        "import nothing_of_that_name",
        "tasks: weather = bad",
        ["tasks"],
        ("package bad 1.5", "weather = bad", "ModuleNotFoundError", "pip uninstall bad"),
    ),
    "is no task": ("TASK = 3", "tasks: weather = bad", ["tasks"], ("package bad 1.5", "is int, no Task")),
    "has another name": (
        TASK,
        "tasks: weather = bad",
        ["tasks"],
        ("'headlines'", "both should have one name"),
    ),
    "a task's name is taken": (
        TASK,
        "tasks: xnli = bad",
        ["tasks"],
        ("task 'xnli' is there twice", "adapter_stilts/tasks/xnli.py", "package bad 1.5"),
    ),
    "a mode's name is taken": (
        TUNING,
        "tunings: lora = bad",
        ["train", "--target", "xnli", "--mode", "full"],
        ("mode 'lora' is there twice", "adapter_stilts/model/tuning/lora.py", "package bad 1.5"),
    ),
    "is no tuning": (
        "LIBRARY = 'peft'",
        "tunings: narrow = bad",
        ["tunings", "narrow"],
        ("mode 'narrow' of package bad 1.5", "lacks Settings, WHOLE, backbone_weights", "tuning.base.Tuning"),
    ),
    "is of a benchmark": (
        TASK.replace("import INDEX", "import INDEX, Membership").replace(
            "labels=LABELS,", 'labels=LABELS, benchmarks={"xtreme": Membership(10)},'
        ),
        "tasks: headlines = bad",
        ["tasks"],
        ("package bad 1.5", "leave benchmarks out"),
    ),
    "is judged by nothing": (
        TASK.replace('("accuracy",)', '("acuracy",)'),
        "tasks: headlines = bad",
        ["tasks"],
        ("'acuracy'; did you mean 'accuracy'?",),
    ),
}


@pytest.mark.parametrize(("code", "entry", "arguments", "told"), BROKEN.values(), ids=BROKEN)
def test_what_is_of_no_use_names_its_package(
    installed: Process, site: Path, code: str, entry: str, arguments: list[str], told: tuple[str, ...]
) -> None:
    package(site, "bad", code, entry)
    ran = installed(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "Traceback" not in ran.err
    for part in told:
        assert part in ran.err


def test_two_packages_of_one_name(installed: Process, site: Path) -> None:
    package(site, "one", TASK, "tasks: headlines = one")
    package(site, "two", TASK, "tasks: headlines = two")
    ran = installed("tasks")
    assert ran.code == 2
    assert "package one 1.5" in ran.err
    assert "package two 1.5" in ran.err


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of task files."""
    folder = tmp_path / "own tasks"
    folder.mkdir()
    (folder / "headlines.py").write_text(TASK, encoding="utf-8")
    return folder


def test_a_folder_of_tasks(process: Process, tiny: Callable[..., list[str]], data: Path, own: Path) -> None:
    (own / "notes.py").write_text("REMEMBER = 'milk'\n", encoding="utf-8")
    shown = process("tasks", "headlines", "--tasks", own)
    assert shown.code == 0, shown.err
    assert "https://example.org/headlines" in shown.out
    assert f"note: {own / 'notes.py'} has no TASK, and is passed over" in shown.err
    assert process("tasks", "headlines").code == 2

    command = tiny("--data", data, "--target", "headlines", "--tasks", own)
    ran = process(*command)
    assert ran.code == 0, ran.err
    assert set(ran.json["results"]["headlines"]["languages"]) == {"en", "de"}
    assert not list(own.glob("__pycache__"))
    # The key is of what is read: not of where the file stands, nor of its code unless it says so.
    moved = own.rename(own.with_name("elsewhere"))
    path = moved / "headlines.py"
    path.write_text(f"# moved\n{TASK}", encoding="utf-8")
    again = process(*(str(moved) if word == str(own) else word for word in command))
    assert again.statuses() == ["cached", "cached"]
    path.write_text(TASK.replace('name="headlines",', 'name="headlines", schema=2,'), encoding="utf-8")
    anew = process(*(str(moved) if word == str(own) else word for word in command))
    assert anew.statuses() == ["ran", "ran"]

    bundle = stage_of(ran, "train", "headlines") / "bundle"
    asked = ("--data", data, "--store", own.parent / "other", "--device", "cpu", "--tasks", moved, "--json")
    evaluated = process("evaluate", bundle, "--target", "headlines", *asked)
    assert evaluated.code == 0, evaluated.err
    assert evaluated.scores()["headlines"]["languages"] == ran.scores()["headlines"]["languages"]


WRONG: dict[str, tuple[str, str, str]] = {
    "not Python": ("broken.py", "TASK = (\n", r"broken.py:1: cannot be loaded as a task: SyntaxError"),
    "raises": (
        "broken.py",
        "\n\nTASK = 1 / 0\n",
        "broken.py:3: cannot be loaded as a task: ZeroDivisionError",
    ),
    "no task": ("broken.py", "TASK = 'xnli'\n", "broken.py: TASK is str"),
    "no argument": (
        "broken.py",
        "from adapter_stilts.tasks import Task\nTASK = Task(name='x')\n",
        "broken.py:2: cannot be loaded as a task: TypeError",
    ),
    "a name of ours": (
        "again.py",
        TASK.replace('name="headlines"', 'name="xnli"'),
        "task 'xnli' is there twice, in adapter_stilts/tasks/xnli.py and in ",
    ),
    "a name of the folder": ("zzz.py", TASK, "task 'headlines' is there twice, in "),
    "a name that means several": (
        "all.py",
        TASK.replace('"headlines"', '"all"'),
        "all.py: a task cannot be called",
    ),
    "a path": (
        "up.py",
        TASK.replace('name="headlines"', 'name="../up"'),
        "up.py: a task cannot be called '../up'",
    ),
    "no format": (
        "odd.py",
        TASK.replace('"pair_classification"', '"pair_clasification"'),
        "'pair_clasification'; did you mean 'pair_classification'?",
    ),
}


@pytest.mark.parametrize(("name", "code", "told"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_task_file_names_it(
    process: Process, own: Path, name: str, code: str, told: str
) -> None:
    (own / name).write_text(code, encoding="utf-8")
    ran = process("tasks", "--tasks", own)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert str(own / name) in ran.err
    assert "Traceback" not in ran.err


def test_a_folder_that_is_none(process: Process, tmp_path: Path) -> None:
    for folder, why in ((tmp_path / "nowhere", "no such folder"), (tmp_path, "holds no task file")):
        ran = process("tasks", "--tasks", folder)
        assert ran.code == 2
        assert f"{folder}: {why}" in ran.err


LIBRARY = """
import sys
from pathlib import Path
from adapter_stilts.errors import UsageError
from adapter_stilts.tasks import add_folder, get_task

folder, told = Path(sys.argv[1]), []
(task,) = add_folder(folder, told.append)
assert get_task("headlines") is task and told == []
path = folder / "headlines.py"
text = path.read_text()
path.write_text(text.replace("Headlines", "Newer"))
assert add_folder(folder)[0].dataset == get_task("headlines").dataset == "Newer"
path.write_text(text.replace('name="headlines"', 'name="xnli"'))
try:
    add_folder(folder)
except UsageError:
    assert get_task("headlines").dataset == "Newer", "nothing is added where one cannot be"
else:
    raise SystemExit("a name of ours was taken")
"""


def test_a_library_adds_a_folder_and_reads_it_anew(own: Path) -> None:
    import subprocess
    import sys

    ran = subprocess.run([sys.executable, "-c", LIBRARY, str(own)], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
