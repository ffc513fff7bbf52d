from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_stilts.errors import UnknownNameError
from adapter_stilts.formats import format_names, get_format, multiple_choice
from adapter_stilts.formats.base import Format
from adapter_stilts.formats.examples import MultipleChoiceExample
from adapter_stilts.formats.features import Features, Ragged, concatenate, item_lengths, sequences_of
from adapter_stilts.formats.tokens import tokenize

rows_of_numbers = st.lists(st.lists(st.integers(0, 99), max_size=6), min_size=1, max_size=8)


def ragged(rows: list[list[int]]) -> Ragged:
    return Ragged.from_lengths(np.asarray(list(chain(*rows)), dtype=np.int32), [len(row) for row in rows])


@given(rows_of_numbers, st.data())
def test_taking_and_padding_rows(rows, data) -> None:
    table = ragged(rows)
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=10))
    taken = table.take(np.asarray(chosen))
    assert [taken[i].tolist() for i in range(len(taken))] == [rows[row] for row in chosen]
    padded = table.padded(np.asarray(chosen), -1)
    width = max(len(rows[row]) for row in chosen)
    assert padded.tolist() == [rows[row] + [-1] * (width - len(rows[row])) for row in chosen]


def encoded(tokenizer, names: str) -> Features:
    examples = [
        MultipleChoiceExample(n, f"the {n}", ("a", "cat " * (1 + i), n), 1) for i, n in enumerate(names)
    ]
    return multiple_choice.encode(examples, tokenizer, multiple_choice.Settings(), ())


def same(first: Features, second: Features) -> bool:
    return (
        first.input_ids.values.tolist() == second.input_ids.values.tolist()
        and first.input_ids.offsets.tolist() == second.input_ids.offsets.tolist()
        and first.sequences.tolist() == second.sequences.tolist()
        and {k: v.tolist() for k, v in first.per_example.items()}
        == {k: v.tolist() for k, v in second.per_example.items()}
    )


def test_saved_features_come_back(tokenizer, tmp_path) -> None:
    features = encoded(tokenizer, "abc")
    features.save(tmp_path)
    loaded = Features.load(tmp_path)
    assert same(features, loaded)
    assert not loaded.input_ids.values.flags.writeable  # the file itself, mapped


@pytest.mark.parametrize("kept", [0, 100, -1])
def test_a_file_cut_short_is_not_read(tokenizer, tmp_path, kept) -> None:
    encoded(tokenizer, "abc").save(tmp_path)
    arrays = tmp_path / "arrays.bin"
    arrays.write_bytes(arrays.read_bytes()[: kept - 1 if kept < 0 else kept])
    with pytest.raises(ValueError, match=r"arrays\.bin is not what its digest says"):
        Features.load(tmp_path)


def test_a_flipped_bit_is_not_read(tokenizer, tmp_path) -> None:
    encoded(tokenizer, "abc").save(tmp_path)
    content = bytearray((tmp_path / "arrays.bin").read_bytes())
    content[8] ^= 1
    (tmp_path / "arrays.bin").write_bytes(content)
    with pytest.raises(ValueError, match=r"arrays\.bin is not what its digest says"):
        Features.load(tmp_path)


def test_no_examples_come_back(tmp_path) -> None:
    none = Features(Ragged.from_lengths(np.zeros(0, np.int32), []), np.zeros(1, np.int64))
    none.save(tmp_path)
    assert same(Features.load(tmp_path), none)


def test_selecting_and_joining_agree(tokenizer) -> None:
    features = encoded(tokenizer, "abcd")
    parts = [features.select(np.asarray([0, 1])), features.select(np.asarray([2, 3]))]
    assert same(concatenate(parts), features)
    assert same(
        features.select(np.asarray([3, 1])), concatenate([features.select(np.asarray([i])) for i in (3, 1)])
    )


def test_every_distinct_text_is_tokenised_once(tokenizer) -> None:
    texts = ["the red dog", "a cat", "the red dog", "", "a cat"]
    pieces = tokenize(tokenizer, texts)
    for row, text in enumerate(texts):
        plain = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        assert pieces.ids[row].tolist() == plain["input_ids"]
        offsets = list(zip(pieces.starts[row].tolist(), pieces.ends[row].tolist(), strict=True))
        assert offsets == plain["offset_mapping"]


def test_a_format_is_a_module_that_says_it_is_one() -> None:
    ours = (
        "masked_lm",
        "multiple_choice",
        "pair_classification",
        "retrieval",
        "span_qa",
        "tagging",
        "text_classification",
        "text_regression",
    )
    assert format_names() == ours
    offered = {*Format.__annotations__, *(name for name in vars(Format) if not name.startswith("_"))}
    assert {"SCHEMA", "Settings", "JUDGED", "TASK_CLASS", "encode", "decode"} <= offered
    for name in ours:
        assert [each for each in offered if not hasattr(get_format(name), each)] == []
    with pytest.raises(UnknownNameError, match="did you mean 'tagging'"):
        get_format("taging")
    with pytest.raises(UnknownNameError, match="unknown format 'tokens'"):
        get_format("tokens")


@pytest.mark.parametrize("name", format_names())
def test_every_format_offers_the_whole_interface(name) -> None:
    module = get_format(name)
    assert module.ITEMS in ("examples", "sequences")
    assert module.Settings().model_dump()["max_length"] > 0
    for function in ("head_shape", "encode", "units", "loss_sum", "reduce", "decode"):
        assert callable(getattr(module, function))


def test_items_are_examples_or_sequences() -> None:
    lengths = [10, 20, 5, 7, 7, 7]
    split = Features(Ragged.from_lengths(np.zeros(sum(lengths)), lengths), np.asarray([0, 2, 3, 6]))
    assert item_lengths(split, "examples").tolist() == [30, 5, 21]
    assert item_lengths(split, "sequences").tolist() == lengths
    for kind, expected in (("examples", ([3, 4, 5, 0, 1], [3, 2])), ("sequences", ([2, 0], [1, 1]))):
        rows, counts = sequences_of(split, np.asarray([2, 0]), kind)
        assert (rows.tolist(), counts.tolist()) == expected
