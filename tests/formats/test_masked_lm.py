"""Masked language modelling: nothing is lost in encoding, the right share is hidden, and the step's seed says what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adapter_stilts.errors import UsageError
from adapter_stilts.formats import masked_lm
from adapter_stilts.formats.examples import TextExample
from adapter_stilts.formats.features import Features, Ragged
from adapter_stilts.validation import validated

TEXTS = ["the red dog saw a cat", "", "a cat saw the red dog . who ? fish one two three four", "dogs"]
PAIRS = [("the red dog", "a cat saw fish one two three four"), ("who ?", "dogs")]


def alone(tokenizer: Any, max_length: int = 64) -> Features:
    examples = [TextExample(str(row), text) for row, text in enumerate(TEXTS)]
    return masked_lm.encode(examples, tokenizer, masked_lm.Settings(max_length=max_length), ())


def hide(features: Features, tokenizer: Any, seed: int = 0, **settings: float) -> Features:
    random = np.random.default_rng(seed)
    pieces = np.arange(5, len(tokenizer))
    return masked_lm.hide(features, masked_lm.Settings(**settings), random, tokenizer.mask_token_id, pieces)  # type: ignore[arg-type]


def gold(features: Features) -> np.ndarray:
    column = features.per_sequence["gold"]
    assert isinstance(column, Ragged)
    return column.values


@pytest.mark.parametrize("max_length", [8, 64])
def test_long_texts_become_several_windows_and_no_piece_is_lost(tokenizer: Any, max_length: int) -> None:
    features = alone(tokenizer, max_length)
    assert features.input_ids.lengths.max() <= max_length
    for row, text in enumerate(TEXTS):
        windows = range(features.sequences[row], features.sequences[row + 1])
        told = [piece for window in windows for piece in features.input_ids[window][1:-1].tolist()]
        assert told == tokenizer(text, add_special_tokens=False)["input_ids"]
    assert np.diff(features.sequences).tolist()[1] == 0  # a text without a piece
    assert features.num_sequences == (3 if max_length == 64 else features.num_sequences)


def test_translations_share_a_sequence(bert_tokenizer: Any) -> None:
    examples = [TextExample("0", *PAIRS[0]), TextExample("1", *PAIRS[1])]
    features = masked_lm.encode(examples, bert_tokenizer, masked_lm.Settings(), ())
    for row, (text, translation) in enumerate(PAIRS):
        plain = bert_tokenizer(text, translation)
        assert features.input_ids[row].tolist() == plain["input_ids"]
        assert features.token_types is not None
        assert features.token_types[row].tolist() == plain["token_type_ids"]
    short = masked_lm.encode(examples, bert_tokenizer, masked_lm.Settings(max_length=8), ())
    assert short.input_ids.lengths.max() == 8


def test_what_is_hidden(tokenizer: Any) -> None:
    features = alone(tokenizer)
    many = features.select(np.asarray([0, 2] * 2000))
    hidden = hide(many, tokenizer)
    chosen = gold(hidden) != masked_lm.IGNORED
    ordinary = many.per_sequence["ordinary"].values  # type: ignore[union-attr]
    assert not chosen[~ordinary].any()
    before, after = many.input_ids.values, hidden.input_ids.values
    assert (gold(hidden)[chosen] == before[chosen]).all()
    assert (before[~chosen] == after[~chosen]).all()
    assert chosen.sum() / ordinary.sum() == pytest.approx(0.15, abs=0.02)
    masked = after[chosen] == tokenizer.mask_token_id
    assert masked.mean() == pytest.approx(0.8, abs=0.01)
    same = after[chosen] == before[chosen]
    assert same.mean() == pytest.approx(0.1, abs=0.02)
    assert not set(after[chosen & (after != tokenizer.mask_token_id)].tolist()) & set(
        tokenizer.all_special_ids
    )


def test_every_sequence_has_something_to_tell(tokenizer: Any) -> None:
    features = alone(tokenizer)
    few = hide(features, tokenizer, hidden=1e-6)
    assert [int(row.sum()) for row in masked_lm.hidden(few, np.arange(3))] == [1, 1, 1]
    assert masked_lm.units(few, np.asarray([0, 2])) == 2


def test_the_generator_alone_decides(tokenizer: Any) -> None:
    features = alone(tokenizer)
    first, again, other = (hide(features, tokenizer, seed) for seed in (1, 1, 2))
    assert (gold(first) == gold(again)).all()
    assert (first.input_ids.values == again.input_ids.values).all()
    assert (gold(first) != gold(other)).any()


def test_settings_that_do_not_fit_are_told() -> None:
    with pytest.raises(UsageError, match=r"masked = 0\.8 and exchanged = 0\.3 are more than 1 together"):
        validated(masked_lm.Settings, {"exchanged": 0.3}, where="formats.masked_lm")


def test_the_loss_is_that_of_the_hidden_pieces(tokenizer: Any) -> None:
    import torch

    hidden = hide(alone(tokenizer), tokenizer, hidden=0.5)
    parts = [np.asarray([2, 0]), np.asarray([1])]
    torch.manual_seed(0)
    outputs = [
        torch.randn(int(masked_lm.hidden(hidden, rows).values.sum()), len(tokenizer)) for rows in parts
    ]
    loss = masked_lm.loss_sum(outputs, parts, hidden, np.arange(3))
    expected, place = 0.0, 0
    logits = torch.cat(outputs).log_softmax(-1)
    for row in (2, 0, 1):
        for piece in hidden.per_sequence["gold"][row]:  # type: ignore[index]
            if piece != masked_lm.IGNORED:
                expected -= float(logits[place, piece])
                place += 1
    assert place == len(logits) == masked_lm.units(hidden, np.arange(3))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_it_is_not_evaluated() -> None:
    with pytest.raises(TypeError, match="trained, not evaluated"):
        masked_lm.decode([], None, {}, masked_lm.Settings(), ())  # type: ignore[arg-type]
