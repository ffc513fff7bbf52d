"""Release files as a source: where they are looked for, what is wrong with them, and fingerprints."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from adapter_stilts.errors import DataError, UnknownNameError, UsageError
from adapter_stilts.tasks import all_tasks, get_task
from adapter_stilts.tasks.files import FileSource
from adapter_stilts.tasks.sources import HubSource, Source, open_source


def test_opening_a_source(tmp_path: Path) -> None:
    assert isinstance(open_source(None), HubSource)
    source: Source = open_source(str(tmp_path))
    assert isinstance(source, FileSource)
    with pytest.raises(DataError, match=r"gone: no such folder; --data names a folder of release files"):
        open_source(str(tmp_path / "gone"))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file, not a folder"):
        open_source(str(tmp_path / "file"))


def test_a_folder_of_data_sets_or_that_of_one(releases: Path) -> None:
    for task in all_tasks():
        folder = releases / (task.folder or task.name)
        for split in task.files:
            languages = FileSource(releases).languages(task, split)
            assert languages == FileSource(folder).languages(task, split)
            for language in languages:
                held = FileSource(releases).examples(task, split, language, {})
                assert held == FileSource(folder).examples(task, split, language, {})


def test_a_missing_file_names_what_was_tried(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        FileSource(tmp_path).examples(get_task("udpos"), "test", "de", {})
    message = str(caught.value)
    assert "ud/UD_German-*/*-ud-test.conllu, UD_German-*/*-ud-test.conllu" in message
    assert str(tmp_path) in message
    assert "leave out --data" in message
    assert FileSource(tmp_path).languages(get_task("udpos"), "test") == ()


def test_a_missing_side_of_a_parallel_corpus(releases: Path, tmp_path: Path) -> None:
    shutil.copy(releases / "tatoeba" / "tatoeba.deu-eng.deu", tmp_path)
    for ask in (FileSource(tmp_path).examples, FileSource(tmp_path).fingerprint):
        with pytest.raises(DataError, match=r"tatoeba\.deu-eng\.eng: cannot be read"):
            ask(get_task("tatoeba"), "test", "de", {})


def test_what_was_asked_has_to_exist(releases: Path) -> None:
    source = FileSource(releases)
    with pytest.raises(UsageError, match="task 'tatoeba' has no train split here; splits: test"):
        source.examples(get_task("tatoeba"), "train", "en", {})
    with pytest.raises(UnknownNameError, match="unknown language of xquad test 'fr'"):
        source.examples(get_task("xquad"), "test", "fr", {})
    with pytest.raises(UnknownNameError, match="unknown language of udpos dev 'xx'"):
        source.examples(get_task("udpos"), "dev", "xx", {})
    with pytest.raises(UnknownNameError, match="unknown option of task 'udpos' 'word'; did you mean 'words'"):
        source.examples(get_task("udpos"), "test", "de", {"word": "fused"})
    with pytest.raises(
        UnknownNameError, match="unknown value of option 'words' of task 'udpos' 'fuse'; did you mean 'fused'"
    ):
        source.examples(get_task("udpos"), "test", "de", {"words": "fuse"})


SQUAD_ROW = '{"data": [{"paragraphs": [{"context": "one two", "qas": [%s]}]}]}'
QUESTION = '{"id": "%s", "question": "?", "answers": [{"text": "two", "answer_start": %d}]}'
UD = "1\ta\t_\tNOUNN\t_\t_\t0\t_\t_\t_\n\n"
HELLASWAG = {"ctx_a": "a", "ctx_b": "b", "endings": ["1", "2", "3", "4"], "label": 0}
ONE_NLI = '{"gold_label": "%s", "sentence1": "a", "sentence2": "b"}\n'

BROKEN = {
    "empty": ("snli", "snli_1.0_train.jsonl", "", None, "holds no row"),
    "only rows to skip": (
        "snli",
        "snli_1.0_train.jsonl",
        ONE_NLI % "-",
        None,
        "no 'en' examples of snli train",
    ),
    "empty tsv": ("snli", "snli_1.0_train.txt", "", None, "holds no row"),
    "empty json": ("squad_v1", "train-v1.1.json", "", None, "holds no row"),
    "truncated json": ("squad_v1", "train-v1.1.json", (SQUAD_ROW % "")[:-9], 1, "may be truncated"),
    "no questions": ("squad_v1", "train-v1.1.json", SQUAD_ROW % "", None, "holds no row"),
    "label": ("snli", "snli_1.0_train.jsonl", ONE_NLI % "neutral" + ONE_NLI % "maybe", 2, "label 'maybe'"),
    "null label": (
        "snli",
        "snli_1.0_train.jsonl",
        ONE_NLI.replace('"%s"', "null"),
        1,
        "label None in column 'gold_label'",
    ),
    "column": (
        "snli",
        "snli_1.0_train.txt",
        "gold_label\tsentence1\nneutral\ta\n",
        2,
        "'sentence2' is missing",
    ),
    "no label in train": (
        "hellaswag",
        "hellaswag_train.jsonl",
        json.dumps({**HELLASWAG, "label": ""}),
        1,
        "label '' in column 'label' is not one of: 0, 1, 2, 3",
    ),
    "three endings": (
        "hellaswag",
        "hellaswag_train.jsonl",
        json.dumps({**HELLASWAG, "endings": ["1", "2", "3"]}),
        1,
        "should hold 4 strings, not 3",
    ),
    "answer elsewhere": (
        "squad_v1",
        "train-v1.1.json",
        SQUAD_ROW % f"{QUESTION % ('1', 4)}, {QUESTION % ('2', 3)}",
        2,
        r"answer 'two' is not at answer_start 3; there is ' tw' \(data\[0\]\.paragraphs\[0\]\.qas\[1\]\)",
    ),
    "id twice": (
        "squad_v1",
        "train-v1.1.json",
        SQUAD_ROW % f"{QUESTION % ('1', 4)}, {QUESTION % ('1', 4)}",
        2,
        r"id '1' stands already at .*train-v1\.1\.json:1",
    ),
    "unanswered": (
        "squad_v1",
        "train-v1.1.json",
        SQUAD_ROW % '{"id": "1", "question": "?", "answers": []}',
        1,
        "question '1' has no answer",
    ),
    "unknown tag": ("udpos", "UD_English-X/en-ud-train.conllu", UD, 1, "tag 'NOUNN' of word 'a'"),
    "language of an id": (
        "tydiqa",
        "tydiqa-goldp-v1.1-train.json",
        SQUAD_ROW % (QUESTION % ("klingon-1", 4)),
        1,
        "id 'klingon-1' does not begin with one of: english, arabic",
    ),
    "another language": (
        "tydiqa",
        "tydiqa-goldp-v1.1-train.json",
        SQUAD_ROW % (QUESTION % ("finnish-1", 4)),
        None,
        "no 'en' examples of tydiqa train",
    ),
}


@pytest.mark.parametrize(("task", "name", "content", "line", "why"), BROKEN.values(), ids=BROKEN)
def test_broken_files(tmp_path: Path, task: str, name: str, content: str, line: int | None, why: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    with pytest.raises(DataError, match=why) as caught:
        FileSource(tmp_path).examples(get_task(task), "train", "en", {})
    assert caught.value.path == str(path)
    assert caught.value.line == line


def test_a_file_of_another_language_than_its_name(tmp_path: Path) -> None:
    path = tmp_path / "tydiqa.goldp.fi.dev.json"
    path.write_text(SQUAD_ROW % (QUESTION % ("arabic-1", 4)))
    with pytest.raises(DataError, match="is in 'ar', the file's name says 'fi'"):
        FileSource(tmp_path).examples(get_task("tydiqa"), "test", "fi", {})


def test_a_folder_where_a_file_should_be(tmp_path: Path) -> None:
    (tmp_path / "hellaswag_train.jsonl").mkdir()
    with pytest.raises(DataError, match="no file of hellaswag train"):
        FileSource(tmp_path).examples(get_task("hellaswag"), "train", "en", {})


def test_fingerprints_follow_content_language_and_options(releases: Path, tmp_path: Path) -> None:
    shutil.copytree(releases, tmp_path / "copy")
    here, there = FileSource(releases), FileSource(tmp_path / "copy" / "ud")
    udpos, xnli = get_task("udpos"), get_task("xnli")
    german = here.fingerprint(udpos, "test", "de", {})
    assert (
        german
        == there.fingerprint(udpos, "test", "de", {})
        == here.fingerprint(udpos, "test", "de", {"words": "syntactic"})
    )
    assert german != here.fingerprint(udpos, "test", "de", {"words": "fused"})
    assert german != here.fingerprint(udpos, "test", "en", {})
    assert here.fingerprint(xnli, "test", "de", {}) != here.fingerprint(xnli, "test", "en", {})
    with (tmp_path / "copy" / "ud" / "UD_German-HDT" / "de_hdt-ud-test.conllu").open("a") as file:
        file.write("\n")
    assert german != there.fingerprint(udpos, "test", "de", {})


def test_a_changed_file_is_read_again(releases: Path, tmp_path: Path) -> None:
    path = tmp_path / "xnli.test.tsv"
    shutil.copy(releases / "xnli" / "XNLI-1.0" / "xnli.test.tsv", path)
    source, xnli = FileSource(tmp_path), get_task("xnli")
    before = source.examples(xnli, "test", "de", {})
    path.write_text(path.read_text() + "de\tneutral\tNoch ein Satz.\tUnd einer.\tTrue\n")
    assert len(source.examples(xnli, "test", "de", {})) == len(before) + 1
