"""Steps that every tuning on a frozen backbone shares."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapter_stilts.errors import BundleError, UsageError
from adapter_stilts.model.door import LARGEST_CONFIG
from adapter_stilts.model.strict_json import read_object

if TYPE_CHECKING:
    from torch import nn

    from adapter_stilts.model.task_model import TaskModel


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """New modules are drawn on the CPU from this seed alone; the global random state stays as it was."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def train_only(model: TaskModel, modules: dict[str, nn.Parameter]) -> None:
    """Freeze all of the encoder but the given parameters, which are kept in fp32; the head is trained."""
    model.encoder.requires_grad_(False)
    for parameter in modules.values():
        parameter.data = parameter.data.float()
        parameter.requires_grad_(True)
    if model.head is not None:
        model.head.requires_grad_(True)


@contextlib.contextmanager
def refused(path: Path) -> Iterator[None]:
    """What a library refuses of a bundle's config is the bundle's fault: a BundleError."""
    try:
        yield
    except (
        UsageError,
        TypeError,
        ValueError,
        KeyError,
        AssertionError,
        ArithmeticError,
        RuntimeError,
    ) as error:
        raise BundleError(f"{path}: {error}") from error


def read_config(path: Path) -> dict[str, Any]:
    """A library's config beside its weights. Raises BundleError."""
    return read_object(path, LARGEST_CONFIG)
