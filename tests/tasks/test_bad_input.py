"""Files that are not what they should be: a clear DataError with file and line, or read as they were meant."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter_stilts.errors import DataError
from adapter_stilts.formats.examples import Example
from adapter_stilts.tasks import all_tasks, get_task
from adapter_stilts.tasks.base import Split
from adapter_stilts.tasks.files import FileSource

BOM = b"\xef\xbb\xbf"

SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "Windows line ends": lambda content: content.replace(b"\n", b"\r\n"),
    "a byte order mark": lambda content: BOM + content,
    "both": lambda content: BOM + content.replace(b"\n", b"\r\n"),
    "no last line end": lambda content: content.rstrip(b"\n"),
}


def everything(folder: Path) -> dict[tuple[str, Split, str], list[Example]]:
    """Every example of every task, split and language."""
    source = FileSource(folder)
    return {
        (task.name, split, language): source.examples(task, split, language, {})
        for task in all_tasks()
        for split in task.files
        for language in source.languages(task, split)
    }


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings_of_the_same_text_give_the_same_examples(
    releases: Path, tmp_path: Path, spelling: str
) -> None:
    shutil.copytree(releases, tmp_path / "copy")
    for path in (tmp_path / "copy").rglob("*.*"):
        if path.is_file():
            path.write_bytes(SPELLINGS[spelling](path.read_bytes()))
    for path in (tmp_path / "copy" / "panx").rglob("*"):
        if path.is_file():
            path.write_bytes(SPELLINGS[spelling](path.read_bytes()))
    assert everything(tmp_path / "copy") == everything(releases)


FILES: dict[str, tuple[Split, str, str]] = {
    "anli": ("train", "en", "anli/anli_v1.0/R1/train.jsonl"),
    "ccg": ("dev", "en", "ccg/data/AUTO/00/wsj_0001.auto"),
    "commonsenseqa": ("train", "en", "commonsenseqa/train_rand_split.jsonl"),
    "copa": ("train", "en", "copa/COPA/train.jsonl"),
    "cosmosqa": ("train", "en", "cosmosqa/train.csv"),
    "hellaswag": ("train", "en", "hellaswag/hellaswag_train.jsonl"),
    "mnli": ("dev", "en", "mnli/MNLI/dev_matched.tsv"),
    "qqp": ("train", "en", "qqp/QQP/train.tsv"),
    "siqa": ("train", "en", "siqa/train.jsonl"),
    "snli": ("test", "en", "snli/snli_1.0_test.txt"),
    "squad_v1": ("train", "en", "squad/train-v1.1.json"),
    "squad_v2": ("train", "en", "squad/train-v2.0.json"),
    "bucc2018": ("test", "de", "bucc2018/de-en/de-en.training.de"),
    "lareqa": ("test", "de", "lareqa/xquad-r/de.json"),
    "mewslix": ("test", "de", "mewslix/wikinews_mentions-test.jsonl"),
    "mlqa": ("test", "de", "mlqa/MLQA_V1/test/test-context-de-question-de.json"),
    "panx": ("test", "de", "panx/de/test"),
    "pawsx": ("test", "de", "pawsx/x-final/de/test_2k.tsv"),
    "sib200": ("test", "de", "sib200/data/annotated/deu_Latn/test.tsv"),
    "tatoeba": ("test", "de", "tatoeba/tatoeba.deu-eng.deu"),
    "tydiqa": ("test", "fi", "tydiqa/tydiqa-goldp-v1.1-dev.json"),
    "udpos": ("test", "de", "ud/UD_German-HDT/de_hdt-ud-test.conllu"),
    "xcopa": ("test", "it", "xcopa/data/it/test.it.jsonl"),
    "xnli": ("test", "de", "xnli/XNLI-1.0/xnli.test.tsv"),
    "xquad": ("test", "de", "xquad/xquad.de.json"),
    "afrixnli": ("test", "sw", "afrixnli/data/swa/test.tsv"),
    "belebele": ("test", "sw", "belebele/Belebele/swh_Latn.jsonl"),
    "masakhaner2": ("test", "sw", "masakhaner2/masakhane-ner/MasakhaNER2.0/data/swa/test.txt"),
    "masakhapos": ("test", "sw", "masakhapos/masakhane-pos/data/swa/test.txt"),
    "uner": ("test", "en", "uner/UNER_English-EWT/en_ewt-ud-test.iob2"),
}
"""One file of each task, and where its examples go."""

ALIKE = (
    {"squad_v1", "squad_v2", "xquad", "mlqa", "tydiqa", "lareqa"},
    {"snli", "mnli", "xnli"},
    {"copa", "xcopa"},
    {"panx", "masakhaner2"},
)
"""Tasks whose files nothing but their names tells apart, one way or both."""


def test_every_task_has_its_file_here(releases: Path) -> None:
    assert sorted(FILES) == sorted(task.name for task in all_tasks())
    for name, (split, language, _) in FILES.items():
        assert FileSource(releases).examples(get_task(name), split, language, {})


@pytest.mark.parametrize("name", sorted(set(FILES) - {"tatoeba"}))
def test_a_file_of_another_task(releases: Path, tmp_path: Path, name: str) -> None:
    """All but Tatoeba's plain sentences have a layout to be told by."""
    split, language, file = FILES[name]
    top = file.split("/")[0]
    shutil.copytree(releases / top, tmp_path / top)
    for other, (_, _, content) in FILES.items():
        if other != name and not any({name, other} <= group for group in ALIKE):
            shutil.copy(releases / content, tmp_path / file)
            with pytest.raises(DataError) as caught:
                FileSource(tmp_path).examples(get_task(name), split, language, {})
            assert caught.value.path.startswith(str(tmp_path)), other


