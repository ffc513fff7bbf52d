"""Order and marking of every language, on sentences of fixed meaning, glossed by hand."""

from __future__ import annotations

import unicodedata

import pytest

from adapter_stilts.miniature.constructed import Constructed, grammar
from adapter_stilts.miniature.events import person, place, thing
from adapter_stilts.miniature.languages import BY_CODE, CODES, LANGUAGES, SHARE
from adapter_stilts.miniature.lexicon import SUFFIXES
from adapter_stilts.miniature.meaning import Clause, Phrase, Sentence, write

MIRA, EMIL = person("Mira"), person("Emil")
GAVE = Clause(
    "give",
    (("agent", MIRA), ("theme", thing("rope", "old")), ("recipient", EMIL), ("place", place("market"))),
)
WENT = Clause("go", (("agent", MIRA), ("goal", place("bakery"))))
NAMES = ("Mira", "Emil", "Tolan", "Velor")
HUNGRY = Clause("hungry", (("theme", EMIL),))
BORN = Clause("born", (("theme", person("Mira", "Tolan")), ("place", Phrase("town", "lake", ("Velor",)))))

ENGLISH = {
    Sentence(GAVE): "Mira gave the old rope to Emil in the market.",
    Sentence(GAVE, "passive"): "the old rope was given to Emil in the market by Mira.",
    Sentence(GAVE, "converse"): "Emil got the old rope from Mira in the market.",
    Sentence(GAVE.denied()): "Mira did not give the old rope to Emil in the market.",
    Sentence(GAVE, ask="agent"): "who gave the old rope to Emil in the market?",
    Sentence(GAVE, ask="recipient"): "to whom did Mira give the old rope in the market?",
    Sentence(GAVE, "passive", ask="agent"): "by whom was the old rope given to Emil in the market?",
    Sentence(GAVE, ask="whether"): "did Mira give the old rope to Emil in the market?",
    Sentence(WENT, ask="goal"): "where did Mira go?",
    Sentence(WENT, pronoun=True, variant=1, link="then"): "then she walked to the bakery.",
    Sentence(HUNGRY.denied(), link="finally"): "finally Emil was not hungry.",
    Sentence(HUNGRY, ask="reason"): "why was Emil hungry?",
    Sentence(WENT, reason=Clause("hungry", (("theme", MIRA),))): (
        "Mira went to the bakery because she was hungry."
    ),
    Sentence(BORN): "Mira Tolan was born in lake Velor.",
    Sentence(Clause("baker", (("theme", EMIL),))): "Emil was a baker.",
    Sentence(Clause("rain")): "it rained.",
}

GLOSSES = {
    Sentence(GAVE): {
        "qaa": "Mira give rope old mark:recipient Emil mark:place market",
        "qab": "Mira Emil+recipient market+place old rope+object give",
        "qac": "give+she Mira rope old mark:recipient Emil mark:place market",
        "qad": "Mira Emil mark:recipient market mark:place old rope mark:object give",
        "qae": "Mira give+she old rope+object Emil+recipient market+place",
        "qaf": "give Mira+ergative rope old Emil+recipient market+place",
        "qag": "Mira give rope old mark:recipient Emil mark:place market",
    },
    Sentence(GAVE, "passive"): {
        "qaa": "rope old passive give mark:recipient Emil mark:place market mark:by Mira",
        "qab": "old rope+object Mira Emil+recipient market+place give",
        "qac": "passive give+it rope old mark:recipient Emil mark:place market mark:by Mira",
        "qad": "old rope mark:object Mira Emil mark:recipient market mark:place give",
        "qae": "old rope+object Mira give+she Emil+recipient market+place",
        "qaf": "rope old give Mira+ergative Emil+recipient market+place",
        "qag": "rope old passive give mark:recipient Emil mark:place market mark:by Mira",
    },
    Sentence(GAVE, "converse"): {
        "qaa": "Emil get rope old mark:source Mira mark:place market",
        "qab": "Emil Mira+source market+place old rope+object get",
        "qac": "get+he Emil rope old mark:source Mira mark:place market",
        "qad": "Emil Mira mark:source market mark:place old rope mark:object get",
        "qae": "Emil get+he old rope+object Mira+source market+place",
        "qaf": "get Emil+ergative rope old Mira+source market+place",
        "qag": "Emil get rope old mark:source Mira mark:place market",
    },
    Sentence(WENT, ask="goal"): {
        "qaa": "mark:goal where Mira go",
        "qab": "Mira where+goal go",
        "qac": "mark:goal where go+she Mira",
        "qad": "Mira where mark:goal go ask",
        "qae": "where+goal Mira go+she",
        "qaf": "go Mira where+goal ask",
        "qag": "Mira go mark:goal where ask",
    },
    Sentence(HUNGRY.denied(), link="finally"): {
        "qaa": "finally Emil not be hungry",
        "qab": "finally Emil hungry+not",
        "qac": "finally not be+he hungry Emil",
        "qad": "finally Emil hungry not be",
        "qae": "finally Emil hungry not",
        "qaf": "finally not hungry Emil",
        "qag": "finally Emil be not hungry",
    },
    Sentence(WENT, reason=Clause("hungry", (("theme", MIRA),))): {
        "qaa": "Mira go mark:goal bakery because he be hungry",
        "qab": "he hungry because Mira bakery+goal go",
        "qac": "go+she Mira mark:goal bakery because be+she hungry she",
        "qad": "he hungry be because Mira bakery mark:goal go",
        "qae": "Mira go+she bakery+goal because he hungry",
        "qaf": "go Mira bakery+goal because hungry he",
        "qag": "Mira go mark:goal bakery because he be hungry",
    },
    Sentence(BORN): {
        "qaa": "Mira Tolan born mark:place lake Velor",
        "qab": "Mira Tolan Velor lake+place born",
        "qac": "born+she Mira Tolan mark:place lake Velor",
        "qad": "Mira Tolan Velor lake mark:place born",
        "qae": "Mira Tolan born+she Velor lake+place",
        "qaf": "born Mira Tolan lake+place Velor",
        "qag": "Mira Tolan born mark:place lake Velor",
    },
}


