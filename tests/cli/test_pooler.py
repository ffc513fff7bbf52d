"""`formats.*.pooler`: heads that read the encoder's pooler, from training to export, in every kind of bundle."""

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

PAIRS = ("--target", "xnli", "--set", "target.train_task=snli", "--languages", "en")
POOLED = (
    "--set",
    "formats.pair_classification.pooler=true",
    "--set",
    "formats.multiple_choice.pooler=true",
)
STILL = ("--set", "intermediate.learning_rate=1e-30", "--set", "target.learning_rate=1e-30")
NAMES = ("pooler.weight", "pooler.bias")


def bundle(ran: Any, task: str) -> Path:
    stage = next(s for s in ran.json["stages"] if (s["kind"], s["task"]) == ("train", task))
    return Path(stage["dir"]) / "bundle"


def pooler(head: dict[str, torch.Tensor], before: str = "") -> list[torch.Tensor]:
    return [head[before + name] for name in NAMES]


def checkpoint(base: Path) -> list[torch.Tensor]:
    weights = load_file(base / "model.safetensors")
    return [weights[f"pooler.dense.{kind}"] for kind in ("weight", "bias")]


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_head_begins_with_the_checkpoints_pooler_and_hands_it_on(
    cli: Cli, tiny: Tiny, pooled_base: Path
) -> None:
    arguments = ("--base", pooled_base, "--inter", "hellaswag", *PAIRS, *POOLED)
    still = cli(*tiny(*arguments, *STILL))
    assert still.code == 0, still.err
    assert "holds no pooler" not in still.err
    for task in ("hellaswag", "snli"):
        head = load_file(bundle(still, task) / "head.safetensors")
        assert equal(pooler(head), checkpoint(pooled_base))

    # A trained intermediate task changes it; the target goes on from what that left, not from the checkpoint's.
    moved = cli(*tiny(*arguments, "--set", "intermediate.learning_rate=1e-2", *STILL[2:]))
    first, second = (
        pooler(load_file(bundle(moved, task) / "head.safetensors")) for task in ("hellaswag", "snli")
    )
    assert not equal(first, checkpoint(pooled_base))
    assert equal(second, first)


@pytest.mark.parametrize("mode", ["full", "lora", "adapter", "ia3"])
def test_its_bundle_keeps_the_head_beside_and_is_read_everywhere(
    cli: Cli, tiny: Tiny, pooled_base: Path, tmp_path: Path, mode: str
) -> None:
    trained = cli(*tiny("--base", pooled_base, "--mode", mode, *PAIRS, *POOLED))
    assert trained.code == 0, trained.err
    found = bundle(trained, "snli")
    assert set(load_file(found / "head.safetensors")) == {
        f"{layer}.{kind}" for layer in ("pooler", "dense", "output") for kind in ("weight", "bias")
    }
    info = json.loads((found / "bundle.json").read_text())
    assert (info["pooler"], info["settings"]["format"]["pooler"]) == (True, True)
    assert cli("hub", "verify", found).code == 0

    # Whatever the recipe at hand says of new heads.
    more = ("--data", tiny()[4], "--store", tmp_path / "again", "--device", "cpu", "--json")
    again = cli("evaluate", found, "--target", "xnli", "--languages", "en", *more)
    assert again.code == 0, again.err
    assert again.json["results"]["xnli"]["languages"] == trained.json["results"]["xnli"]["languages"]

    # A task without a pooler goes on from it.
    on = cli(*tiny("--base", pooled_base, "--mode", mode, "--inter", found, "--target", "xquad"))
    assert on.code == 0, on.err
    assert "pooler" not in json.loads((bundle(on, "squad_v1") / "bundle.json").read_text())

    if mode == "adapter":
        return
    out = tmp_path / "plain"
    exported = cli("export", found, "--to", "transformers", "--out", out)
    assert exported.code == 0, exported.err
    assert cli("hub", "verify", out).code == 0
    assert "AutoModelForSequenceClassification" not in (out / "README.md").read_text()
    plain = cli("evaluate", out, "--target", "xnli", "--languages", "en", *more)
    assert plain.json["results"]["xnli"]["languages"] == trained.json["results"]["xnli"]["languages"]


