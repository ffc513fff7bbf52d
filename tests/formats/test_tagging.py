from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adapter_stilts.formats import tagging
from adapter_stilts.formats.examples import TaggingExample
from adapter_stilts.formats.features import Ragged

LABELS = ("A", "B", "C")


def sentence(words: str, key: str = "s") -> TaggingExample:
    parts = tuple(words.split(" "))
    return TaggingExample(key, parts, tuple(LABELS[row % 3] for row in range(len(parts))))


def gold_as_prediction(features):
    gold, starts = features.per_sequence["gold"], features.per_sequence["word_start"]
    counts = [int(starts[row].sum()) for row in range(len(starts))]
    return {"label": Ragged.from_lengths(gold.values[starts.values], counts)}


@pytest.mark.parametrize("max_length", [8, 16, 32, 256])
def test_every_word_gets_its_own_tag_back(tokenizer, max_length) -> None:
    examples = [
        sentence("the red dog saw a cat " * 9 + "fish"),
        sentence("\u0000 dog \u200b", "control characters alone tokenise to nothing"),
        sentence("dog" * 40 + " cat", "a word longer than the window"),
        sentence("cat", "one"),
    ]
    settings = tagging.Settings(max_length=max_length)
    features = tagging.encode(examples, tokenizer, settings, LABELS)
    assert features.input_ids.lengths.max() <= max_length
    decoded = tagging.decode(examples, features, gold_as_prediction(features), settings, LABELS)
    assert decoded == [example.tags for example in examples]


def test_a_word_without_pieces_becomes_unknown(tokenizer) -> None:
    features = tagging.encode([sentence(" dog")], tokenizer, tagging.Settings(), LABELS)
    assert features.input_ids[0][1] == tokenizer.unk_token_id


def test_ids_equal_the_tokenizers_own_for_split_words(tokenizer) -> None:
    words = ["the", "red", "dog", "saw", "a", "catfish", "."]
    features = tagging.encode([sentence(" ".join(words))], tokenizer, tagging.Settings(), LABELS)
    assert features.input_ids[0].tolist() == tokenizer(words, is_split_into_words=True)["input_ids"]


def test_only_first_pieces_are_labelled(tokenizer) -> None:
    features = tagging.encode([sentence("dog catfishdog")], tokenizer, tagging.Settings(), LABELS)
    gold = features.per_sequence["gold"]
    assert (gold.values != tagging.IGNORED).sum() == 2
    assert gold[0][0] == tagging.IGNORED
    assert tagging.units(features, np.asarray([0])) == 2


def test_loss_is_the_sum_over_words(tokenizer) -> None:
    import torch

    examples = [sentence("the red dog"), sentence("cat", "t")]
    features = tagging.encode(examples, tokenizer, tagging.Settings(), LABELS)
    rows = np.arange(2)
    width = int(features.input_ids.lengths.max())
    logits = torch.randn(2, width, 3, generator=torch.Generator().manual_seed(0))
    gold = features.per_sequence["gold"]
    by_hand = sum(
        -float(logits[row, place].log_softmax(0)[label])
        for row in rows
        for place, label in enumerate(gold[row])
        if label != tagging.IGNORED
    )
    together = tagging.loss_sum([logits], [rows], features, rows)
    short = int(features.input_ids.lengths[1])
    apart = tagging.loss_sum([logits[:1], logits[1:, :short]], [rows[:1], rows[1:]], features, rows)
    assert float(together) == pytest.approx(by_hand, rel=1e-5)
    assert float(apart) == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("language", ["en", "de", "ja", "th", "ar"])
@pytest.mark.parametrize("max_length", [32, 256])
def test_real_sentences_at_short_windows(data_dir, base_tokenizer, language, max_length) -> None:
    from adapter_stilts.tasks import get_task
    from adapter_stilts.tasks.sources import open_source

    task = get_task("udpos")
    examples = open_source(str(data_dir)).examples(task, "test", language, {})
    settings = tagging.Settings(max_length=max_length)
    features = tagging.encode(examples, base_tokenizer, settings, task.labels)
    decoded = tagging.decode(examples, features, gold_as_prediction(features), settings, task.labels)
    assert decoded == [example.tags for example in examples]


