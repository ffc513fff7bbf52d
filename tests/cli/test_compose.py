"""`compose`, and `train --combine merge:…`, on the tiny world."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

Cli = Callable[..., Any]
Tiny = Callable[..., list[str]]


def bundle(store: Path, task: str, kind: str = "train") -> Path:
    return next(store.glob(f"{kind}-{task}-*")) / "bundle"


@pytest.mark.parametrize(
    ("mode", "method"),
    [
        ("full", "ties"),
        ("adapter", "linear"),
        ("lora", "linear"),
        ("lora", "ties"),
        ("rslora", "dare_linear"),
        ("ia3", "linear"),
    ],
)
def test_intermediates_are_merged_and_gone_on_with(
    cli: Cli, tiny: Tiny, tmp_path: Path, mode: str, method: str
) -> None:
    arguments = tiny(
        "--inter", "hellaswag", "--inter", "snli", "--target", "xquad,tatoeba", "--mode", mode,
        "--combine", f"merge:{method}",
    )  # fmt: skip
    ran = cli(*arguments)
    assert ran.code == 0, ran.err
    kinds = [stage["kind"] for stage in ran.json["stages"]]
    assert kinds == ["train", "train", "compose", "train", "evaluate", "evaluate"]
    assert set(ran.json["results"]) == {"xquad", "tatoeba"}
    assert set(cli(*arguments).statuses()) == {"cached"}
    info = json.loads((bundle(tmp_path / "store", "hellaswag+snli", "compose") / "bundle.json").read_text())
    assert (info["task"], info["settings"]["merge"]["method"]) == ("hellaswag+snli", method)
    assert info["parents"] == [stage["key"] for stage in ran.json["stages"][:2]]
    assert cli(*arguments[:-1], "continue").code == 0


def test_compose_and_evaluate(cli: Cli, tiny: Tiny, tiny_data: Path, tmp_path: Path) -> None:
    cli(*tiny("--inter", "hellaswag", "--target", "xquad,udpos", "--mode", "lora"))
    one, two = (bundle(tmp_path / "store", task) for task in ("squad_v1", "udpos"))
    out = tmp_path / "mixed.bundle"
    ran = cli("compose", f"stack({one}, 0.5*{two})", "--out", out, "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["tuning"], ran.json["task"], ran.json["format"]) == ("lora", "squad_v1+udpos", "none")
    more = ("--data", tiny_data, "--store", tmp_path / "store", "--device", "cpu", "--json")
    assert cli("evaluate", out, "--target", "tatoeba", *more).code == 0
    refused = cli("evaluate", out, "--target", "xquad", *more)
    assert refused.code == 1
    assert "its head cannot answer 'xquad'" in refused.err
    again = cli("compose", f"{one}", "--out", out)
    assert (again.code, "is there already; name a new folder" in again.err) == (2, True)
    missing = cli("compose", "nowhere.bundle", "--out", tmp_path / "other")
    assert (missing.code, "nowhere.bundle: no such folder" in missing.err) == (2, True)
    assert not (tmp_path / "other").exists()


REFUSED = {
    "method": (["merge:tise"], "unknown merge method 'tise'; did you mean 'ties'?"),
    "way": (["fuze"], "unknown way to combine 'fuze'"),
    "one": (["merge:ties", "--inter", "snli"], "--inter mnli --inter squad_v1; got snli"),
    "none": (
        ["merge:ties", "--inter", "snli", "--inter", "none"],
        "--inter mnli --inter squad_v1; got snli",
    ),
    "mode": (
        ["merge:ties", "--mode", "adapter", "--inter", "snli", "--inter", "hellaswag"],
        "which only have a mean: linear",
    ),
    "weights": (
        ["merge:linear", "--inter", "snli", "--inter", "hellaswag", "--set", "merge.weights=[1.0]"],
        "merge.weights names 1 weights for 2 intermediate tasks",
    ),
}


@pytest.mark.parametrize(("more", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_before_anything_runs(
    cli: Cli, tiny: Tiny, tmp_path: Path, more: list[str], message: str
) -> None:
    inter = [] if "--inter" in more else ["--inter", "snli", "--inter", "hellaswag"]
    ran = cli(*tiny("--target", "xquad", "--mode", "lora", *inter, "--combine", *more))
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("mode", "how"),
    [("adapter", "stack"), ("adapter", "fuse"), ("lora", "stack"), ("lora", "fuse"), ("rslora", "stack")],
)
def test_intermediates_together_under_a_target(
    cli: Cli, tiny: Tiny, tmp_path: Path, mode: str, how: str, tiny_data: Path
) -> None:
    arguments = tiny(
        "--inter", "hellaswag", "--inter", "squad_v1", "--target", "xquad", "--mode", mode, "--combine", how,
    )  # fmt: skip
    ran = cli(*arguments)
    assert ran.code == 0, ran.err
    assert [stage["kind"] for stage in ran.json["stages"]] == ["train", "train", "train", "evaluate"]
    assert set(cli(*arguments).statuses()) == {"cached"}
    found = Path(ran.json["stages"][2]["dir"]) / "bundle"
    info = json.loads((found / "bundle.json").read_text())
    assert info["settings"]["combine"] == how
    assert info["parents"] == [stage["key"] for stage in ran.json["stages"][:2]]
    more = ("--data", tiny_data, "--store", tmp_path / "store", "--device", "cpu", "--json")
    evaluated = cli("evaluate", found, "--target", "xquad", *more)
    assert evaluated.code == 0, evaluated.err
    assert evaluated.scores() == ran.scores()


def content(tensor: torch.Tensor) -> bytes:
    return tensor.numpy().tobytes()


@pytest.mark.parametrize(("mode", "method"), [("lora", "ties"), ("adapter", "linear")])
def test_a_merge_under_a_stack(cli: Cli, tiny: Tiny, tmp_path: Path, mode: str, method: str) -> None:
    arguments = tiny(
        "--inter", "hellaswag", "--inter", "snli", "--target", "xquad", "--mode", mode,
        "--combine", f"merge:{method}", "--set", "merge.then=stack",
    )  # fmt: skip
    ran = cli(*arguments)
    assert ran.code == 0, ran.err
    assert [stage["kind"] for stage in ran.json["stages"]] == [
        "train",
        "train",
        "compose",
        "train",
        "evaluate",
    ]
    merged, stacked = (Path(ran.json["stages"][number]["dir"]) / "bundle" for number in (2, 3))
    info = json.loads((stacked / "bundle.json").read_text())
    assert (info["settings"]["combine"], info["parents"]) == ("stack", [ran.json["stages"][2]["key"]])
    assert set(cli(*arguments).statuses()) == {"cached"}
    if mode == "adapter":  # the frozen part of the stack is the merge, to the byte
        weights = "adapter.safetensors"
        assert (stacked / "hellaswag_snli" / weights).read_bytes() != (
            stacked / "squad_v1" / weights
        ).read_bytes()
        under, held = load_file(merged / weights), load_file(stacked / "hellaswag_snli" / weights)
        assert len(under) == len(held)
        assert sorted(map(content, under.values())) == sorted(map(content, held.values()))


TOGETHER = {
    "full": (["--mode", "full", "--combine", "stack"], "full models have none: continue or merge"),
    "dora": (
        ["--mode", "dora", "--combine", "fuse"],
        "DoRA's updates do not add; low-rank updates do (lora, rslora)",
    ),
    "ia3": (["--mode", "ia3", "--combine", "stack"], "Here: continue or merge"),
    "a stack on a merge": (
        ["--mode", "full", "--combine", "merge:linear", "--set", "merge.then=stack"],
        "full models have none: continue or merge",
    ),
    "nothing to stack": (
        ["--mode", "lora", "--combine", "merge:ties", "--set", "merge.then=stack", "--target", "tatoeba"],
        "merge.then = 'stack' is trained on the target, and 'tatoeba' trains nothing: --combine merge:ties alone",
    ),
    "nothing to train": (
        ["--mode", "lora", "--combine", "fuse", "--target", "tatoeba"],
        "'tatoeba' trains nothing: --combine merge:linear alone needs no training",
    ),
}


@pytest.mark.parametrize(("more", "message"), TOGETHER.values(), ids=TOGETHER)
def test_what_cannot_stand_together(cli: Cli, tiny: Tiny, more: list[str], message: str) -> None:
    ran = cli(*tiny("--target", "xquad", "--inter", "snli", "--inter", "hellaswag", *more))
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
