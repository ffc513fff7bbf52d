"""Tasks of TOML files: what can be said, what each says when it cannot, and what enters a key."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts import tasks
from adapter_stilts.errors import AdapterStiltsError, DataError, UsageError
from adapter_stilts.formats.examples import (
    Answer,
    MultipleChoiceExample,
    PairClassificationExample,
    SpanQAExample,
    TaggingExample,
    TextClassificationExample,
)
from adapter_stilts.tasks import Task, add_bundled, add_file, add_folder, get_task
from adapter_stilts.tasks.declared_data import look_at
from adapter_stilts.tasks.files import FileSource
from adapter_stilts.tasks.hub import HubSource
from adapter_stilts.tasks.sources import WithDeclared

TOPICS = """# Headlines.
format = "text_classification"
labels = ["sports", "politics"]
languages = ["en", "de"]
licence = "CC0"

[files]
train = "train.csv"
dev = "dev.csv"
test = "test-{language}.csv"

[columns]
text = "headline"
label = "topic"
"""
TABLES = {
    "train.csv": 'headline,topic\n"Home win, at last",sports\nA vote is held,politics\nA draw,sports\n',
    "dev.csv": "headline,topic\nA late goal,sports\nA new minister,politics\n",
    "test-en.csv": "headline,topic\nTwo red cards,sports\nThe law passes,politics\n",
    "test-de.csv": "headline,topic\nZwei Tore,sports\nEin Gesetz,politics\n",
}

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test makes known stays in it."""
    monkeypatch.setattr(tasks, "_added", {})
    monkeypatch.setattr(tasks, "_named", set())


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a declaration and its files into a folder; returns the declaration's path."""

    def call(text: str = TOPICS, files: dict[str, str] | None = None, folder: str = "own") -> Path:
        root = tmp_path / folder
        root.mkdir(exist_ok=True)
        for name, content in (TABLES if files is None else files).items():
            (root / name).write_text(content, encoding="utf-8")
        (root / "topics.toml").write_text(text, encoding="utf-8")
        return root / "topics.toml"

    return call


def source() -> WithDeclared:
    return WithDeclared(HubSource())


def examples(task: Task, split: Any = "train", language: str = "en") -> list[Any]:
    return list(source().examples(task, split, language, {}))


def test_a_declared_task_is_a_task_like_any_other(write: Write) -> None:
    task = add_file(write())
    assert get_task("topics") is task
    assert (task.role, task.metric, task.train_task) == ("target", ("accuracy",), "topics")
    assert (task.labels, task.languages, task.licence) == (("sports", "politics"), ("en", "de"), "CC0")
    assert examples(task)[0] == TextClassificationExample("0", "Home win, at last", "sports")
    assert source().languages(task, "test") == ("en", "de")
    assert [each.text for each in examples(task, "test", "de")] == ["Zwei Tore", "Ein Gesetz"]


SQUAD = {"answers": {"text": ["1822"], "answer_start": [7]}}
LAYOUTS: dict[str, tuple[str, str, Any]] = {
    "tsv": (
        'format = "pair_classification"\nlabels = ["no", "yes"]\n[files]\ntrain = "a.tsv"\n'
        '[columns]\npremise = "one"\nhypothesis = "two"\nid = "number"\n',
        'number\tone\ttwo\tlabel\n7\tIt "rained".\tIt was wet.\tyes\n',
        PairClassificationExample("7", 'It "rained".', "It was wet.", "yes"),
    ),
    "jsonl": (
        'format = "multiple_choice"\n[files]\ntrain = "a.jsonl"\n[columns]\nchoices = "endings"\n',
        json.dumps({"prompt": "She", "endings": ["ran.", "slept."], "label": 1}) + "\n",
        MultipleChoiceExample("0", "She", ("ran.", "slept."), 1),
    ),
    "csv": (
        'format = "multiple_choice"\nlabels = ["A", "B"]\n[files]\ntrain = "a.csv"\ndelimiter = ";"\n'
        '[columns]\nchoices = ["first", "second"]\n',
        "prompt;first;second;label\nShe;ran.;slept.;B\n",
        MultipleChoiceExample("0", "She", ("ran.", "slept."), 1),
    ),
    "squad.jsonl": (
        'format = "span_qa"\n[files]\ntrain = "a.squad.jsonl"\n',
        json.dumps({"question": "When?", "context": "Lit in 1822.", **SQUAD}) + "\n",
        SpanQAExample("0", "When?", "Lit in 1822.", (Answer("1822", 7),)),
    ),
    "answers.csv": (
        'format = "span_qa"\n[files]\ntrain = "a.answers.csv"\n[columns]\nanswer = "said"\nanswer_start = "at"\n',
        "question,context,said,at\nWhen?,Lit in 1822.,1822,7\n",
        SpanQAExample("0", "When?", "Lit in 1822.", (Answer("1822", 7),)),
    ),
    "conll": (
        'format = "tagging"\nlabels = ["O", "B-LOC"]\n[files]\ntrain = "a.conll"\n',
        "In O\nRiga B-LOC\n\nYes O\n",
        TaggingExample("0", ("In", "Riga"), ("O", "B-LOC")),
    ),
    "txt": (
        'format = "tagging"\nlabels = ["O", "B-LOC"]\nmetric = "accuracy"\n[files]\ntrain = "a.txt"\n',
        "In\tO\nRiga\tB-LOC\n",
        TaggingExample("0", ("In", "Riga"), ("O", "B-LOC")),
    ),
}


