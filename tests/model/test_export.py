"""Exports: those who have nothing of ours load them, with the same logits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from adapter_stilts.errors import BundleError, UnknownNameError, UsageError
from adapter_stilts.formats import get_format
from adapter_stilts.formats.features import Features, Ragged
from adapter_stilts.model.backbone import load_encoder, load_tokenizer, resolve_base
from adapter_stilts.model.bundle import read_bundle, write_bundle
from adapter_stilts.model.bundle_info import BundleInfo
from adapter_stilts.model.export import FORMS, Choice, check_export, export, forms_of
from adapter_stilts.model.heads import Head
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning import get_tuning, tuning_names
from adapter_stilts.recipe import Base
from adapter_stilts.tasks import get_task

TARGETS = {
    "pair_classification": "xnli",
    "multiple_choice": "hellaswag",
    "span_qa": "xquad",
    "tagging": "udpos",
}
FOLDABLE = {
    "lora": {"r": 4},
    "dora": {"r": 4},
    "rslora": {"r": 4, "target_modules": ("query", "dense")},
    "ia3": {},
}
Made = Callable[..., tuple[Path, TaskModel]]

# Transformers and both libraries warn of heads that start at random and are loaded a moment later.
pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")

LENGTHS = [9, 5, 12, 12]


def features() -> Features:
    """Four sequences."""
    ids = np.random.default_rng(0).integers(5, 100, size=sum(LENGTHS)).astype(np.int32)
    return Features(Ragged.from_lengths(ids, LENGTHS), np.arange(5))


def padded(padding_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The same by hand: ids and mask."""
    ids, mask = torch.full((4, 12), padding_id), torch.zeros((4, 12), dtype=torch.long)
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = torch.as_tensor(features().input_ids[row])
        mask[row, :length] = 1
    return ids, mask


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A bundle of a tuning whose every tensor has moved, and the model it was saved from."""

    def call(
        base: Path,
        mode: str,
        format_name: str | None = "pair_classification",
        settings: Any = None,
        precision: str = "fp32",
        **changes: Any,
    ) -> tuple[Path, TaskModel]:
        tuning = get_tuning(mode)
        encoder = load_encoder(str(base), None, None, False, precision)
        task = get_task(TARGETS[format_name or "pair_classification"])
        format = head = None
        if format_name is not None:
            format = get_format(format_name)
            shape = format.head_shape(task.labels)
            assert shape is not None
            head = Head(shape, int(encoder.config.hidden_size), 0.0, 0.2, 1)
        model = TaskModel(encoder, head, format, bf16=precision != "fp32")
        tuning.attach(model, tuning.Settings.model_validate(settings or {}), 3)
        generator = torch.Generator().manual_seed(3)
        for tensor in tuning.state(model).values():
            tensor += 0.1 * torch.randn(tensor.shape, generator=generator)
        directory = tmp_path / f"{mode}.bundle"
        directory.mkdir()
        tuning.save(model, directory, format_name or "none", task.labels if format_name else ())
        resolved = resolve_base(Base(id=str(base)))
        values = {
            "tuning": mode,
            "base": str(base),
            "base_revision": None,
            "base_fingerprint": resolved.fingerprint,
            "task": task.name,
            "format": format_name or "none",
            "labels": task.labels if format_name else (),
            "settings": {"seed": 0, "precision": precision},
            "parents": (),
            "metrics": {"accuracy": 61.25},
            "versions": {"adapter-stilts": "0.1.0"},
        }
        info = BundleInfo.model_validate({**values, **changes})
        write_bundle(directory, info, load_tokenizer(resolved))
        return directory, model.eval()

    return call


def exported(bundle: Path, form: str = "transformers", **choice: Any) -> tuple[Path, BundleInfo]:
    info = read_bundle(bundle)
    out = bundle.parent / f"exported-{form}"
    out.mkdir()
    base = resolve_base(Base(id=str(bundle) if get_tuning(info.tuning).WHOLE else info.base))
    return out, export(bundle, form, Choice(**choice), out, base, "adapter-stilts export")


def python_of_the_card(directory: Path) -> str:
    """What the card says loads it, with the folder in the place of DIR."""
    card = (directory / "README.md").read_text(encoding="utf-8")
    return card.split("```python\n")[1].split("```")[0].replace('"DIR"', repr(str(directory)))


def loaded(directory: Path) -> Any:
    """The model that the card's lines give, in this process."""
    names: dict[str, Any] = {}
    exec(python_of_the_card(directory), names)
    return names["model"].eval()


