"""What XTREME's scripts leave in `download/` is read as it is: other names, quoted tables, test sets without labels."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from adapter_stilts.errors import DataError
from adapter_stilts.formats.examples import (
    Answer,
    MultipleChoiceExample,
    PairClassificationExample,
    RetrievalExample,
    SpanQAExample,
    TaggingExample,
)
from adapter_stilts.tasks import all_tasks, get_task
from adapter_stilts.tasks.base import Split
from adapter_stilts.tasks.files import FileSource

PAIRS = (
    ('Der Turm heißt "Ada" .', 'Ein Turm , sagt man , "Ada" .', "neutral"),
    ("Ja .", "Nein .", "contradiction"),
)
CONTEXT = "\ufeffDie Lampe brannte ab 1822."


@pytest.fixture(scope="module")
def download(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder such as the scripts leave, a few rows a file."""
    root = tmp_path_factory.mktemp("download")
    _pairs(root)
    _words(root)
    _questions(root)
    _retrieval(root)
    _choices(root)
    return root


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def _table(rows: Iterable[Sequence[str]]) -> str:
    """As `csv.writer` writes it, with its Windows line ends."""
    written = io.StringIO()
    csv.writer(written, delimiter="\t").writerows(rows)
    return written.getvalue()


def _pairs(root: Path) -> None:
    digits = [(one, two, str(n)) for n, (one, two, _) in enumerate(PAIRS)]
    for task, rows in (("xnli", PAIRS), ("pawsx", digits)):
        _put(root / task / "train-en.tsv", _table(rows))
        for language in ("de", "en"):
            _put(root / task / f"dev-{language}.tsv", _table(rows))
            _put(root / task / f"test-{language}.tsv", _table(row[:2] for row in rows))


def _words(root: Path) -> None:
    tagged = {"panx": ("B-LOC", "O"), "udpos": ("PROPN", "PUNCT")}
    for task, (name, mark) in tagged.items():
        for split in ("train", "dev"):
            _put(root / task / f"{split}-en.tsv", f"Riga\t{name}\n.\t{mark}\n\n.\t{mark}\n")
        for language in ("en", "de", "lt"):
            _put(root / task / f"test-{language}.tsv", 'Riga\n"\n\n.\n')


def _layout(answers: list[dict[str, object]], id_: str = "q1") -> str:
    question = {"id": id_, "question": "Ab wann?", "answers": answers}
    paragraph = {"context": CONTEXT, "qas": [question]}
    return json.dumps({"version": "1.1", "data": [{"paragraphs": [paragraph]}]})


def _questions(root: Path) -> None:
    answered = [{"text": "1822", "answer_start": 22}]
    stripped: list[dict[str, object]] = [{"answer_start": 0, "text": ""}]
    for split in ("train", "dev"):
        _put(root / "squad" / f"{split}-v1.1.json", _layout(answered))
    _put(root / "xquad" / "xquad.de.json", _layout(stripped))
    _put(root / "mlqa" / "MLQA_V1" / "test" / "test-context-de-question-de.json", _layout(stripped))
    folder = root / "tydiqa" / "tydiqa-goldp-v1.1-train"
    _put(folder / "tydiqa-goldp-v1.1-train.json", _layout(answered, "english-1"))
    _put(folder / "tydiqa.goldp.en.train.json", _layout(answered, "1"))
    _put(
        root / "tydiqa" / "tydiqa-goldp-v1.1-dev" / "tydiqa.goldp.fi.dev.json",
        _layout(stripped, "finnish--7-0"),
    )


def _retrieval(root: Path) -> None:
    _put(root / "tatoeba" / "de-en.de", "Wer?\nDas Wasser ist kalt.\n")
    _put(root / "tatoeba" / "de-en.en", "The water is cold.\nWho?\n")
    for part in ("dev", "test"):
        _put(root / "bucc2018" / f"de-en.{part}.de", "de-1\tWer?\n")
        _put(root / "bucc2018" / f"de-en.{part}.en", "en-1\tWho?\n")
    _put(root / "bucc2018" / "de-en.dev.gold", "de-1\ten-1\n")


