"""Tasks of TOML files whose rows hold a number: what a column may hold, and what is told of what it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts import tasks
from adapter_stilts.errors import DataError, UsageError
from adapter_stilts.formats.examples import TextRegressionExample
from adapter_stilts.tasks import Task, add_file
from adapter_stilts.tasks.columns import finite
from adapter_stilts.tasks.declared_data import look_at
from adapter_stilts.tasks.hub import HubSource
from adapter_stilts.tasks.sources import WithDeclared

SIMILAR = """format = "text_regression"
languages = ["en", "de"]

[files]
train = "train.csv"
test = "test-{language}.csv"

[columns]
text = "sentence1"
second_text = "sentence2"
label = "score"
"""
HEADER = "sentence1,sentence2,score\n"
TABLES = {
    "train.csv": HEADER + "A dog runs,A dog ran,4.25\nA lamp,A boat,0\nHe ate,She ate,2.5\n",
    "test-en.csv": HEADER + "A net,A net,5.0\nA cat,A hat,\n",
    "test-de.csv": HEADER + "Ein Netz,Ein Netz,5.0\nEin Hut,Ein Boot,1\n",
}

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test makes known stays in it."""
    monkeypatch.setattr(tasks, "_added", {})
    monkeypatch.setattr(tasks, "_named", set())


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a declaration and its files; returns the declaration's path."""

    def call(text: str = SIMILAR, name: str = "similar", **files: str) -> Path:
        for file, content in {
            **TABLES,
            **{key.replace("_", "-"): held for key, held in files.items()},
        }.items():
            path = tmp_path / file
            path.with_suffix(path.suffix or ".csv").write_text(content, encoding="utf-8")
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
        return tmp_path / f"{name}.toml"

    return call


def source() -> WithDeclared:
    return WithDeclared(HubSource())


def examples(task: Task, split: Any = "train", language: str = "en") -> list[Any]:
    return list(source().examples(task, split, language, {}))


def test_two_texts_and_a_number(write: Write) -> None:
    task = add_file(write())
    assert (task.metric, task.labels) == (("pearson", "spearman"), ("similar",))
    assert examples(task)[0] == TextRegressionExample("0", "A dog runs", 4.25, "A dog ran")
    assert [each.label for each in examples(task, "test")] == [5.0, None], "without one it is not scored"


def test_one_text(write: Write) -> None:
    """Of columns by their own names; in JSON a number stands as such, or as a string."""
    text = 'format = "text_regression"\n[files]\ntrain = "ratings.jsonl"\n'
    path = write(text, "ratings")
    rows = [{"text": "Good", "label": 5}, {"text": "Bad", "label": "-1.5e-1"}]
    path.with_name("ratings.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert examples(add_file(path)) == [
        TextRegressionExample("0", "Good", 5.0),
        TextRegressionExample("1", "Bad", -0.15),
    ]


def test_parquet_has_numbers_of_its_own(write: Write) -> None:
    import pyarrow
    from pyarrow import parquet

    path = write('format = "text_regression"\n[files]\ntrain = "a.parquet"\ntest = "b.parquet"\n', "ratings")
    held = {"a.parquet": [1, 2], "b.parquet": [Decimal("0.5"), None]}
    for name, numbers in held.items():
        parquet.write_table(pyarrow.table({"text": ["x", "y"], "label": numbers}), path.with_name(name))
    task = add_file(path)
    assert [each.label for each in examples(task)] == [1.0, 2.0]
    assert [each.label for each in examples(task, "test")] == [0.5, None]


@pytest.mark.parametrize(
    ("held", "number"),
    [(3, 3.0), ("3.", 3.0), (" .5 ", 0.5), ("+2E3", 2000.0), ("-0", 0.0), (Decimal("1.25"), 1.25)],
)
def test_what_is_a_number(held: object, number: float) -> None:
    assert finite(held) == number


@pytest.mark.parametrize(
    "held",
    [
        True,
        None,
        "",
        " ",
        "3,5",
        "1_000",
        "٣",
        "nan",
        "inf",
        "1e999",
        float("nan"),
        float("inf"),
        10**400,
        "0x1",
        "3 4",
        [1],
    ],
)
def test_what_is_none(held: object) -> None:
    assert finite(held) is None


BAD_ROWS = {
    "no number": (
        "4.25",
        "good",
        2,
        r"label 'good' in column 'score' is no finite number, such as 3\.5\. Mend",
    ),
    "a decimal comma": (",0\n", ',"0,5"\n', 3, r"label '0,5' .*: before decimals stands a point"),
    "not a number": (",2.5", ",nan", 4, r"label 'nan' in column 'score' is no finite number"),
    "without end": (",2.5", ",-inf", 4, r"label '-inf' in column 'score' is no finite number"),
    "an empty one": (",2.5", ",", 4, r"has no label, but similar train is trained on"),
    "a column": ("sentence2", "second", 2, r"column 'sentence2' is missing; .* the second_text in"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_row_that_cannot_be_used(write: Write, case: str) -> None:
    before, after, line, message = BAD_ROWS[case]
    assert before in TABLES["train.csv"]
    path = write(train=TABLES["train.csv"].replace(before, after, 1))
    with pytest.raises(DataError, match=message) as caught:
        look_at(add_file(path), source())
    assert (caught.value.path, caught.value.line) == (str(path.with_name("train.csv")), line)


REFUSED = {
    "labels": (
        "languages",
        'labels = ["a", "b"]\nlanguages',
        r":2: labels: tasks of format text_regression have",
    ),
    "one metric": (
        "languages",
        'metric = "pearson"\nlanguages',
        r":2: metric = \['pearson'\]: .* leave metric out",
    ),
    "a metric": (
        "languages",
        'metric = "accuracy"\nlanguages',
        r":2: metric = \['accuracy'\]: .* by pearson and spearman",
    ),
    "a column": ("second_text", "text_b", r":10: unknown column of text_regression 'text_b'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_declaration_that_cannot_be(write: Write, case: str) -> None:
    before, after, message = REFUSED[case]
    with pytest.raises(UsageError, match=message):
        add_file(write(SIMILAR.replace(before, after, 1)))


def test_what_its_data_hold(write: Write) -> None:
    look = look_at(add_file(write(test_de=HEADER + "Ein Netz,Ein Netz,5.0\nHe ate,She ate,5\n")), source())
    assert look.ranges == {"train": {"en": (0.0, 4.25)}, "test": {"en": (5.0, 5.0), "de": (5.0, 5.0)}}
    assert look.classes["train"]["en"] == {}
    told = "every test example ({}) of similar is 5.0: a score there says little"
    assert look.notices[:2] == (told.format("en"), told.format("de"))
    assert look.notices[2].startswith("similar: 1 of 2 test texts (de) stand in the train split too")
    assert len(look.notices) == 3


def test_a_train_split_of_one_number(write: Write) -> None:
    path = write(train=HEADER + "A,B,2\nC,D,2.0\n")
    with pytest.raises(
        DataError, match=r"every train example \(en\) of similar is 2\.0: .* examples of other numbers"
    ):
        look_at(add_file(path), source())


def test_one_task_measures_what_another_was_trained_on(write: Write) -> None:
    """Two tasks have one head where one trains the other, and each its own where both are trained."""
    trained = add_file(write())
    text = SIMILAR.replace('train = "train.csv"\n', "").replace(
        "languages", 'train_task = "similar"\nlanguages'
    )
    assert add_file(write(text, "translated")).labels == trained.labels
    assert add_file(write(SIMILAR, "rated")).labels == ("rated",)
