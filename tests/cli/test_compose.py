"""`compose`, and `train --combine merge:…`, on the tiny world."""

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
    assert "was trained on 'squad_v1+udpos' and has no head for 'xquad' (span_qa)" in refused.err
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
    "late weight check": (
        ["merge:linear", "--mode", "adapter", "--set", "merge.weights=[0.7,0.7]"],
        "adapters are averaged: their weights should sum to 1, not 1.4",
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


@pytest.fixture
def made(cli: Cli, tiny: Tiny, tmp_path: Path) -> Callable[..., Path]:
    """The bundle of a target's training."""

    def call(name: str, *arguments: object) -> Path:
        ran = cli(
            *tiny(
                "--target", "xnli", "--set", "target.train_task=snli", "--store", tmp_path / name, *arguments
            )
        )
        assert ran.code == 0, ran.err
        (stage,) = [stage for stage in ran.json["stages"] if stage["kind"] == "train"][-1:]
        return Path(stage["dir"]) / "bundle"

    return call


@pytest.mark.parametrize("mode", ["lora", "full"])
def test_same_task_difference_leaves_the_head_to_the_target(
    cli: Cli, tiny: Tiny, made: Callable[..., Path], tmp_path: Path, mode: str
) -> None:
    """One bundle of a task less another of it: their heads have no mean, and the target makes a new one anyway."""
    one, other = (made(f"seed{seed}", "--mode", mode, "--seed", seed) for seed in (1, 2))
    ran = cli(
        *tiny(
            "--inter", one, "--inter", other, "--combine", "merge:linear", "--set", "merge.weights=[1.0,-1.0]"
        ),
        *("--mode", mode, "--target", "xnli", "--set", "target.train_task=snli"),
    )
    assert ran.code == 0, ran.err
    assert "note: merge.weights sum to 0: the merge has no head" in ran.err
    merged = next((tmp_path / "store").glob("compose-*")) / "bundle"
    assert json.loads((merged / "bundle.json").read_text())["format"] == "none"
    out = tmp_path / "out"
    refused = cli("compose", f"{one} - {other}", "--out", out)
    assert (refused.code, out.exists()) == (2, False)
    assert "weights that sum to 0 leave no head of pair_classification" in refused.err
    assert "(--no-head)" in refused.err
    composed = cli("compose", f"{one} - {other}", "--out", out, "--no-head")
    assert composed.code == 0, composed.err
    weights = "model.safetensors" if mode == "full" else "adapter_model.safetensors"
    found, expected = load_file(out / weights), load_file(merged / weights)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in found)


def test_compose_without_a_head_where_there_is_a_mean(
    cli: Cli, made: Callable[..., Path], tmp_path: Path
) -> None:
    one = made("one", "--mode", "lora")
    for more, format_name in (((), "pair_classification"), (("--no-head",), "none")):
        out = tmp_path / f"out{len(more)}"
        ran = cli("compose", f"0.5*{one} + 0.5*{one}", "--out", out, *more, "--json")
        assert (ran.code, ran.json["format"]) == (0, format_name)
        assert ("--no-head" in ran.json["command"]) == bool(more)
        heads = [key for key in load_file(out / "adapter_model.safetensors") if ".lora_" not in key]
        assert bool(heads) == (not more)


