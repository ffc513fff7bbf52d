"""The shipped encoder: digests, size, what it is; and that pretraining makes such a folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from adapter_stilts.errors import BundleError
from adapter_stilts.miniature import CODES, MiniatureSource
from adapter_stilts.miniature.pretrained import FOLDER, LOG, encoder_folder
from adapter_stilts.model.backbone import load_tokenizer, resolve_base
from adapter_stilts.recipe import Base
from adapter_stilts.tasks import get_task

FOUR_MEGABYTES = 4_000_000
EIGHT_MEGABYTES = 8_000_000


def test_the_shipped_files_are_those_of_the_digests() -> None:
    assert encoder_folder() == FOLDER


def test_sizes() -> None:
    assert (FOLDER / "model.safetensors").stat().st_size <= FOUR_MEGABYTES
    assert (
        sum(path.stat().st_size for path in FOLDER.parent.rglob("*") if path.suffix != ".pyc")
        <= EIGHT_MEGABYTES
    )


def test_weights_are_half_precision_of_xlm_r() -> None:
    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "xlm-roberta"
    assert config["dtype"] == "float16"


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "SHA256SUMS"])
def test_damage_is_told_with_the_way_to_rebuild(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(FOLDER, folder)
    damaged = bytearray((folder / name).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (folder / name).write_bytes(damaged)
    with pytest.raises(BundleError, match=r"miniature\.pretrain"):
        encoder_folder(folder)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(FOLDER, folder)
    (folder / "config.json").unlink()
    with pytest.raises(BundleError, match=r"config\.json: is damaged: sha256 no such file"):
        encoder_folder(folder)
    shutil.rmtree(folder)
    with pytest.raises(BundleError, match="is not there"):
        encoder_folder(folder)


@pytest.mark.parametrize("language", ["en", *CODES])
def test_the_tokenizer_knows_every_word_and_keeps_offsets(language: str) -> None:
    tokenizer = load_tokenizer(resolve_base(Base(id=str(FOLDER))))
    for example in MiniatureSource().examples(get_task("xquad"), "test", language, {})[:50]:
        encoded = tokenizer(example.context, return_offsets_mapping=True, add_special_tokens=False)
        assert tokenizer.unk_token_id not in encoded["input_ids"]
        # As XLM-R's, a word's "▁" alone is said to stand on its first letter: pieces may overlap, but miss nothing.
        covered = {place for start, end in encoded["offset_mapping"] for place in range(start, end)}
        assert covered >= {place for place, letter in enumerate(example.context) if letter != " "}


def test_the_log_covers_the_run() -> None:
    head, *lines = [json.loads(line) for line in (FOLDER / LOG).read_text(encoding="utf-8").splitlines()]
    assert lines[-1]["step"] == head["settings"]["steps"]
    assert lines[-1]["loss"] < lines[0]["loss"] / 2


def test_pretraining_makes_a_folder_that_loads(tmp_path: Path) -> None:
    from adapter_stilts.miniature.pretrain import Settings, pretrain
    from adapter_stilts.model.backbone import load_encoder

    settings = Settings(
        hidden_size=16, layers=1, heads=2, steps=2, batch_tokens=256, chunk=64, text=0.02, vocabulary=900
    )
    pretrain(tmp_path / "encoder", settings)
    folder = encoder_folder(tmp_path / "encoder")
    assert load_encoder(str(folder), None, None, False).config.hidden_size == 16
    assert load_tokenizer(resolve_base(Base(id=str(folder)))).is_fast
    assert "--hidden-size 16" in (folder / "README.md").read_text(encoding="utf-8")
