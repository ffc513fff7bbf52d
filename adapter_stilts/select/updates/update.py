"""What a training changed in an encoder: a matrix for each of its linear layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from adapter_stilts.model.backbone import ResolvedBase
from adapter_stilts.model.build import build_encoder
from adapter_stilts.model.bundle_info import BundleInfo
from adapter_stilts.model.task_model import TaskModel
from adapter_stilts.model.tuning import check_installed, get_tuning
from adapter_stilts.model.tuning.base import TRAINED, Tuning

Update: TypeAlias = Mapping[str, npt.NDArray[np.float32]]
"""Layer -> (out, in), of the layers that changed."""


def update_of(model: TaskModel, tuning: Tuning, before: Any) -> Update:
    """The weights of a trained encoder less those that it began with; embeddings, norms and biases are left out.

    Args:
        model: in fp32; its modules are put into its weights, in place.
        before: the untouched encoder in fp32.

    Raises:
        UsageError: what the tuning trains is no change of the encoder's weights.
    """
    from torch import nn

    tuning.check_fold()
    tuning.fold(model)
    linear = [name for name, module in before.named_modules() if isinstance(module, nn.Linear)]
    found = {}
    for name in linear:
        after: Any = model.encoder.get_submodule(name)
        change = after.weight.detach() - before.get_submodule(name).weight.detach()
        if change.any():
            found[name] = change.cpu().numpy()
    return found


def update_of_bundle(
    directory: Path, info: BundleInfo, base: ResolvedBase, before: Any, device: str
) -> Update:
    """The same of a bundle, on the encoder in fp32 whatever it was trained on.

    Raises:
        UsageError: its tuning's library is not installed, or as `update_of`.
        BundleError: it is damaged.
    """
    check_installed(info.tuning)
    tuning = get_tuning(info.tuning)
    tuning.check_fold()
    encoder = build_encoder(base, tuning, tuning.Settings(), "fp32", directory, device=device)
    model = TaskModel(encoder, None, None)
    tuning.load_modules(model, directory, TRAINED)
    return update_of(model.to(device), tuning, before)
