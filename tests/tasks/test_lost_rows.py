"""Rows do not vanish: what cannot be used is an error with file and line, or counted in a notice."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from adapter_stilts.errors import DataError
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.files import FileSource


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def anli_row(uid: str) -> str:
    row = {"uid": uid, "context": "The ferry leaves at noon.", "hypothesis": "It is late.", "label": "n"}
    return json.dumps(row) + "\n"


@pytest.mark.parametrize("content", ["", "\n\n"], ids=["empty", "blank"])
def test_an_empty_file_beside_whole_ones(tmp_path: Path, content: str) -> None:
    put(tmp_path / "anli/anli_v1.0/R1/train.jsonl", content)
    put(tmp_path / "anli/anli_v1.0/R2/train.jsonl", anli_row("a"))
    put(tmp_path / "anli/anli_v1.0/R3/train.jsonl", anli_row("b"))
    with pytest.raises(DataError, match=r"R1/train\.jsonl: holds no row"):
        FileSource(tmp_path).examples(get_task("anli"), "train", "en", {})
    chosen = FileSource(tmp_path).examples(get_task("anli"), "train", "en", {"round": "R2"})
    assert len(chosen) == 1


def test_an_empty_treebank_beside_a_whole_one_and_a_withheld_one(tmp_path: Path) -> None:
    def treebank(name: str, word: str) -> Path:
        path = tmp_path / f"ud/UD_German-{name}/de_{name.lower()}-ud-test.conllu"
        rows = [(1, word, "NOUN", 0), (2, word, "PUNCT", 1)]
        put(path, "".join(f"{i}\t{w}\t_\t{tag}\t_\t_\t{head}\t_\t_\t_\n" for i, w, tag, head in rows) + "\n")
        return path

    treebank("GSD", "Fluss")
    treebank("Held", "_")
    source, task = FileSource(tmp_path), get_task("udpos")
    assert [e.words for e in source.examples(task, "test", "de", {})] == [("Fluss", "Fluss")]
    treebank("HDT", "Berg").write_text("# nothing but a comment\n")
    with pytest.raises(DataError, match=r"de_hdt-ud-test\.conllu: holds no row"):
        source.examples(task, "test", "de", {})


HEADER = "id,context,question,answer0,answer1,answer2,answer3,label\n"


@pytest.mark.parametrize(
    ("task", "name", "before"),
    [
        ("cosmosqa", "train.csv", HEADER + 'a,"It rained ,",Why ?,Sun .,Sea .,Wind .,None .,0\n' * 1),
        ("hellaswag", "hellaswag_train.jsonl", ""),
        ("panx", "train-en.tsv", "Ada\tB-PER\n\n"),
        ("squad_v1", "train-v1.1.json", '{"data": ['),
    ],
)
def test_a_hole_of_zero_bytes(tmp_path: Path, task: str, name: str, before: str) -> None:
    path = tmp_path / name
    path.write_bytes(before.encode() + bytes(4096) + b",rest\n")
    with pytest.raises(DataError, match="holds zero bytes") as caught:
        FileSource(tmp_path).examples(get_task(task), "train", "en", {})
    assert caught.value.line == before.count("\n") + 1


def squad(*answers: tuple[str, int] | None) -> str:
    """An article whose questions have one answer each, or none."""
    questions = [
        {
            "id": f"q{row}",
            "question": "Wann?",
            "answers": [] if answer is None else [{"text": answer[0], "answer_start": answer[1]}],
        }
        for row, answer in enumerate(answers)
    ]
    return json.dumps({"data": [{"paragraphs": [{"context": "Sie brannte seit 1822.", "qas": questions}]}]})


def test_translated_questions_that_lost_their_answer_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """mlqa-translate-noanswer, translate-offset."""
    given = squad(("1822", 17), None, ("1822", 3), ("Sie", 0), ("Sie", 99))
    put(tmp_path / "squad/translated/de/train-v1.1.json", given)
    source = FileSource(tmp_path)
    with caplog.at_level(logging.WARNING):
        examples = source.examples(get_task("squad_v1"), "train", "de", {})
        source.examples(get_task("squad_v1"), "train", "de", {})
    assert [example.id for example in examples] == ["q0", "q3"]
    (told,) = caplog.messages
    assert told.endswith("train-v1.1.json: 3 of 5 rows are left out: the translation holds no such answer")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (None, "question 'q1' has no answer"),
        (("1822", 3), "question 'q1': answer '1822' is not at answer_start 3"),
        (("1822", 99), "question 'q1': answer_start 99 is not an offset"),
    ],
)
def test_elsewhere_such_a_question_is_an_error(
    tmp_path: Path, answer: tuple[str, int] | None, why: str
) -> None:
    put(tmp_path / "squad/train-v1.1.json", squad(("1822", 17), answer))
    with pytest.raises(DataError, match=why):
        FileSource(tmp_path).examples(get_task("squad_v1"), "train", "en", {})


def test_rows_that_a_line_end_broke_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    put(tmp_path / "QQP/train.tsv", header + "1\t2\t3\tWhy ?\tWhy so ?\t1\n4\t5\t6\tWho\n ?\tWhom ?\t0\n")
    put(tmp_path / "qqp/train.tsv", (tmp_path / "QQP/train.tsv").read_text())
    with caplog.at_level(logging.WARNING):
        examples = FileSource(tmp_path).examples(get_task("qqp"), "train", "en", {})
    assert len(examples) == 1
    (told,) = caplog.messages
    assert told.endswith("2 of 3 rows are left out: a line end broke it in two")


UNLABELLED = {
    "panx-dev-unlabelled": ("panx", "dev-en.tsv", "Ada\nwohnt\n\nEva\n", 1, "panx dev chooses the checkpoint"),
    "panx train": ("panx", "train-en.tsv", "Ada\nwohnt\n", 1, "panx train is trained on"),
    "some of them": ("panx", "train-en.tsv", "Ada\tB-PER\n\nEva\n", 3, "has no label"),
    "xquad's own": (
        "squad_v1",
        "dev-v1.1.json",
        json.dumps({"data": [{"paragraphs": [{"context": "a b", "qas": [
            {"id": "q", "question": "?", "answers": [{"text": "", "answer_start": 0}]}]}]}]}),
        1,
        "is not at answer_start 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("task", "name", "content", "line", "why"), UNLABELLED.values(), ids=UNLABELLED)
def test_train_and_dev_need_their_labels(
    tmp_path: Path, task: str, name: str, content: str, line: int, why: str
) -> None:
    put(tmp_path / name, content)
    split = "dev" if name.startswith("dev") else "train"
    with pytest.raises(DataError, match=why) as caught:
        FileSource(tmp_path).examples(get_task(task), split, "en", {})
    assert (caught.value.path, caught.value.line) == (str(tmp_path / name), line)


def test_blanks_between_words_and_tags(tmp_path: Path) -> None:
    put(tmp_path / "train-en.tsv", "Ada B-PER\nwohnt  O\nin\u00a0dem O\n\nRiga B-LOC\n")
    examples = FileSource(tmp_path).examples(get_task("panx"), "train", "en", {})
    assert [e.words for e in examples] == [("Ada", "wohnt", "in\u00a0dem"), ("Riga",)]
    assert [e.tags for e in examples] == [("B-PER", "O", "O"), ("B-LOC",)]


@pytest.mark.parametrize(
    ("content", "line", "why"),
    [
        ("Ada B-PER\nwohnt\n", 2, "word 'wohnt' has no tag, those before it have one"),
        ("Ada B-PER\n\nwohnt O x\n", 3, "holds 3 columns"),
        ("EU NNP B-NP B-ORG\n", 1, "holds 4 columns"),
        ("Ada B-DATE\n", 1, "tag 'B-DATE' is not one of"),
        ("Ada\nwohnt O\n", 2, "holds a word and 'O', where the lines before it are words alone"),
        ("Ada\n\nwohnt\tO\n", 3, "holds a word and 'O'"),
    ],
)
def test_a_tagged_file_keeps_to_what_its_first_line_says(
    tmp_path: Path, content: str, line: int, why: str
) -> None:
    put(tmp_path / "test-de.tsv", content)
    with pytest.raises(DataError, match=why) as caught:
        FileSource(tmp_path).examples(get_task("panx"), "test", "de", {})
    assert caught.value.line == line


def test_v2_noflag(tmp_path: Path) -> None:
    """SQuAD 2.0's layout without `is_impossible`: no answers mean that there is none."""
    put(tmp_path / "train-v2.0.json", squad(("1822", 17), None))
    examples = FileSource(tmp_path).examples(get_task("squad_v2"), "train", "en", {})
    assert [len(example.answers) for example in examples] == [1, 0]