@pytest.mark.parametrize("mode", ["full", "lora", "adapter"])
def test_its_encoder_is_the_librarys_own(cli: Cli, tiny: Tiny, pooled_base: Path, mode: str) -> None:
    """The states that Transformers, PEFT and AdapterHub compute of its files are those that the head reads."""
    from transformers import AutoModel

    from adapter_stilts.model.backbone import load_encoder
    from adapter_stilts.model.task_model import TaskModel
    from adapter_stilts.model.tuning import get_tuning

    change = ("--set", "target.learning_rate=1e-2")
    trained = cli(*tiny("--base", pooled_base, "--mode", mode, *PAIRS, *POOLED, *change))
    assert trained.code == 0, trained.err
    found = bundle(trained, "snli")
    location = found if mode == "full" else pooled_base
    theirs = AutoModel.from_pretrained(location, add_pooling_layer=False)
    before = AutoModel.from_pretrained(pooled_base, add_pooling_layer=False).eval()
    if mode == "lora":
        from peft import PeftModel

        theirs = PeftModel.from_pretrained(theirs, found)
    if mode == "adapter":
        import adapters

        adapters.init(theirs)
        theirs.load_adapter(str(found), set_active=True, use_safetensors=True)
    ours = TaskModel(load_encoder(str(location), None, None, False), None, None)
    get_tuning(mode).load_modules(ours, found)
    ids = torch.tensor([[0, 7, 9, 11, 2]])
    with torch.no_grad():
        states = [m.eval()(input_ids=ids).last_hidden_state for m in (theirs, ours.encoder, before)]
    assert torch.allclose(states[0], states[1], atol=1e-6)
    assert not torch.allclose(states[0], states[2], atol=1e-4)


def test_a_checkpoint_without_one_trains_a_new_one_and_says_so(cli: Cli, tiny: Tiny, tiny_base: Path) -> None:
    ran = cli(*tiny(*PAIRS, *POOLED, *STILL))
    assert ran.code == 0, ran.err
    assert f"{tiny_base} holds no pooler: snli trains a new one with its head" in ran.err
    head = load_file(bundle(ran, "snli") / "head.safetensors")
    assert head["pooler.weight"].std() > 0.1  # the encoder's initializer range is 0.2


def test_several_heads_share_one(cli: Cli, tiny: Tiny, pooled_base: Path) -> None:
    change = ("--set", "intermediate.learning_rate=1e-2")
    ran = cli(*tiny("--base", pooled_base, "--inter", "snli,hellaswag,squad_v1", *PAIRS, *POOLED, *change))
    assert ran.code == 0, ran.err
    found = bundle(ran, "hellaswag+snli+squad_v1")
    assert cli("hub", "verify", found).code == 0
    heads = load_file(found / "heads.safetensors")
    assert equal(pooler(heads, "snli."), pooler(heads, "hellaswag."))
    assert not equal(pooler(heads, "snli."), checkpoint(pooled_base))
    assert not [name for name in heads if name.startswith("squad_v1.pooler")]
    info = json.loads((found / "bundle.json").read_text())
    assert [name for name, head in sorted(info["heads"].items()) if head.get("pooler")] == [
        "hellaswag",
        "snli",
    ]


def test_heads_with_and_without_one_have_no_mean(
    cli: Cli, tiny: Tiny, pooled_base: Path, tmp_path: Path
) -> None:
    with_one = cli(*tiny("--base", pooled_base, "--mode", "lora", *PAIRS, *POOLED))
    without = cli(*tiny("--base", pooled_base, "--mode", "lora", *PAIRS))
    one, other = (bundle(ran, "snli") for ran in (with_one, without))
    assert one != other
    for name, terms, format_name in (
        ("mixed", (one, other), "none"),
        ("same", (one, one), "pair_classification"),
    ):
        out = tmp_path / name
        ran = cli("compose", f"0.5*{terms[0]} + 0.5*{terms[1]}", "--out", out)
        assert ran.code == 0, ran.err
        info = json.loads((out / "bundle.json").read_text())
        assert (info["format"], info.get("pooler", False)) == (format_name, name == "same")
        assert cli("hub", "verify", out).code == 0
    assert equal(
        pooler(load_file(tmp_path / "same" / "head.safetensors")), pooler(load_file(one / "head.safetensors"))
    )


def test_an_encoder_without_one_is_refused_before_anything_runs(cli: Cli, tiny: Tiny, tmp_path: Path) -> None:
    base = tmp_path / "electra"
    base.mkdir()
    config = {"model_type": "electra", "vocab_size": 300, "hidden_size": 32, "num_attention_heads": 2}
    (base / "config.json").write_text(json.dumps(config))
    for name in ("model.safetensors", "tokenizer.json"):
        (base / name).write_bytes(b"")
    ran = cli(*tiny("--base", base, *PAIRS, *POOLED))
    assert (ran.code, ran.out) == (2, "")
    assert "formats.pair_classification.pooler = true: encoders of type 'electra'" in ran.err
    assert "have none: leave it at false" in ran.err
    assert not (tmp_path / "store").exists()
