from __future__ import annotations

import numpy as np
import pytest

from adapter_stilts.formats import multiple_choice, pair_classification
from adapter_stilts.formats.examples import MultipleChoiceExample, PairClassificationExample

LABELS = ("entailment", "neutral", "contradiction")


@pytest.mark.parametrize("max_length", [8, 13, 16, 33, 256])
def test_pairs_are_encoded_as_the_tokenizer_does(tokenizer, max_length) -> None:
    texts = [("the red dog " * n, "a cat saw " * m) for n in (1, 5, 30) for m in (1, 7, 40)]
    examples = [PairClassificationExample(str(i), a, b, "neutral") for i, (a, b) in enumerate(texts)]
    settings = pair_classification.Settings(max_length=max_length)
    features = pair_classification.encode(examples, tokenizer, settings, LABELS)
    for row, (first, second) in enumerate(texts):
        expected = tokenizer(first, second, truncation="longest_first", max_length=max_length)["input_ids"]
        assert features.input_ids[row].tolist() == expected


def test_segments_follow_encoders_that_have_them(bert_tokenizer) -> None:
    examples = [PairClassificationExample("a", "the red dog", "a cat", "neutral")]
    features = pair_classification.encode(examples, bert_tokenizer, pair_classification.Settings(), LABELS)
    expected = bert_tokenizer("the red dog", "a cat")
    assert features.input_ids[0].tolist() == expected["input_ids"]
    assert features.token_types is not None
    assert features.token_types[0].tolist() == expected["token_type_ids"]


def test_prompts_are_cut_at_their_start_and_choices_never(tokenizer) -> None:
    prompt, choices = "the red dog saw a cat " * 10 + "fish", ("a cat", "the red dog saw")
    examples = [MultipleChoiceExample("a", prompt, choices, 1)]
    features = multiple_choice.encode(examples, tokenizer, multiple_choice.Settings(max_length=16), ())
    for row, choice in enumerate(choices):
        ids = features.input_ids[row].tolist()
        whole = tokenizer(prompt, choice)["input_ids"]
        tail = tokenizer(choice, add_special_tokens=False)["input_ids"]
        assert len(ids) == 16
        assert ids[0] == whole[0]
        assert ids[1:] == whole[-15:]
        assert ids[-len(tail) - 1 : -1] == tail


def test_a_choice_beyond_the_window_names_the_example(tokenizer) -> None:
    examples = [
        MultipleChoiceExample("fine", "the dog", ("a", "cat"), 0),
        MultipleChoiceExample("too long", "the dog", ("a", "red dog " * 20), 0),
    ]
    settings = multiple_choice.Settings(max_length=16, too_long="error")
    with pytest.raises(ValueError, match=r"'too long'.*more than fit a window of 16.*max_length.*too_long"):
        multiple_choice.encode(examples, tokenizer, settings, ())


@pytest.mark.parametrize(
    ("prompt", "choice"), [(2, 30), (30, 30), (6, 13), (7, 13), (0, 30), (40, 12), (5, 12)]
)
@pytest.mark.parametrize("max_length", [16, 17])
def test_a_choice_beyond_the_window_is_cut_as_the_study_cuts(tokenizer, prompt, choice, max_length) -> None:
    texts = [
        " ".join(["the dog saw a red cat"[: 3 + row % 3]] * count)
        for row, count in ((1, prompt), (2, choice))
    ]
    example = MultipleChoiceExample("one", texts[0], (texts[1], "cat"), 0)
    plain = MultipleChoiceExample("two", "the dog", ("a", "cat"), 0)
    settings = multiple_choice.Settings(max_length=max_length)
    features = multiple_choice.encode([plain, example], tokenizer, settings, ())
    one, two = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts)
    room = max_length - 4  # <s> </s> </s> </s>
    cut = len(two) > room
    lengths = [len(one), len(two)]
    while cut and sum(lengths) > room:  # jiant's rule, token by token; the first of equals
        lengths[0 if lengths[0] >= lengths[1] else 1] -= 1
    if not cut:
        lengths[0] = min(lengths[0], room - lengths[1])
    kept = [ids[len(ids) - length :] for ids, length in zip((one, two), lengths, strict=True)]
    assert features.input_ids[2].tolist() == [0, *kept[0], 2, 2, *kept[1], 2]
    assert features.per_example["cut"].tolist() == [0, int(cut)]


def test_scores_are_gathered_across_sub_batches_before_the_softmax(tokenizer) -> None:
    import torch

    examples = [
        MultipleChoiceExample("a", "the dog", ("a", "cat", "red dog"), 2),
        MultipleChoiceExample("b", "a cat", ("dog", "saw"), 0),
    ]
    features = multiple_choice.encode(examples, tokenizer, multiple_choice.Settings(), ())
    scores = torch.tensor([0.1, 0.9, -0.4, 1.5, 0.2])
    by_hand = -float(scores[:3].log_softmax(0)[2]) - float(scores[3:].log_softmax(0)[0])
    parts = [np.asarray([3, 0]), np.asarray([4]), np.asarray([2, 1])]
    outputs = [scores[torch.as_tensor(part)][:, None] for part in parts]
    for items in ([0, 1], [1, 0]):
        loss = multiple_choice.loss_sum(outputs, parts, features, np.asarray(items))
        assert float(loss) == pytest.approx(by_hand, rel=1e-6)


def test_the_best_choice_wins(tokenizer) -> None:
    examples = [
        MultipleChoiceExample("a", "the dog", ("a", "cat", "red dog"), 2),
        MultipleChoiceExample("b", "a cat", ("dog", "saw"), 0),
    ]
    settings = multiple_choice.Settings()
    features = multiple_choice.encode(examples, tokenizer, settings, ())
    reduced = {"score": np.asarray([0.0, 3.0, 1.0, 0.0, 2.0])}
    assert multiple_choice.decode(examples, features, reduced, settings, ()) == [1, 1]


def test_pair_labels_by_name(tokenizer) -> None:
    import torch

    examples = [PairClassificationExample(str(n), "dog", "cat", label) for n, label in enumerate(LABELS)]
    settings = pair_classification.Settings()
    features = pair_classification.encode(examples, tokenizer, settings, LABELS)
    assert features.per_example["label"].tolist() == [0, 1, 2]
    logits = torch.eye(3) * 4
    rows = np.arange(3)
    reduced = pair_classification.reduce(logits, features, rows, settings)
    assert pair_classification.decode(examples, features, reduced, settings, LABELS) == list(LABELS)
    loss = pair_classification.loss_sum([logits[1:], logits[:1]], [rows[1:], rows[:1]], features, rows)
    assert float(loss) == pytest.approx(3 * -float(torch.tensor([4.0, 0, 0]).log_softmax(0)[0]), rel=1e-5)