@pytest.mark.parametrize("end", LAYOUTS)
def test_formats_and_layouts(write: Write, end: str) -> None:
    text, content, first = LAYOUTS[end]
    assert examples(add_file(write(text, {f"a.{end}": content})))[0] == first


def test_parquet(write: Write) -> None:
    import pyarrow
    from pyarrow import parquet

    path = write(TOPICS.replace("train.csv", "train.parquet"))
    table = pyarrow.table({"headline": ["A draw", "A vote"], "topic": ["sports", "politics"]})
    parquet.write_table(table, path.with_name("train.parquet"))
    assert [each.label for each in examples(add_file(path))] == ["sports", "politics"]
    path.with_name("train.parquet").write_text("no table")
    with pytest.raises(DataError, match=r"train\.parquet: is not Parquet, or damaged"):
        examples(get_task("topics"))


def test_labels_by_number_and_rows_without_one(write: Write) -> None:
    text = TOPICS.replace('["sports", "politics"]', '["0", "1"]').replace(".csv", ".jsonl")
    rows = [{"headline": "A", "topic": 1}, {"headline": "B", "topic": None}]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    task = add_file(write(text, dict.fromkeys(("train.jsonl", "dev.jsonl", "test-en.jsonl"), content)))
    assert [each.label for each in examples(task, "test")] == ["1", None]
    with pytest.raises(DataError, match=r"train\.jsonl:2: has no label, but topics train is trained on"):
        examples(task)


def test_one_file_of_several_languages(write: Write) -> None:
    text = TOPICS.replace("test-{language}.csv", "test.csv").replace(
        "[columns]", '[codes]\nde = "deu"\n[columns]\nlanguage = "lang"'
    )
    held = dict.fromkeys(("train.csv", "dev.csv"), "headline,topic,lang\nA,sports,en\nB,politics,en\n")
    held["test.csv"] = "headline,topic,lang\nOne,sports,en\nEins,sports,deu\n"
    task = add_file(write(text, held))
    assert [each.text for each in examples(task, "test", "de")] == ["Eins"]


def test_trained_in_another_language(write: Write) -> None:
    task = add_file(write('train_languages = "de"\n' + TOPICS))
    held = source()
    assert held.languages(task, "train") == held.languages(task, "dev") == ("de",)
    assert held.training_languages(task) == ("de",)
    assert held.languages(task, "test") == ("en", "de")
    assert len(held.examples(task, "train", "de", {})) == 3


def test_a_data_set_of_the_hub(write: Write) -> None:
    text = """
    format = "text_classification"
    labels = ["a", "b"]
    languages = ["en", "de"]
    [hub]
    dataset = "ORG/NAME"
    config = "{code}"
    train = "train"
    test = "test_{language}"
    [codes]
    de = "deu_Latn"
    """
    task = add_file(write(text, {}))
    from adapter_stilts.tasks import hub

    spec, fields = HubSource()._find(task, "test", "de", {})
    assert hub._address(spec, fields) == ("ORG/NAME", "deu_Latn", "test_de", None)
    # Whatever folder there is for others: this one's data are on the hub.
    assert isinstance(WithDeclared(FileSource(Path())).of(task), HubSource)


