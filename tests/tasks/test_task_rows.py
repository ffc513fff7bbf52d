"""What each task makes of its rows, by hand-written releases."""

from __future__ import annotations

import json
from dataclasses import replace
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
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.base import Split
from adapter_stilts.tasks.files import FileSource
from adapter_stilts.tasks.holdout import held_out
from adapter_stilts.tasks.sources import with_labels


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


def test_commonsenseqa_test_has_no_answers(tmp_path: Path) -> None:
    choices = [{"label": letter, "text": letter * 2} for letter in "ABCDE"]
    row = {"id": "7", "question": {"question_concept": "x", "choices": choices, "stem": "Which?"}}
    (tmp_path / "test_rand_split_no_answers.jsonl").write_text(json.dumps(row) + "\n")
    assert read(tmp_path, "commonsenseqa", "test") == [
        MultipleChoiceExample("7", "Which?", ("AA", "BB", "CC", "DD", "EE"), None)
    ]


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


def test_anli_takes_all_rounds_or_one(releases: Path) -> None:
    first = PairClassificationExample("0", "A girl feeds two ducks.", "A girl is on holiday.", "neutral")
    dog = PairClassificationExample("1", 'A dog runs on the "beach".', "An animal moves.", "entailment")
    crowd = PairClassificationExample("3", "Nobody is here.", "A crowd waits.\u2028", "contradiction")
    found = read(releases, "anli", "train")
    assert found == [first, dog, replace(dog, id="2"), crowd]
    assert read(releases, "anli", "dev", round="R1") == [first]
    assert read(releases, "anli", "test", round="R3") == [replace(dog, id="0"), replace(crowd, id="1")]


def test_qqp_leaves_out_rows_that_are_broken_in_two(releases: Path) -> None:
    assert read(releases, "qqp", "dev") == [
        PairClassificationExample(
            "0", 'How do I boil "an" egg?', "What is the way to boil eggs?", "duplicate"
        ),
        PairClassificationExample("1", "Who?", "Where?", "not_duplicate"),
    ]


def test_squad_v2_keeps_questions_without_an_answer(releases: Path) -> None:
    context = "The lamp was lit in 1822."
    assert read(releases, "squad_v2", "train") == [
        SpanQAExample("q1", "When?", context, (Answer("1822", 20),)),
        SpanQAExample("q2", "Who?", context, ()),
    ]


def test_cosmosqa(releases: Path) -> None:
    prompt = 'It rained, so we ate "indoors" . Where had they meant to eat ?'
    choices = ("Outside .", "At sea .", "A,\nB", "None .")
    found = [
        MultipleChoiceExample("9##q1", prompt, choices, 0),
        MultipleChoiceExample("8##q1", prompt, choices, 3),
    ]
    assert read(releases, "cosmosqa", "train") == read(releases, "cosmosqa", "dev") == found
    assert read(releases, "cosmosqa", "test") == [
        MultipleChoiceExample("7##q1", "It rained . Where ?", ("0", "1", "2", "3"), None)
    ]


def test_siqa_has_its_labels_in_a_file_beside(releases: Path) -> None:
    prompt, choices = "Ada lent Bo her bicycle. How would Bo feel?", ("grateful", "asleep", "like a thief")
    assert read(releases, "siqa", "train") == [
        MultipleChoiceExample("0", prompt, choices, 0),
        MultipleChoiceExample("1", prompt, choices, 2),
    ]


def test_siqa_as_xtreme_r_fetches_it(tmp_path: Path) -> None:
    row = {
        "context": "Ada fell.",
        "question": "And then?",
        **{f"answer{x}": x for x in "ABC"},
        "correct": "B",
    }
    folder = tmp_path / "siqa" / "socialIQa_v1.4"
    folder.mkdir(parents=True)
    (folder / "socialIQa_v1.4_trn.jsonl").write_text(json.dumps(row) + "\n")
    assert read(tmp_path, "siqa", "train") == [
        MultipleChoiceExample("0", "Ada fell. And then?", tuple("ABC"), 1)
    ]


def test_copa_and_xcopa_ask_for_cause_or_effect(releases: Path) -> None:
    choices = ("The oil was used up.", "Ships passed by.")
    assert read(releases, "copa", "dev") == [
        MultipleChoiceExample("0", "The lamp went out. What was the cause?", choices, 0),
        MultipleChoiceExample("1", "The lamp went out. What happened as a result?", choices, 1),
    ]
    assert read(releases, "xcopa", "test", "it") == [
        MultipleChoiceExample(
            "0", "La lampada si spense. What was the cause?", ("L'olio finì.", "Ships passed by."), 0
        )
    ]
    assert FileSource(releases).languages(get_task("xcopa"), "test") == ("it",)


