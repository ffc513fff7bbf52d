from __future__ import annotations

import numpy as np
import pytest

from adapter_stilts.formats import span_qa
from adapter_stilts.formats.examples import Answer, SpanQAExample
from adapter_stilts.formats.features import Ragged


def example(context: str, answer: str | None, question: str = "who ?", key: str = "q") -> SpanQAExample:
    answers = () if answer is None else (Answer(answer, context.index(answer)),)
    return SpanQAExample(key, question, context, answers)


def gold_as_prediction(features):
    """What a model that is always right would leave behind."""
    start, end = (np.asarray(features.per_sequence[name]) for name in ("start", "end"))
    return {"score": np.where(start > 0, 1.0, -np.inf), "start": start, "end": end, "null": 0.0 * start}


@pytest.mark.parametrize(
    ("context", "answer"),
    [
        ("the red dog saw a cat", "dog"),
        ("the red dog saw a cat", "the red dog saw a cat"),
        ("\ufeffthe red dog saw a cat", "red dog"),
        ("  the   red dog  saw a cat", "saw"),
        ("the\u00a0red dog saw a cat", "red"),
        ("猫は犬を見た", "犬"),
        ("the cat saw แมว dog", "แมว"),
    ],
)
def test_gold_answers_come_back_character_for_character(tokenizer, context, answer) -> None:
    settings = span_qa.Settings()
    examples = [example(context, answer)]
    features = span_qa.encode(examples, tokenizer, settings, ())
    assert span_qa.decode(examples, features, gold_as_prediction(features), settings, ()) == [answer]


