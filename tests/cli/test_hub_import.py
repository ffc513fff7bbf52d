"""Plain folders of PEFT and AdapterHub: told alike wherever they are met, and taken in by `hub import`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

Cli = Callable[..., Any]
Tiny = Callable[..., list[str]]

MODES = ("lora", "rslora", "dora", "ia3", "adapter")
# Transformers and both libraries warn of heads that start at random.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*:UserWarning")]


@pytest.fixture
def plain(tiny_base: Path, tmp_path: Path) -> Callable[[str], tuple[Path, Any]]:
    """What a library saves of a sequence classifier, and its encoder with the modules in it."""
    from transformers import AutoModelForSequenceClassification

    def call(mode: str) -> tuple[Path, Any]:
        model: Any = AutoModelForSequenceClassification.from_pretrained(tiny_base, num_labels=3)
        directory = tmp_path / f"plain-{mode}"
        if mode == "adapter":
            import adapters

            adapters.init(model)
            model.add_adapter("theirs", config=adapters.SeqBnConfig(reduction_factor=4))
            model.set_active_adapters("theirs")
            move(model, ".adapters.")
            model.save_adapter(str(directory), "theirs", use_safetensors=True)
            return directory, model.roberta.eval()
        import peft

        config = (
            peft.IA3Config(task_type="SEQ_CLS", target_modules=["key", "value"], feedforward_modules=[])
            if mode == "ia3"
            else peft.LoraConfig(
                task_type="SEQ_CLS", r=4, use_rslora=mode == "rslora", use_dora=mode == "dora"
            )
        )
        wrapped = peft.get_peft_model(model, config)
        move(wrapped, "ia3_l" if mode == "ia3" else "lora_")
        wrapped.save_pretrained(directory)
        return directory, wrapped.base_model.model.roberta.eval()

    return call


def move(model: Any, mark: str) -> None:
    generator = torch.Generator().manual_seed(1)
    moved = [tensor for name, tensor in model.named_parameters() if mark in name]
    assert moved
    for tensor in moved:
        tensor.data += 0.2 * torch.randn(tensor.shape, generator=generator)


def test_plain_peft_repo_is_told_alike(cli: Cli, tiny: Tiny, plain: Any, tmp_path: Path) -> None:
    directory, _ = plain("lora")
    commands = (
        ["hub", "verify", directory],
        ["hub", "pull", directory, tmp_path / "out"],
        ["hub", "show", directory],
    )
    told = (
        f"error: {directory}: no bundle.json, so it is no bundle of ours; it holds README.md, adapter_config.json, "
        "adapter_model.safetensors: plain files of PEFT or AdapterHub, which do not say for certain what base they are "
        "of. `adapter-stilts hub import FOLDER NEW_FOLDER --base BASE` makes a bundle of them; train --inter, "
        "evaluate, compose and export take them as they are\n"
    )
    for command in commands:
        ran = cli(*command)
        assert (ran.code, ran.out, ran.err) == (1, "", told), command
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("mode", MODES)
def test_what_is_imported_computes_the_same_and_is_gone_on_from(
    cli: Cli, tiny: Tiny, plain: Any, tiny_base: Path, tiny_data: Path, tmp_path: Path, mode: str
) -> None:
    from adapter_stilts.model.backbone import load_encoder
    from adapter_stilts.model.task_model import TaskModel
    from adapter_stilts.model.tuning import get_tuning

    directory, theirs = plain(mode)
    out = tmp_path / "imported"
    ran = cli("hub", "import", directory, out, "--base", tiny_base, "--task", "mnli", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["tuning"], ran.json["format"], ran.json["task"]) == (mode, "none", "mnli")
    assert cli("hub", "verify", out).code == 0
    ours = TaskModel(load_encoder(str(tiny_base), None, None, False), None, None)
    get_tuning(mode).load_modules(ours, out)
    ids, mask = torch.arange(5, 25).reshape(2, 10), torch.ones(2, 10, dtype=torch.long)
    with torch.inference_mode():
        found = ours.eval().encoder(ids, attention_mask=mask).last_hidden_state
        expected = theirs(ids, attention_mask=mask).last_hidden_state
        bare = (
            load_encoder(str(tiny_base), None, None, False).eval()(ids, attention_mask=mask).last_hidden_state
        )
    assert float((found - expected).abs().max()) < 1e-5
    assert float((found - bare).abs().max()) > 1e-2
    more = ("--data", tiny_data, "--store", tmp_path / "store", "--device", "cpu", "--json")
    assert cli("evaluate", out, "--target", "tatoeba", *more).code == 0
    on = cli(*tiny("--inter", out, "--target", "xquad", "--mode", mode))
    assert on.code == 0, on.err


def test_what_cannot_be_imported(cli: Cli, plain: Any, tiny_base: Path, tmp_path: Path) -> None:
    directory, _ = plain("lora")
    out = tmp_path / "imported"
    config = json.loads((directory / "adapter_config.json").read_text())
    for change, told in (
        ({"peft_type": "LOHA"}, "peft_type = 'LOHA'; LORA and IA3 of PEFT, and bottlenecks"),
        (
            {"use_dora": True, "use_rslora": True},
            "peft_type = 'LORA' with use_dora and use_rslora; LORA and IA3",
        ),
        ({"bias": "all"}, "bias = 'all' is not supported"),
        ({"target_modules": ["query", "valeu"]}, "target_modules names 'valeu', for which"),
    ):
        (directory / "adapter_config.json").write_text(json.dumps({**config, **change}))
        ran = cli("hub", "import", directory, out, "--base", tiny_base)
        assert (ran.code, ran.out) == (1, "")
        assert told in ran.err
        assert not out.exists()
    (directory / "adapter_config.json").write_text(json.dumps(config))
    (directory / "adapter_model.safetensors").rename(directory / "adapter_model.bin")
    assert (
        "its weights are adapter_model.bin, a pickle, which is never read"
        in cli("hub", "import", directory, out, "--base", tiny_base).err
    )
    out.mkdir()
    assert "is there already" in cli("hub", "import", directory, out, "--base", tiny_base).err
    assert not list(tmp_path.glob("*partial*"))
