"""Languages that a task does not list: read where the folder holds files named after them, whatever the task."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from adapter_stilts.errors import DataError, UnknownNameError
from adapter_stilts.tasks import all_tasks, get_task
from adapter_stilts.tasks.files import FileSource

LANGUAGE = "tlh"
"""Klingon, in no benchmark."""

FILES: dict[str, tuple[str, dict[str, str]]] = {
    "afrixnli": ("sw", {"afrixnli/data/swa/test.tsv": "afrixnli/data/tlh/test.tsv"}),
    "belebele": ("sw", {"belebele/Belebele/swh_Latn.jsonl": "belebele/Belebele/tlh.jsonl"}),
    "bucc2018": (
        "de",
        {
            f"bucc2018/de-en/de-en.{part}.{suffix}": f"bucc2018/tlh-en/tlh-en.{part}.{suffix.replace('de', 'tlh')}"
            for part in ("sample", "training")
            for suffix in ("de", "en", "gold")
        },
    ),
    "lareqa": ("de", {"lareqa/xquad-r/de.json": "lareqa/xquad-r/tlh.json"}),
    "masakhaner2": ("sw", {
        f"masakhaner2/masakhane-ner/MasakhaNER2.0/data/{code}/test.txt": "masakhaner2/tlh/test.txt" for code in ("swa",)
    }),
    "masakhapos": ("sw", {"masakhapos/masakhane-pos/data/swa/test.txt": "masakhapos/tlh/test.txt"}),
    "mlqa": ("de", {
        "mlqa/MLQA_V1/test/test-context-de-question-de.json":
        "mlqa/MLQA_V1/test/test-context-tlh-question-tlh.json",
    }),
    "panx": ("de", {"panx/de/test": "panx/tlh/test"}),
    "pawsx": ("de", {"pawsx/x-final/de/test_2k.tsv": "pawsx/x-final/tlh/test_2k.tsv"}),
    "sib200": ("de", {"sib200/data/annotated/deu_Latn/test.tsv": "sib200/data/annotated/tlh/test.tsv"}),
    "tatoeba": ("de", {
        f"tatoeba/tatoeba.deu-eng.{side}": f"tatoeba/tatoeba.tlh-eng.{side.replace('deu', 'tlh')}"
        for side in ("deu", "eng")
    }),
    "tydiqa": ("fi", {"tydiqa/tydiqa-goldp-v1.1-dev.json": "tydiqa/tydiqa.goldp.tlh.dev.json"}),
    "udpos": ("en", {"ud/UD_English-EWT/en_ewt-ud-test.conllu": "ud/UD_Klingon-OWN/tlh_own-ud-test.conllu"}),
    "uner": ("en", {"uner/UNER_English-EWT/en_ewt-ud-test.iob2": "uner/UNER_Klingon-OWN/tlh_own-ud-test.iob2"}),
    "xcopa": ("it", {"xcopa/data/it/test.it.jsonl": "xcopa/data/tlh/test.tlh.jsonl"}),
    "xnli": ("de", {"xnli/XNLI-1.0/xnli.test.tsv": "xnli/XNLI-1.0/xnli.test.tlh.tsv"}),
    "xquad": ("de", {"xquad/xquad.de.json": "xquad/xquad.tlh.json"}),
}  # fmt: skip
"""A language of each task, and its files under the names that they would have in another."""


def in_klingon(content: str, name: str) -> str:
    """The same rows, where they name their language."""
    if name == "panx":
        return content.replace("de:", f"{LANGUAGE}:")
    if name == "xnli":
        header, *rows = content.splitlines(keepends=True)
        return header + "".join(f"{LANGUAGE}{row[2:]}" for row in rows if row.startswith("de"))
    return content


@pytest.fixture
def klingon(releases: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    name: str = request.param
    for old, new in FILES[name][1].items():
        shutil.copytree(releases / old.split("/")[0], tmp_path / old.split("/")[0], dirs_exist_ok=True)
        (tmp_path / new).parent.mkdir(parents=True, exist_ok=True)
        with (releases / old).open(newline="") as file:
            (tmp_path / new).write_bytes(in_klingon(file.read(), name).encode())
    return tmp_path


def test_every_target_is_here() -> None:
    # One file holds all of Mewsli-X's mentions, whose languages name its candidates: it has no file to be named.
    assert {*FILES, "mewslix"} == {task.name for task in all_tasks() if task.role == "target"}


@pytest.mark.parametrize(("klingon", "name"), [(name, name) for name in FILES], indirect=["klingon"])
def test_files_of_a_language_that_a_task_does_not_list(releases: Path, klingon: Path, name: str) -> None:
    source, task = FileSource(klingon), get_task(name)
    like, _ = FILES[name]
    assert source.further(task, LANGUAGE)
    assert not FileSource(releases).further(task, LANGUAGE)
    assert not source.further(task, like), "which the task lists"
    assert LANGUAGE not in source.languages(task, "test"), "unasked, it is none of the benchmark's"
    found = source.examples(task, "test", LANGUAGE, {})
    if name != "tydiqa":  # whose file holds all languages
        assert len(found) == len(source.examples(task, "test", like, {}))
    assert source.fingerprint(task, "test", LANGUAGE, {}) != source.fingerprint(task, "test", like, {})
    if task.train_task is None and "dev" in task.files:
        assert source.examples(task, "dev", LANGUAGE, {}), "what a threshold is chosen on"
        assert source.fingerprint(task, "dev", LANGUAGE, {})
    with pytest.raises((DataError, UnknownNameError)):
        source.examples(task, "test", "tlx", {})


@pytest.mark.parametrize("klingon", ["xnli"], indirect=True)
def test_rows_of_another_language_than_the_files_name_are_refused(klingon: Path) -> None:
    path = klingon / "xnli" / "XNLI-1.0" / "xnli.test.tlh.tsv"
    path.write_text(path.read_text().replace("tlh\t", "de\t", 1))
    with pytest.raises(DataError, match="is in 'de', the file's name says 'tlh'"):
        FileSource(klingon).examples(get_task("xnli"), "test", LANGUAGE, {})