def gloss(tongue: Constructed, sentence: Sentence) -> str:
    """The concepts and markers of a sentence, read back from its words with the lexicon."""
    concept = {word: key for key, word in tongue.words.items() if key not in SUFFIXES}
    suffixes = {key.split(":")[1]: tongue.words[key] for key in SUFFIXES}

    def read(word: str) -> str:
        if word in concept or word in NAMES:
            return concept.get(word, word)
        return next(
            f"{read(word.removesuffix(ending))}+{name}"
            for name, ending in suffixes.items()
            if word.endswith(ending) and word.removesuffix(ending) in {*concept, *NAMES}
        )

    return " ".join(read(token.text) for token in tongue.realise(sentence)[:-1])


@pytest.mark.parametrize(("sentence", "text"), ENGLISH.items(), ids=ENGLISH.values())
def test_english(sentence: Sentence, text: str) -> None:
    assert write([grammar("en").realise(sentence)]) == text


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("sentence", GLOSSES, ids=[ENGLISH[sentence] for sentence in GLOSSES])
def test_order_and_marking(sentence: Sentence, code: str) -> None:
    tongue = grammar(code)
    assert isinstance(tongue, Constructed)
    assert gloss(tongue, sentence) == GLOSSES[sentence][code]


def test_languages_differ_in_order_script_and_level() -> None:
    assert {language.order for language in LANGUAGES} == {"SVO", "SOV", "VSO"}
    assert {language.level for language in LANGUAGES} == set(SHARE)
    assert SHARE["high"] > SHARE["middle"] > SHARE["low"] > 0
    assert all("qaa" <= code <= "qtz" for code in CODES), "the private range of ISO 639-3"
    for level in SHARE:
        assert len({language.order for language in LANGUAGES if language.level == level}) >= 2


@pytest.mark.parametrize("code", CODES)
def test_no_word_or_marker_stands_for_two_things(code: str) -> None:
    tongue = grammar(code)
    assert isinstance(tongue, Constructed)
    words = list(tongue.words.values())
    assert len(set(words)) == len(words)
    # A tokenizer like XLM-R's normalises text; answers must survive it.
    assert all(unicodedata.normalize("NFKC", word) == word for word in words)
    scripts = {unicodedata.name(letter).split()[0] for word in words for letter in word}
    assert len(scripts) == 1, scripts


def test_words_of_different_languages_differ() -> None:
    lexicons = [set(grammar(code).words.values()) for code in CODES]  # type: ignore[attr-defined]
    for number, words in enumerate(lexicons):
        for other in lexicons[number + 1 :]:
            assert len(words & other) <= 2


def test_names_and_numerals_are_shared() -> None:
    clause = Clause("die", (("agent", MIRA), ("time", Phrase("year", names=("1844",)))))
    for code in CODES:
        text = write([grammar(code).realise(Sentence(clause))])
        assert "Mira" in text
        assert "1844" in text


def test_marks_end_sentences() -> None:
    for code in CODES:
        tongue, language = grammar(code), BY_CODE[code]
        assert tongue.realise(Sentence(WENT))[-1].text == language.stop
        assert tongue.realise(Sentence(WENT, ask="agent"))[-1].text == language.question_mark