def _choices(root: Path) -> None:
    row = {"premise": "P.", "choice1": "A.", "choice2": "B.", "question": "effect", "label": 1, "idx": 0}
    for name in ("train.en", "val.en", "test.it"):
        _put(root / "xcopa" / f"{name}.jsonl", json.dumps(row) + "\n")
    asked = {"context": "C.", "question": "Q?", **{f"answer{x}": x for x in "ABC"}, "correct": "C"}
    for short in ("trn", "dev"):
        _put(root / "siqa" / "socialIQa_v1.4" / f"socialIQa_v1.4_{short}.jsonl", json.dumps(asked) + "\n")


def read(root: Path, name: str, split: Split, language: str = "en", **options: str) -> list[object]:
    return list(FileSource(root).examples(get_task(name), split, language, options))


HELD = {
    "mnli": {"train", "dev"},
    "squad_v1": {"train", "dev"},
    "siqa": {"train", "dev"},
    "copa": {"train", "dev"},
    "xnli": {"dev", "test"},
    "pawsx": {"train", "dev", "test"},
    "panx": {"train", "dev", "test"},
    "udpos": {"train", "dev", "test"},
    "xquad": {"test"},
    "mlqa": {"test"},
    "tydiqa": {"train", "dev", "test"},
    "tatoeba": {"test"},
    "bucc2018": {"dev", "test"},
    "xcopa": {"test"},
}


def test_what_the_folder_holds(download: Path) -> None:
    source = FileSource(download)
    found = {
        task.name: {split for split in task.files if source.languages(task, split)} for task in all_tasks()
    }
    # One paragraph is either in TyDiQA's train set or in the dev set cut from it.
    found["tydiqa"] |= {"train", "dev"} if len(found["tydiqa"]) == 2 else set()
    assert {name: splits for name, splits in found.items() if splits} == HELD


def test_quoted_tables(download: Path) -> None:
    one, two, _ = PAIRS[0]
    dev = read(download, "xnli", "dev")
    assert dev[0] == PairClassificationExample("0", one, two, "neutral")
    assert dev == read(download, "mnli", "train") == read(download, "mnli", "dev")
    assert read(download, "pawsx", "train")[1] == PairClassificationExample("1", "Ja .", "Nein .", "1")
    for task in ("xnli", "pawsx"):
        assert read(download, task, "test", "de")[0] == PairClassificationExample("0", one, two, None)


def test_words_without_tags(download: Path) -> None:
    test = [TaggingExample("0", ("Riga", '"'), None), TaggingExample("1", (".",), None)]
    assert read(download, "panx", "test", "lt") == test
    assert read(download, "udpos", "test", "de", words="fused") == test
    assert read(download, "panx", "dev")[0] == TaggingExample("0", ("Riga", "."), ("B-LOC", "O"))
    with pytest.raises(
        DataError, match=r"words = 'fused' only, not 'syntactic': --set options\.udpos\.words=fused"
    ):
        read(download, "udpos", "test", "de")


def test_questions_without_answers(download: Path) -> None:
    assert read(download, "xquad", "test", "de") == [SpanQAExample("q1", "Ab wann?", CONTEXT, ())]
    assert read(download, "mlqa", "test", "de") == [SpanQAExample("q1", "Ab wann?", CONTEXT, ())]
    assert read(download, "tydiqa", "test", "fi") == [SpanQAExample("finnish--7-0", "Ab wann?", CONTEXT, ())]
    assert read(download, "squad_v1", "train") == [
        SpanQAExample("q1", "Ab wann?", CONTEXT, (Answer("1822", 22),))
    ]


def test_retrieval_without_pairs(download: Path) -> None:
    assert [example.pair for example in read(download, "tatoeba", "test", "de")] == [None] * 4  # type: ignore[attr-defined]
    assert read(download, "bucc2018", "dev", "de") == [
        RetrievalExample("de-1", "Wer?", "foreign", "de-1"),
        RetrievalExample("en-1", "Who?", "english", "de-1"),
    ]
    assert read(download, "bucc2018", "test", "de") == [
        RetrievalExample("de-1", "Wer?", "foreign", None),
        RetrievalExample("en-1", "Who?", "english", None),
    ]


def test_choices(download: Path) -> None:
    copa = MultipleChoiceExample("0", "P. What happened as a result?", ("A.", "B."), 1)
    assert read(download, "copa", "dev") == read(download, "xcopa", "test", "it") == [copa]
    assert read(download, "siqa", "train") == [MultipleChoiceExample("0", "C. Q?", ("A", "B", "C"), 2)]
