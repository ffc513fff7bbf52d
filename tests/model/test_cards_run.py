"""The Python of every card, as printed: each tuning in each form it has, with and without a head.

A hub id stands for a folder here, as nothing is fetched.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adapter_stilts.formats import get_format
from adapter_stilts.formats.features import Features, Ragged
from adapter_stilts.model.backbone import load_encoder, load_tokenizer, resolve_base
from adapter_stilts.model.bundle import write_bundle
from adapter_stilts.model.bundle_info import BundleInfo
from adapter_stilts.model.export import Choice, export, forms_of
from adapter_stilts.model.heads import build_head
from adapter_stilts.model.sentence_vectors import LIBRARY
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.recipe import Base
from adapter_stilts.tasks import get_task

# Transformers and both libraries warn of heads that start at random and are loaded a moment later.
pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")
COMMIT = "c" * 40
ARCHITECTURES = ("pfeiffer", "houlsby", "parallel", "compacter", "prefix")
SETTINGS: dict[str, dict[str, Any]] = {
    "full": {},
    "lora": {"r": 4},
    "lora of one layer": {"r": 4, "layers": [1]},
    "dora": {"r": 4},
    "rslora": {"r": 4},
    "ia3": {},
    **{f"adapter, {name}": {"architecture": name} for name in ARCHITECTURES},
    **{"adapter of one layer": {"layers": [0]}},
}
TASKS = {"pair_classification": "xnli", "tagging": "udpos", "span_qa": "xquad", None: "xnli"}
CASES = [
    (kind, form, format_name)
    for kind in SETTINGS
    for form in forms_of(get_tuning(re.split(r"[ ,]", kind)[0]))
    for format_name in (TASKS if kind in ("full", "lora", "adapter, pfeiffer") else ("pair_classification",))
    if form != LIBRARY  # tests/model/test_sentence_vectors.py
]


def features() -> Features:
    return Features(Ragged.from_lengths(np.arange(5, 29, dtype=np.int32), [9, 15]), np.arange(3))


def made(base: Path, kind: str, format_name: str | None, folder: Path) -> TaskModel:
    """A bundle whose every tensor has moved, said to be of a model of the hub, and what it was saved from."""
    mode = re.split(r"[ ,]", kind)[0]
    tuning, task = get_tuning(mode), get_task(TASKS[format_name])
    small = {"reduction_factor": 4.0} if "adapter" in kind and "prefix" not in kind else {}
    encoder = load_encoder(str(base), None, 0.0, False)
    head = None if format_name is None else build_head(format_name, task.labels, encoder.config)
    model = TaskModel(encoder, head, None if format_name is None else get_format(format_name)).eval()
    tuning.attach(model, tuning.Settings.model_validate({**SETTINGS[kind], **small}), 3)
    generator = torch.Generator().manual_seed(3)
    for tensor in tuning.state(model).values():
        tensor += 0.1 * torch.randn(tensor.shape, generator=generator)
    folder.mkdir()
    labels = task.labels if format_name else ()
    tuning.save(model, folder, format_name or "none", labels)
    info = BundleInfo(
        tuning=mode, base="org/encoder", base_revision=COMMIT, base_fingerprint=COMMIT, task=task.name,
        format=format_name or "none", labels=labels, settings={"seed": 0}, parents=(), metrics={}, versions={},
    )  # fmt: skip
    write_bundle(folder, info, load_tokenizer(resolve_base(Base(id=str(base)))))
    return model


@pytest.mark.parametrize(("kind", "form", "format_name"), CASES)
def test_as_printed(
    tiny_base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    form: str,
    format_name: str | None,
) -> None:
    import adapter_stilts.model.export as exporting

    model = made(tiny_base, kind, format_name, tmp_path / "bundle")
    local = resolve_base(Base(id=str(tmp_path / "bundle" if kind == "full" else tiny_base)))
    base = local
    if kind != "full":  # what the card names is the hub's; what is read is here
        base = replace(local, id="org/encoder", commit=COMMIT, fingerprint=COMMIT)
        monkeypatch.setattr(
            exporting, "load_encoder", lambda *_: load_encoder(local.location, None, None, False)
        )
        monkeypatch.setattr(exporting, "load_tokenizer", lambda _: load_tokenizer(local))
    out = tmp_path / "out"
    out.mkdir()
    export(tmp_path / "bundle", form, Choice(), out, base, "adapter-stilts export")
    card = (out / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    if form != "transformers":
        assert f'"org/encoder", revision="{COMMIT}"' in code
    here = code.replace('"DIR"', repr(str(out)))
    here = here.replace(f'"org/encoder", revision="{COMMIT}"', repr(str(tiny_base)))
    names: dict[str, Any] = {}
    exec(here, names)
    ids = torch.full((2, 15), 1)
    for row, length in enumerate((9, 15)):
        ids[row, :length] = torch.as_tensor(features().input_ids[row])
    with torch.inference_mode():
        output = names["model"].eval()(input_ids=ids, attention_mask=(ids != 1).long())
    ours = model.predict(features(), np.arange(2))
    if format_name == "span_qa":
        theirs = torch.stack([output.start_logits, output.end_logits], dim=-1)
    else:
        theirs = output.last_hidden_state if format_name is None else output.logits
    real = torch.ones(2, dtype=torch.bool) if ours.dim() == 2 else ids != 1
    assert float((theirs - ours)[real].abs().max()) <= 1e-5
