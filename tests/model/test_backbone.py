"""Finding and loading the encoder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from adapter_stilts.errors import BundleError, SourceUnavailableError, UsageError
from adapter_stilts.model.backbone import load_encoder, load_tokenizer, resolve_base
from adapter_stilts.model.task_classes import head_names
from adapter_stilts.recipe import Base


@pytest.fixture
def copied(tiny_base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_base, tmp_path / "base"))


def test_a_folder(tiny_base: Path, tiny_bert: Path, copied: Path) -> None:
    base = resolve_base(Base(id=str(tiny_base)))
    assert (base.commit, base.location, base.max_length) == (None, str(tiny_base), 512)
    assert resolve_base(Base(id=str(copied))).fingerprint == base.fingerprint
    assert resolve_base(Base(id=str(copied), revision="other")).fingerprint == base.fingerprint
    (copied / "README.md").write_text("notes")
    assert resolve_base(Base(id=str(copied))).fingerprint == base.fingerprint
    (copied / "tokenizer.json").write_text((copied / "tokenizer.json").read_text() + " ")
    assert resolve_base(Base(id=str(copied))).fingerprint != base.fingerprint
    assert resolve_base(Base(id=str(tiny_bert))).max_length == 512


INCOMPLETE = {
    "no config": (["config.json"], r"needs config\.json and model\.safetensors"),
    "no weights": (
        ["model.safetensors"],
        r"needs config\.json and model\.safetensors .*; found config\.json",
    ),
    "no tokenizer": (
        ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"],
        r"holds no tokenizer \(tokenizer\.json, or SentencePiece",
    ),
}


@pytest.mark.parametrize(("missing", "message"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_a_folder_that_is_no_base(copied: Path, missing: list[str], message: str) -> None:
    for name in missing:
        (copied / name).unlink(missing_ok=name == "special_tokens_map.json")  # Transformers 5 writes none
    with pytest.raises(UsageError, match=message):
        resolve_base(Base(id=str(copied)))


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_config_that_cannot_be_read(copied: Path, text: str) -> None:
    (copied / "config.json").write_text(text)
    with pytest.raises(UsageError, match=r"config\.json"):
        resolve_base(Base(id=str(copied)))


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere", "nowhere", "a/b/c"])
def test_no_such_folder(name: str) -> None:
    with pytest.raises(UsageError, match="no such folder, and not a hub id"):
        resolve_base(Base(id=name))


def test_weights_come_whole_or_not_at_all(copied: Path, tiny_base: Path) -> None:
    encoder = load_encoder(str(tiny_base), None, None, False)
    assert {tensor.dtype for tensor in encoder.parameters()} == {torch.float32}
    assert not hasattr(encoder, "pooler") or encoder.pooler is None
    weights = load_file(copied / "model.safetensors")
    name = next(name for name in weights if name.endswith("layer.1.output.dense.weight"))
    save_file({key: value for key, value in weights.items() if key != name}, copied / "model.safetensors")
    with pytest.raises(
        BundleError, match=r"weights missing or of another shape for .*layer\.1\.output\.dense\.weight"
    ):
        load_encoder(str(copied), None, None, False)


def test_weights_that_are_damaged(copied: Path) -> None:
    (copied / "model.safetensors").write_bytes((copied / "model.safetensors").read_bytes()[:1000])
    with pytest.raises((BundleError, SourceUnavailableError), match="base"):
        load_encoder(str(copied), None, None, False)


def test_dropout_is_replaced_or_kept(tiny_base: Path, copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "hidden_dropout_prob": 0.3}))

    def rates(encoder: torch.nn.Module) -> set[float]:
        return {module.p for module in encoder.modules() if isinstance(module, torch.nn.Dropout)}

    assert rates(load_encoder(str(copied), None, None, False)) == {0.3, 0.1}
    assert rates(load_encoder(str(copied), None, 0.0, False)) == {0.0}


def test_the_tokenizer_has_to_be_fast(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(resolve_base(Base(id=str(tiny_base))))
    assert tokenizer("The lamp", return_offsets_mapping=True)["offset_mapping"][1][1] > 0


def test_encoders_without_a_table_of_names() -> None:
    with pytest.raises(UsageError, match=r"'albert' has no table of head names yet; choices: .*xlm-roberta"):
        head_names("albert", "tagging")


@pytest.mark.parametrize(("weights", "least"), [("bf16", 0.9995), ("8bit", 0.999), ("4bit", 0.97)])
def test_small_weights_keep_the_states_of_real_text(
    base_dir: Path, data_dir: Path, weights: str, least: float
) -> None:
    """Cosine of every token's final state to that of fp32, on sentences of several scripts."""
    tokenizer = load_tokenizer(resolve_base(Base(id=str(base_dir))))
    sentences = []
    for path in sorted((data_dir / "tatoeba").rglob("*.*-eng.*"))[:12]:
        sentences += path.read_text(encoding="utf-8").splitlines()[:8]
    assert len(sentences) > 40
    batch = tokenizer(sentences, padding=True, truncation=True, max_length=64, return_tensors="pt")
    real = batch["attention_mask"].bool()

    def states(kind: str) -> torch.Tensor:
        encoder = load_encoder(str(base_dir), None, None, False, kind).eval()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=kind != "fp32"):
            found: torch.Tensor = encoder(**batch).last_hidden_state
        return found.float()[real]

    cosine = torch.nn.functional.cosine_similarity(states(weights), states("fp32"), dim=-1)
    assert float(cosine.mean()) >= least
