"""Bundles without an encoder are held against their own config and labels by the look that every verb takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from adapter_stilts.errors import BundleError
from adapter_stilts.hub.verify import verify
from adapter_stilts.io import sha256_file
from adapter_stilts.model.backbone import load_tokenizer, resolve_base
from adapter_stilts.model.bundle import write_bundle
from adapter_stilts.model.bundle_info import BundleInfo
from adapter_stilts.recipe import Base
from adapter_stilts.tasks import get_task

Edit = Callable[[dict[str, Any]], Any]
MODULES = {
    "lora": "adapter_model.safetensors",
    "ia3": "adapter_model.safetensors",
    "pfeiffer": "adapter.safetensors",
}


@pytest.fixture
def bundle(attached: Any, tuning_of: Any, tiny_base: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A whole bundle for udpos."""

    def call(key: str) -> Path:
        directory, task = tmp_path / key, get_task("udpos")
        directory.mkdir()
        tuned = tuning_of(key)
        tuned[0].save(attached(tiny_base, "tagging", tuned), directory, "tagging", task.labels)
        base = resolve_base(Base(id=str(tiny_base)))
        info = BundleInfo(
            tuning="adapter" if key == "pfeiffer" else key,
            base=base.id,
            base_revision=None,
            base_fingerprint=base.fingerprint,
            task=task.name,
            format="tagging",
            labels=task.labels,
            settings={},
            parents=(),
            metrics={},
            versions={},
        )
        write_bundle(directory, info, load_tokenizer(base))
        assert verify(directory) == info
        return directory

    return call


def change(directory: Path, name: str, edit: Edit) -> None:
    """Edit a file, and write the digests anew."""
    path = directory / name
    if name.endswith(".json"):
        values = json.loads(path.read_text())
        edit(values)
        path.write_text(json.dumps(values))
    else:
        tensors = load_file(path)
        edit(tensors)
        save_file(
            {key: tensor.contiguous() for key, tensor in tensors.items()}, path, metadata={"format": "pt"}
        )
    names = sorted(p.name for p in directory.iterdir() if p.name != "SHA256SUMS")
    (directory / "SHA256SUMS").write_text("".join(f"{sha256_file(directory / n)}  {n}\n" for n in names))


def first(tensors: dict[str, Any], part: str) -> str:
    return next(name for name in sorted(tensors) if part in name)


def halved(part: str) -> Edit:
    def edit(tensors: dict[str, Any]) -> None:
        name = first(tensors, part)
        tensors[name] = tensors[name][: len(tensors[name]) // 2]

    return edit


def gone(part: str) -> Edit:
    return lambda tensors: tensors.pop(first(tensors, part))


def new(name: str) -> Edit:
    return lambda tensors: tensors.update({name: torch.zeros(2, 2)})


WRONG: dict[str, tuple[str, str, Edit, str]] = {
    "peft field": ("lora", "adapter_config.json", lambda c: c.update(odd=1), "unknown field 'odd'"),
    "peft kind": ("lora", "adapter_config.json", lambda c: c.update(peft_type="IA3"), "peft_type is 'IA3'"),
    "peft rank": ("lora", "adapter_config.json", lambda c: c.update(r=c["r"] + 1), "no module of .* sizes"),
    "peft layers": (
        "lora", "adapter_config.json", lambda c: c.update(target_modules=["query", "nothing"]), "names 'nothing'",
    ),
    "names code": ("lora", "adapter_config.json", lambda c: c.update(auto_map={"a": "b--c.D"}), "never followed"),
    "half a module": ("lora", MODULES["lora"], gone("lora_B"), "no module of .* sizes"),
    "short factor": ("lora", MODULES["lora"], halved("lora_A"), "no module of .* sizes"),
    "head of fewer labels": ("lora", MODULES["lora"], halved("classifier.weight"), "output.weight has shape"),
    "headless": ("lora", MODULES["lora"], gone("classifier.bias"), "lacks classifier.bias"),
    "head of more": ("lora", MODULES["lora"], new("base_model.model.classifier.more"), "no tensor of the head"),
    "more labels": ("lora", "bundle.json", lambda c: c["labels"].append("Z"), "output.weight has shape"),
    "another format": ("lora", "bundle.json", lambda c: c.update(format="span_qa"), "lacks qa_outputs"),
    "unsaid pooler": ("lora", "bundle.json", lambda c: c.update(pooler=True), "tensors are missing, e.g. pooler"),
    "unsaid heads": (
        "lora", "bundle.json",
        lambda c: c.update(heads={"x": {"format": "tagging", "labels": [], "tasks": []}}),
        "heads.safetensors is missing",
    ),
    "ia3 factor": ("ia3", MODULES["ia3"], lambda t: t.update({first(t, "ia3_l"): torch.zeros(3, 3)}), "no module of"),
    "adapter field": (
        "pfeiffer", "adapter_config.json", lambda c: c["config"].update(odd=1), "unknown field config.odd",
    ),
    "adapter of nothing": (
        "pfeiffer", "adapter_config.json", lambda c: c.update(hidden_size="32"), "hidden_size = '32': of no encoder",
    ),
    "adapter tensor": ("pfeiffer", MODULES["pfeiffer"], new("roberta.odd.weight"), "no tensor of its modules"),
    "adapter head": ("pfeiffer", "model_head.safetensors", halved("classifier.weight"), "output.weight has shape"),
    "adapter head of more": ("pfeiffer", "model_head.safetensors", new("odd"), "odd is no tensor of the head"),
    "adapter head's type": (
        "pfeiffer", "head_config.json", lambda c: c.update(model_type="x"), "model_type = 'x': of no encoder",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("key", "name", "edit", "message"), WRONG.values(), ids=WRONG)
def test_what_loading_would_refuse_is_refused_by_name(
    bundle: Callable[[str], Path], key: str, name: str, edit: Edit, message: str
) -> None:
    directory = bundle(key)
    change(directory, name, edit)
    with pytest.raises(BundleError, match=message):
        verify(directory)


def test_without_adapterhubs_package_its_files_are_still_looked_at(
    bundle: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapter_stilts.model.tuning.libraries import adapterhub_checks

    directory = bundle("pfeiffer")
    monkeypatch.setattr(adapterhub_checks, "is_installed", lambda: False)
    change(directory, "adapter_config.json", lambda c: c.update(version="0"))
    verify(directory)
    change(directory, MODULES["pfeiffer"], new("roberta.odd.weight"))
    with pytest.raises(BundleError, match="no tensor of its modules"):
        verify(directory)
