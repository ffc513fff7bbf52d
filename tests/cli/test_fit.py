"""`adapter-stilts fit`: numbers on stdout, 1 where nothing fits, one error for what is not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter_stilts.errors import UsageError
from adapter_stilts.runtime import size_of

Cli = Callable[..., Any]


def test_an_encoder_by_its_config_alone(cli: Cli, tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((tiny_base / "config.json").read_bytes())
    options = ("--mode", "lora", "--precision", "8bit", "--batch", "16", "--length", "64")
    ran = cli("fit", "--base", str(tmp_path), *options, "--gpu-memory", "4GiB", "--json")
    assert ran.code == 0
    found = json.loads(ran.out)
    assert (found["device"], found["memory"], found["fits"]) == ("cuda", 2**32, True)
    assert (found["batch"], found["length"], found["micro_batch"], found["passes_a_step"]) == (16, 64, 16, 1)
    usage = found["usage"]
    assert usage["weights"] + usage["optimizer"] < usage["peak"] < 2**32
    assert 0 < usage["trained_parameters"] < usage["parameters"]


def test_layers_alone_and_those_that_are_not_there(cli: Cli, tiny_base: Path) -> None:
    options = ("fit", "--base", str(tiny_base), "--mode", "lora", "--length", "64", "--json")
    every = cli(*options).json["usage"]["trained_parameters"]
    one = cli(*options, "--set", "tuning.lora.layers=1").json["usage"]["trained_parameters"]
    updates = 2 * 2 * 8 * 32  # queries and values, A and B, of rank 8
    assert every - one == updates
    ran = cli(*options, "--set", "tuning.lora.layers=1-2")
    assert (ran.code, ran.out) == (2, "")
    assert "tuning.lora.layers names layer 2: this encoder has 2, which are 0 to 1" in ran.err


def test_what_does_not_fit_leaves_with_1(cli: Cli, tiny_base: Path) -> None:
    ran = cli("fit", "--base", str(tiny_base), "--length", "64", "--gpu-memory", "1MiB")
    assert ran.code == 1
    assert "does not fit the GPU's 0.00 GiB, not even with one sequence of 64 tokens at a time" in ran.out


def test_a_recipe_and_a_geometry(cli: Cli) -> None:
    ran = cli("fit", "--geometry", "xlmr-base", "--recipe", "study", "--length", "32", "--batch", "2")
    assert ran.code in (0, 1)  # by the machine's memory
    assert "of 278,045,955 parameters" in ran.out


ERRORS: dict[str, tuple[list[str], int, str]] = {
    "no such geometry": (["--geometry", "xlmr-larg"], 2, "did you mean 'xlmr-large'?"),
    "both": (["--geometry", "xlmr-large", "--base", "x"], 2, "give one of the two"),
    "no folder": (["--base", "./nowhere"], 2, "no such folder"),
    "memory": (
        ["--geometry", "xlmr-base", "--gpu-memory", "much"],
        2,
        "--gpu-memory 'much': should be a size such as 8GiB",
    ),
    "memory without a unit": (
        ["--geometry", "xlmr-base", "--gpu-memory", "8"],
        2,
        "--gpu-memory '8' is 8 bytes, which holds no encoder: with a unit it is 8GiB",
    ),
    "no memory": (
        ["--geometry", "xlmr-base", "--gpu-memory", ""],
        2,
        "--gpu-memory '' is empty",
    ),
    "too long": (["--geometry", "xlmr-base", "--length", "600"], 2, "positions for 512 tokens"),
    "integers": (["--geometry", "xlmr-base", "--precision", "8bit"], 2, "cannot train 8bit weights"),
}


@pytest.mark.parametrize(("options", "code", "message"), ERRORS.values(), ids=ERRORS)
def test_what_cannot_be_asked(cli: Cli, options: list[str], code: int, message: str) -> None:
    ran = cli("fit", *options)
    assert ran.code == code
    assert message in ran.err


def test_without_the_hub_the_base_is_not_made_up(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    ran = cli("fit", "--base", "nobody/has-this")
    assert ran.code == 1
    assert "cannot load the encoder 'nobody/has-this'" in ran.err
    assert "--geometry xlmr-base or xlmr-large" in ran.err
    same = ("--mode", "lora", "--batch", "2", "--length", "16", "--json")
    known = cli("fit", "--base", "FacebookAI/xlm-roberta-base", *same)
    assert known.code == 0, known.err
    assert "FacebookAI/xlm-roberta-base has the published size xlmr-base" in known.err
    named = cli("fit", "--geometry", "xlmr-base", *same)
    for name in ("weights", "trained_parameters", "activations"):
        assert known.json["usage"][name] == named.json["usage"][name]


@pytest.mark.parametrize(
    ("text", "size"),
    [("8GiB", 2**33), ("7.5 gb", 7_500_000_000), ("8589934592", 2**33), ("1024b", 1024), ("512MiB", 2**29)],
)
def test_sizes(text: str, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "8 GiBs", "-1GiB", "8"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="--gpu-memory"):
        size_of(text)