def answers(model: Any, format_name: str | None, padding_id: int) -> torch.Tensor:
    ids, mask = padded(padding_id)
    with torch.inference_mode():
        if format_name == "multiple_choice":
            found: torch.Tensor = model(input_ids=ids[None], attention_mask=mask[None]).logits.reshape(4, 1)
            return found
        output = model(input_ids=ids, attention_mask=mask)
    if format_name == "span_qa":
        return torch.stack([output.start_logits, output.end_logits], dim=-1)
    found = output.last_hidden_state if format_name is None else output.logits
    return found.float()


def difference(model: TaskModel, found: torch.Tensor) -> float:
    """The largest, over what is not padding."""
    ours = model.predict(features(), np.arange(4)).float()
    mask = padded(0)[1]
    real = mask.bool() if ours.dim() == 3 else torch.ones(4, dtype=torch.bool)
    assert ours.shape == found.shape
    assert float(ours[real].abs().max()) > 0.01
    return float((ours - found)[real].abs().max())


@pytest.mark.parametrize(
    ("encoder", "mode"),
    [*(("tiny_base", mode) for mode in FOLDABLE), ("tiny_bert", "lora"), ("tiny_bert", "ia3")],
)
@pytest.mark.parametrize("format_name", [*TARGETS, None])
def test_a_change_becomes_part_of_the_weights(
    request: pytest.FixtureRequest, made: Made, mode: str, encoder: str, format_name: str | None
) -> None:
    base = request.getfixturevalue(encoder)
    bundle, model = made(base, mode, format_name, FOLDABLE[mode])
    out, info = exported(bundle)
    model.padding_id = 0 if encoder == "tiny_bert" else 1
    assert difference(model, answers(loaded(out), format_name, model.padding_id)) <= 1e-5
    assert (info.tuning, info.format) == ("full", format_name or "none")
    assert read_bundle(out) == info
    assert "It was trained under" not in (out / "README.md").read_text()
    tensors = load_file(out / "model.safetensors")
    assert not [name for name in tensors if "lora" in name or "ia3" in name or "base_layer" in name]
    assert not list(out.glob("adapter*"))
    untouched = load_encoder(str(base), None, None, False)
    assert difference(TaskModel(untouched, model.head, model.format).eval(),
                      answers(loaded(out), format_name, model.padding_id)) > 1e-2  # fmt: skip


@pytest.mark.slow
def test_nothing_but_transformers_is_needed(made: Made, tiny_base: Path) -> None:
    bundle, model = made(tiny_base, "lora", "tagging", FOLDABLE["lora"])
    out, _ = exported(bundle)
    ids, mask = padded(1)
    script = f"""
import sys
for name in ("adapter_stilts", "peft", "adapters", "bitsandbytes"):
    sys.modules[name] = None
{python_of_the_card(out)}
import json, torch
with torch.inference_mode():
    logits = model.eval()(input_ids=torch.tensor({ids.tolist()}), attention_mask=torch.tensor({mask.tolist()})).logits
assert tokenizer("A lamp")["input_ids"]
assert model.config.id2label[0] == {model_label()!r}
print(json.dumps(logits.tolist()))
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert difference(model, torch.tensor(json.loads(ran.stdout))) <= 1e-5


def model_label() -> str:
    return get_task("udpos").labels[0]


@pytest.mark.parametrize(
    ("mode", "form", "settings"),
    [
        ("lora", "peft", {"r": 4}),
        ("ia3", "peft", {}),
        ("adapter", "adapterhub", {"reduction_factor": 4}),
        ("adapter", "adapterhub", {"architecture": "prefix", "prefix_length": 3, "bottleneck_size": 8}),
        ("full", "transformers", {}),
    ],
)
def test_what_has_the_form_is_copied(
    made: Made, tiny_base: Path, mode: str, form: str, settings: dict[str, Any], format_name: str
) -> None:
    bundle, model = made(tiny_base, mode, format_name, settings)
    out, info = exported(bundle, form)
    assert info == read_bundle(bundle) == read_bundle(out)
    for path in bundle.iterdir():
        if path.name not in ("README.md", "SHA256SUMS", "adapter_config.json"):
            assert (out / path.name).read_bytes() == path.read_bytes()
    assert (out / "tokenizer.json").is_file()
    assert difference(model, answers(loaded(out), format_name, 1)) <= 1e-5


@pytest.mark.parametrize("format_name", ["tagging", "pair_classification"])
@pytest.mark.parametrize("how", ["fuse", "stack"])
def test_compositions_of_adapters_are_copied_with_their_parts(
    made: Made, tiny_base: Path, tmp_path: Path, how: str, format_name: str
) -> None:
    """On a task class, and on AdapterHub's models with heads of any number, which are asked for by name."""
    import adapters

    bundles = {}
    task = get_task(TARGETS[format_name])
    for number, name in enumerate(("first", "second")):
        bundle, _ = made(tiny_base, "adapter", format_name, {"reduction_factor": 4})
        bundles[name] = bundle.rename(tmp_path / f"{name}-{number}")
    tuning = get_tuning("adapter")
    fused = tmp_path / "fused"
    fused.mkdir()
    format = get_format(format_name)
    shape = format.head_shape(task.labels)
    assert shape is not None
    model = TaskModel(load_encoder(str(tiny_base), None, None, False), Head(shape, 32, 0.0, 0.2, 1), format)
    settings = tuning.Settings.model_validate({"reduction_factor": 4})
    tuning.combine(model, how, bundles, settings, 3)
    tuning.save(model, fused, format_name, task.labels)
    info = read_bundle(bundles["first"])
    write_bundle(fused, info, None)
    out, _ = exported(fused, "adapterhub")
    assert "load_adapter_setup" in python_of_the_card(out)
    assert difference(model.eval(), answers(loaded(out), format_name, 1)) <= 1e-5
    theirs: Any = adapters.AutoAdapterModel.from_pretrained(tiny_base)
    theirs.load_adapter_setup(str(out), set_active=True, use_safetensors=True)
    assert difference(model, answers(theirs.eval(), format_name, 1)) <= 1e-5
    kept = tuning.load(fused, format_name)
    assert kept.keys() == model.head.state_dict().keys()  # type: ignore[union-attr]