def test_nested_stack_in_stack(
    cli: Cli, tiny: Tiny, made: Callable[..., Path], tiny_data: Path, tmp_path: Path
) -> None:
    """Every adapter of the lower stack is there, in its order and to the bit, under a name that no other has."""
    chain = ("--inter", "hellaswag", "--inter", "snli", "--mode", "adapter", "--combine", "stack")
    lower, alone = made("lower", *chain), made("alone", "--mode", "adapter")
    assert json.loads((lower / "bundle.json").read_text())["task"] == "snli"
    arguments = (
        "--mode",
        "adapter",
        "--combine",
        "stack",
        "--target",
        "xnli",
        "--set",
        "target.train_task=snli",
    )
    ran = cli(*tiny("--inter", lower, "--inter", alone, *arguments))
    assert ran.code == 0, ran.err
    upper = Path(ran.json["stages"][-2]["dir"]) / "bundle"
    setup = json.loads((upper / "adapter_setup.json").read_text())["adapter_setup"]
    parts = {
        "snli_hellaswag": lower / "hellaswag", "snli_snli": lower / "snli", "snli_snli_target": lower / "snli_target",
        "snli_again1": alone, "snli_target": None,
    }  # fmt: skip
    assert [child["children"] for child in setup["children"]] == [[name] for name in parts]
    for name, origin in parts.items():
        held = load_file(upper / name / "adapter.safetensors")
        if origin is not None:
            under = load_file(origin / "adapter.safetensors")
            assert sorted(map(content, held.values())) == sorted(map(content, under.values()))
    more = ("--data", tiny_data, "--store", tmp_path / "store", "--device", "cpu", "--json")
    evaluated = cli("evaluate", upper, "--target", "xnli", *more)
    assert evaluated.scores() == ran.scores()
    record = json.loads((upper.parent / "stage.json").read_text())
    assert record["part"]["nested"] is True
    assert cli("export", upper, "--to", "adapterhub", "--out", tmp_path / "out").code == 0


@pytest.mark.parametrize(
    ("kind", "how"),
    [("fuse", "stack"), *((kind, how) for kind in ("stack", "fuse") for how in ("fuse", "merge:linear"))],
)
def test_nested_stack_in_fuse_and_the_like(
    cli: Cli, tiny: Tiny, made: Callable[..., Path], tmp_path: Path, kind: str, how: str
) -> None:
    """A bundle that is itself a stack or a fusion has several adapters, of which a composition would take one."""
    several = made(
        "several", "--mode", "adapter", "--combine", kind, "--inter", "hellaswag", "--inter", "snli"
    )
    alone = made("alone", "--mode", "adapter")
    arguments = (
        "--inter",
        several,
        "--inter",
        alone,
        "--combine",
        how,
        "--mode",
        "adapter",
        "--target",
        "xquad",
    )
    for more in (("--dry-run",), ()):
        ran = cli(*tiny(*arguments, *more))
        assert (ran.code, ran.out) == (1, "")
        names = "hellaswag, snli, snli_target" if kind == "stack" else "hellaswag, snli"
        noun = {"stack": "stack", "fuse": "fusion"}[kind]
        assert f"error: {several} is a {noun} of adapters ({names}), and does not nest in a" in ran.err
        assert "go on from it alone (--combine continue), or name the bundles that it was made of" in ran.err
    assert not (tmp_path / "store").exists()
    if how == "merge:linear":
        composed = cli("compose", f"0.5*{several} + 0.5*{alone}", "--out", tmp_path / "out")
        assert (composed.code, (tmp_path / "out").exists()) == (1, False)
        assert "does not nest in a merge" in composed.err


def test_fuse_mixed_architectures(cli: Cli, tiny: Tiny, made: Callable[..., Path], tmp_path: Path) -> None:
    other = made("houlsby", "--mode", "adapter", "--set", "tuning.adapter.architecture=houlsby")
    own = made("pfeiffer", "--mode", "adapter")
    places = ("--mode", "adapter", "--target", "xquad")
    for inter, told in (
        (own, f"{own} has mh_adapter = False, {other} has"),
        ("snli", "the recipe has mh_adapter"),
    ):
        ran = cli(*tiny("--inter", other, "--inter", inter, "--combine", "fuse", *places))
        assert (ran.code, ran.out) == (1, "")
        assert told in ran.err
        merged = cli(*tiny("--inter", other, "--inter", inter, "--combine", "merge:linear", *places))
        assert (merged.code, merged.out) == (1, "")
        assert "only adapters of one shape have a mean" in merged.err
    assert not (tmp_path / "store").exists()
    stacked = cli(*tiny("--inter", other, "--inter", own, "--combine", "stack", *places))
    assert stacked.code == 0, stacked.err


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
