"""The cache of encoded features: another process may write the same while we do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from adapter_stilts.formats.features import Features, Ragged
from adapter_stilts.stages.data import Size, _cached, _read_size

KEY = "ab" * 32


class _Overtaken(Features):
    """Features whose other writer finishes during the given step of ours."""

    target: Path
    during: str

    def save(self, directory: Path) -> None:
        super().save(directory)
        if self.during == "save":
            _finish(self, self.target)


def _finish(features: Features, target: Path) -> None:
    target.mkdir(parents=True)
    Features.save(features, target)


@pytest.mark.parametrize("during", ["encode", "save"])
def test_two_writers_of_the_same_features(tmp_path: Path, during: str) -> None:
    target = tmp_path / "features" / KEY[:2] / KEY

    def encode() -> Features:
        features = _Overtaken(Ragged.from_lengths(np.arange(5, dtype=np.int32), [2, 3]), np.arange(3))
        object.__setattr__(features, "target", target)
        object.__setattr__(features, "during", during)
        if during == "encode":
            _finish(features, target)
        return features

    refuse: Callable[[], Features] = lambda: pytest.fail("encoded twice")  # noqa: E731
    for make in (encode, refuse):
        found = _cached(tmp_path, KEY, make)
        assert found.input_ids.lengths.tolist() == [2, 3]
    assert [path.name for path in target.parent.iterdir()] == [KEY]


def test_tokenizers_that_share_a_definition_share_no_features_where_columns_differ(tiny_bert: Path) -> None:
    """As mBERT and DistilmBERT, of which one takes segment ids."""
    from transformers import AutoTokenizer

    from adapter_stilts.stages.data import CachedTokenizer

    told, untold = (AutoTokenizer.from_pretrained(tiny_bert) for _ in range(2))
    assert CachedTokenizer(told, tiny_bert).fingerprint == CachedTokenizer(untold, tiny_bert).fingerprint
    untold.model_input_names = ["input_ids", "attention_mask"]
    assert told.backend_tokenizer.to_str() == untold.backend_tokenizer.to_str()
    assert CachedTokenizer(told, tiny_bert).fingerprint != CachedTokenizer(untold, tiny_bert).fingerprint


def test_a_damaged_entry_is_made_again_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = Features(Ragged.from_lengths(np.arange(5, dtype=np.int32), [2, 3]), np.arange(3))
    _cached(tmp_path, KEY, lambda: made)
    arrays = tmp_path / "features" / KEY[:2] / KEY / "arrays.bin"
    content = bytearray(arrays.read_bytes())
    content[0] ^= 1
    arrays.write_bytes(content)
    assert _cached(tmp_path, KEY, lambda: made).input_ids.values.tolist() == [0, 1, 2, 3, 4]
    assert "encoded again" in caplog.text
    assert arrays.read_bytes() != bytes(content)


@pytest.mark.parametrize(
    "kept", ["", "[1, 2]", '{"items": 3}', '{"items": 3, "tokens": "9"}', '{"items": 3, "words": 9}']
)
def test_a_damaged_size_is_none(tmp_path: Path, kept: str) -> None:
    place = tmp_path / "size.json"
    assert _read_size(place) is None
    place.write_text('{"items": 3, "tokens": 9}')
    assert _read_size(place) == Size(3, 9)
    place.write_text(kept)
    assert _read_size(place) is None
