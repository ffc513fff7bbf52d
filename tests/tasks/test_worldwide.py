"""What zero-shot papers report beside the two XTREMEs: the rows of each task, its languages, and Africa's benchmark."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from adapter_stilts.cli.options import BENCHMARK
from adapter_stilts.errors import DataError, UnknownNameError, UsageError
from adapter_stilts.evaluation.membership import BENCHMARKS, OFFICIAL, official
from adapter_stilts.formats.examples import (
    Example,
    MultipleChoiceExample,
    PairClassificationExample,
    TaggingExample,
)
from adapter_stilts.miniature import MiniatureSource
from adapter_stilts.recipe import load_recipe
from adapter_stilts.stages.planning.targets import expanded, wanted_languages
from adapter_stilts.tasks import all_tasks, get_task
from adapter_stilts.tasks.africa import AFRICAN, african
from adapter_stilts.tasks.base import LANGUAGE, Split
from adapter_stilts.tasks.files import FileSource
from adapter_stilts.tasks.flores import TWO_LETTERS, code_of
from adapter_stilts.tasks.hub import HubSource


def read(source: FileSource, name: str, split: Split, language: str) -> list[Example]:
    return source.examples(get_task(name), split, language, {})


def test_belebele(releases: Path) -> None:
    source, task = FileSource(releases), get_task("belebele")
    assert source.languages(task, "test") == ("en", "hi", "hi-Latn", "sw", "zh", "zh-Hant")
    first, second = read(source, "belebele", "test", "hi-Latn")
    assert first == MultipleChoiceExample(
        "0", "The ferry leaves at noon. When does it leave?", ("at one", "at noon", "never", "daily"), 1
    )
    assert second.id == "1"
    assert len(task.languages) == 122
    assert task.codes["fa"] == "pes_Arab"


@pytest.mark.parametrize(("number", "label"), [("1", 0), (4, 3)])
def test_the_right_answer_of_belebele_counts_from_one(tmp_path: Path, number: object, label: int) -> None:
    row = {f"mc_answer{each}": str(each) for each in range(1, 5)}
    row |= {"flores_passage": "p", "question": "q", "correct_answer_num": number}  # type: ignore[dict-item]
    (tmp_path / "eng_Latn.jsonl").write_text(json.dumps(row))
    (example,) = read(FileSource(tmp_path), "belebele", "test", "en")
    assert isinstance(example, MultipleChoiceExample)
    assert example.label == label


def test_belebele_without_a_right_answer_is_refused(tmp_path: Path) -> None:
    row = {f"mc_answer{each}": "a" for each in range(1, 5)}
    row |= {"flores_passage": "p", "question": "q", "correct_answer_num": "0"}
    (tmp_path / "eng_Latn.jsonl").write_text(json.dumps(row))
    with pytest.raises(DataError, match=r"eng_Latn.jsonl:1: label '0' .* is not one of: 1, 2, 3, 4"):
        read(FileSource(tmp_path), "belebele", "test", "en")


def test_uner_reads_one_treebank_a_language(releases: Path) -> None:
    source = FileSource(releases)
    assert source.languages(get_task("uner"), "test") == ("en", "zh")
    assert read(source, "uner", "train", "en") == [
        TaggingExample("0", ("Ada", "Lovelace", "sails"), ("B-PER", "I-PER", "O")),
        TaggingExample("1", ("Riga",), ("B-LOC",)),
    ]
    (chinese,) = read(source, "uner", "test", "zh")
    assert isinstance(chinese, TaggingExample)
    assert chinese.words == ("\u5965\u65af\u9646",), "the simplified one"


def test_uner_of_a_treebank_that_is_not_the_languages_own_is_not_read(releases: Path, tmp_path: Path) -> None:
    shutil.copytree(releases / "uner" / "UNER_English-PUD", tmp_path / "UNER_English-PUD")
    assert FileSource(tmp_path).languages(get_task("uner"), "test") == ()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1\tAda\tB-PER\t-", "holds 4 columns, should hold 5"),
        ("2\tAda\tB-PER\t-\tada", "word 2 stands where word 1 should"),
        ("x\tAda\tB-PER\t-\tada", "'x' is not an id"),
        ("# text = Ada 1\tAda\tB-PER\t-\tada", "a comment holds a row"),
        ("1\tAda\tB-MISC\t-\tada", "tag 'B-MISC' is not one of"),
    ],
)
def test_malformed_lines_of_uner(tmp_path: Path, line: str, why: str) -> None:
    (tmp_path / "en_ewt-ud-test.iob2").write_text(f"# text = Ada\n{line}\n")
    with pytest.raises(DataError, match=rf"iob2:2: {why}"):
        read(FileSource(tmp_path), "uner", "test", "en")


def test_uner_passes_over_what_is_no_word(tmp_path: Path) -> None:
    text = "1-2\tvom\t_\t-\t-\n1\tvon\tO\t-\t-\n2\tRigaer\tB-LOC\t-\t-\n2.1\ther\t_\t-\t-\n"
    (tmp_path / "de_pud-ud-test.iob2").write_text(text)
    (example,) = read(FileSource(tmp_path), "uner", "test", "de")
    assert example == TaggingExample("0", ("von", "Rigaer"), ("O", "B-LOC"))


def test_masakhaner_leaves_dates_out(releases: Path) -> None:
    source, task = FileSource(releases), get_task("masakhaner2")
    assert source.languages(task, "test") == ("sw", "yo"), "the repository's data/ is version 1.0"
    first, _ = read(source, "masakhaner2", "test", "sw")
    assert first == TaggingExample(
        "0", ("Ada", "alifika", "Jumatatu", "asubuhi", "."), ("B-PER", "O", "O", "O", "O")
    )
    assert task.train_task == "uner"
    assert task.labels == get_task("uner").labels
    assert "DATE is left out" in task.remark
    assert source.training_languages(task) == ("sw", "yo")


def test_masakhaner_refuses_other_tags(tmp_path: Path) -> None:
    (tmp_path / "swa").mkdir()
    (tmp_path / "swa" / "test.txt").write_text("Ada B-WHO\n")
    with pytest.raises(DataError, match="tag 'B-WHO' is not one of"):
        read(FileSource(tmp_path), "masakhaner2", "test", "sw")


def test_real_sentences_of_masakhaner_hold_no_date(data_dir: Path) -> None:
    source = FileSource(data_dir / "masakhaner")
    found = [
        example for language in ("sw", "yo") for example in read(source, "masakhaner2", "test", language)
    ]
    tags = {tag for example in found if isinstance(example, TaggingExample) for tag in example.tags or ()}
    assert tags == set(get_task("masakhaner2").labels)
    raw = (data_dir / "masakhaner" / "swa" / "test.txt").read_text()
    assert " B-DATE" in raw, "which the release has"


def test_masakhapos(releases: Path) -> None:
    source = FileSource(releases)
    assert source.languages(get_task("masakhapos"), "test") == ("sw",)
    first, second = read(source, "masakhapos", "test", "sw")
    assert first == TaggingExample("0", ("Ada", "alifika", "."), ("PROPN", "VERB", "PUNCT"))
    assert second == TaggingExample("1", ("Ndiyo",), ("INTJ",))


def test_afrixnli(releases: Path) -> None:
    source = FileSource(releases)
    assert source.languages(get_task("afrixnli"), "test") == ("en", "sw")
    assert source.languages(get_task("afrixnli"), "dev") == ("en",)
    assert read(source, "afrixnli", "test", "sw") == [
        PairClassificationExample("0", 'Alisema "ndiyo".', "Alikubali.", "entailment"),
        PairClassificationExample("1", "Ni usiku.", "Jua linawaka.", "contradiction"),
    ]


@pytest.mark.parametrize(("told", "meant"), [("1", "neutral"), ("neutral", "neutral")])
def test_labels_of_afrixnli_by_number_and_by_name(tmp_path: Path, told: str, meant: str) -> None:
    (tmp_path / "swa").mkdir()
    (tmp_path / "swa" / "test.tsv").write_text(f"premise\thypothesis\tlabel\na\tb\t{told}\n")
    (example,) = read(FileSource(tmp_path), "afrixnli", "test", "sw")
    assert isinstance(example, PairClassificationExample)
    assert example.label == meant


def test_codes_are_of_two_letters_where_there_are_any() -> None:
    assert code_of("deu_Latn") == "de"
    assert code_of("zho_Hant") == "zh-Hant"
    assert code_of("luo_Latn") == "luo"
    assert len(set(TWO_LETTERS.values())) == len(TWO_LETTERS), "no two languages share a code"
    longer = {code for task in all_tasks() for code in task.all_languages if len(code.partition("-")[0]) > 2}
    assert not longer & set(TWO_LETTERS)
    assert all(LANGUAGE.fullmatch(code) for task in all_tasks() for code in task.all_languages)


def test_african_languages() -> None:
    assert african(("en", "sw", "ar", "sw-Arab", "zu")) == ("sw", "sw-Arab", "zu")
    for name, languages in BENCHMARKS["africa"].languages.items():
        assert set(languages) <= AFRICAN, name
        assert set(languages) == set(african(get_task(name).languages)), name


def test_the_command_line_offers_every_benchmark() -> None:
    assert tuple(BENCHMARK.choices) == tuple(BENCHMARKS)


def test_all_targets_of_africa(releases: Path) -> None:
    recipe = load_recipe(None, [("target.tasks", ["all"]), ("benchmark", "africa")])
    source = FileSource(releases)
    found, told = expanded(recipe, source)
    assert found == list(BENCHMARKS["africa"].languages)
    assert told == ()
    assert wanted_languages(get_task("afrixnli"), recipe, source) == (
        "am", "ee", "ha", "ig", "ln", "lg", "om", "rw", "sn", "st", "sw", "tw", "wo", "xh", "yo", "zu",
    )  # fmt: skip
    with pytest.raises(UsageError, match="'xnli' is no task of africa, whose tasks are: masakhaner2"):
        wanted_languages(get_task("xnli"), recipe, source)
    assert wanted_languages(get_task("afrixnli"), load_recipe(None), source)[:2] == ("en", "fr")


def test_what_the_hub_has_of_africa() -> None:
    recipe = load_recipe(None, [("target.tasks", ["all"]), ("benchmark", "africa")])
    found, told = expanded(recipe, HubSource())
    assert found == ["afrixnli", "belebele", "sib200"]
    assert "3 of the 5 targets of africa: left out masakhaner2 (the hub cannot serve 'masakhaner2'" in told[0]


@pytest.mark.parametrize("name", ["belebele", "uner", "masakhaner2", "masakhapos", "afrixnli"])
def test_the_miniature_has_each(name: str) -> None:
    source, task = MiniatureSource(), get_task(name)
    assert source.languages(task, "test")[:2] == (("en", "qaa") if "en" in task.languages else ("qaa", "qab"))
    examples = source.examples(task, "test", "qab", {})
    if task.labels and task.format == "tagging":
        tags = {tag for each in examples if isinstance(each, TaggingExample) for tag in each.tags or ()}
        assert tags <= set(task.labels)


def test_africa_has_no_scorer(tmp_path: Path) -> None:
    from adapter_stilts import library
    from adapter_stilts.stages.submit import write_submission

    assert OFFICIAL == ("xtreme", "xtreme-r")
    with pytest.raises(UsageError, match=r"africa has no official scorer.*With a scorer: xtreme, xtreme-r"):
        library.score(tmp_path, tmp_path, benchmark="africa")
    with pytest.raises(UsageError, match="africa has no official scorer"):
        write_submission([], tmp_path / "out", "africa")
    with pytest.raises(UnknownNameError, match="did you mean 'xtreme'"):
        official("xtrem")
