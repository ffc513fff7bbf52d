"""Bundles: Transformers reads them unaided with the same logits; what is damaged is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapter_stilts.errors import BundleError
from adapter_stilts.formats.features import Features, Ragged
from adapter_stilts.io import sha256_file
from adapter_stilts.model import task_classes
from adapter_stilts.model.bundle import bundle_digest, read_bundle
from adapter_stilts.model.task_classes import head_names
from adapter_stilts.model.tuning import full

Bundled = Callable[..., tuple[Path, Any]]
FILES = [
    "README.md",
    "SHA256SUMS",
    "bundle.json",
    "config.json",
    "model.safetensors",
    *(["special_tokens_map.json"] if version("transformers") < "5" else []),  # in tokenizer_config.json since
    "tokenizer.json",
    "tokenizer_config.json",
]


def batch(padding_id: int) -> tuple[Features, torch.Tensor, torch.Tensor]:
    """Four sequences as features, and padded by hand."""
    random = np.random.default_rng(0)
    lengths = [9, 5, 12, 12]
    ids = random.integers(5, 100, size=sum(lengths)).astype(np.int32)
    features = Features(Ragged.from_lengths(ids, lengths), np.arange(5))
    padded = torch.full((4, 12), padding_id)
    mask = torch.zeros((4, 12), dtype=torch.long)
    for row, length in enumerate(lengths):
        padded[row, :length] = torch.as_tensor(features.input_ids[row])
        mask[row, :length] = 1
    return features, padded, mask


@pytest.mark.parametrize("encoder", ["tiny_base", "tiny_bert"])
def test_transformers_loads_a_full_bundle_with_the_same_logits(
    request: pytest.FixtureRequest, bundled: Bundled, encoder: str, format_name: str
) -> None:
    import transformers

    directory, model = bundled(request.getfixturevalue(encoder), format_name)
    assert sorted(path.name for path in directory.iterdir()) == FILES
    features, ids, mask = batch(model.padding_id)
    ours = model.predict(features, np.arange(4))
    theirs, loading = getattr(transformers, task_classes.class_of(format_name) or "").from_pretrained(
        directory, output_loading_info=True
    )
    assert not any(loading[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    theirs.eval()
    with torch.inference_mode():
        if format_name == "multiple_choice":
            found = theirs(input_ids=ids[None], attention_mask=mask[None]).logits.reshape(4, 1)
        elif format_name == "span_qa":
            output = theirs(input_ids=ids, attention_mask=mask)
            found = torch.stack([output.start_logits, output.end_logits], dim=-1)
        else:
            found = theirs(input_ids=ids, attention_mask=mask).logits
    real = mask.bool() if ours.dim() == 3 else torch.ones(4, dtype=torch.bool)
    assert found.shape == ours.shape
    assert float((found - ours)[real].abs().max()) <= 1e-5
    assert float(ours[real].abs().max()) > 0.01
    labels = read_bundle(directory).labels
    if labels:
        assert theirs.config.id2label == dict(enumerate(labels))
    assert transformers.AutoTokenizer.from_pretrained(directory).is_fast


@pytest.mark.parametrize("encoder", ["tiny_base", "tiny_bert"])
def test_the_head_comes_back(
    request: pytest.FixtureRequest,
    bundled: Bundled,
    build: Callable[..., Any],
    encoder: str,
    format_name: str,
) -> None:
    base = request.getfixturevalue(encoder)
    directory, model = bundled(base, format_name)
    fresh = build(base, format_name, seed=2)
    before = {name: tensor.clone() for name, tensor in fresh.head.state_dict().items()}
    fresh.head.load_state_dict(full.load(directory, format_name))
    for name, tensor in model.head.state_dict().items():
        assert torch.equal(fresh.head.state_dict()[name], tensor)
    assert any(not torch.equal(before[name], tensor) for name, tensor in fresh.head.state_dict().items())


def test_a_head_of_another_format_is_told(bundled: Bundled, tiny_base: Path) -> None:
    directory, _ = bundled(tiny_base, "span_qa")
    with pytest.raises(BundleError, match=r"model\.safetensors lacks classifier\..*the head of tagging"):
        full.load(directory, "tagging")


def test_what_it_is(bundled: Bundled, tiny_base: Path) -> None:
    directory, _ = bundled(tiny_base, "pair_classification")
    info = read_bundle(directory)
    assert (info.task, info.format, info.tuning, info.base) == (
        "xnli",
        "pair_classification",
        "full",
        str(tiny_base),
    )
    assert info.labels == ("entailment", "neutral", "contradiction")
    assert len(info.base_fingerprint) == 64
    card = (directory / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert f"on the encoder `{tiny_base}`" in card
    assert "accuracy 61.2" in card


def test_the_digest_is_of_the_content(bundled: Bundled, tiny_base: Path, tmp_path: Path) -> None:
    directory, _ = bundled(tiny_base, "span_qa")
    shutil.copytree(directory, tmp_path / "copy")
    assert bundle_digest(tmp_path / "copy") == bundle_digest(directory)
    assert read_bundle(tmp_path / "copy") == read_bundle(directory)
    reseal(tmp_path / "copy", "README.md", b"another card")
    assert bundle_digest(tmp_path / "copy") != bundle_digest(directory)


def reseal(directory: Path, name: str, content: bytes) -> None:
    """Change a file as someone would who can also write SHA256SUMS."""
    (directory / name).write_bytes(content)
    names = sorted(path.name for path in directory.iterdir() if path.name != "SHA256SUMS")
    lines = [f"{sha256_file(directory / other)}  {other}\n" for other in names]
    (directory / "SHA256SUMS").write_text("".join(lines))


def change_info(directory: Path, **values: Any) -> None:
    info = json.loads((directory / "bundle.json").read_text())
    reseal(directory, "bundle.json", json.dumps({**info, **values}).encode())


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "flipped bit": (lambda d: flip(d / "model.safetensors"), r"model\.safetensors: its digest differs"),
    "cut file": (lambda d: (d / "tokenizer.json").write_bytes(b"{"), r"tokenizer\.json: its digest differs"),
    "missing file": (
        lambda d: (d / "config.json").unlink(),
        r"config\.json is listed in SHA256SUMS but missing",
    ),
    "extra file": (lambda d: (d / "notes.txt").write_text(""), r"notes\.txt is none of \*\.safetensors"),
    "pickle": (lambda d: (d / "pytorch_model.bin").write_bytes(b""), "a pickle, which is never read"),
    "listed pickle": (
        lambda d: reseal(d, "pytorch_model.bin", b"\x80\x04."),
        "a pickle, which is never read",
    ),
    "folder": (lambda d: (d / "code").mkdir(), "code: an empty folder"),
    "no digests": (lambda d: (d / "SHA256SUMS").unlink(), "no SHA256SUMS, so it is no bundle of ours"),
    "no info": (lambda d: (d / "bundle.json").unlink(), "no bundle.json, so it is no bundle of ours"),
    "info unlisted": (
        lambda d: (d / "SHA256SUMS").write_text(
            "".join(
                line for line in (d / "SHA256SUMS").read_text().splitlines(True) if "bundle.json" not in line
            )
        ),
        r"bundle\.json: not listed",
    ),
    "path in the list": (
        lambda d: (d / "SHA256SUMS").write_text(f"{'0' * 64}  ../secret\n"),
        r"SHA256SUMS:1: not 'DIGEST  NAME' with a plain name",
    ),
    "odd list": (lambda d: (d / "SHA256SUMS").write_text("nonsense\n"), r"SHA256SUMS:1: not 'DIGEST  NAME'"),
    "binary list": (lambda d: (d / "SHA256SUMS").write_bytes(b"\xff\xfe"), "SHA256SUMS"),
    "newer": (
        lambda d: change_info(d, schema_version=2),
        r"written by a newer version \(schema 2\); upgrade",
    ),
    "odd schema": (lambda d: change_info(d, schema_version="new"), r"bundle\.json"),
    "unknown key": (lambda d: change_info(d, adapter=1), r"bundle\.json.*adapter"),
    "missing key": (lambda d: reseal(d, "bundle.json", b"{}"), r"bundle\.json"),
    "not json": (lambda d: reseal(d, "bundle.json", b"{"), r"bundle\.json"),
    "not an object": (lambda d: reseal(d, "bundle.json", b"[]"), r"bundle\.json"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_bundles_are_refused(bundled: Bundled, tiny_base: Path, damage: str) -> None:
    directory, _ = bundled(tiny_base, "span_qa")
    read_bundle(directory)
    change, message = DAMAGE[damage]
    change(directory)
    with pytest.raises(BundleError, match=f"(?s){message}"):
        read_bundle(directory)


def test_a_folder_that_is_no_bundle(tmp_path: Path, tiny_base: Path) -> None:
    shutil.copytree(tiny_base, tmp_path / "base")
    for folder in (tmp_path / "base", tmp_path / "nowhere"):
        with pytest.raises(BundleError, match=r"no bundle\.json, so it is no bundle of ours"):
            read_bundle(folder)


def test_head_names() -> None:
    assert head_names("xlm-roberta", "multiple_choice") == {
        "dense": "roberta.pooler.dense",
        "output": "classifier",
    }
    assert head_names("bert", "pair_classification") == {"dense": "bert.pooler.dense", "output": "classifier"}
    assert head_names("roberta", "pair_classification") == {
        "dense": "classifier.dense",
        "output": "classifier.out_proj",
    }
