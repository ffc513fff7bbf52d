"""Models and bundles of the tiny encoders, without training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from adapter_stilts.model.bundle_info import BundleInfo
    from adapter_stilts.model.task_model import TaskModel

TARGETS = {
    "pair_classification": "xnli",
    "multiple_choice": "hellaswag",
    "span_qa": "xquad",
    "tagging": "udpos",
}


@pytest.fixture(params=TARGETS)
def format_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def build() -> Callable[..., TaskModel]:
    """A model with a new head, at rest."""
    from adapter_stilts.formats import get_format
    from adapter_stilts.model.backbone import load_encoder
    from adapter_stilts.model.heads import Head
    from adapter_stilts.model.task_model import TaskModel
    from adapter_stilts.tasks import get_task

    def call(base: Path, name: str, seed: int = 1) -> TaskModel:
        format = get_format(name)
        encoder = load_encoder(str(base), None, None, False)
        shape = format.head_shape(get_task(TARGETS[name]).labels)
        head = None if shape is None else Head(shape, 32, 0.1, 0.2, seed)
        return TaskModel(encoder, head, format).eval()

    return call


@pytest.fixture
def bundled(build: Callable[..., TaskModel], tmp_path: Path) -> Callable[..., tuple[Path, TaskModel]]:
    """A full bundle and the model it was made of."""
    from adapter_stilts.model.backbone import load_tokenizer, resolve_base
    from adapter_stilts.model.bundle import write_bundle
    from adapter_stilts.model.tuning import full
    from adapter_stilts.recipe import Base
    from adapter_stilts.tasks import get_task

    def call(base: Path, name: str, **changes: Any) -> tuple[Path, TaskModel]:
        task = get_task(TARGETS[name])
        model = build(base, name)
        directory = tmp_path / f"bundle-{name}"
        directory.mkdir()
        full.save(model, directory, name, task.labels)
        resolved = resolve_base(Base(id=str(base)))
        info = info_of(base, resolved.fingerprint, task, name, **changes)
        write_bundle(directory, info, load_tokenizer(resolved))
        return directory, model

    return call


def info_of(base: Path, fingerprint: str, task: Any, name: str, **changes: Any) -> BundleInfo:
    from adapter_stilts.model.bundle_info import BundleInfo

    values = {
        "tuning": "full",
        "base": str(base),
        "base_revision": None,
        "base_fingerprint": fingerprint,
        "task": task.name,
        "format": name,
        "labels": task.labels,
        "settings": {"seed": 0},
        "parents": (),
        "metrics": {"accuracy": 61.25},
        "versions": {"adapter-stilts": "0.1.0"},
    }
    return BundleInfo(**{**values, **changes})