def test_the_place_of_a_file_enters_no_key_and_what_it_says_does(write: Write) -> None:
    def fingerprint(path: Path) -> str:
        return source().fingerprint(add_file(path), "train", "en", {})

    first = fingerprint(write())
    moved = write(folder="elsewhere")
    assert fingerprint(moved) == first
    moved.write_text('# Another comment.\nrole = "target"\n' + TOPICS.replace("labels =", "labels   ="))
    assert fingerprint(moved) == first, "nor does how it is written down"
    moved.write_text(TOPICS.replace('["sports", "politics"]', '["politics", "sports"]'))
    assert fingerprint(moved) != first
    moved.write_text(TOPICS)
    moved.with_name("train.csv").write_text(TABLES["train.csv"] + "More,sports\n")
    assert fingerprint(moved) != first


def test_a_bundle_carries_all_that_the_file_says(write: Write, tmp_path: Path) -> None:
    task = add_file(write())
    carried = json.loads(task.declared)
    again = add_bundled(carried, tmp_path / "bundle")
    assert again.declared == task.declared
    assert again.home is None
    beside = WithDeclared(FileSource(tmp_path / "own"))
    assert beside.fingerprint(again, "test", "de", {}) == source().fingerprint(task, "test", "de", {})
    with pytest.raises(
        UsageError, match=r"pass --data DIR .* or name its TOML file beside them: --target topics\.toml"
    ):
        source().languages(again, "test")


def test_a_folder_of_tasks_takes_them_too(write: Write) -> None:
    path = write()
    path.with_name("recipe.toml").write_text('mode = "lora"\n')
    told: list[str] = []
    assert [task.name for task in add_folder(path.parent, told.append)] == ["topics"]
    assert told == [f"{path.with_name('recipe.toml')} says no format, and is passed over"]
    add_folder(path.parent, told.append)
    assert len(told) == 1  # a command reads the folder anew for each plan that it makes
    other = Path(shutil.copytree(path.parent, path.parent.parent / "other")) / "topics.toml"
    with pytest.raises(UsageError, match="'topics' is there twice"):
        add_file(other)
    assert add_file(path).home == path.parent, "the same file, named again"


