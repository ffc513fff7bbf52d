"""A real bundle to share: LoRA on the tiny encoder, without training."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Do not write here."""
    from adapter_stilts.formats import get_format
    from adapter_stilts.model.backbone import load_encoder, load_tokenizer, resolve_base
    from adapter_stilts.model.bundle import write_bundle
    from adapter_stilts.model.bundle_info import BundleInfo
    from adapter_stilts.model.heads import Head
    from adapter_stilts.model.task_model import TaskModel
    from adapter_stilts.model.tuning import get_tuning
    from adapter_stilts.recipe import Base
    from adapter_stilts.tasks import get_task

    base = resolve_base(Base(id=str(tiny_base)))
    task = get_task("xquad")
    format = get_format(task.format)
    shape = format.head_shape(task.labels)
    assert shape is not None
    model = TaskModel(load_encoder(str(tiny_base), None, None, False), Head(shape, 32, 0.1, 0.2, 1), format)
    tuning = get_tuning("lora")
    tuning.attach(model, tuning.Settings.model_validate({"r": 4}))
    directory = tmp_path_factory.mktemp("shared") / "squad-lora"
    directory.mkdir()
    tuning.save(model, directory, task.format, task.labels)
    info = BundleInfo(
        tuning="lora",
        base=str(tiny_base),
        base_revision=None,
        base_fingerprint=base.fingerprint,
        task="squad_v1",
        format=task.format,
        labels=task.labels,
        settings={},
        parents=(),
        metrics={"exact_match": 1.5, "f1": 2.25},
        versions={"adapter-stilts": "0.1.0"},
        command="adapter-stilts train --inter squad_v1 --target tatoeba --mode lora",
    )
    write_bundle(directory, info, load_tokenizer(base))
    return directory