def test_the_head_of_a_composition_of_before(made: Made, tiny_base: Path, tmp_path: Path) -> None:
    """It lay at the root, under no name."""
    bundle, model = made(tiny_base, "adapter")
    (bundle / "adapter_setup.json").write_text(json.dumps({"head_setup": True}))
    found = get_tuning("adapter").load(bundle, "pair_classification")
    assert all(torch.equal(found[k], t) for k, t in model.head.state_dict().items())  # type: ignore[union-attr]
    (bundle / "adapter_setup.json").write_text(json.dumps({"head_setup": "../other"}))
    with pytest.raises(
        BundleError, match=r"head_setup = '\.\./other': should name a part of the composition"
    ):
        get_tuning("adapter").load(bundle, "pair_classification")


@pytest.mark.parametrize(("mode", "form"), [("lora", "peft"), ("adapter", "adapterhub")])
def test_a_base_of_somebodys_folder_is_no_model_of_the_hub(
    made: Made, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, form: str
) -> None:
    """Named without a slash, as from the folder above it: the card finds it from anywhere, and claims no hub model."""
    monkeypatch.chdir(tiny_base.parent)
    bundle, model = made(Path(tiny_base.name), mode)
    out, _ = exported(bundle, form)
    monkeypatch.chdir(tmp_path)
    assert "base_model:" not in (out / "README.md").read_text()
    theirs = loaded(out)
    assert difference(model, answers(theirs, "pair_classification", 1)) <= 1e-5
    assert theirs.config.id2label == dict(enumerate(get_task("xnli").labels))
    assert theirs.config.label2id == {label: row for row, label in theirs.config.id2label.items()}


def test_a_label_stays_a_string_of_the_card(made: Made, tiny_base: Path) -> None:
    labels = ("it's", '"', "```\nimport os")
    bundle, _ = made(tiny_base, "lora", labels=labels)
    out, _ = exported(bundle, "peft")
    assert loaded(out).config.id2label == dict(enumerate(labels))


def test_in_half_the_bytes(made: Made, tiny_base: Path) -> None:
    bundle, model = made(tiny_base, "lora", "tagging", FOLDABLE["lora"])
    out, info = exported(bundle, precision="bf16")
    assert {tensor.dtype for tensor in load_file(out / "model.safetensors").values()} == {torch.bfloat16}
    assert json.loads((out / "config.json").read_text())["dtype"] == "bfloat16"
    assert info.settings["export"] == {"tuning": "lora", "precision": "bf16"}
    assert difference(model, answers(loaded(out), "tagging", 1)) < 0.2
    card = (out / "README.md").read_text()
    assert "Weights are in bf16. It was trained under `--precision fp32`" in " ".join(card.split())