def test_ccg_reads_sections_of_ccgbank(releases: Path) -> None:
    train = read(releases, "ccg", "train")
    assert train == [TaggingExample(str(n), ("Ada", "sings"), ("NP", "S[dcl]\\NP")) for n in range(20)]
    assert read(releases, "ccg", "dev") == [TaggingExample("0", ("Ada", "sings"), ("N", "S[dcl]\\NP"))]


CCG_LINES = {
    "train.tsv": "Ada\tNP\nsings\tS[dcl]\\NP\n\nStop\tS[b]\n",
    "train.txt": "Ada NP\nsings S[dcl]\\NP\n\nStop S[b]\n\n",
    "ccg.train": "0\tAda sings\tNP S[dcl]\\NP\n1\tStop\tS[b]\n",
}


@pytest.mark.parametrize("name", CCG_LINES)
def test_ccg_reads_lines_of_tokens_and_tags(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(CCG_LINES[name])
    assert read(tmp_path, "ccg", "train") == [
        TaggingExample("0", ("Ada", "sings"), ("NP", "S[dcl]\\NP")),
        TaggingExample("1", ("Stop",), ("S[b]",)),
    ]


def test_the_label_set_of_ccg_is_that_of_its_data(releases: Path) -> None:
    ccg, udpos, source = get_task("ccg"), get_task("udpos"), FileSource(releases)
    assert with_labels(ccg, source, {}).labels == ("N", "NP", "S[dcl]\\NP")
    assert with_labels(udpos, source, {}) is udpos


def test_pawsx_quotes_are_text(releases: Path) -> None:
    for language, split in (("de", "test"), ("en", "train"), ("en", "dev")):
        assert read(releases, "pawsx", split, language) == [
            PairClassificationExample("0", '"Links" steht der Turm .', 'Der Turm steht "links .', "1"),
            PairClassificationExample("1", "A liebt B .", "B liebt A .", "0"),
        ]


def test_panx_strips_the_language_of_each_word(releases: Path) -> None:
    expected = [
        TaggingExample("0", ("Ada", ":", "Riga"), ("B-PER", "O", "B-LOC")),
        TaggingExample("1", ("Riga",), ("B-LOC",)),
    ]
    assert read(releases, "panx", "test", "lt") == read(releases, "panx", "train") == expected
    assert FileSource(releases).languages(get_task("panx"), "test") == ("de", "en", "lt")


def test_mlqa_pairs_languages_on_request(releases: Path) -> None:
    context = "Die Lampe brannte ab 1822."
    answer = (Answer("1822", 21),)
    assert read(releases, "mlqa", "test", "de") == [SpanQAExample("a1", "Ab wann?", context, answer)]
    assert read(releases, "mlqa", "test", "de", question="es") == [
        SpanQAExample("a1", "¿Desde cuándo?", context, answer)
    ]
    with pytest.raises(
        DataError, match="holds mlqa test for 'de' with question = 'same', 'de', 'es' only, not 'hi'"
    ):
        read(releases, "mlqa", "test", "de", question="hi")


def test_bucc2018_has_a_dev_set_in_each_language(releases: Path) -> None:
    expected = [
        RetrievalExample("de-1", "Das Wasser ist kalt.", "foreign", "de-1"),
        RetrievalExample("de-2", "Wer?", "foreign", None),
        RetrievalExample("en-1", "Nobody.", "english", None),
        RetrievalExample("en-2", "The water is cold.", "english", "de-1"),
    ]
    assert read(releases, "bucc2018", "dev", "de") == read(releases, "bucc2018", "test", "de") == expected
    assert FileSource(releases).languages(get_task("bucc2018"), "dev") == ("de",)


def test_lareqa_has_a_share_of_the_pool_in_each_language(releases: Path) -> None:
    assert read(releases, "lareqa", "test", "th") == [
        RetrievalExample("q1", "th?", "query", None, ("q1",)),
        RetrievalExample("q2", "th: wann?", "query", None, ("q2",)),
        RetrievalExample("th-0-0", "\ufeffth: alt.", "candidate", None, ()),
        RetrievalExample("th-0-1", "Ab 1822.", "candidate", None, ("q1", "q2")),
    ]


def test_mewslix_asks_with_the_sentence_of_a_mention(releases: Path) -> None:
    riga = RetrievalExample("Q1773", "Rīga ir galvaspilsēta.", "candidate", None, ("Q1773",))
    perth = RetrievalExample("Q7", "Perth uzakta.", "candidate", None, ("Q7",))
    turkish = RetrievalExample("tr-1", "Riga burada.", "query", None, ("Q1773",))
    assert read(releases, "mewslix", "test", "tr") == [turkish, perth]
    assert read(releases, "mewslix", "dev", "de") == [
        RetrievalExample("de-1", "Riga feiert.", "query", None, ("Q1773",))
    ]
    assert read(releases, "mewslix", "test", "en") == [riga], (
        "descriptions in other languages stand with English"
    )
