"""What each task makes of its rows, by hand-written releases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from adapter_stilts.formats.examples import (
    Answer,
    MultipleChoiceExample,
    PairClassificationExample,
    RetrievalExample,
    SpanQAExample,
    TaggingExample,
)
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.base import Split
from adapter_stilts.tasks.files import FileSource
from adapter_stilts.tasks.holdout import held_out


def read(releases: Path, name: str, split: Split, language: str = "en", **options: str) -> list[object]:
    return list(FileSource(releases).examples(get_task(name), split, language, options))


def test_hellaswag(releases: Path) -> None:
    begun, whole = read(releases, "hellaswag", "train")
    endings = ("she sings to the oven.", "she lets it rise in a bowl.", "she paints it.", "she swims away.")
    assert begun == MultipleChoiceExample("0", "A baker kneads a ball of dough.", endings, 1)
    assert whole == MultipleChoiceExample(
        "1", "Lie down on something soft.", ("Close your eyes.", "Run.", "Shout.", "Juggle."), 0
    )
    assert isinstance(begun, MultipleChoiceExample)
    assert read(releases, "hellaswag", "test")[0] == replace(begun, label=None)


def test_commonsenseqa(releases: Path) -> None:
    choices = ("lake", "cloud", "closet", "soup", "sky")
    stem = "Where would you look for a dry umbrella?"
    assert read(releases, "commonsenseqa", "dev") == [MultipleChoiceExample("0f1e", stem, choices, 2)]


def test_nli_rows_without_agreement_are_skipped(releases: Path) -> None:
    expected = [
        PairClassificationExample("0", "A girl feeds two ducks.", "A girl is on holiday.", "neutral"),
        PairClassificationExample("2", 'A dog runs on the "beach".', "An animal moves.", "entailment"),
        PairClassificationExample("3", "Nobody is here.", "A crowd waits.\u2028", "contradiction"),
    ]
    assert read(releases, "snli", "train") == expected
    assert read(releases, "snli", "test") == expected
    assert read(releases, "mnli", "train") == expected
    assert read(releases, "mnli", "dev") == expected


def test_xnli_picks_its_language_from_the_shared_file(releases: Path) -> None:
    assert read(releases, "xnli", "test", "de") == [
        PairClassificationExample("0", "Der Bus hielt.", "Der Bus war voll.", "neutral"),
        PairClassificationExample("1", "Es ist Nacht.", "Die Sonne scheint.", "contradiction"),
    ]
    assert FileSource(releases).languages(get_task("xnli"), "test") == ("en", "ar", "de")
    assert FileSource(releases).languages(get_task("xnli"), "dev") == ("en",)


def test_squad_v1(releases: Path) -> None:
    context = "The lamp was lit in 1822."
    assert read(releases, "squad_v1", "dev") == [
        SpanQAExample("q1", "When?", context, (Answer("1822", 20),)),
        SpanQAExample("q2", "What?", context, (Answer("The lamp", 0), Answer("lamp", 4))),
    ]


def test_xquad_keeps_the_mark_that_offsets_count(releases: Path) -> None:
    context = "\ufeffDie Lampe 💡 brannte ab 1822."
    assert read(releases, "xquad", "test", "de") == [
        SpanQAExample("q1", "1822?", context, (Answer("1822", 24),))
    ]
    assert FileSource(releases).languages(get_task("xquad"), "test") == ("en", "de", "th")


def test_tydiqa_cuts_its_english_dev_set_from_train(releases: Path) -> None:
    train, dev = read(releases, "tydiqa", "train"), read(releases, "tydiqa", "dev")
    assert len(train) + len(dev) == 60
    assert 0 < len(dev) < 20
    for example in train + dev:
        assert isinstance(example, SpanQAExample)
        assert example.id.startswith("english-")
        assert held_out(example.context) == (example in dev)


def test_tydiqa_test_is_what_was_released_as_dev(releases: Path) -> None:
    answers = (Answer("1822", 21), Answer("vuonna 1822", 14))
    context = "Lamppu syttyi vuonna 1822."
    assert read(releases, "tydiqa", "test", "fi") == [
        SpanQAExample("finnish--76-0", "Milloin?", context, answers)
    ]
    assert FileSource(releases).languages(get_task("tydiqa"), "test") == ("en", "fi")


def test_udpos_reads_all_treebanks_of_a_language(releases: Path) -> None:
    yes = TaggingExample("1", ("Ja",), ("INTJ",))
    syntactic = TaggingExample("0", ("Licht", "von", "dem", "Turm"), ("NOUN", "ADP", "DET", "NOUN"))
    fused = TaggingExample("0", ("Licht", "vom", "Turm"), ("NOUN", "ADP", "NOUN"))
    assert read(releases, "udpos", "test", "de") == [syntactic, yes]
    assert read(releases, "udpos", "test", "de", words="fused") == [fused, yes]


def test_tatoeba_gives_both_sides(releases: Path) -> None:
    assert read(releases, "tatoeba", "test", "de") == [
        RetrievalExample("foreign-0", "Das Wasser ist kalt.", "foreign", "0"),
        RetrievalExample("english-0", "The water is cold.", "english", "0"),
        RetrievalExample("foreign-1", " Wer?\u2028", "foreign", "1"),
        RetrievalExample("english-1", "Who?", "english", "1"),
    ]