def test_a_whole_model_in_half_the_bytes(made: Made, tiny_base: Path) -> None:
    bundle, model = made(tiny_base, "full", "span_qa")
    out, info = exported(bundle, precision="bf16")
    assert {tensor.dtype for tensor in load_file(out / "model.safetensors").values()} == {torch.bfloat16}
    assert difference(model, answers(loaded(out), "span_qa", 1)) < 0.5
    assert info.settings["export"] == {"tuning": "full", "precision": "bf16"}


@pytest.mark.parametrize("precision", ["8bit", "4bit"])
def test_what_was_trained_on_integers_says_so(made: Made, tiny_base: Path, precision: str) -> None:
    """It gives the logits of the same change on the weights that were rounded to integers."""
    bundle, quantised = made(tiny_base, "lora", "tagging", FOLDABLE["lora"], precision)
    out, _ = exported(bundle)
    found = answers(loaded(out), "tagging", 1)
    assert difference(quantised, found) > 1e-3
    exact = TaskModel(load_encoder(str(tiny_base), None, None, False), quantised.head, quantised.format)
    get_tuning("lora").load_modules(exact, bundle)
    assert difference(exact.eval(), found) <= 1e-5
    card = " ".join((out / "README.md").read_text().split())
    assert f"Weights are in fp32. It was trained under `--precision {precision}`" in card
    assert "by the quantisation of the encoder's weights" in card


def test_forms() -> None:
    assert {mode: forms_of(get_tuning(mode)) for mode in tuning_names()} == {
        "adapter": ("adapterhub",),
        "dora": ("transformers", "peft", "sentence-transformers"),
        "full": ("transformers", "sentence-transformers"),
        "ia3": ("transformers", "peft", "sentence-transformers"),
        "lora": ("transformers", "peft", "sentence-transformers"),
        "rslora": ("transformers", "peft", "sentence-transformers"),
    }


REFUSED = {
    "weights cannot hold it": (
        "adapter",
        "transformers",
        {},
        UsageError,
        "computed beside the encoder's layers, through functions that no weight of a plain encoder holds.*"
        "Choices: adapterhub",
    ),
    "another library": ("lora", "adapterhub", {}, UsageError, "--to adapterhub, of a bundle of --mode lora: .*"
                        "Choices: transformers, peft"),
    "whole": ("full", "peft", {}, UsageError, "Choices: transformers"),
    "form": ("lora", "onyx", {}, UnknownNameError, "unknown form to export to 'onyx'.*transformers, peft, adapterhub"),
    "integers": ("lora", "transformers", {"precision": "8bit"}, UnknownNameError, "Choices: fp32, bf16"),
    "precision of a copy": ("lora", "peft", {"precision": "bf16"}, UsageError, "--precision bf16: --to peft copies"),
    "head": ("lora", "transformers", {"head": "squad"}, UnknownNameError, "Choices: none. It has one head, of tagging"),
}  # fmt: skip


@pytest.mark.parametrize(("mode", "form", "choice", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_there_is_not(
    made: Made, tiny_base: Path, mode: str, form: str, choice: Any, error: Any, message: str
) -> None:
    settings = {"reduction_factor": 4} if mode == "adapter" else None
    bundle, _ = made(tiny_base, mode, "tagging", settings)
    with pytest.raises(error, match=message):
        check_export(form, read_bundle(bundle), Choice(**choice))


def test_another_base_is_refused(made: Made, tiny_base: Path, tiny_bert: Path) -> None:
    bundle, _ = made(tiny_base, "lora", "tagging", FOLDABLE["lora"])
    out = bundle.parent / "out"
    out.mkdir()
    with pytest.raises(BundleError, match="on another base its numbers mean nothing"):
        export(bundle, "transformers", Choice(), out, resolve_base(Base(id=str(tiny_bert))))
    assert list(out.iterdir()) == []


def test_a_head_is_left_out_where_asked(made: Made, tiny_base: Path) -> None:
    bundle, model = made(tiny_base, "lora", "tagging", FOLDABLE["lora"])
    out, info = exported(bundle, head="none")
    assert (info.format, info.labels) == ("none", ())
    assert difference(model.without_head().eval(), answers(loaded(out), None, 1)) <= 1e-5


def test_every_form_is_there() -> None:
    libraries = {get_tuning(mode).LIBRARY for mode in tuning_names()}
    assert {form.library for form in FORMS.values()} == libraries | {"sentence-transformers"}
