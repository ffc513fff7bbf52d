"""`train --mode` and `evaluate` on adapters and LoRA, end to end on the tiny world."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from adapter_stilts.io import sha256_file

pytestmark = pytest.mark.slow

Cli = Callable[..., Any]
Tiny = Callable[..., list[str]]
SMALL = {"adapter": ("--set", "tuning.adapter.reduction_factor=4"), "lora": ("--set", "tuning.lora.r=4")}


def bundle(store: Path, task: str) -> Path:
    return next(store.glob(f"train-{task}-*")) / "bundle"


@pytest.mark.parametrize("mode", ["adapter", "lora", "dora", "rslora", "ia3"])
def test_every_mode_trains_continues_and_evaluates(
    cli: Cli, tiny: Tiny, tmp_path: Path, mode: str, tiny_base: Path
) -> None:
    arguments = tiny(
        "--inter", "hellaswag", "--target", "xquad,tatoeba", "--mode", mode, *SMALL.get(mode, ()),
        "--set", "intermediate.learning_rate=1e-4", "--set", "target.learning_rate=1e-4",
    )  # fmt: skip
    ran = cli(*arguments)
    assert (ran.code, set(ran.statuses())) == (0, {"ran"}), ran.err
    assert set(ran.json["results"]) == {"xquad", "tatoeba"}
    again = cli(*arguments)
    assert set(again.statuses()) == {"cached"}

    first, second = (bundle(tmp_path / "store", task) for task in ("hellaswag", "squad_v1"))
    info = json.loads((second / "bundle.json").read_text())
    assert (info["tuning"], info["base"], len(info["base_fingerprint"])) == (mode, str(tiny_base), 64)
    assert not (second / "tokenizer.json").exists()
    size = sum(path.stat().st_size for path in second.iterdir())
    assert size < 0.6 * (tiny_base / "model.safetensors").stat().st_size
    library = "adapter-transformers" if mode == "adapter" else "peft"
    assert f"library_name: {library}\n" in (second / "README.md").read_text()
    # Four steps of training away from where the intermediate stage ended, not from new modules.
    weights = [load_file(next(d.glob("adapter*.safetensors"))) for d in (first, second)]
    tensors = [
        {k.replace("hellaswag", "squad_v1"): v for k, v in w.items() if "encoder" in k} for w in weights
    ]
    assert tensors[0].keys() == tensors[1].keys()
    distance = max(float((tensors[1][name] - tensors[0][name]).abs().max()) for name in tensors[0])
    assert 0 < distance < 1e-3


@pytest.mark.parametrize(
    ("mode", "setting", "told"),
    [
        ("lora", "tuning.lora.layers=0-5", "tuning.lora.layers names layer 2: this encoder has 2"),
        ("ia3", "tuning.ia3.layers=[2]", "tuning.ia3.layers names layer 2"),
        ("adapter", "tuning.adapter.layers=2", "tuning.adapter.layers names layer 2"),
        ("full", "tuning.full.freeze_layers=3", "tuning.full.freeze_layers = 3: this encoder has 2 layers"),
        ("lora", "tuning.lora.layers=first", "'first' names no layers: a range such as 0-5"),
    ],
)
def test_layers_that_are_not_there_are_told_before_the_first_stage(
    cli: Cli, tiny: Tiny, tmp_path: Path, mode: str, setting: str, told: str
) -> None:
    ran = cli(*tiny("--inter", "hellaswag", "--target", "xquad", "--mode", mode, "--set", setting))
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert not list((tmp_path / "store").glob("train-*"))


@pytest.mark.parametrize(
    ("mode", "setting"),
    [
        ("lora", "tuning.lora.layers=0"),
        ("adapter", "tuning.adapter.layers=1"),
        ("full", "tuning.full.freeze_layers=1"),
    ],
)
def test_some_layers_alone_all_the_way(cli: Cli, tiny: Tiny, tmp_path: Path, mode: str, setting: str) -> None:
    arguments = tiny("--inter", "hellaswag", "--target", "xquad", "--mode", mode, "--set", setting)
    if mode == "adapter":
        arguments += ["--set", "tuning.adapter.reduction_factor=4"]
    ran = cli(*arguments)
    assert ran.code == 0, ran.err
    info = json.loads((bundle(tmp_path / "store", "squad_v1") / "bundle.json").read_text())
    name, value = setting.rpartition(".")[2].split("=")
    assert info["settings"]["tuning"][name] == ([int(value)] if name == "layers" else int(value))
    assert f"{setting.split('=')[0]}=" in info["command"]
    assert set(cli(*arguments).statuses()) == {"cached"}


def test_a_mode_of_its_own_is_evaluated_on_other_targets(
    cli: Cli, tiny: Tiny, tiny_data: Path, tmp_path: Path
) -> None:
    ran = cli(*tiny("--target", "xquad", "--mode", "lora"))
    found = bundle(tmp_path / "store", "squad_v1")
    more = ("--data", tiny_data, "--store", tmp_path / "store", "--device", "cpu", "--json")
    evaluated = cli("evaluate", found, "--target", "xquad", *more)
    assert evaluated.code == 0, evaluated.err
    assert evaluated.scores() == ran.scores()
    assert cli("evaluate", found, "--target", "tatoeba", *more).code == 0
    quantised = cli("evaluate", found, "--target", "xquad", "--precision", "8bit", *more)
    assert quantised.code == 0, quantised.err


@pytest.mark.parametrize("precision", ["bf16", "8bit", "4bit"])
@pytest.mark.parametrize("mode", ["adapter", "lora"])
def test_small_weights(cli: Cli, tiny: Tiny, mode: str, precision: str) -> None:
    arguments = tiny("--inter", "hellaswag", "--target", "xquad", "--mode", mode, "--precision", precision)
    ran = cli(
        *arguments, *SMALL[mode], "--set", "gradient_checkpointing=true", "--set", "optimizer=adamw8bit"
    )
    assert (ran.code, set(ran.statuses())) == (0, {"ran"}), ran.err
    assert "MatMul8bitLt" not in ran.err


@pytest.mark.parametrize(
    "settings",
    [
        ["--set", "tuning.full.freeze_embeddings=true"],
        ["--precision", "bf16", "--set", "tuning.full.bf16_weights=true", "--set", "optimizer=adamw8bit"],
    ],
    ids=lambda settings: settings[-1],
)
def test_full_within_small_memory(cli: Cli, tiny: Tiny, settings: list[str]) -> None:
    ran = cli(*tiny("--inter", "hellaswag", "--target", "xquad", *settings))
    assert (ran.code, set(ran.statuses())) == (0, {"ran"}), ran.err


def test_another_base_is_refused(
    cli: Cli, tiny: Tiny, tiny_base: Path, tiny_data: Path, tmp_path: Path
) -> None:
    cli(*tiny("--target", "xquad", "--mode", "lora"))
    found = bundle(tmp_path / "store", "squad_v1")
    other = Path(shutil.copytree(tiny_base, tmp_path / "other"))
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "hidden_dropout_prob": 0.2}))
    more = ("--data", tiny_data, "--store", tmp_path / "store", "--device", "cpu", "--json")
    ran = cli("evaluate", found, "--target", "xquad", "--base", other, *more)
    assert (ran.code, ran.out) == (1, "")
    assert f"was trained on the base '{tiny_base}'" in ran.err
    assert f"this is '{other}'" in ran.err
    moved = Path(shutil.copytree(tiny_base, tmp_path / "moved"))
    assert cli("evaluate", found, "--target", "xquad", "--base", moved, *more).code == 0


@pytest.mark.parametrize("precision", ["8bit", "4bit"])
def test_evaluate_forgets_no_8bit(
    cli: Cli, tiny: Tiny, tiny_data: Path, tmp_path: Path, precision: str
) -> None:
    """A bundle is evaluated, and gone on from, under the precision it was trained under, which is said."""
    ran = cli(*tiny("--target", "xquad", "--mode", "lora", "--precision", precision))
    found = bundle(tmp_path / "store", "squad_v1")
    more = ("--data", tiny_data, "--store", tmp_path / "store", "--device", "cpu", "--json")
    evaluated = cli("evaluate", found, "--target", "xquad", *more)
    assert evaluated.scores() == ran.scores()
    assert evaluated.json["results"]["xquad"]["precision"] == precision
    told = f"note: precision {precision}, as {found} was trained; --precision takes another\n"
    assert told in evaluated.err
    plain = cli("evaluate", found, "--target", "xquad", "--precision", "fp32", *more)
    assert plain.json["results"]["xquad"]["precision"] == "fp32"
    assert f"note: precision fp32, as asked for; {found} was trained under {precision}\n" in plain.err
    on = cli(*tiny("--inter", found, "--target", "xquad", "--mode", "lora", "--dry-run"))
    assert f"note: precision {precision}: {found} was trained under {precision}; --pre" in on.err
    same = cli(
        *tiny("--inter", found, "--target", "xquad", "--mode", "lora", "--dry-run", "--precision", precision)
    )
    assert "note: precision" not in same.err
    assert same.json == on.json
    other = cli(
        *tiny("--inter", found, "--target", "xquad", "--mode", "lora", "--dry-run", "--set", "precision=bf16")
    )
    assert f"note: precision bf16, as asked for; {found} was trained under {precision}\n" in other.err


def test_a_pickle_beside_the_weights_is_refused(
    cli: Cli, tiny: Tiny, tiny_data: Path, tmp_path: Path
) -> None:
    cli(*tiny("--target", "xquad", "--mode", "lora"))
    found = bundle(tmp_path / "store", "squad_v1")
    (found / "adapter_model.safetensors").rename(found / "adapter_model.bin")
    names = sorted(path.name for path in found.iterdir() if path.name != "SHA256SUMS")
    (found / "SHA256SUMS").write_text("".join(f"{sha256_file(found / n)}  {n}\n" for n in names))
    ran = cli("evaluate", found, "--target", "xquad", "--data", tiny_data, "--device", "cpu")
    assert ran.code == 1
    assert "adapter_model.bin is none of" in ran.err
    assert "a pickle, which is never read" in ran.err


REFUSED = {
    "mode": (
        ["--mode", "lorra"],
        "unknown mode 'lorra'; did you mean 'lora'? Choices: adapter, dora, full, ia3, lora, rslora.",
    ),
    "section": (["--set", "tuning.lorra.r=4"], "unknown recipe key tuning 'lorra'; did you mean"),
    "key": (["--mode", "lora", "--set", "tuning.lora.rank=4"], "unknown tuning.lora key 'rank'"),
    "rank": (["--mode", "lora", "--set", "tuning.lora.r=0"], "tuning.lora key r = 0"),
    "without effect": (
        ["--mode", "adapter", "--set", "tuning.adapter.prefix_length=4"],
        "tuning.adapter.prefix_length has no effect with architecture 'pfeiffer'",
    ),
    "bf16 weights under fp32": (
        ["--set", "tuning.full.bf16_weights=true"],
        "tuning.full.bf16_weights goes with --precision bf16, not with fp32",
    ),
    "integers under full": (["--precision", "8bit"], "--mode full cannot train 8bit weights"),
}


@pytest.mark.parametrize(("more", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_before_anything_runs(
    cli: Cli, tiny: Tiny, tmp_path: Path, more: list[str], message: str
) -> None:
    ran = cli(*tiny("--target", "xquad", *more))
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert not (tmp_path / "store").exists()


FAILED = {
    "layers": (
        ["--mode", "lora", "--set", "tuning.lora.target_modules=['quary']"],
        "target module 'quary' names no linear layer of this encoder; endings of their names: query, key, value, dense",
    ),
    "width": (
        ["--mode", "adapter", "--set", "tuning.adapter.reduction_factor=5"],
        "reduction_factor = 5 does not divide the encoder's hidden size 32",
    ),
    "blocks": (
        ["--mode", "adapter", "--set", "tuning.adapter.architecture=compacter"],
        "phm_dim = 4 divides not both the hidden size 32 and the bottleneck's width 1",
    ),
    "activation": (
        ["--mode", "adapter", "--set", "tuning.adapter.non_linearity=relo"],
        "unknown non_linearity 'relo'; did you mean 'relu'?",
    ),
    "paged": (
        ["--mode", "lora", "--set", "optimizer=paged_adamw8bit"],
        "there is no GPU in use here; take adamw8bit",
    ),
    "bf16 weights": (["--set", "tuning.full.bf16_weights=true"], "goes with --precision bf16, not with fp32"),
}


@pytest.mark.parametrize(("more", "message"), FAILED.values(), ids=FAILED)
def test_what_does_not_fit_the_encoder_is_told(cli: Cli, tiny: Tiny, more: list[str], message: str) -> None:
    ran = cli(*tiny("--target", "xquad", *more))
    assert ran.code == 2
    assert message in ran.err


def test_a_whole_bundle_has_its_own_base(
    cli: Cli, tiny: Tiny, tiny_data: Path, tiny_base: Path, tmp_path: Path
) -> None:
    cli(*tiny("--target", "xquad"))
    found = bundle(tmp_path / "store", "squad_v1")
    ran = cli("evaluate", found, "--target", "xquad", "--base", tiny_base, "--data", tiny_data)
    assert ran.code == 2
    assert "holds its own encoder (--mode full); leave --base out" in ran.err


@pytest.mark.parametrize("mode", ["adapter", "lora", "ia3"])
def test_one_stage_over_several_tasks(cli: Cli, tiny: Tiny, tmp_path: Path, mode: str) -> None:
    """Several heads over one set of modules, whose bundle another stage goes on from."""
    more = ("--inter", "hellaswag,snli", "--target", "xnli,tatoeba", "--mode", mode, *SMALL.get(mode, ()))
    ran = cli(*tiny(*more, "--set", "target.train_task=snli"))
    assert (ran.code, set(ran.statuses())) == (0, {"ran"}), ran.err
    found = bundle(tmp_path / "store", "hellaswag+snli")
    info = json.loads((found / "bundle.json").read_text())
    assert set(info["heads"]) == {"hellaswag", "snli"}
    assert {name.partition(".")[0] for name in load_file(found / "heads.safetensors")} == {
        "hellaswag",
        "snli",
    }
    assert not (found / "model.safetensors").exists()