@pytest.fixture(scope="module")
def families() -> dict[str, Any]:
    """Tokenizers that treat the blank before a word in every way there is, trained on a handful of sentences."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    def trained(model: Any, trainer: Any, normalizer: Any, pre_tokenizer: Any, cuts: Any = None) -> Any:
        """With pieces learnt on what `cuts` leaves, where that is not what the tokenizer itself does."""
        from transformers import PreTrainedTokenizerFast

        built = Tokenizer(model)
        if normalizer is not None:
            built.normalizer = normalizer
        built.pre_tokenizer = cuts or pre_tokenizer
        built.train_from_iterator(SENTENCES * 30, trainer)
        built.pre_tokenizer = pre_tokenizer
        built.decoder = decoders.Fuse()
        return PreTrainedTokenizerFast(tokenizer_object=built, unk_token="<unk>")

    special = ["<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe = {"vocab_size": 400, "special_tokens": special, "show_progress": False}

    def byte_level(prefix: bool) -> Any:
        trainer = trainers.BpeTrainer(initial_alphabet=alphabet, **bpe)
        return trained(models.BPE(), trainer, None, pre_tokenizers.ByteLevel(add_prefix_space=prefix))

    def marked(normalizer: Any, pre_tokenizer: Any) -> Any:
        # SentencePiece learns no piece that reaches over a blank.
        cuts = pre_tokenizers.Metaspace(prepend_scheme="never")
        model = models.BPE(unk_token="<unk>")
        return trained(model, trainers.BpeTrainer(**bpe), normalizer, pre_tokenizer, cuts)

    def sentencepiece(scheme: str) -> Any:
        trainer = trainers.UnigramTrainer(unk_token="<unk>", **{**bpe, "vocab_size": 150})
        return trained(models.Unigram(), trainer, None, pre_tokenizers.Metaspace(prepend_scheme=scheme))

    split = pre_tokenizers.Split(" ", "merged_with_previous")
    replace = normalizers.Replace(" ", "\u2581")
    return {
        "byte_level": byte_level(False),
        "byte_level_prefixed": byte_level(True),
        "gemma": marked(replace, split),
        "llama": marked(normalizers.Sequence([normalizers.Prepend("\u2581"), replace]), None),
        "sentencepiece": sentencepiece("always"),
        "sentencepiece_first": sentencepiece("first"),
        "wordpiece": trained(
            models.WordPiece(unk_token="<unk>"),
            trainers.WordPieceTrainer(**bpe),
            normalizers.BertNormalizer(lowercase=False),
            pre_tokenizers.BertPreTokenizer(),
        ),
    }


NAMES = (
    "byte_level",
    "byte_level_prefixed",
    "gemma",
    "llama",
    "sentencepiece",
    "sentencepiece_first",
    "wordpiece",
)
SENTENCES = [
    "the mayor of Riga was seen in Rome .",
    "a mayor 's cat , and it 's John Smith 's !",
    "猫 は 犬 を 見 た 。 แมว เห็น",
    "Việt Nam wins 3 : 0 in İzmir ; e\u0301tait là",
    "one of ½ ﬁsh \u00b4 \u0301x",
]


@pytest.mark.parametrize("family", NAMES)
def test_pieces_of_a_sentence_are_those_of_its_words_joined_by_blanks(families, family) -> None:
    tokenizer = families[family]
    examples = [sentence(text, str(row)) for row, text in enumerate(SENTENCES)]
    features = tagging.encode(examples, tokenizer, tagging.Settings(), LABELS)
    for row, text in enumerate(SENTENCES):
        whole = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert features.input_ids[row].tolist() == whole, text
        starts = np.flatnonzero(features.per_sequence["word_start"][row])
        assert len(starts) == len(text.split(" "))