def test_windows_start_a_stride_apart_and_cover_the_context(tokenizer) -> None:
    words = " ".join(["the red dog saw a cat"] * 12)
    settings = span_qa.Settings(max_length=32, stride=8)
    examples = [example(words, "the red"), example("a cat", "cat")]
    features = span_qa.encode(examples, tokenizer, settings, ())
    assert features.input_ids.lengths.max() <= 32
    char_start, char_end = features.per_sequence["char_start"], features.per_sequence["char_end"]
    assert isinstance(char_start, Ragged)
    assert isinstance(char_end, Ragged)
    first, last = features.sequences[0], features.sequences[1] - 1
    assert last > first + 1
    assert features.sequences[2] == last + 2
    pieces = tokenizer(words, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    begins = [char_start[w][features.per_sequence["context_start"][w]] for w in range(first, last + 1)]
    assert begins == [pieces[8 * number][0] for number in range(len(begins))]
    assert char_end[last].max() == len(words)


def test_windows_without_the_answer_point_at_the_first_token(tokenizer) -> None:
    context = " ".join(["the red dog saw a cat"] * 12) + " fish"
    features = span_qa.encode(
        [example(context, "fish"), example(context, None)],
        tokenizer,
        span_qa.Settings(max_length=32, stride=8),
        (),
    )
    start = np.asarray(features.per_sequence["start"])
    answered = start[: features.sequences[1]]
    assert answered[0] == 0
    assert answered[-1] > 0
    assert not start[features.sequences[1] :].any()


def test_long_questions_are_cut_and_no_room_is_an_error(tokenizer) -> None:
    long = example("the dog", "dog", question="red " * 100)
    features = span_qa.encode([long], tokenizer, span_qa.Settings(max_question_length=5), ())
    assert features.input_ids.lengths[0] < 20
    with pytest.raises(ValueError, match="leaves no room"):
        span_qa.encode([long], tokenizer, span_qa.Settings(max_length=16), ())


def brute_force(starts, ends, first, count, longest, n_best):
    """The best pair by the definition, over all pairs."""
    inside = range(first, first + count)
    best_starts = sorted(inside, key=lambda i: -starts[i])[:n_best]
    best_ends = sorted(inside, key=lambda i: -ends[i])[:n_best]
    pairs = [(s, e) for s in best_starts for e in best_ends if s <= e < s + longest]
    return max(pairs, key=lambda pair: starts[pair[0]] + ends[pair[1]], default=None)


@pytest.mark.parametrize("n_best", [1, 3, 20])
@pytest.mark.parametrize("longest", [1, 4, 30])
def test_reduce_finds_the_best_span_of_the_definition(tokenizer, n_best, longest) -> None:
    import torch

    settings = span_qa.Settings(n_best=n_best, max_answer_length=longest)
    examples = [example("the red dog saw a cat " * n, "dog", key=str(n)) for n in (1, 2, 3)]
    features = span_qa.encode(examples, tokenizer, settings, ())
    width = int(features.input_ids.lengths.max())
    logits = torch.randn(3, width, 2, generator=torch.Generator().manual_seed(7))
    reduced = span_qa.reduce(logits, features, np.arange(3), settings)
    for row in range(3):
        starts, ends = logits[row, :, 0].tolist(), logits[row, :, 1].tolist()
        first = int(features.per_sequence["context_start"][row])
        count = int(features.per_sequence["context_length"][row])
        best = brute_force(starts, ends, first, count, longest, n_best)
        if best is None:
            assert reduced["score"][row] == -np.inf
        else:
            assert (reduced["start"][row], reduced["end"][row]) == best


def test_the_best_window_of_a_question_answers_it(tokenizer) -> None:
    context = " ".join(f"the red dog saw a cat {word}" for word in ("one", "two", "three", "four"))
    settings = span_qa.Settings(max_length=32, stride=8)
    examples = [example(context, "four")]
    features = span_qa.encode(examples, tokenizer, settings, ())
    reduced = gold_as_prediction(features)
    first = np.asarray(features.per_sequence["context_start"])
    # Every window has a candidate; the one that holds the answer scores highest.
    reduced["score"] = np.where(reduced["start"] > 0, 5.0, 1.0)
    reduced["start"] = np.where(reduced["start"] > 0, reduced["start"], first)
    reduced["end"] = np.where(reduced["end"] > 0, reduced["end"], first)
    assert span_qa.decode(examples, features, reduced, settings, ()) == ["four"]


def test_loss_ignores_padding_and_is_the_mean_of_both_ends(tokenizer) -> None:
    import torch

    examples = [example("the red dog saw a cat", "dog"), example("a cat", "cat", key="r")]
    features = span_qa.encode(examples, tokenizer, span_qa.Settings(), ())
    lengths = features.input_ids.lengths
    logits = torch.randn(2, int(lengths.max()), 2, generator=torch.Generator().manual_seed(1))
    rows = np.arange(2)
    together = span_qa.loss_sum([logits], [rows], features, rows)
    by_hand = 0.0
    for row in rows:
        real = logits[row, : lengths[row]]
        for side, name in enumerate(("start", "end")):
            by_hand -= float(real[:, side].log_softmax(0)[features.per_sequence[name][row]]) / 2
    assert float(together) == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("language", ["ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"])
def test_real_gold_answers_lie_in_their_window(data_dir, base_tokenizer, language) -> None:
    """The span of pieces around a gold answer contains it; it equals it unless a piece crosses its edge."""
    from adapter_stilts.tasks import get_task
    from adapter_stilts.tasks.sources import open_source

    examples = open_source(str(data_dir)).examples(get_task("xquad"), "test", language, {})
    settings = span_qa.Settings()
    features = span_qa.encode(examples, base_tokenizer, settings, ())
    found = span_qa.decode(examples, features, gold_as_prediction(features), settings, ())
    unequal = 0
    for each, text in zip(examples, found, strict=True):
        gold = each.answers[0].text
        assert gold.strip() in text
        unequal += gold != text
    assert unequal <= 0.1 * len(examples)


@pytest.mark.parametrize("answer", ["cafe\u0301", "Hue\u0302\u0301", "Κανελλη\u0301"])
def test_nfd_answers_keep_their_last_combining_mark(answer) -> None:
    """A tokenizer that composes letters gives the place of the base letter alone."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["<s>", "<pad>", "</s>", "<unk>", "the", "who", "saw", "café", "Huế", "Κανελλή"]
    backend = Tokenizer(models.WordLevel({word: row for row, word in enumerate(words)}, unk_token="<unk>"))
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    ends = [("<s>", 0), ("</s>", 2)]
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=ends
    )
    composing = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>")
    settings = span_qa.Settings()
    for context in (f"the {answer} saw", f"the saw {answer}"):
        examples = [example(context, answer, "who")]
        features = span_qa.encode(examples, composing, settings, ())
        assert span_qa.decode(examples, features, gold_as_prediction(features), settings, ()) == [answer]


def test_a_start_counts_where_its_token_has_most_context(tokenizer) -> None:
    """Against BERT's own rule, token by token."""
    import torch

    words = [f"the red dog saw a cat and catfish {number}" for number in ("one", "two", "three", "four")]
    examples = [
        SpanQAExample("long", "who ?", " ".join(words), ()),
        SpanQAExample("short", "who ?", "the dog", ()),
        SpanQAExample("again", "who ? who ?", " ".join(words), ()),
    ]
    settings = span_qa.Settings(max_length=24, stride=5, max_context=True)
    features = span_qa.encode(examples, tokenizer, settings, ())
    starts, lengths = (features.per_sequence[name] for name in ("context_start", "context_length"))
    for row in range(len(examples)):
        windows = range(features.sequences[row], features.sequences[row + 1])
        step = min(settings.stride, int(lengths[windows[0]])) if len(windows) > 1 else 0
        spans = [(number * step, int(lengths[window])) for number, window in enumerate(windows)]
        for number, window in enumerate(windows):
            first, length = spans[number]
            for place in range(first, first + length):
                scores = [
                    min(place - start, start + count - 1 - place) + 0.01 * count
                    if start <= place < start + count
                    else -1.0
                    for start, count in spans
                ]
                token = int(starts[window]) + place - first
                found = features.per_sequence["max_context"][window][token]
                assert bool(found) == (scores.index(max(scores)) == number), (row, number, place)
    # The best start by score lies at a window's edge; it counts in the window that sees more around it.
    outputs = torch.full((features.num_sequences, int(features.input_ids.lengths.max()), 2), -5.0)
    edge = int(starts[0] + lengths[0] - 1)
    outputs[0, edge] = 9.0
    rows = np.arange(features.num_sequences)
    plain = span_qa.reduce(outputs, features, rows, span_qa.Settings(max_length=24, stride=5))
    strict = span_qa.reduce(outputs, features, rows, settings)
    assert (plain["start"][0], plain["score"][0]) == (edge, 18.0)
    assert strict["start"][0] != edge
