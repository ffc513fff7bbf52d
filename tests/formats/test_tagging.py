from __future__ import annotations

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
