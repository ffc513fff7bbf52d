"""Adapters that others made with PEFT or AdapterHub alone, wherever a bundle may stand; nothing is imported first."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

Cli = Callable[..., Any]
Tiny = Callable[..., list[str]]
Save = Callable[..., Path]

# Transformers and both libraries warn of heads that start at random.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*:UserWarning")]
IDS, MASK = torch.arange(5, 25).reshape(2, 10), torch.ones(2, 10, dtype=torch.long)


@pytest.fixture
def save(tiny_base: Path, tmp_path: Path) -> Save:
    """PEFT's own files of a config, on a class of Transformers', with what its encoder computes beside them."""
    import peft
    import transformers

    def call(config: Any, name: str = "theirs", auto: str = "AutoModelForSequenceClassification") -> Path:
        model: Any = getattr(transformers, auto).from_pretrained(tiny_base)
        wrapped = peft.get_peft_model(model, config)
        generator = torch.Generator().manual_seed(1)
        for key, tensor in wrapped.named_parameters():
            if "lora_" in key or "ia3_l" in key:
                tensor.data += 0.2 * torch.randn(tensor.shape, generator=generator)
        wrapped.save_pretrained(tmp_path / name)
        encoder = wrapped.base_model.model
        encoder = getattr(encoder, "roberta", encoder).eval()
        with torch.inference_mode():
            states = encoder(IDS, attention_mask=MASK).last_hidden_state
        save_file({"states": states.contiguous()}, tmp_path / f"{name}.states")
        return tmp_path / name

    return call


def configs() -> dict[str, Any]:
    from peft import IA3Config, LoraConfig

    return {
        "lora": LoraConfig(r=4, target_modules=["query", "value"]),
        "rslora": LoraConfig(r=4, target_modules=["query", "value"], use_rslora=True),
        "dora": LoraConfig(r=4, target_modules=["query", "value"], use_dora=True),
        "all-linear": LoraConfig(r=2, target_modules="all-linear", task_type="SEQ_CLS"),
        "a pattern": LoraConfig(r=2, target_modules=r".*encoder.*\.(query|key)"),
        "a head": LoraConfig(r=4, target_modules=["query"], modules_to_save=["classifier"], task_type="SEQ_CLS"),
        "some layers": LoraConfig(r=4, target_modules=["query", "value"], layers_to_transform=[1]),
        "ranks": LoraConfig(
            r=4, target_modules=["query", "value"], rank_pattern={"query": 2, "layer.1.attention.self.value": 6}
        ),
        "ranks and scales": LoraConfig(
            r=4, lora_alpha=3, target_modules=["query", "value"], rank_pattern={"query": 2},
            alpha_pattern={"layer.0.attention.self.value": 11}, use_rslora=True,
        ),
        "ranks of dora": LoraConfig(r=4, target_modules=["query", "value"], rank_pattern={"query": 2}, use_dora=True),
        "gaussian": LoraConfig(r=4, target_modules=["query"], init_lora_weights="gaussian"),
        "ia3": IA3Config(target_modules=["key", "output.dense"], feedforward_modules=["output.dense"]),
        "ia3, a pattern": IA3Config(
            target_modules=r".*\.(key|intermediate\.dense)", feedforward_modules=r".*\.intermediate\.dense"
        ),
    }  # fmt: skip


@pytest.mark.parametrize("kind", configs())
@pytest.mark.parametrize("auto", ["AutoModel", "AutoModelForSequenceClassification"])
def test_what_peft_saves_computes_the_same(
    save: Save, cli: Cli, tiny_base: Path, tmp_path: Path, kind: str, auto: str
) -> None:
    from adapter_stilts.model.backbone import load_encoder, load_tokenizer, resolve_base
    from adapter_stilts.model.bundle_info import BundleInfo
    from adapter_stilts.model.foreign import adopt
    from adapter_stilts.model.task_model import TaskModel
    from adapter_stilts.model.tuning import get_tuning
    from adapter_stilts.recipe import Base

    config = configs()[kind]
    if auto == "AutoModel" and config.task_type is not None:
        pytest.skip("a head's config has no place on the bare encoder")
    directory = save(config, auto=auto)
    base = resolve_base(Base(id=str(tiny_base)))
    (tmp_path / "made").mkdir()
    made = adopt(directory, tmp_path / "made", "mnli", base, load_tokenizer(base))
    assert isinstance(made, BundleInfo)
    ours = TaskModel(load_encoder(str(tiny_base), None, None, False), None, None)
    with torch.inference_mode():
        bare = ours.eval().encoder(IDS, attention_mask=MASK).last_hidden_state
        get_tuning(made.tuning).load_modules(ours, tmp_path / "made")
        found = ours.eval().encoder(IDS, attention_mask=MASK).last_hidden_state
    wanted = load_file(tmp_path / "theirs.states")["states"]
    assert float((found - wanted).abs().max()) < 1e-5
    assert float((found - bare).abs().max()) > 1e-2
    assert cli("hub", "verify", tmp_path / "made").code == 0


def test_gone_on_from_evaluated_composed_and_exported_as_it_is(
    save: Save, cli: Cli, tiny: Tiny, tiny_base: Path, tiny_data: Path, tmp_path: Path
) -> None:
    directory = save(configs()["ranks and scales"])
    named = f"it names the base {str(tiny_base)!r}, and its shapes fit {str(tiny_base)!r}; "
    notice = (
        f"note: {directory}: plain files, without the fingerprint of the base they were trained on: {named}whether "
        "these are the weights it was trained on cannot be checked\n"
    )
    arguments = tiny("--inter", directory, "--inter-task", "mnli", "--target", "xquad", "--mode", "rslora")
    ran = cli(*arguments)
    assert ran.code == 0, ran.err
    assert notice in ran.err
    assert (ran.json["stages"][0]["kind"], ran.json["stages"][0]["task"]) == ("fetch", "mnli")
    trained = next((tmp_path / "store").glob("train-squad_v1-*")) / "bundle"
    command = json.loads((trained / "bundle.json").read_text())["command"]
    assert f"--inter {directory} --inter-task mnli" in command
    assert set(cli(*arguments).statuses()) == {"cached"}
    # The same two files elsewhere, among others, are the same stages.
    other = Path(shutil.copytree(directory, tmp_path / "elsewhere"))
    (other / "training_args.bin").write_bytes(b"never read")
    moved = [str(other) if word == str(directory) else word for word in arguments]
    assert set(cli(*moved).statuses()) == {"cached"}
    more = ("--data", tiny_data, "--store", tmp_path / "store", "--device", "cpu", "--json")
    ran = cli("evaluate", directory, "--target", "tatoeba", *more)
    assert ran.code == 0, ran.err
    assert notice in ran.err
    own = cli("compose", f"0.5*{directory} + 0.5*{other}", "--out", tmp_path / "mixed", "--json")
    assert own.code == 0, own.err
    assert own.json["task"].count("+") == 1
    whole = cli("export", directory, "--to", "transformers", "--out", tmp_path / "whole", "--json")
    assert whole.code == 0, whole.err
    from transformers import AutoModel

    with torch.inference_mode():
        states = (
            AutoModel.from_pretrained(tmp_path / "whole").eval()(IDS, attention_mask=MASK).last_hidden_state
        )
    assert float((states - load_file(tmp_path / "theirs.states")["states"]).abs().max()) < 1e-5


def test_what_it_was_trained_on_is_a_name_of_its_own(save: Save, cli: Cli, tiny: Tiny) -> None:
    directory = save(configs()["lora"], name="their lora")
    ran = cli(*tiny("--inter", directory, "--target", "xquad", "--mode", "lora", "--dry-run"))
    assert ran.json["stages"][0]["task"] == "their_lora"
    ran = cli(*tiny("--inter", directory, "--target", "xquad", "--mode", "lora", "--inter-task", "mnli,qqp"))
    assert (ran.code, ran.out) == (2, "")
    assert (
        "says what 2 plain adapters of PEFT or AdapterHub were trained on; after --inter there is 1"
        in ran.err
    )
    ran = cli(*tiny("--inter", directory, "--target", "xquad", "--mode", "lora", "--inter-task", "../x"))
    assert (ran.code, ran.out) == (2, "")
    assert "--inter-task '../x': letters, digits" in ran.err


def test_of_another_mode(save: Save, cli: Cli, tiny: Tiny, tmp_path: Path) -> None:
    ran = cli(*tiny("--inter", save(configs()["lora"]), "--target", "xquad", "--mode", "full"))
    assert (ran.code, ran.out) == (1, "")
    assert "was trained with --mode lora, the recipe's is full: add --mode lora" in ran.err
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"init_lora_weights": "pissa"}, "init_lora_weights = 'pissa' changes the base's own weights"),
        ({"alpha_pattern": {"(a+)+": 2}}, "plain endings of layers' names are read here"),
        ({"lora_alpha": "x"}, "lora_alpha = 'x': should be a positive number"),
        ({"bias": "all"}, "bias = 'all' is not supported"),
        ({"of_a_newer_version": 3}, "unknown field 'of_a_newer_version'"),
        ({"auto_map": {"AutoModel": "x--y.Z"}}, "names code"),
        ({"peft_type": "LOHA"}, "peft_type = 'LOHA'"),
    ],
)
def test_settings_that_are_not_read(
    save: Save, cli: Cli, tiny: Tiny, change: dict[str, Any], told: str, tmp_path: Path
) -> None:
    directory = save(configs()["lora"])
    path = directory / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    ran = cli(*tiny("--inter", directory, "--target", "xquad", "--mode", "lora"))
    assert (ran.code, ran.out) == (1, "")
    assert told in ran.err
    assert not (tmp_path / "store").exists()


def test_fields_of_a_newer_version_that_are_off(save: Save, cli: Cli, tiny: Tiny) -> None:
    directory = save(configs()["lora"])
    path = directory / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "a_new_way": False, "another": None}))
    assert cli(*tiny("--inter", directory, "--target", "xquad", "--mode", "lora", "--dry-run")).code == 0


def test_weights_that_are_not_read(save: Save, cli: Cli, tiny: Tiny) -> None:
    directory = save(configs()["lora"])
    arguments = tiny("--inter", directory, "--target", "xquad", "--mode", "lora")
    path = directory / "adapter_model.safetensors"
    held = load_file(path)
    root = "base_model.model.roberta"
    own = f"{root}.embeddings.word_embeddings.weight"
    for more, told in (
        ({own: torch.zeros(3, 3)}, "holds the encoder's own embeddings.word_embeddings.weight"),
        (
            {f"{root}.layers.0.query.lora_A.weight": torch.zeros(4, 32)},
            "stands in no linear layer of this base",
        ),
        ({f"{root}.embeddings.word_embeddings.lora_embedding_A": torch.zeros(4, 3)}, "changes an embedding"),
    ):
        save_file({**held, **more}, path)
        ran = cli(*arguments)
        assert (ran.code, ran.out) == (1, ""), told
        assert told in ran.err
    name = next(key for key in held if key.endswith("lora_A.weight"))
    save_file({**held, name: torch.zeros(4, 16)}, path)
    assert cli(*arguments).code == 1
    save_file({**held, name: torch.full((4, 32), float("nan"))}, path)
    assert "finite" in cli(*arguments).err


def test_a_pickle_is_refused_and_the_command_converts_it(
    save: Save, cli: Cli, tiny: Tiny, tmp_path: Path
) -> None:
    directory = save(configs()["lora"])
    weights = directory / "adapter_model.safetensors"
    held = load_file(weights)
    torch.save(held, directory / "adapter_model.bin")
    weights.unlink()
    arguments = tiny("--inter", directory, "--target", "xquad", "--mode", "lora", "--dry-run")
    ran = cli(*arguments)
    assert (ran.code, ran.out) == (1, "")
    assert "its weights are adapter_model.bin, a pickle, which is never read" in ran.err
    command = ran.err.splitlines()[-1].strip()
    assert command.startswith('python -c "')
    code = command.removeprefix('python -c "').removesuffix('"')
    subprocess.run([sys.executable, "-c", code], cwd=directory, check=True)
    assert load_file(weights).keys() == held.keys()
    assert cli(*arguments).code == 0


def test_links_are_not_followed(save: Save, cli: Cli, tiny: Tiny) -> None:
    directory = save(configs()["lora"])
    weights = directory / "adapter_model.safetensors"
    weights.rename(directory.parent / "aside.safetensors")
    weights.symlink_to(directory.parent / "aside.safetensors")
    ran = cli(*tiny("--inter", directory, "--target", "xquad", "--mode", "lora"))
    assert (ran.code, ran.out) == (1, "")
    assert "a link, which may lead out" in ran.err


def test_bottlenecks_of_adapterhub(cli: Cli, tiny: Tiny, tiny_base: Path, tmp_path: Path) -> None:
    adapters = pytest.importorskip("adapters", reason="AdapterHub's package is not installed")
    from transformers import AutoModelForSequenceClassification

    model: Any = AutoModelForSequenceClassification.from_pretrained(tiny_base)
    adapters.init(model)
    model.add_adapter("theirs", config=adapters.SeqBnConfig(reduction_factor=4, leave_out=[0]))
    model.save_adapter(str(tmp_path / "theirs"), "theirs", use_safetensors=True)
    arguments = ("--target", "xquad", "--mode", "adapter", "--inter-task", "mnli")
    ran = cli(*tiny("--inter", tmp_path / "theirs", *arguments))
    assert ran.code == 0, ran.err
    assert ran.json["stages"][0]["task"] == "mnli"
    model.save_adapter(str(tmp_path / "old"), "theirs", use_safetensors=False)
    ran = cli(*tiny("--inter", tmp_path / "old", *arguments))
    assert (ran.code, ran.out) == (1, "")
    assert "pytorch_adapter.bin, a pickle" in ran.err
    assert "'adapter.safetensors')" in ran.err


@pytest.mark.parametrize(
    ("named", "base", "fits"),
    [
        ("FacebookAI/xlm-roberta-base", "FacebookAI/xlm-roberta-base", True),
        ("xlm-roberta-base", "FacebookAI/xlm-roberta-base", True),
        ("FacebookAI/roberta-base", "FacebookAI/xlm-roberta-base", False),
        ("roberta-base", "FacebookAI/xlm-roberta-base", False),
        ("/home/me/models/mine", "FacebookAI/xlm-roberta-base", True),
        ("", "FacebookAI/xlm-roberta-base", True),
    ],
)
def test_the_base_that_is_named(tmp_path: Path, named: str, base: str, fits: bool) -> None:
    """Encoders of one shape take one another's updates without a word."""
    from adapter_stilts.errors import BundleError
    from adapter_stilts.hub.plain import Plain
    from adapter_stilts.model.backbone import ResolvedBase
    from adapter_stilts.stages.adopting import check_name

    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": named}))
    found = ResolvedBase(base, base, "c" * 40, "c" * 40, {})
    plain = Plain(tmp_path, tmp_path, "d" * 64)
    if fits:
        check_name(plain, found)
    else:
        with pytest.raises(
            BundleError, match=f"was trained on the base '{named}', this is '{base}'.*Give --base"
        ):
            check_name(plain, found)
