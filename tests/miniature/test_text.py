"""Pretraining text: as much as a language's level gives it, and nothing that is evaluated on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from adapter_stilts.formats.examples import (
    Example,
    MultipleChoiceExample,
    PairClassificationExample,
    RetrievalExample,
    SpanQAExample,
    TaggingExample,
    TextClassificationExample,
)
from adapter_stilts.miniature.catalogue import COUNTERPARTS
from adapter_stilts.miniature.languages import CODES
from adapter_stilts.miniature.text import documents, pairs, share

pytestmark = pytest.mark.slow

Examples = Callable[..., list[Example]]

# Their pools are single sentences of texts that are held out as wholes: a short one may stand elsewhere too.
SENTENCES = ("lareqa", "mewslix")


def passage(example: Example) -> str:
    """The text of an example that its question or choices are about."""
    match example:
        case PairClassificationExample():
            return example.premise
        case MultipleChoiceExample():
            return example.prompt
        case SpanQAExample():
            return example.context
        case TaggingExample():
            return " ".join(example.words[:-1]) + example.words[-1]
        case RetrievalExample() | TextClassificationExample():
            return example.text


@pytest.mark.parametrize("code", ["en", "qab", "qaf"])
def test_nothing_of_dev_or_test_is_in_the_text(code: str, examples: Examples) -> None:
    read = list(documents(code, 0, 2500))
    if code != "en":
        read += [text for pair in pairs(code, 0, 1200) for text in pair]
    sentences = {s for text in read for s in text.replace("? ", "?|").replace(". ", ".|").split("|")}
    whole = set(read) | sentences
    text = "\n".join(read)
    said, checked = [], 0
    for name, counterpart in COUNTERPARTS.items():
        for split in ("dev", "test"):
            if (
                not counterpart.sizes[split]
                or (code == "en" and counterpart.foreign_only)
                or name in SENTENCES
            ):
                continue
            for example in examples(name, split, code):
                told = passage(example)
                checked += 1
                if told in whole:
                    said.append((name, told))
                if name in ("hellaswag", "xquad", "tydiqa"):
                    assert told not in text, (name, told)
    # A language that leaves out pronouns can say two things in the same words, once in a thousand sentences.
    assert len(said) <= checked / 1000, said


def test_train_sets_share_nothing_with_dev_and_test(examples: Examples) -> None:
    train, held_out = set(), set()
    for name, counterpart in COUNTERPARTS.items():
        if counterpart.sizes["train"]:
            train.update(map(passage, examples(name, "train", "en")))
        for split in ("dev", "test"):
            if counterpart.sizes[split] and not counterpart.foreign_only and name not in SENTENCES:
                held_out.update(map(passage, examples(name, split, "en")))
    assert not train & held_out


def test_text_follows_the_resource_level() -> None:
    assert [share(code) for code in ("en", "qaa", "qac", "qaf")] == sorted(
        (share(code) for code in ("en", "qaa", "qac", "qaf")), reverse=True
    )
    assert len(list(documents("qaf", 0))) == 1600


def test_text_is_seeded_and_languages_say_different_things() -> None:
    assert list(documents("qaa", 0, 20)) == list(documents("qaa", 0, 20))
    assert list(documents("qaa", 0, 20)) != list(documents("qaa", 1, 20))
    english = {pair[0] for pair in pairs("qaa", 0, 100)}
    assert len(english & {pair[0] for pair in pairs("qab", 0, 100)}) < 20


def test_english_is_a_small_language(examples: Examples) -> None:
    texts = [*documents("en", 0, 3000)]
    for name, counterpart in COUNTERPARTS.items():
        if counterpart.sizes["train"]:
            for example in examples(name, "train", "en"):
                texts.append(passage(example))
    words = {word for text in texts for word in text.replace(".", " ").replace("?", " ").split()}
    assert len({word for word in words if not word.isdigit()}) <= 400
    longest = max(len(s.split()) for text in texts for s in text.replace("?", ".").split(". "))
    assert longest <= 20
    assert len(CODES) == 7