REFUSED = {
    "a key": ("labels =", "lables =", r":3: unknown task file key 'lables'; did you mean 'labels'\?"),
    "a key of a section": (
        "dev =",
        "dve =",
        r":9: unknown task file key 'files\.dve'; did you mean 'files\.dev'\?",
    ),
    "a needed key": ("format =", "formt =", r":2: unknown task file key 'formt'; did you mean 'format'\?"),
    "no format": (
        'format = "text_classification"',
        "",
        r": task file key format is missing: add format = …; choices: text_classification, .*tagging$",
    ),
    "a key of another section": (
        "licence",
        'delimiter = ";"\nlicence',
        r":5: unknown task file key 'delimiter'\. Choices: .*\. There is files\.delimiter\.",
    ),
    "a section": ("[columns]", "[colums]", r":12: unknown task file key 'colums'; did you mean 'columns'\?"),
    "a format": (
        "text_class",
        "txt_class",
        r":2: unknown format 'txt_classification'; did you mean 'text_class",
    ),
    "a format of no columns": (
        "text_classification",
        "retrieval",
        r":2: unknown format that a file can declare",
    ),
    "a column's field": (
        "text =",
        "txet =",
        r":13: unknown column of text_classification 'txet'; did you mean 'text'",
    ),
    "a metric": ("licence", 'metric = "f1"\nlicence', r"unknown metric of text_classification .* 'f1'"),
    "a role": ("licence", 'role = "traget"\nlicence', r":5: task file key role = 'traget'; valid:"),
    "one label": (
        '["sports", "politics"]',
        '["sports"]',
        r":3: labels = \['sports'\]: .* two or more; list them",
    ),
    "a label twice": ('"politics"]', '"sports"]', r":3: labels lists sports twice"),
    "no data": (
        TOPICS[TOPICS.index("[files]") :],
        "",
        r"names no data: give \[files\] with train, dev and test, or \[hub\]",
    ),
    "a file that is not there": (
        "dev.csv",
        "gone.csv",
        r":9: files\.dev: no such file beside it: gone\.csv\. Paths count",
    ),
    "a path out of the folder": (
        "dev.csv",
        "../dev.csv",
        r":9: files\.dev = '\.\./dev\.csv': files lie beside",
    ),
    "an unknown kind of file": (
        "dev.csv",
        "dev.xls",
        r":9: files\.dev = 'dev\.xls': how is it read\? Known ends are \.csv",
    ),
    "an unknown field": ("{language}", "{lang}", r":10: .*\{lang\} is not one of \{language\}, \{code\}"),
    "a file for several": (
        "test-{language}.csv",
        "test-en.csv",
        r":10: .* is one for en, de: put \{language\} into it",
    ),
    "a language": ('"de"]', '"d/e"]', r":4: languages: 'd/e' is no language's code"),
    "both": ("[columns]", '[hub]\ndataset = "a/b"\n[columns]', r"leave \[files\] or \[hub\] out"),
    "no TOML": ("labels = [", "labels = ", r":3: is not TOML"),
    "a reserved name": ("licence", 'name = "all"\nlicence', r"a task cannot be called 'all'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_declaration_that_cannot_be(write: Write, case: str) -> None:
    """One message, with the file, the line where there is one, and what to do."""
    before, after, message = REFUSED[case]
    assert before in TOPICS
    path = write(TOPICS.replace(before, after, 1))
    with pytest.raises(AdapterStiltsError, match=message) as caught:
        add_file(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"mine\.toml: no such file; a task's file is TOML"):
        add_file(tmp_path / "mine.toml")


def test_a_name_that_is_taken(write: Write) -> None:
    with pytest.raises(UsageError, match=r"'xnli' is there twice.* give one another name"):
        add_file(write('name = "xnli"\n' + TOPICS))


BAD_ROWS = {
    "a column": (
        "headline,topic",
        "headline,subject",
        2,
        r"column 'topic' is missing; there are: 'headline', 'subject'\. Name",
    ),
    "a label": (
        "vote is held,politics",
        "vote is held,polics",
        3,
        r"label 'polics' in column 'topic' is not one of: sports, ",
    ),
    "a width": (
        '"Home win, at last"',
        "Home win, at last",
        2,
        r"holds 3 columns, should hold 2; .* stands in quotes",
    ),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_row_that_cannot_be_used(write: Write, case: str) -> None:
    before, after, line, message = BAD_ROWS[case]
    path = write(files={**TABLES, "train.csv": TABLES["train.csv"].replace(before, after)})
    with pytest.raises(DataError, match=message) as caught:
        look_at(add_file(path), source())
    assert (caught.value.path, caught.value.line) == (str(path.with_name("train.csv")), line)


def test_what_makes_scores_say_little(write: Write) -> None:
    held = {
        **TABLES,
        "test-en.csv": TABLES["test-en.csv"] + "A draw,sports\n",
        "test-de.csv": "headline,topic\nZwei Tore,sports\n",
    }
    look = look_at(add_file(write(TOPICS.replace('"politics"]', '"politics", "art"]'), held)), source())
    assert look.counts == {"train": {"en": 3}, "dev": {"en": 2}, "test": {"en": 3, "de": 1}}
    assert look.classes["train"]["en"] == {"politics": 1, "sports": 2}
    assert len(look.notices) == 3
    for notice, told in zip(
        look.notices,
        (
            r"1 of 3 test texts \(en\) stand in the train split too",
            r"every test example \(de\) of topics is 'sports'",
            r"no train example of: art",
        ),
        strict=True,
    ):
        assert re.search(told, notice)


def test_a_train_split_of_one_class(write: Write) -> None:
    path = write(files={**TABLES, "train.csv": "headline,topic\nA draw,sports\nA goal,sports\n"})
    with pytest.raises(
        DataError, match=r"every train example \(en\) of topics is 'sports': there is nothing to tell apart"
    ):
        look_at(add_file(path), source())