TABS = ("mnli", "qqp", "snli", "bucc2018", "panx", "pawsx", "udpos", "xnli", "afrixnli", "uner")


@pytest.mark.parametrize("name", TABS)
def test_a_tab_too_many(releases: Path, tmp_path: Path, name: str) -> None:
    split, language, file = FILES[name]
    shutil.copytree(releases / file.split("/")[0], tmp_path / file.split("/")[0])
    lines = (tmp_path / file).read_text().split("\n")
    # The second line, or the first with a word where that one is a comment.
    number = next(n for n, line in enumerate(lines, start=1) if n > 1 and "\t" in line)
    lines[number - 1] = lines[number - 1].replace("\t", "\tand\t", 1)
    (tmp_path / file).write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"holds \d+ columns|column 'label1'") as caught:
        FileSource(tmp_path).examples(get_task(name), split, language, {})
    assert (caught.value.path, caught.value.line) == (str(tmp_path / file), number)


def test_tabs_separate_nothing_in_tables_with_commas(releases: Path, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text(
        (releases / "cosmosqa" / "train.csv").read_text().replace("rained", "\t")
    )
    found = FileSource(tmp_path).examples(get_task("cosmosqa"), "train", "en", {})
    assert "It \t, so" in found[0].prompt  # type: ignore[union-attr]
    (tmp_path / "train.csv").write_text(
        (releases / "cosmosqa" / "train.csv").read_text().replace("At sea", "At, sea")
    )
    with pytest.raises(DataError, match=r"train\.csv:2: holds 9 columns, should hold 8"):
        FileSource(tmp_path).examples(get_task("cosmosqa"), "train", "en", {})


# Where rows have ids of their own; all others are numbered.
TWICE = {
    "commonsenseqa": 2,
    "cosmosqa": 6,
    "bucc2018": 3,
    "squad_v1": 3,
    "squad_v2": 3,
    "lareqa": 5,
    "mewslix": 3,
    "sib200": 4,
    "mlqa": 2,
    "tydiqa": 3,
    "xquad": 2,
}


@pytest.mark.parametrize("name", TWICE)
def test_ids_twice(releases: Path, tmp_path: Path, name: str) -> None:
    split, language, file = FILES[name]
    shutil.copytree(releases / file.split("/")[0], tmp_path / file.split("/")[0])
    path = tmp_path / file
    if path.suffix == ".json":
        held = json.loads(path.read_text())
        held["data"] += held["data"]
        path.write_text(json.dumps(held))
    else:
        content = path.read_text()
        headed = path.suffix == ".csv" or name == "sib200"
        path.write_text(content + content.split("\n", 1)[1] if headed else content * 2)
    with pytest.raises(DataError, match=r"id '.+' stands already at .+:\d+") as caught:
        FileSource(tmp_path).examples(get_task(name), split, language, {})
    assert (caught.value.path, caught.value.line) == (str(path), TWICE[name])


def _renamed(releases: Path, root: Path, old: str, new: str) -> Path:
    path = root / new
    path.parent.mkdir(parents=True)
    shutil.copy(releases / old, path)
    return path


def test_words_of_another_language_than_the_folder(releases: Path, tmp_path: Path) -> None:
    path = _renamed(releases, tmp_path, "panx/de/test", "panx/fr/test")
    with pytest.raises(DataError, match="is in 'de', the file's name says 'fr'") as caught:
        FileSource(tmp_path).examples(get_task("panx"), "test", "fr", {})
    assert (caught.value.path, caught.value.line) == (str(path), 1)


def test_words_of_two_languages(tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "test").write_text("de:Riga\tB-LOC\n\nde:Ada\tB-PER\nen:sings\tO\n")
    with pytest.raises(DataError, match="word 'en:sings' does not begin with 'de:'") as caught:
        FileSource(tmp_path).examples(get_task("panx"), "test", "de", {})
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("row", "why"), [("Ada\n", "has no tag, those before it have one"), ("\tO\tO\n", "3 columns")]
)
def test_a_word_without_its_tag(tmp_path: Path, row: str, why: str) -> None:
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "train").write_text("")
    (tmp_path / "de" / "test").write_text(f"de:Riga\tB-LOC\n{row}")
    with pytest.raises(DataError, match=why) as caught:
        FileSource(tmp_path).examples(get_task("panx"), "test", "de", {})
    assert caught.value.line == 2


