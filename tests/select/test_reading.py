"""Train sets measured: against what a library computes by itself, from the cache, and under planted bugs."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapter_stilts.library import plan_train
from adapter_stilts.select.estimators import ESTIMATORS
from adapter_stilts.select.reading import FILE, TOKENIZERS, TrainSets, some
from adapter_stilts.stages.drawing import Draw
from adapter_stilts.stages.planning.request import Request
from adapter_stilts.tasks import get_task

Open = Callable[..., TrainSets]


@pytest.fixture(scope="module")
def request_() -> Request:
    study = plan_train("none", "tydiqa", recipe="miniature")
    return Request(study.recipe, study.source, lambda: study.base)


@pytest.fixture
def opened(request_: Request, tmp_path: Path) -> Open:
    def call(count: int = 8, seed: int = 0) -> TrainSets:
        return TrainSets(request_, tmp_path, "cpu", Draw(count, seed))

    return call


@pytest.mark.parametrize("name", ["hellaswag", "tydiqa", "panx"])
def test_a_train_set_is_what_the_encoder_itself_says_of_each_example(opened: Open, name: str) -> None:
    sets = opened()
    task = get_task(name)
    found = sets.embedded(task, None)
    features = sets.sample(task, None).features
    vectors = []
    for first, last in zip(features.sequences, features.sequences[1:], strict=False):
        means = []
        for row in range(first, last):
            ids = torch.as_tensor(features.input_ids[row].astype(np.int64))[None]
            with torch.inference_mode():
                means.append(sets.encoder(input_ids=ids).last_hidden_state[0].mean(dim=0).numpy())
        vectors.append(np.mean(means, axis=0))
    assert found.embedding is not None
    np.testing.assert_allclose(found.embedding, np.mean(vectors, axis=0), rtol=1e-4, atol=1e-5)
    special = set(sets.tokenizer.tokenizer.all_special_ids)
    ids = [piece for row in range(features.num_sequences) for piece in features.input_ids[row].tolist()]
    assert found.pieces.sum() * 8 == pytest.approx(sum(piece not in special for piece in ids))
    assert found.length == pytest.approx(len(ids) / features.num_sequences)
    assert found.examples == {"hellaswag": 3000, "tydiqa": 800, "panx": 1500}[name]


def test_what_was_measured_is_not_measured_again(opened: Open, tmp_path: Path) -> None:
    task = get_task("panx")
    first = opened().embedded(task, None)
    again = opened()
    second = again.embedded(task, None)
    assert second.embedding is not None
    assert np.array_equal(first.pieces, second.pieces)
    assert np.array_equal(np.asarray(first.embedding), second.embedding)
    assert (second.examples, second.length, second.format) == (first.examples, first.length, first.format)
    assert not again._samples
    assert "encoder" not in vars(again)
    assert "tokenizer" not in vars(again)  # nor the library that makes it, which takes seconds
    assert len(list(tmp_path.rglob(FILE))) == 2


@pytest.mark.parametrize("damaged", ["", "x" * 64, "é" * 32])
def test_a_tokenizers_fingerprint_that_cannot_be_read_is_taken_anew(
    opened: Open, tmp_path: Path, damaged: str
) -> None:
    first = opened().tokenizer_fingerprint
    (kept,) = (tmp_path / TOKENIZERS).iterdir()
    kept.write_text(damaged, encoding="utf-8")
    again = opened()
    assert again.tokenizer_fingerprint == first == again.tokenizer.fingerprint
    assert kept.read_text(encoding="utf-8") == first


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:50])


def of_another_kind(file: Path) -> None:
    """An array by itself, which is no archive of some."""
    with file.open("wb") as out:
        np.save(out, np.zeros(3))


def flagged(places: dict[bytes, tuple[int, bytes]]) -> Callable[[Path], None]:
    """Bytes of each header in the archive, by its mark, in the place of what is there."""

    def damage(file: Path) -> None:
        held = bytearray(file.read_bytes())
        for mark, (offset, value) in places.items():
            found = [place for place in range(len(held)) if held.startswith(mark, place)]
            assert found
            for place in found:
                held[place + offset : place + offset + len(value)] = value
        file.write_bytes(bytes(held))

    return damage


def a_file_for_the_folder(file: Path) -> None:
    shutil.rmtree(file.parent)
    file.parent.write_text("not a folder", encoding="utf-8")


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut": (cut, "BadZipFile"),
    "array": (of_another_kind, ""),  # TypeError; under Python 3.10 AttributeError
    "unknown compression": (
        flagged({b"PK\x03\x04": (8, b"\x63\x00"), b"PK\x01\x02": (10, b"\x63\x00")}),
        "NotImplementedError",
    ),
    "encrypted": (
        flagged({b"PK\x03\x04": (6, b"\x01\x00"), b"PK\x01\x02": (8, b"\x01\x00")}),
        "RuntimeError",
    ),
    "file": (a_file_for_the_folder, "a file, not a folder"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_file_is_told_and_measured_again(
    opened: Open, tmp_path: Path, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    task = get_task("panx")
    first = opened().measure(task, None)
    (file,) = tmp_path.rglob(FILE)
    damage, why = DAMAGES[case]
    damage(file)
    with caplog.at_level(logging.WARNING):
        again = opened().measure(task, None)
    assert f"{file.parent}: damaged ({why}" in caplog.text
    assert "measured again" in caplog.text
    assert np.array_equal(first.pieces, again.pieces)
    third = opened()
    third.measure(task, None)
    assert third.made == 0


def test_another_draw_or_limit_is_another_measurement(opened: Open) -> None:
    task = get_task("panx")
    first = opened().measure(task, None)
    assert not np.array_equal(opened(seed=1).measure(task, None).pieces, first.pieces)
    limited = opened().measure(task, 8)
    assert limited.examples == 8
    assert not np.array_equal(limited.pieces, first.pieces)


def test_some_examples_are_each_as_likely_and_stay_in_order() -> None:
    examples: list[Any] = list(range(100))
    found: list[Any] = some(examples, Draw(10, 0))
    assert found == sorted(set(found))
    assert len(found) == 10
    assert some(examples, Draw(100, 0)) == examples
    means = [np.mean(np.asarray(some(examples, Draw(10, seed)))) for seed in range(200)]
    assert np.mean(means) == pytest.approx(49.5, abs=2)


def test_an_encoder_with_its_layers_in_another_order_embeds_otherwise(opened: Open) -> None:
    """A planted bug, told by its number: the similarity of SQuAD and TyDiQA moves."""

    def similarity(sets: TrainSets) -> float:
        tasks = [sets.embedded(get_task(name), None) for name in ("squad_v1", "tydiqa")]
        return ESTIMATORS["text_embedding"].score(*tasks)

    right = opened(64)
    wrong = TrainSets(right.request, right.cache / "other", "cpu", right.draw)
    layers = wrong.encoder.encoder.layer
    wrong.encoder.encoder.layer = torch.nn.ModuleList(list(layers)[::-1])
    assert similarity(right) == pytest.approx(similarity(opened(64)))
    assert abs(similarity(wrong) - similarity(right)) > 1e-3
