"""Soups of runs that began alike, composed and evaluated, on the tiny world."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

Cli = Callable[..., Any]
Tiny = Callable[..., list[str]]
FILES = {"full": "model.safetensors", "lora": "adapter_model.safetensors", "adapter": "adapter.safetensors"}


def runs(cli: Cli, tiny: Tiny, mode: str, *more: str, seeds: tuple[int, ...] = (0, 1)) -> list[Path]:
    """The target's bundle of each seed."""
    found = []
    for seed in seeds:
        ran = cli(*tiny("--inter", "none", "--target", "xquad", "--mode", mode, "--seed", seed, *more))
        assert ran.code == 0, ran.err
        found.append(Path(ran.json["stages"][0]["dir"]) / "bundle")
    return found


def weights(bundle: Path, mode: str) -> dict[str, torch.Tensor]:
    """What a bundle makes of the encoder, and its head, by names that bundles share; updates multiplied out."""
    name = json.loads((bundle / "adapter_config.json").read_text()).get("name") if mode == "adapter" else None
    found = load_file(bundle / FILES[mode])
    if mode == "adapter":
        found = {key.replace(f".{name}.", ".own."): tensor for key, tensor in found.items()}
        found |= load_file(bundle / "model_head.safetensors")
    if mode != "lora":
        return {key: tensor.double() for key, tensor in found.items()}
    config = json.loads((bundle / "adapter_config.json").read_text())
    layers = [key.partition(".lora_A")[0] for key in found if ".lora_A." in key]
    plain = {key: tensor.double() for key, tensor in found.items()}
    scale = config["lora_alpha"] / config["r"]
    updates = {n: scale * plain[f"{n}.lora_B.weight"] @ plain[f"{n}.lora_A.weight"] for n in layers}
    return {**updates, **{key: tensor for key, tensor in plain.items() if ".lora_" not in key}}


@pytest.mark.parametrize("mode", FILES)
def test_a_soup_is_the_mean_and_is_evaluated(cli: Cli, tiny: Tiny, tmp_path: Path, mode: str) -> None:
    bundles = runs(cli, tiny, mode, "--set", "target.init_seed=7", "--set", "target.learning_rate=1e-3")
    out = tmp_path / "soup.bundle"
    ran = cli("compose", f"soup({bundles[0]}, {bundles[1]})", "--out", out, "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["task"], ran.json["format"]) == ("squad_v1", "span_qa")
    one, other, mean = (weights(bundle, mode) for bundle in (*bundles, out))
    assert one.keys() == other.keys() == mean.keys()
    for name, tensor in mean.items():
        assert float((tensor - (one[name] + other[name]) / 2).abs().max()) < 1e-6, name
    assert any(bool((one[name] - other[name]).abs().max() > 1e-4) for name in one)
    words = tiny()
    data = [str(words[words.index("--data") + n]) for n in (0, 1)]
    evaluated = cli("evaluate", out, "--target", "xquad", *data, "--store", tmp_path / "soups", "--json")
    assert evaluated.code == 0, evaluated.err
    assert set(evaluated.json["results"]["xquad"]["languages"]) == {"en", "de"}
    assert evaluated.json["results"]["xquad"]["dev"] is None


def test_runs_begin_alike_by_init_seed(cli: Cli, tiny: Tiny) -> None:
    """With next to no learning rate, what is left is what was drawn."""
    still = ("--set", "target.learning_rate=1e-12")
    one, other = (
        weights(b, "adapter") for b in runs(cli, tiny, "adapter", *still, "--set", "target.init_seed=7")
    )
    apart = weights(runs(cli, tiny, "adapter", *still, seeds=(1,))[0], "adapter")
    named = weights(runs(cli, tiny, "adapter", *still, seeds=(7,))[0], "adapter")
    drawn = [name for name, tensor in one.items() if float(tensor.abs().max()) > 1e-3]
    assert any("down" in name for name in drawn)
    assert any("own" not in name for name in drawn)  # the head's
    for name in one:
        assert torch.allclose(one[name], other[name], atol=1e-9), name
        assert torch.allclose(one[name], named[name], atol=1e-9), name
    assert all(not torch.allclose(apart[name], one[name], atol=1e-3) for name in drawn)


def test_a_soup_of_other_heads_is_refused_and_left_without_them(cli: Cli, tiny: Tiny, tmp_path: Path) -> None:
    one, other = runs(cli, tiny, "lora")
    expression, out = f"soup({one}, {other})", tmp_path / "soup.bundle"
    refused = cli("compose", expression, "--out", out)
    assert refused.code == 1
    assert "were drawn with seeds 0 and 1, so that they have no mean" in refused.err
    assert not out.exists()
    assert cli("compose", expression, "--out", out, "--no-head", "--json").json["format"] == "none"
    weighted = cli("compose", f"soup(0.7*{one}, 0.3*{other})", "--out", tmp_path / "other.bundle")
    assert "soup is the plain mean of several runs of a task; got the weights 0.7, 0.3" in weighted.err


def test_a_target_goes_on_from_a_soup(cli: Cli, tiny: Tiny, tmp_path: Path) -> None:
    """Heads that have no mean are left out, as a target trains its own; several tasks are refused in the plan."""
    bundles = [str(bundle) for bundle in runs(cli, tiny, "lora")]
    inter = [word for bundle in bundles for word in ("--inter", bundle)]
    ran = cli(*tiny(*inter, "--target", "udpos", "--mode", "lora", "--combine", "merge:soup"))
    assert ran.code == 0, ran.err
    composed = next(stage for stage in ran.json["stages"] if stage["kind"] == "compose")
    told = json.loads((Path(composed["dir"]) / "bundle" / "bundle.json").read_text())
    assert (told["format"], told["task"], told["settings"]["merge"]["method"]) == ("none", "squad_v1", "soup")
    words = ("--inter", "hellaswag", "--inter", "snli", "--target", "udpos", "--mode", "lora")
    refused = cli(*tiny(*words, "--combine", "merge:soup", "--store", tmp_path / "none"))
    assert refused.code == 2
    assert "merge:soup is the mean of several runs of one task" in refused.err
    assert "got hellaswag, snli: merge:linear takes different tasks" in refused.err