def test_ids_of_another_language_than_the_file(releases: Path, tmp_path: Path) -> None:
    old = "tydiqa/tydiqa-goldp-v1.1-dev.json"
    _renamed(releases, tmp_path, old, "tydiqa/tydiqa-goldp-v1.1-dev/tydiqa-goldp-dev-arabic.json")
    with pytest.raises(DataError, match="is in 'fi', the file's name says 'ar'"):
        FileSource(tmp_path).examples(get_task("tydiqa"), "test", "ar", {})


def test_gold_pairs_of_sentences_that_are_not_there(releases: Path, tmp_path: Path) -> None:
    shutil.copytree(releases / "bucc2018", tmp_path / "bucc2018")
    gold = tmp_path / "bucc2018" / "de-en" / "de-en.sample.gold"
    gold.write_text("de-1\ten-2\nde-1\ten-9\n")
    with pytest.raises(DataError, match=r"de-en\.sample\.gold:2: id 'en-9' is not in de-en\.sample\.en"):
        FileSource(tmp_path).examples(get_task("bucc2018"), "dev", "de", {})
    gold.unlink()
    with pytest.raises(DataError, match=r"de-en\.sample\.gold: cannot be read"):
        FileSource(tmp_path).examples(get_task("bucc2018"), "dev", "de", {})


def test_gold_pairs_that_share_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "de-en.dev.de").write_text("de-1\ta\nde-2\tb\nde-3\tc\n")
    (tmp_path / "de-en.dev.en").write_text("en-1\ta\nen-2\tb\n")
    (tmp_path / "de-en.dev.gold").write_text("de-1\ten-1\nde-2\ten-2\nde-2\ten-1\n")
    found = FileSource(tmp_path).examples(get_task("bucc2018"), "dev", "de", {})
    pairs = {example.id: example.pair for example in found}  # type: ignore[union-attr]
    assert pairs == {"de-1": "de-1", "de-2": "de-2", "de-3": None, "en-1": "de-1 de-2", "en-2": "de-2"}


@pytest.mark.parametrize(
    ("labels", "why"), [("1\n", r"train\.jsonl:2: has no label"), ("1\n2\n3\n", r"labels\.lst:3: a label")]
)
def test_labels_beside_their_rows(releases: Path, tmp_path: Path, labels: str, why: str) -> None:
    shutil.copytree(releases / "siqa", tmp_path / "siqa")
    (tmp_path / "siqa" / "train-labels.lst").write_text(labels)
    with pytest.raises(DataError, match=why):
        FileSource(tmp_path).examples(get_task("siqa"), "train", "en", {})


def test_an_article_whose_text_is_still_to_be_restored(releases: Path, tmp_path: Path) -> None:
    shutil.copytree(releases / "mewslix", tmp_path / "mewslix")
    path = tmp_path / "mewslix" / "wikinews_mentions-test.jsonl"
    path.write_text(path.read_text().replace("Es regnet. Riga feiert.", ""))
    with pytest.raises(DataError, match=r"jsonl:1: the article's text is empty.*get-mewsli-x"):
        FileSource(tmp_path).examples(get_task("mewslix"), "test", "de", {})


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=25)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(
    releases: Path, tmp_path: Path, name: str, data: st.DataObject
) -> None:
    split, language, file = FILES[name]
    target, top = tmp_path / file, file.split("/")[0]
    if not target.exists():
        shutil.copytree(releases / top, tmp_path / top, dirs_exist_ok=True)
    content = (releases / file).read_bytes()
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    target.write_bytes(content[:start] + data.draw(st.binary(max_size=4)) + content[end:])
    options = {"words": "fused"} if name == "udpos" else {}
    # Anything but a DataError fails the test.
    with contextlib.suppress(DataError):
        assert FileSource(tmp_path).examples(get_task(name), split, language, options)


def test_a_row_in_a_language_that_the_task_has_not(releases: Path, tmp_path: Path) -> None:
    """Rows of other languages are skipped where a file holds several, but not rows in none of them."""
    file = FILES["xnli"][2]
    shutil.copytree(releases / "xnli", tmp_path / "xnli")
    lines = (tmp_path / file).read_text().split("\n")
    lines[1] = "xx" + lines[1][lines[1].index("\t") :]
    (tmp_path / file).write_text("\n".join(lines))
    with pytest.raises(DataError, match="is in 'xx', not one of: ar, bg, de") as caught:
        FileSource(tmp_path).examples(get_task("xnli"), "test", "de", {})
    assert (caught.value.path, caught.value.line) == (str(tmp_path / file), 2)