def test_rows_that_another_row_would_swallow(tmp_path: Path) -> None:
    columns = ["gold_label", "sentence1", "sentence2", "captionID", "pairID", "label1", "label2"]
    header = "\t".join([*columns, "label3", "label4", "label5"]) + "\n"
    put(tmp_path / "snli_1.0_dev.txt", header + "neutral\ta\tb\t2\t2r\tneuentailment\tc\td\n")
    with pytest.raises(DataError, match=r"label 'neuentailment' in column 'label1'"):
        FileSource(tmp_path).examples(get_task("snli"), "dev", "en", {})
    row = "1\tab\t_\tNOUN\t_\t_\t0\t_\t_\t_\n"
    put(tmp_path / "ud/UD_English-EWT/en_ewt-ud-dev.conllu", f"{row}\n# text = ab\r{row}")
    with pytest.raises(DataError, match="a comment holds a row") as caught:
        FileSource(tmp_path).examples(get_task("udpos"), "dev", "en", {})
    assert caught.value.line == 3
    paragraph = {
        "context": "Ab. Cd.", "sentence_breaks": [[4, 7]], "sentences": ["Ab.", "Cd."],
        "qas": [{"id": "q", "question": "?", "answers": [{"text": "Cd", "answer_start": 4}]}],
    }  # fmt: skip
    put(tmp_path / "xquad-r/de.json", json.dumps({"data": [{"paragraphs": [paragraph]}]}))
    with pytest.raises(DataError, match="other 'sentences' than its 1 'sentence_breaks'"):
        FileSource(tmp_path).examples(get_task("lareqa"), "test", "de", {})


def test_a_sample_of_damaged_releases() -> None:
    """The whole: scripts/mutate_releases.py --all."""
    script = Path(__file__).resolve().parents[2] / "scripts" / "mutate_releases.py"
    ran = subprocess.run(
        [sys.executable, str(script), "--mutations", "288", "--seed", "7"], capture_output=True, text=True
    )
    result = json.loads(ran.stdout)
    assert (ran.returncode, result["tracebacks"], result["lost"]) == (0, [], []), ran.stderr
    assert result["outcomes"]["refused"] > 100
    assert result["outcomes"]["other text"] > 0, "some mutations are none that could be told"
