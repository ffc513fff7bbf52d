"""Weights read piece by piece are those Transformers reads, and take no more memory than they will have."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from adapter_stilts.errors import BundleError
from adapter_stilts.model import backbone, stored
from adapter_stilts.model.backbone import load_encoder


def alone(tiny_base: Path, folder: Path) -> None:
    encoder = load_encoder(str(tiny_base), None, None, False)
    encoder.save_pretrained(folder)


def of_a_task(tiny_base: Path, folder: Path) -> None:
    """Names begin with the encoder's prefix, and there is a head besides."""
    from transformers import AutoModelForSequenceClassification

    AutoModelForSequenceClassification.from_pretrained(tiny_base).save_pretrained(folder)


def in_shards(tiny_base: Path, folder: Path) -> None:
    encoder = load_encoder(str(tiny_base), None, None, False)
    encoder.save_pretrained(folder, max_shard_size="50KB")
    assert not (folder / stored.WEIGHTS).exists()


def of_another_family(tiny_base: Path, folder: Path) -> None:
    """T5: tables of relative positions, and one tensor under two names."""
    from transformers import MT5Config, MT5EncoderModel

    torch.manual_seed(0)
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "vocab_size": 300}
    MT5EncoderModel(MT5Config(**sizes)).save_pretrained(folder)


@pytest.mark.filterwarnings("ignore:.*newly initialized.*")
@pytest.mark.parametrize("weights", ["bf16", "8bit", "4bit"])
@pytest.mark.parametrize("checkpoint", [alone, of_a_task, in_shards, of_another_family])
def test_the_same_bits_as_transformers(
    tiny_base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    checkpoint: Callable[[Path, Path], None],
    weights: str,
) -> None:
    checkpoint(tiny_base, tmp_path)
    monkeypatch.setattr(stored, "PIECE_BYTES", 1000)  # several pieces a tensor
    ours = load_encoder(str(tmp_path), None, None, False, weights)
    monkeypatch.setattr(backbone, "stored_tensors", lambda *_: None)
    theirs = load_encoder(str(tmp_path), None, None, False, weights)
    expected, found = theirs.state_dict(), ours.state_dict()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, torch.Tensor):
            assert found[name].dtype == value.dtype
            assert torch.equal(found[name], value), name
    assert (ours.name_or_path, ours.config.name_or_path) == (str(tmp_path), str(tmp_path))


def test_damage_and_absence_are_told(tiny_base: Path, tmp_path: Path) -> None:
    alone(tiny_base, tmp_path)
    tensors: dict[str, Any] = {}
    from safetensors.torch import load_file

    tensors = load_file(tmp_path / stored.WEIGHTS)
    name = next(name for name in tensors if name.endswith("layer.1.output.dense.weight"))
    less = {key: value for key, value in tensors.items() if key != name}
    save_file(less, tmp_path / stored.WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(BundleError, match=r"weights missing .*layer\.1\.output\.dense\.weight"):
        load_encoder(str(tmp_path), None, None, False, "bf16")
    data = (tmp_path / stored.WEIGHTS).read_bytes()
    (tmp_path / stored.WEIGHTS).write_bytes(data[: len(data) // 2])
    with pytest.raises(BundleError, match="its tensors do not end where the file does"):
        load_encoder(str(tmp_path), None, None, False, "bf16")


def test_pickled_checkpoints_are_left_to_transformers(tiny_base: Path, tmp_path: Path) -> None:
    alone(tiny_base, tmp_path)
    assert stored.stored_tensors(str(tmp_path), None) is not None
    (tmp_path / stored.WEIGHTS).unlink()
    assert stored.stored_tensors(str(tmp_path), None) is None


MEASURED = """
import json, sys
from pathlib import Path
import bitsandbytes, torch
from transformers import XLMRobertaModel
from adapter_stilts.model import backbone


def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024


if sys.argv[3] == "theirs":
    backbone.stored_tensors = lambda *_: None
before = peak()
encoder = backbone.load_encoder(sys.argv[1], None, None, False, sys.argv[2])
print(json.dumps(peak() - before))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
def test_loading_takes_what_the_weights_take(tmp_path: Path) -> None:
    """150 MB in fp32, 128 of them in the table: 75 in bf16, and no file beside them."""
    from transformers import XLMRobertaConfig, XLMRobertaModel

    config = XLMRobertaConfig(
        vocab_size=125_000,
        hidden_size=256,
        num_hidden_layers=7,
        num_attention_heads=4,
        intermediate_size=1024,
    )
    XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(tmp_path)
    taken = {}
    for side in ("ours", "theirs"):
        words = [sys.executable, "-c", MEASURED, str(tmp_path), "bf16", side]
        taken[side] = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert taken["ours"] < 75 + 45
    assert taken["ours"] < 0.6 * taken["theirs"]
