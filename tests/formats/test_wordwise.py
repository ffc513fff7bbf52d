"""Ids made word by word are those of the whole text, whatever the text and the tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapter_stilts.formats import wordwise
from adapter_stilts.formats.examples import RetrievalExample
from adapter_stilts.formats.tokens import tokenize
from adapter_stilts.formats.words import Cutter
from adapter_stilts.formats.wordwise import token_ids
from adapter_stilts.tasks import get_task
from adapter_stilts.tasks.files import FileSource

AWKWARD = [
    "",
    " ",
    "the red dog",
    "the  red   dog",
    " the red dog ",
    "the\tred\ndog",
    "the\u00a0red dog",
    "the red\u3000dog",
    "the dog\u200b saw",
    "the \u200bdog",
    "a \u0301cat",  # a mark on a blank
    "a cat\u0301 saw",
    "a \u00b4cat",  # normalised to a blank and a mark
    "\ufeffthe red dog",
    "the <mask> dog",
    "the <s>red</s> dog [SEP]",
    "\u2581the red",
    "猫は犬を 見た แมว",
    "a\u0600 cat",
    "ﬁsh ½ cat",
    "  two  blanks at both ends  ",
    "a\ufffdb \ufffd cat",
    "[header] the cat [title]",
    "the ＜mask＞ dog ｄog",
]


def xlmr_like(tokenizer: Any) -> Any:
    """The pieces of a tokenizer behind the normaliser and the cuts of XLM-R's."""
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    built = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    built.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    built.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    return PreTrainedTokenizerFast(tokenizer_object=built, mask_token="<mask>")


def one_blank(tokenizer: Any) -> Any:
    """Blanks in a row become one, which is marked: at a text's end it stays, however many there were."""
    from tokenizers import Regex, Tokenizer, normalizers
    from transformers import PreTrainedTokenizerFast

    built = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    built.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    return PreTrainedTokenizerFast(tokenizer_object=built, mask_token="<mask>")


def added(tokenizer: Any) -> Any:
    """With a token of its own that is looked for in the normalised text."""
    from tokenizers import AddedToken, Tokenizer, normalizers
    from transformers import PreTrainedTokenizerFast

    built = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    built.normalizer = normalizers.NFKC()
    built.add_tokens([AddedToken("dog", normalized=True, lstrip=True)])
    return PreTrainedTokenizerFast(tokenizer_object=built)


def byte_level(tokenizer: Any) -> Any:
    """A tokenizer that does not cut at blanks first."""
    from tokenizers import Tokenizer, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    built = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    built.pre_tokenizer = pre_tokenizers.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=built)


@pytest.fixture(scope="module")
def built(tokenizer: Any, bert_tokenizer: Any) -> dict[str, Any]:
    return {
        "sentencepiece": tokenizer,
        "xlm-r": xlmr_like(tokenizer),
        "bert": bert_tokenizer,
        "one blank": one_blank(tokenizer),
        "added": added(tokenizer),
        "bytes": byte_level(tokenizer),
    }


NAMES = ("sentencepiece", "xlm-r", "bert", "one blank", "added", "bytes")


def rows(found: Any) -> list[list[int]]:
    return [found[row].tolist() for row in range(len(found.lengths))]


@pytest.mark.parametrize("name", NAMES)
def test_awkward_texts(built: dict[str, Any], name: str) -> None:
    whole = tokenize(built[name], AWKWARD).ids
    (found,) = token_ids(built[name], AWKWARD)
    assert rows(found) == rows(whole)
    assert Cutter(built[name].backend_tokenizer).possible == (name != "bytes")


CHARACTERS = st.sampled_from(
    [*"abcdfghiot ", "  ", " ", "\u0301", "\u200d", "\u00a0", "\t", "é", "猫", "<s>", "½"]
)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=100)
@given(
    texts=st.lists(st.lists(CHARACTERS | st.characters(exclude_categories=["Cs"])).map("".join), max_size=4)
)
def test_any_texts(built: dict[str, Any], name: str, texts: list[str]) -> None:
    (found,) = token_ids(built[name], texts)
    assert rows(found) == rows(tokenize(built[name], texts).ids)


def test_a_word_that_does_not_show_is_tokenised_alone(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no other word is: of many that go through the tokenizer as one text, one may hide where it begins."""
    monkeypatch.setattr(wordwise, "WORDS_A_TEXT", 2)
    monkeypatch.setattr(wordwise, "_word_initial", _but_one(wordwise._word_initial))
    texts = ["the red dog saw the cat by the house"]
    (found,) = token_ids(tokenizer, texts)
    assert rows(found) == rows(tokenize(tokenizer, texts).ids)


def _but_one(word_initial: Any) -> Any:
    def all_but_the_third(backend: Any, pieces: Any) -> Any:
        begins = word_initial(backend, pieces)
        begins[np.flatnonzero(begins)[2]] = False
        return begins

    return all_but_the_third


def test_several_lists_at_once(tokenizer: Any) -> None:
    first, none, second = token_ids(tokenizer, ["the cat", "a dog", "the cat"], [], ["a dog"])
    assert rows(first)[0] == rows(first)[2]
    assert rows(none) == []
    assert rows(second) == [rows(first)[1]]


@pytest.mark.parametrize("language", ["ar", "de", "en", "hi", "ru", "th", "zh"])
def test_real_text(data_dir: Path, base_tokenizer: Any, language: str) -> None:
    if language == "en":
        examples = FileSource(data_dir).examples(get_task("hellaswag"), "train", "en", {})
        texts = [text for example in examples for text in example.choices]  # type: ignore[union-attr]
    else:
        examples = FileSource(data_dir).examples(get_task("tatoeba"), "test", language, {})
        texts = [example.text for example in examples if isinstance(example, RetrievalExample)]
    whole = tokenize(base_tokenizer, texts).ids
    (found,) = token_ids(base_tokenizer, texts)
    assert (found.values == whole.values).all()
    assert (found.offsets == whole.offsets).all()
